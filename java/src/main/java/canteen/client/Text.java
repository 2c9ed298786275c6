package canteen.client;

import java.util.List;

/**
 * A text that was written.
 *
 * @param text the whole of it
 * @param warnings what a reader should know of it
 */
public record Text(String text, List<String> warnings) {
    static Text of(Fields told) {
        return new Text(told.text("text"), told.texts("warnings"));
    }
}
