package canteen.client;

import java.util.List;
import java.util.Optional;

/**
 * What a search found.
 *
 * @param hits passages, best first
 * @param answer written from them, where one was asked for
 */
public record Found(List<Hit> hits, Optional<String> answer) {
    /**
     * A passage.
     *
     * @param document its id
     * @param text the passage
     * @param start its first character in the document, in code points
     * @param end after its last character
     * @param score the higher the better
     */
    public record Hit(String document, String text, long start, long end, double score) {
        private static Hit of(Fields told) {
            return new Hit(
                told.text("document"),
                told.text("text"),
                told.whole("start"),
                told.whole("end"),
                told.number("score"));
        }
    }

    static Found of(Fields told) {
        return new Found(
            told.objects("hits").stream().map(Hit::of).toList(),
            told.maybe("answer").map(one -> one.textOr("text", "")));
    }
}
