package canteen.client;

import canteen.client.CanteenException.BrokenAnswer;

/**
 * What a model said.
 *
 * @param text all of it
 * @param finishReason stop, or length where a bound cut it
 */
public record Chat(String text, String finishReason) {
    static Chat of(Fields told) {
        Fields choice = told.objects("choices").stream().findFirst()
            .orElseThrow(() -> new BrokenAnswer("the answer has no choice", null));
        return new Chat(
            choice.object("message").textOr("content", ""), choice.textOr("finish_reason", ""));
    }
}
