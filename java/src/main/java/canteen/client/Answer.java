package canteen.client;

import java.util.Optional;
import java.util.function.Function;

/**
 * What came back, and what it took.
 *
 * @param <T> the kind of result
 * @param id the service's name for the answer
 * @param model that worked
 * @param value the result
 * @param usage tokens read and written
 * @param receipt energy, water, carbon and cost; empty where no model worked
 */
public record Answer<T>(
    String id, String model, T value, Usage usage, Optional<Receipt> receipt) {

    static <T> Answer<T> of(Fields told, Function<Fields, T> read) {
        String model = told.textOr("model", told.textOr("embedder", ""));
        Optional<Receipt> receipt = told.maybe("footprint").map(Receipt::of);
        return new Answer<>(
            told.textOr("id", receipt.map(Receipt::id).orElse("")),
            model,
            read.apply(told),
            Usage.of(told.object("usage")),
            receipt);
    }
}
