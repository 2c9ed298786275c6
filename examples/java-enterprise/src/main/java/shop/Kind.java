package shop;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** What customers write about; the descriptions are all that the model is told. */
public enum Kind {
    DELIVERY("delivery", "a parcel that has not come, where an order is"),
    RETURN("return", "sending goods back, getting the money back"),
    DAMAGE("damage", "goods that are broken or do not work"),
    INVOICE("invoice", "invoices, payment and taxes"),
    PRAISE("praise", "thanks, and joy about the goods"),
    OTHER("other", "anything else");

    private final String label;
    private final String description;

    Kind(String label, String description) {
        this.label = label;
        this.description = description;
    }

    static Map<String, String> descriptions() {
        Map<String, String> all = new LinkedHashMap<>();
        Arrays.stream(values()).forEach(one -> all.put(one.label, one.description));
        return all;
    }

    static Kind of(String label) {
        return Arrays.stream(values())
            .filter(one -> one.label.equals(label)).findFirst().orElse(OTHER);
    }
}
