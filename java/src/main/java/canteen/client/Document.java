package canteen.client;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A text to be found.
 *
 * @param id one that is there already is replaced
 * @param text all of it
 * @param metadata to filter by
 */
public record Document(String id, String text, Map<String, Object> metadata) {
    /** Keeps a copy. */
    public Document {
        metadata = Options.copy(metadata);
    }

    /**
     * A document without metadata.
     *
     * @param id one that is there already is replaced
     * @param text all of it
     * @return the document
     */
    public static Document of(String id, String text) {
        return new Document(id, text, Map.of());
    }

    Map<String, Object> body() {
        Map<String, Object> body = new LinkedHashMap<>(Map.of("id", id, "text", text));
        if (!metadata.isEmpty()) {
            body.put("metadata", metadata);
        }
        return body;
    }
}
