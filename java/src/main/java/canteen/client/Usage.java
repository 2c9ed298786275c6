package canteen.client;

/**
 * Tokens of a request and its answer.
 *
 * @param promptTokens read
 * @param completionTokens written
 */
public record Usage(long promptTokens, long completionTokens) {
    static Usage of(Fields told) {
        long written = told.map().get("completion_tokens") instanceof Number number
            ? number.longValue() : 0;
        return new Usage(told.whole("prompt_tokens"), written);
    }
}
