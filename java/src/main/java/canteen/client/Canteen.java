package canteen.client;

import canteen.client.Calls.Asked;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * A client of a Canteen service. It may be used by many threads at once; closing it cancels what is
 * under way.
 *
 * <p>Each call has one deadline over all its attempts. Between them it waits as long as the service
 * says. Every method may throw a {@link CanteenException}.
 */
public final class Canteen implements AutoCloseable {
    /** Where a service listens unless told otherwise. */
    public static final String USUAL_URL = "http://127.0.0.1:11434";

    private final Calls calls;
    private final Terms terms;

    private Canteen(Calls calls, Terms terms) {
        this.calls = calls;
        this.terms = terms;
    }

    /**
     * A client with the usual terms.
     *
     * @param url of the service, such as {@link #USUAL_URL}
     * @return the client
     */
    public static Canteen at(String url) {
        return builder(url).build();
    }

    /**
     * A client to be told more of.
     *
     * @param url of the service
     * @return its builder
     */
    public static Builder builder(String url) {
        return new Builder(url);
    }

    /**
     * The same client with another deadline; closing either closes both.
     *
     * @param timeout of a whole call, with all its attempts
     * @return the client with that deadline
     */
    public Canteen within(Duration timeout) {
        return new Canteen(calls, terms.within(timeout));
    }

    /**
     * The same client with one more header; closing either closes both.
     *
     * @param name such as {@code traceparent}, {@code X-Conversation-Id}, {@code Idempotency-Key}
     * @param value of it; empty to send none where one would be made
     * @return the client with that header
     */
    public Canteen header(String name, String value) {
        return new Canteen(calls, terms.with(name, value));
    }

    /**
     * Goes on with a conversation.
     *
     * @param request the conversation
     * @return what the model said
     */
    public Answer<Chat> chat(ChatRequest request) {
        return Answer.of(post("/v1/chat/completions", request.body(false)), Chat::of);
    }

    /**
     * Goes on with a conversation, piece by piece. Close the stream: that hangs up, and the service
     * stops working for it. One that is cut off, or breaks off, throws.
     *
     * @param request the conversation
     * @return the pieces, the last with usage and receipt
     */
    public Stream<ChatChunk> stream(ChatRequest request) {
        Events events =
            calls.open(Asked.stream("/v1/chat/completions", request.body(true), terms));
        return events.stream().map(ChatChunk::of);
    }

    /**
     * Vectors of texts.
     *
     * @param model that embeds
     * @param texts in order
     * @return a vector of each
     */
    public Answer<List<float[]>> embed(String model, List<String> texts) {
        Map<String, Object> body =
            Map.of("model", model, "input", texts, "encoding_format", "base64");
        return Answer.of(post("/v1/embeddings", body), told -> told.objects("data").stream()
            .map(one -> vector(one.text("embedding"))).toList());
    }

    /**
     * Does language work on a text.
     *
     * @param <T> the kind of result
     * @param task with its options
     * @param text to work on
     * @return the result
     */
    public <T> Answer<T> ask(Task<T> task, String text) {
        return Answer.of(post(task.path(), task.body("input", text)), task::read);
    }

    /**
     * Does language work on many texts in one call.
     *
     * @param <T> the kind of result
     * @param task with its options
     * @param texts to work on
     * @return the outcomes in the order of the texts, and one receipt for all
     */
    public <T> Answer<List<Outcome<T>>> askEach(Task<T> task, List<String> texts) {
        return Answer.of(
            post(task.path(), task.body("inputs", texts)),
            told -> told.objects("results").stream().map(task::outcome).toList());
    }

    /**
     * Which of these labels a text bears.
     *
     * @param text to judge
     * @param labels at least two
     * @return the label, with the probabilities of all
     */
    public Answer<Classification> classify(String text, String... labels) {
        return ask(Task.classify(labels), text);
    }

    /**
     * The entities of these types in a text.
     *
     * @param text to search
     * @param types such as {@code email} or {@code order number}
     * @return each with its place
     */
    public Answer<Extraction> extract(String text, String... types) {
        return ask(Task.extract(types), text);
    }

    /**
     * What a text says, in few sentences.
     *
     * @param text of any length
     * @param sentences at most
     * @return the summary
     */
    public Answer<Text> summarize(String text, int sentences) {
        return ask(Task.summarize().with("sentences", sentences), text);
    }

    /**
     * The same said in another tone.
     *
     * @param text to rewrite
     * @param tone such as {@code formal} or {@code friendly}
     * @return the other text
     */
    public Answer<Text> rewrite(String text, String tone) {
        return ask(Task.rewrite().with("tone", tone), text);
    }

    /**
     * Puts documents into an index, which is made if it is not there.
     *
     * @param index its name
     * @param documents to find later
     * @return what became of them
     */
    public Answer<Indexed> index(String index, List<Document> documents) {
        Map<String, Object> body =
            Map.of("documents", documents.stream().map(Document::body).toList());
        return Answer.of(post(indexPath(index) + "/documents", body), Indexed::of);
    }

    /**
     * Searches an index by meaning and words.
     *
     * @param index its name
     * @param query what to find
     * @param limit passages, at most
     * @return the passages, best first
     */
    public Answer<Found> search(String index, String query, int limit) {
        return search(index, query, Map.of("limit", limit));
    }

    /**
     * Searches an index.
     *
     * @param index its name
     * @param query what to find
     * @param options {@code limit}, {@code mode}, {@code filter}, {@code answer}, {@code model}
     * @return the passages, best first, and an answer if one was asked for
     */
    public Answer<Found> search(String index, String query, Map<String, ?> options) {
        return Answer.of(
            post(indexPath(index) + "/search", Options.with(options, "query", query)), Found::of);
    }

    /**
     * A receipt once more.
     *
     * @param id of the receipt
     * @return the receipt
     */
    public Receipt footprint(String id) {
        Fields told = calls.ask(Asked.get("/v1/footprint/" + encoded(id), terms));
        return Receipt.of(told);
    }

    /**
     * What all answers took together.
     *
     * @param by model, key, phase, hour, day or conversation
     * @return a sum of each
     */
    public List<Sum> footprintBy(String by) {
        Fields told = calls.ask(Asked.get("/v1/footprint?by=" + encoded(by), terms));
        return told.objects("sums").stream().map(one -> Sum.of(one, by)).toList();
    }

    /** Cancels every call and stream under way; later ones fail at once. */
    @Override
    public void close() {
        calls.close();
    }

    private Fields post(String path, Object body) {
        return calls.ask(Asked.post(path, body, terms));
    }

    private static String indexPath(String index) {
        return "/v1/indexes/" + encoded(index);
    }

    private static String encoded(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    private static float[] vector(String base64) {
        ByteBuffer bytes = ByteBuffer.wrap(Base64.getDecoder().decode(base64));
        float[] vector = new float[bytes.remaining() / Float.BYTES];
        bytes.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(vector);
        return vector;
    }

    /** Tells a client how to call. */
    public static final class Builder {
        private static final Duration MINUTE = Duration.ofMinutes(1);

        private final URI url;
        private Supplier<String> key = () -> "";
        private HttpClient http;
        private Terms terms = new Terms(MINUTE, MINUTE, 3, Map.of());
        private Deadline.Ticker ticker = Deadline.SYSTEM;

        private Builder(String url) {
            this.url = URI.create(url.replaceFirst("/+$", ""));
        }

        /**
         * Who calls.
         *
         * @param key an API key or token
         * @return this
         */
        public Builder key(String key) {
            return key(() -> key);
        }

        /**
         * Who calls, asked before each attempt, so that a key can change.
         *
         * @param given an API key or token
         * @return this
         */
        public Builder key(Supplier<String> given) {
            key = given;
            return this;
        }

        /**
         * The deadline of a call, over all its attempts; a minute, if nothing is said.
         *
         * @param timeout of the whole call
         * @return this
         */
        public Builder timeout(Duration timeout) {
            terms = terms.within(timeout);
            return this;
        }

        /**
         * How long a stream may be silent; the service sends something every few seconds.
         *
         * @param silence at most; a minute, if nothing is said
         * @return this
         */
        public Builder silence(Duration silence) {
            terms = new Terms(terms.timeout(), silence, terms.mostAttempts(), terms.headers());
            return this;
        }

        /**
         * How often a call is attempted.
         *
         * @param mostAttempts 1 to never try again; 3, if nothing is said
         * @return this
         */
        public Builder attempts(int mostAttempts) {
            terms = new Terms(terms.timeout(), terms.silence(), mostAttempts, terms.headers());
            return this;
        }

        /**
         * The JDK's client to use, with a proxy or certificates of one's own.
         *
         * @param client to use
         * @return this
         */
        public Builder http(HttpClient client) {
            http = client;
            return this;
        }

        Builder ticker(Deadline.Ticker other) {
            ticker = other;
            return this;
        }

        /**
         * The client.
         *
         * @return it, ready
         */
        public Canteen build() {
            HttpClient used = http != null ? http
                : HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
            return new Canteen(new Calls(used, url, key, ticker), terms);
        }
    }
}
