package desk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.openai.errors.NotFoundException;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class OpenAiDeskTest {
    private static final String URL = System.getProperty("canteen.url");
    private static final String MODEL = System.getProperty("canteen.model");
    private static final String EMBEDDER = System.getProperty("canteen.embedder");
    private static final String MESSAGE = "Where is my order ORD-20417?";

    private final OpenAiDesk desk = new OpenAiDesk(URL, MODEL, EMBEDDER);

    @AfterEach
    void close() {
        desk.close();
    }

    @Test
    void aMessageIsSortedIntoItsSchema() {
        assertNotNull(desk.sort(MESSAGE).kind);
    }

    @Test
    void aDraftHasItsReceipt() {
        OpenAiDesk.Drafted drafted = desk.draft(MESSAGE);

        assertFalse(drafted.text().isBlank());
        assertNotNull(drafted.receipt());
    }

    @Test
    void aStreamSaysTheSame() {
        assertEquals(desk.draft(MESSAGE).text(), desk.draftStreamed(MESSAGE));
    }

    @Test
    void textsAreEmbeddedInOrder() {
        List<List<Float>> vectors = desk.embed(List.of("a parcel", "a river", "a parcel"));

        assertEquals(vectors.get(0), vectors.get(2));
    }

    @Test
    void anUnknownModelIsNotFound() {
        try (OpenAiDesk other = new OpenAiDesk(URL, "nobody", EMBEDDER)) {
            assertThrows(NotFoundException.class, () -> other.draft(MESSAGE));
        }
    }
}
