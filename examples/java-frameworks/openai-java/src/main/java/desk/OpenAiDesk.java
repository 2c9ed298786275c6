package desk;

import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionChunk;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.StructuredChatCompletionCreateParams;
import com.openai.models.embeddings.EmbeddingCreateParams;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;

/** The desk of the shop with openai-java, which finds the receipt among what it does not know. */
public final class OpenAiDesk implements AutoCloseable {
    /** What a message is about; the answer is held to its schema. */
    public static class Sorted {
        /** The kinds of messages. */
        public enum Kind { DELIVERY, RETURN, DAMAGE, PRAISE }

        public Kind kind;
        public List<String> orderNumbers;
    }

    private final OpenAIClient client;
    private final String model;
    private final String embedder;

    public OpenAiDesk(String url, String model, String embedder) {
        this.model = model;
        this.embedder = embedder;
        client = OpenAIOkHttpClient.builder()
            .baseUrl(url + "/v1")
            .apiKey("not needed")
            .timeout(Duration.ofMinutes(2))
            .maxRetries(1)
            .build();
    }

    public Sorted sort(String message) {
        StructuredChatCompletionCreateParams<Sorted> params = ChatCompletionCreateParams.builder()
            .model(model)
            .addUserMessage("What is this message about, and which orders does it name?\n" + message)
            .responseFormat(Sorted.class)
            .build();
        return client.chat().completions().create(params).choices().get(0).message().content()
            .orElseThrow();
    }

    /** A draft with its receipt. */
    public record Drafted(String text, JsonValue receipt) {}

    public Drafted draft(String message) {
        ChatCompletion completion = client.chat().completions().create(asked(message));
        return new Drafted(
            completion.choices().get(0).message().content().orElse(""),
            completion._additionalProperties().get("footprint"));
    }

    public String draftStreamed(String message) {
        try (StreamResponse<ChatCompletionChunk> chunks =
            client.chat().completions().createStreaming(asked(message))) {
            return chunks.stream()
                .flatMap(chunk -> chunk.choices().stream())
                .flatMap(choice -> choice.delta().content().stream())
                .collect(Collectors.joining());
        }
    }

    /** Vectors to search the shop's knowledge by. */
    public List<List<Float>> embed(List<String> texts) {
        EmbeddingCreateParams params = EmbeddingCreateParams.builder()
            .model(embedder).inputOfArrayOfStrings(texts).build();
        return client.embeddings().create(params).data().stream()
            .map(one -> one.embedding()).toList();
    }

    @Override
    public void close() {
        client.close();
    }

    private ChatCompletionCreateParams asked(String message) {
        return ChatCompletionCreateParams.builder()
            .model(model)
            .addSystemMessage("You answer customers of a shop, shortly and politely.")
            .addUserMessage(message)
            .maxCompletionTokens(40)
            .temperature(0.0)
            .build();
    }
}
