package canteen.client;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What was found in a text.
 *
 * @param found each with its place
 * @param value of a schema, as {@link Json} gives it; empty where types were asked for
 */
public record Extraction(List<Entity> found, Optional<Map<?, ?>> value) {
    /**
     * A quote of the text.
     *
     * @param type what it is, or its path in the value of a schema
     * @param quote the text itself
     * @param start its first character, in code points; -1 where it stands nowhere
     * @param end after its last character, in code points
     * @param method how it was found
     */
    public record Entity(String type, String quote, int start, int end, String method) {
        /**
         * The quote, looked up in the text that it comes from.
         *
         * @param text the text that was sent
         * @return the same as {@code quote}
         */
        public String in(String text) {
            return text.substring(text.offsetByCodePoints(0, start), text.offsetByCodePoints(0, end));
        }

        private static Entity of(Fields told) {
            return new Entity(
                told.text("type"),
                told.text("quote"),
                place(told, "start"),
                place(told, "end"),
                told.textOr("method", ""));
        }

        private static int place(Fields told, String name) {
            return told.map().get(name) == null ? -1 : (int) told.whole(name);
        }
    }

    static Extraction of(Fields told) {
        return new Extraction(
            told.objects("found").stream().map(Entity::of).toList(),
            told.maybe("value").map(Fields::map));
    }

    /**
     * The quotes of one type.
     *
     * @param type that was asked for
     * @return in order of the text
     */
    public List<String> quotes(String type) {
        return found.stream().filter(one -> one.type().equals(type)).map(Entity::quote).toList();
    }
}
