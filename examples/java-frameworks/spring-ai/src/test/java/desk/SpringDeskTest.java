package desk;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class SpringDeskTest {
    private static final String URL = System.getProperty("canteen.url");
    private static final String MODEL = System.getProperty("canteen.model");
    private static final String EMBEDDER = System.getProperty("canteen.embedder");
    private static final String MESSAGE = "Where is my order ORD-20417?";

    private final String conversation = "desk-" + UUID.randomUUID();
    private final SpringDesk desk = new SpringDesk(URL, MODEL, EMBEDDER, conversation);

    @Test
    void aMessageIsSortedIntoItsSchema() {
        assertTrue(desk.sort(MESSAGE).matches(
            "(?s)\\s*\\{\\s*\"kind\"\\s*:\\s*\"(DELIVERY|RETURN|DAMAGE|PRAISE)\"\\s*}\\s*"));
    }

    @Test
    void aStreamSaysWhatTheWholeDraftSays() {
        String whole = desk.draft(MESSAGE);

        assertFalse(whole.isBlank());
        assertEquals(whole, String.join("", desk.draftStreamed(MESSAGE).collectList().block()));
    }

    @Test
    void textsAreEmbeddedInOrder() {
        List<float[]> vectors = desk.embed(List.of("a parcel", "a river", "a parcel"));

        assertArrayEquals(vectors.get(0), vectors.get(2));
    }

    @Test
    void theConversationHasAFootprint() throws Exception {
        desk.draft(MESSAGE);

        HttpRequest request = HttpRequest.newBuilder(
            URI.create(URL + "/v1/footprint?by=conversation")).build();
        String sums = HttpClient.newHttpClient().send(request, BodyHandlers.ofString()).body();
        assertTrue(sums.contains(conversation));
    }

    @Test
    void anUnknownModelIsAnError() {
        SpringDesk other = new SpringDesk(URL, "nobody", EMBEDDER, conversation);

        assertThrows(RuntimeException.class, () -> other.draft(MESSAGE));
    }
}
