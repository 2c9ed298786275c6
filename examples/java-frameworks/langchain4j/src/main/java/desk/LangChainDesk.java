package desk;

import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.json.JsonObjectSchema;
import dev.langchain4j.model.chat.request.json.JsonSchema;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.openai.OpenAiChatModel;
import dev.langchain4j.model.openai.OpenAiEmbeddingModel;
import dev.langchain4j.model.openai.OpenAiStreamingChatModel;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** The desk of the shop with LangChain4j. Its conversation is summed at /v1/footprint. */
public final class LangChainDesk {
    private static final ResponseFormat SORTED = ResponseFormat.builder()
        .type(ResponseFormatType.JSON)
        .jsonSchema(JsonSchema.builder()
            .name("Sorted")
            .rootElement(JsonObjectSchema.builder()
                .addEnumProperty("kind", List.of("DELIVERY", "RETURN", "DAMAGE", "PRAISE"))
                .required("kind")
                .build())
            .build())
        .build();

    private final ChatModel model;
    private final StreamingChatModel streaming;
    private final EmbeddingModel embedder;

    public LangChainDesk(String url, String model, String embedder, String conversation) {
        Map<String, String> headers = Map.of("X-Conversation-Id", conversation);
        this.model = OpenAiChatModel.builder()
            .baseUrl(url + "/v1")
            .apiKey("not needed")
            .modelName(model)
            .maxTokens(40)
            .temperature(0.0)
            .strictJsonSchema(true)
            .timeout(Duration.ofMinutes(2))
            .maxRetries(1)
            .customHeaders(headers)
            .build();
        streaming = OpenAiStreamingChatModel.builder()
            .baseUrl(url + "/v1")
            .apiKey("not needed")
            .modelName(model)
            .maxTokens(40)
            .temperature(0.0)
            .timeout(Duration.ofMinutes(2))
            .customHeaders(headers)
            .build();
        this.embedder = OpenAiEmbeddingModel.builder()
            .baseUrl(url + "/v1").apiKey("not needed").modelName(embedder).build();
    }

    /** JSON with the kind of a message. */
    public String sort(String message) {
        ChatRequest request = ChatRequest.builder()
            .messages(UserMessage.from("What is this message about?\n" + message))
            .responseFormat(SORTED)
            .build();
        return model.chat(request).aiMessage().text();
    }

    public String draft(String message) {
        return model.chat(asked(message)).aiMessage().text();
    }

    public String draftStreamed(String message) {
        CompletableFuture<String> whole = new CompletableFuture<>();
        StringBuilder pieces = new StringBuilder();
        streaming.chat(asked(message), new StreamingChatResponseHandler() {
            @Override
            public void onPartialResponse(String piece) {
                pieces.append(piece);
            }

            @Override
            public void onCompleteResponse(ChatResponse response) {
                whole.complete(pieces.toString());
            }

            @Override
            public void onError(Throwable error) {
                whole.completeExceptionally(error);
            }
        });
        return whole.join();
    }

    /** Vectors to search the shop's knowledge by. */
    public List<float[]> embed(List<String> texts) {
        return embedder.embedAll(texts.stream().map(TextSegment::from).toList()).content().stream()
            .map(one -> one.vector()).toList();
    }

    private static ChatRequest asked(String message) {
        return ChatRequest.builder()
            .messages(
                SystemMessage.from("You answer customers of a shop, shortly and politely."),
                UserMessage.from(message))
            .build();
    }
}
