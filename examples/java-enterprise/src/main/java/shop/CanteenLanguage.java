package shop;

import canteen.client.Answer;
import canteen.client.Canteen;
import canteen.client.CanteenException.InvalidRequest;
import canteen.client.Chat;
import canteen.client.ChatChunk;
import canteen.client.ChatRequest;
import canteen.client.Document;
import canteen.client.Found;
import canteen.client.Message;
import canteen.client.Task;
import java.util.List;
import java.util.stream.Stream;

/** The language work, done by Canteen behind a circuit breaker. */
public final class CanteenLanguage implements Language {
    private static final Task<canteen.client.Classification> KIND =
        Task.classify(Kind.descriptions());
    private static final String INDEX = "shop-knowledge";
    private static final String ORDER_NUMBER = "order number";
    private static final int MOST_PASSAGES = 2;
    private static final int MOST_TOKENS = 80;
    private static final String MANNER =
        "You answer customers of a shop. Be short and polite, and say only what these facts say:";

    private final Canteen canteen;
    private final String model;
    private final Breaker breaker;

    public CanteenLanguage(Canteen canteen, String model, Breaker breaker) {
        this.canteen = canteen;
        this.model = model;
        this.breaker = breaker;
    }

    /** Lets what the shop knows be found; what is there already stays. */
    public void learn(List<Document> knowledge) {
        breaker.call(() -> canteen.index(INDEX, knowledge));
    }

    @Override
    public Told<Kind> kindOf(CustomerMessage message) {
        var answer = breaker.call(() -> about(message, "kind").ask(KIND, message.text()));
        return new Told<>(Kind.of(answer.value().label()), answer.receipt());
    }

    @Override
    public Told<List<String>> orderNumbers(CustomerMessage message) {
        var answer = breaker.call(
            () -> about(message, "orders").extract(message.text(), ORDER_NUMBER));
        List<String> numbers =
            answer.value().quotes(ORDER_NUMBER).stream().distinct().toList();
        return new Told<>(numbers, answer.receipt());
    }

    @Override
    public Told<List<Passage>> lookUp(CustomerMessage message) {
        Answer<Found> answer = breaker.call(() -> search(message));
        List<Passage> passages = answer.value().hits().stream()
            .map(hit -> new Passage(hit.document(), hit.text())).toList();
        return new Told<>(passages, answer.receipt());
    }

    @Override
    public Told<String> draft(CustomerMessage message, List<String> facts) {
        Answer<Chat> answer =
            breaker.call(() -> about(message, "draft").chat(request(message, facts)));
        return new Told<>(answer.value().text(), answer.receipt());
    }

    @Override
    public Stream<String> drafting(CustomerMessage message, List<String> facts) {
        return breaker.call(() -> canteen.header("X-Conversation-Id", message.id())
            .stream(request(message, facts)).map(ChatChunk::text));
    }

    private Answer<Found> search(CustomerMessage message) {
        try {
            return about(message, "knowledge").search(INDEX, message.text(), MOST_PASSAGES);
        } catch (InvalidRequest e) {
            if (e.refusal().code().equals("index_not_found")) {
                throw new NotNow("the knowledge of the shop is not learned yet", e);
            }
            throw e;
        }
    }

    private ChatRequest request(CustomerMessage message, List<String> facts) {
        String system = MANNER + "\n" + String.join("\n", facts);
        return ChatRequest.of(
                model,
                Message.system(system),
                Message.user(message.text()))
            .maxTokens(MOST_TOKENS).temperature(0);
    }

    /**
     * One key for a step of a message, so that a message delivered twice is answered once; and the
     * message as a conversation, whose footprint the service sums.
     */
    private Canteen about(CustomerMessage message, String step) {
        return canteen.header("X-Conversation-Id", message.id())
            .header("Idempotency-Key", message.id() + "/" + step);
    }
}
