package canteen.client;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * Language work, with its options; the guides of Canteen tell them all.
 *
 * @param <T> the kind of result
 */
public final class Task<T> {
    private final String name;
    private final Map<String, Object> options;
    private final Function<Fields, T> read;

    private Task(String name, Map<String, ?> options, Function<Fields, T> read) {
        this.name = name;
        this.options = Options.copy(options);
        this.read = read;
    }

    /**
     * Which of these labels a text bears.
     *
     * @param labels at least two
     * @return the task; options are {@code method}, {@code is_multi}, {@code threshold}, …
     */
    public static Task<Classification> classify(String... labels) {
        Map<String, Object> options = Map.of("labels", List.of(labels));
        return new Task<>("classify", options, Classification::of);
    }

    /**
     * Which of these labels a text bears.
     *
     * @param descriptions what each label means
     * @return the task
     */
    public static Task<Classification> classify(Map<String, String> descriptions) {
        Map<String, Object> options = Map.of(
            "labels", List.copyOf(descriptions.keySet()), "descriptions", descriptions);
        return new Task<>("classify", options, Classification::of);
    }

    /**
     * The entities of these types in a text.
     *
     * @param types such as {@code email}, {@code order number} or {@code person}
     * @return the task; an option is {@code method}
     */
    public static Task<Extraction> extract(String... types) {
        return new Task<>("extract", Map.of("types", List.of(types)), Extraction::of);
    }

    /**
     * The values of a form, whose strings all stand in the text.
     *
     * @param schema a JSON Schema
     * @return the task; an option is {@code ungrounded}
     */
    public static Task<Extraction> fill(Map<String, ?> schema) {
        return new Task<>("extract", Map.of("schema", schema), Extraction::of);
    }

    /**
     * What a text says, in fewer words.
     *
     * @return the task; options are {@code sentences}, {@code words}, {@code bullets},
     *     {@code focus}, {@code audience}
     */
    public static Task<Text> summarize() {
        return new Task<>("summarize", Map.of(), Text::of);
    }

    /**
     * The same said otherwise.
     *
     * @return the task, which needs one option of {@code tone}, {@code grammar_only},
     *     {@code reading_level}, {@code translate}, {@code instruction}
     */
    public static Task<Text> rewrite() {
        return new Task<>("rewrite", Map.of(), Text::of);
    }

    /**
     * The task with an option.
     *
     * @param option its name on the wire
     * @param value of it
     * @return the new task
     */
    public Task<T> with(String option, Object value) {
        return new Task<>(name, Options.with(options, option, value), read);
    }

    /**
     * The task for another model than the service's default.
     *
     * @param model that works
     * @return the new task
     */
    public Task<T> model(String model) {
        return with("model", model);
    }

    String path() {
        return "/v1/tasks/" + name;
    }

    Map<String, Object> body(String field, Object input) {
        Map<String, Object> body = new LinkedHashMap<>(options);
        body.put(field, input);
        return body;
    }

    T read(Fields told) {
        return read.apply(told);
    }

    Outcome<T> outcome(Fields told) {
        Object error = told.map().get("error");
        return error == null
            ? new Outcome.Done<>(read(told)) : new Outcome.Failed<>(Refusals.within(error));
    }
}
