package canteen.client;

import java.util.Optional;

/**
 * A piece of a chat. The last but one says why it ends, the last what it took.
 *
 * @param id the service's name for the whole answer
 * @param model that works
 * @param text the piece, empty in the last ones
 * @param finishReason empty until the end
 * @param usage with the last
 * @param receipt with the last
 */
public record ChatChunk(
    String id,
    String model,
    String text,
    String finishReason,
    Optional<Usage> usage,
    Optional<Receipt> receipt) {

    static ChatChunk of(Fields told) {
        Optional<Fields> choice = told.objects("choices").stream().findFirst();
        return new ChatChunk(
            told.textOr("id", ""),
            told.textOr("model", ""),
            choice.flatMap(one -> one.maybe("delta")).map(one -> one.textOr("content", "")).orElse(""),
            choice.map(one -> one.textOr("finish_reason", "")).orElse(""),
            told.maybe("usage").map(Usage::of),
            told.maybe("footprint").map(Receipt::of));
    }
}
