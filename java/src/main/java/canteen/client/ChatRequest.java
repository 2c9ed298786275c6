package canteen.client;

import java.util.List;
import java.util.Map;

/**
 * A conversation to go on with.
 *
 * @param model that answers
 * @param messages so far
 * @param options any other fields of {@code /v1/chat/completions}
 */
public record ChatRequest(String model, List<Message> messages, Map<String, Object> options) {
    /** Keeps copies. */
    public ChatRequest {
        messages = List.copyOf(messages);
        options = Options.copy(options);
    }

    /**
     * A request without options.
     *
     * @param model that answers
     * @param messages so far
     * @return the request
     */
    public static ChatRequest of(String model, Message... messages) {
        return new ChatRequest(model, List.of(messages), Map.of());
    }

    /**
     * The request with one more field.
     *
     * @param name of the field on the wire, such as {@code seed}
     * @param value of it
     * @return the new request
     */
    public ChatRequest with(String name, Object value) {
        return new ChatRequest(model, messages, Options.with(options, name, value));
    }

    /**
     * The request with a bound on its answer.
     *
     * @param tokens at most
     * @return the new request
     */
    public ChatRequest maxTokens(int tokens) {
        return with("max_tokens", tokens);
    }

    /**
     * The request with another way to draw.
     *
     * @param temperature 0 for the likeliest answer
     * @return the new request
     */
    public ChatRequest temperature(double temperature) {
        return with("temperature", temperature);
    }

    /**
     * The request whose answer is JSON that satisfies a schema, or an error.
     *
     * @param schema a JSON Schema
     * @return the new request
     */
    public ChatRequest schema(Map<String, ?> schema) {
        Map<String, Object> named = Map.of("name", "answer", "strict", true, "schema", schema);
        return with("response_format", Map.of("type", "json_schema", "json_schema", named));
    }

    Map<String, Object> body(boolean isStreamed) {
        Map<String, Object> body = Options.with(options, "model", model);
        body.put("messages", messages.stream()
            .map(one -> Map.of("role", one.role(), "content", one.content())).toList());
        if (isStreamed) {
            body.put("stream", true);
            body.put("stream_options", Map.of("include_usage", true));
        }
        return body;
    }
}
