package canteen.client;

import static canteen.testing.Tests.equal;
import static canteen.testing.Tests.holds;
import static canteen.testing.Tests.thrown;

import java.math.BigDecimal;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public class JsonTest {
    public void readsEveryKindOfValue() {
        Object value = Json.read(" {\"a\": [1, -2.5e1, true, false, null], \"b\": {\"c\": \"d\"}} ");

        equal(
            Map.of("a", Arrays.asList(1L, -25.0, true, false, null), "b", Map.of("c", "d")), value);
    }

    public void keepsTheOrderOfKeys() {
        equal("{\"z\":1,\"a\":2,\"m\":3}", Json.write(Json.read("{\"z\":1,\"a\":2,\"m\":3}")));
    }

    public void wholeNumbersKeepTheirDigits() {
        equal(Long.MAX_VALUE, Json.read("9223372036854775807"));
        equal(Long.MIN_VALUE, Json.read("-9223372036854775808"));
        equal(new BigDecimal("9223372036854775808"), Json.read("9223372036854775808"));
    }

    public void escapesAndSurrogatePairsRoundTrip() {
        String text = "Grüße \uD83D\uDE00 \"quoted\" back\\slash / \b\f\n\r\t \u0000 \u2028";

        equal(text, Json.read(Json.write(text)));
        equal("\uD83D\uDE00é/", Json.read("\"\\ud83d\\uDE00\\u00e9\\/\""));
    }

    public void halfASurrogatePairIsWrittenAsAnEscape() {
        equal("\"\\ud83d\"", Json.write("\uD83D"));
        equal("\"\\ude00x\"", Json.write("\uDE00x"));
    }

    public void whatIsNoJsonIsRefusedWithItsPlace() {
        List<String> wrong = List.of(
            "", " ", "{", "[1,]", "{\"a\":1,}", "{a:1}", "{\"a\" 1}", "01", "-", "1.", ".5", "1e",
            "+1", "tru", "nul", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\n\"", "[1] 2", "NaN", "'a'");

        for (String text : wrong) {
            IllegalArgumentException error =
                thrown(IllegalArgumentException.class, () -> Json.read(text));
            holds(error.getMessage(), said -> said.contains(" at "));
        }
    }

    public void deepNestingIsRefusedBeforeTheStackIsFull() {
        thrown(IllegalArgumentException.class, () -> Json.read("[".repeat(100_000)));
        holds(Json.read("[".repeat(150) + "]".repeat(150)), List.class::isInstance);
    }

    public void emptyThingsAreWrittenAndRead() {
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("a", List.of());
        value.put("b", Map.of());
        value.put("c", null);

        equal("{\"a\":[],\"b\":{},\"c\":null}", Json.write(value));
        equal(value, Json.read(Json.write(value)));
    }

    public void whatHasNoJsonIsNotWritten() {
        thrown(IllegalArgumentException.class, () -> Json.write(Double.NaN));
        thrown(IllegalArgumentException.class, () -> Json.write(new Object()));
    }
}
