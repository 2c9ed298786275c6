package shop;

import java.util.List;
import java.util.stream.Stream;

/**
 * The language work that the shop needs, in the shop's words: no prompt, model or protocol shows.
 *
 * <p>Each method may throw {@link NotNow}; the message then waits.
 */
public interface Language {
    Told<Kind> kindOf(CustomerMessage message);

    Told<List<String>> orderNumbers(CustomerMessage message);

    Told<List<Passage>> lookUp(CustomerMessage message);

    /** A reply to be read by a person before it is sent. */
    Told<String> draft(CustomerMessage message, List<String> facts);

    /** The same as it is written, to be closed. */
    Stream<String> drafting(CustomerMessage message, List<String> facts);

    /** A part of what the shop knows. */
    record Passage(String document, String text) {}

    /** The work cannot be done now; later it may. */
    final class NotNow extends RuntimeException {
        private static final long serialVersionUID = 1L;

        NotNow(String message, Throwable cause) {
            super(message, cause);
        }
    }
}
