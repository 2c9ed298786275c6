package desk;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.openai.OpenAiChatModel;
import org.springframework.ai.openai.OpenAiChatOptions;
import org.springframework.ai.openai.OpenAiEmbeddingModel;
import org.springframework.ai.openai.OpenAiEmbeddingOptions;
import reactor.core.publisher.Flux;

/**
 * The desk of the shop with Spring AI, put together by hand as its starter does it from
 * {@code spring.ai.openai.base-url}. Its conversation is summed at /v1/footprint.
 */
public final class SpringDesk {
    private static final String SORTED = """
        {"type": "object", "required": ["kind"], "additionalProperties": false,
         "properties": {"kind": {"enum": ["DELIVERY", "RETURN", "DAMAGE", "PRAISE"]}}}""";

    private final ChatClient sorter;
    private final ChatClient writer;
    private final EmbeddingModel embedder;

    public SpringDesk(String url, String model, String embedder, String conversation) {
        sorter = ChatClient.create(model(options(url, model, conversation).outputSchema(SORTED)));
        writer = ChatClient.builder(model(options(url, model, conversation)))
            .defaultSystem("You answer customers of a shop, shortly and politely.").build();
        this.embedder = OpenAiEmbeddingModel.builder()
            .options(OpenAiEmbeddingOptions.builder()
                .baseUrl(url + "/v1").apiKey("not needed").model(embedder).build())
            .build();
    }

    /** JSON with the kind of a message. */
    public String sort(String message) {
        return sorter.prompt().user("What is this message about?\n" + message).call().content();
    }

    public String draft(String message) {
        return writer.prompt().user(message).call().content();
    }

    public Flux<String> draftStreamed(String message) {
        return writer.prompt().user(message).stream().content();
    }

    /** Vectors to search the shop's knowledge by. */
    public List<float[]> embed(List<String> texts) {
        return embedder.embed(texts);
    }

    /** The whole call, streams too, has 60 seconds unless told otherwise. */
    private static OpenAiChatOptions.Builder options(
        String url, String model, String conversation) {
        return OpenAiChatOptions.builder()
            .baseUrl(url + "/v1")
            .apiKey("not needed")
            .model(model)
            .maxTokens(40)
            .temperature(0.0)
            .timeout(Duration.ofMinutes(10))
            .maxRetries(1)
            .customHeaders(Map.of("X-Conversation-Id", conversation));
    }

    private static OpenAiChatModel model(OpenAiChatOptions.Builder options) {
        return OpenAiChatModel.builder().options(options.build()).build();
    }
}
