package canteen.client;

import static canteen.testing.Tests.equal;
import static canteen.testing.Tests.holds;
import static canteen.testing.Tests.thrown;

import canteen.client.CanteenException.DeadlineExceeded;
import canteen.client.CanteenException.InvalidRequest;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Every operation against a running service, whatever its models can do. */
public class ServiceTest implements AutoCloseable {
    private static final String MODEL = System.getProperty("canteen.model");
    private static final String EMBEDDER = System.getProperty("canteen.embedder");
    private static final String LETTER =
        "\uD83D\uDE00 Where is order ORD-20417? It was sent on 3 May 2026. Write to ada@example.org.";

    private final Canteen canteen = Canteen.at(System.getProperty("canteen.url"));

    @Override
    public void close() {
        canteen.close();
    }

    private static ChatRequest request(String text) {
        return ChatRequest.of(MODEL, Message.user(text)).maxTokens(8).temperature(0);
    }

    private static void hasReceipt(Answer<?> answer) {
        Receipt receipt = answer.receipt().orElseThrow();
        holds(receipt.id(), id -> id.startsWith("rcpt_"));
        holds(receipt.energyUj(), energy -> energy.prefill() >= 0 && energy.decode() >= 0);
        for (Figure one : List.of(receipt.energyWh(), receipt.waterSourceMl(), receipt.carbonG())) {
            holds(one, figure -> figure.low() <= figure.central());
            holds(one, figure -> figure.central() <= figure.high());
        }
        holds(receipt.provenance(), lines -> !lines.isEmpty());
    }

    public void aChatIsAnsweredWithItsReceipt() {
        Answer<Chat> answer = canteen.chat(request("one two three"));

        holds(answer.value().text(), text -> !text.isBlank());
        holds(answer.value().finishReason(), List.of("stop", "length")::contains);
        holds(answer.usage().completionTokens(), count -> count > 0 && count <= 8);
        hasReceipt(answer);
    }

    public void aStreamSaysTheSameAndEndsWithItsReceipt() {
        String whole = canteen.chat(request("one two three")).value().text();

        try (Stream<ChatChunk> chunks = canteen.stream(request("one two three"))) {
            List<ChatChunk> all = chunks.toList();
            equal(whole, all.stream().map(ChatChunk::text).collect(Collectors.joining()));
            holds(all.get(all.size() - 1).receipt(), receipt -> receipt.isPresent());
            holds(all.get(all.size() - 1).usage(), usage -> usage.isPresent());
        }
    }

    public void textsAreEmbeddedInOrder() {
        Answer<List<float[]>> answer =
            canteen.embed(EMBEDDER, List.of("a parcel", "a river", "a parcel"));

        equal(3, answer.value().size());
        equal(answer.value().get(0), answer.value().get(2));
        holds(answer.value().get(0), vector -> vector.length > 1);
        hasReceipt(answer);
    }

    public void aTextIsClassified() {
        Answer<Classification> answer = canteen.classify(LETTER, "complaint", "question", "praise");

        Classification found = answer.value();
        holds(found.label(), List.of("complaint", "question", "praise")::contains);
        equal(3, found.probabilities().size());
        equal(found.probabilities().get(found.label()), found.probability());
        hasReceipt(answer);
    }

    public void manyTextsAreClassifiedInOneCallAndOneMayFail() {
        List<Outcome<Classification>> outcomes = canteen
            .askEach(Task.classify("question", "praise"), List.of("Where is it?", " ", "Lovely"))
            .value();

        holds(outcomes.get(0).get().label(), label -> !label.isEmpty());
        thrown(InvalidRequest.class, () -> outcomes.get(1).get());
        holds(outcomes.get(2).get().label(), label -> !label.isEmpty());
    }

    public void entitiesStandWhereTheyWereFound() {
        Extraction found = canteen.extract(LETTER, "order number", "email", "date").value();

        equal(List.of("ORD-20417"), found.quotes("order number"));
        equal(List.of("ada@example.org"), found.quotes("email"));
        equal(List.of("3 May 2026"), found.quotes("date"));
        found.found().forEach(one -> equal(one.quote(), one.in(LETTER)));
    }

    public void aTextIsSummarizedAndRewritten() {
        holds(canteen.summarize(LETTER, 1).value().text(), text -> !text.isBlank());
        holds(
            canteen.ask(Task.rewrite().with("grammar_only", true), "He go home.").value().text(),
            text -> !text.isBlank());
        holds(canteen.rewrite("He go home.", "formal").value().text(), text -> !text.isBlank());
    }

    public void documentsAreFound() {
        String index = "java-" + System.nanoTime();
        List<Document> documents = List.of(
            new Document("returns", "Goods may be returned within thirty days.",
                Map.of("kind", "policy")),
            Document.of("delivery", "A parcel takes three days."));

        Indexed first = canteen.index(index, documents).value();
        Indexed again = canteen.index(index, documents).value();
        Answer<Found> found = canteen.search(index, "parcel three days", 1);

        equal(2L, first.indexed());
        equal(2L, again.unchanged());
        equal(List.of(), first.failed());
        equal("delivery", found.value().hits().get(0).document());
        equal(List.of("returns"), canteen
            .search(index, "parcel", Map.of("filter", Map.of("kind", "policy"))).value().hits()
            .stream().map(Found.Hit::document).toList());
    }

    public void aReceiptIsToldAgainAndSummed() {
        Answer<Chat> answer = canteen.chat(request("count me"));
        Receipt receipt = answer.receipt().orElseThrow();

        Receipt again = canteen.footprint(receipt.id());
        List<Sum> sums = canteen.footprintBy("model");

        equal(receipt.energyUj(), again.energyUj());
        equal(receipt.tokens(), again.tokens());
        holds(sums, all -> all.stream().anyMatch(one -> one.name().equals(receipt.model())));
        holds(receipt.energyWh().in("Wh"), text -> text.contains(" Wh ("));
    }

    public void anUnknownModelIsARequestToChange() {
        InvalidRequest error = thrown(
            InvalidRequest.class, () -> canteen.chat(ChatRequest.of("nobody", Message.user("x"))));

        equal(404, error.refusal().status());
        equal("model_not_found", error.refusal().code());
        holds(error.refusal().requestId(), id -> !id.isEmpty());
    }

    public void aDeadlineHoldsForTheService() {
        thrown(DeadlineExceeded.class, () -> canteen.within(Duration.ofNanos(1))
            .chat(request("too late")));
    }
}
