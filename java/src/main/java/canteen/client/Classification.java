package canteen.client;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Which label a text bears.
 *
 * @param label the likeliest, empty where none is above the threshold
 * @param probability of that label
 * @param labels all above the threshold
 * @param probabilities of every label
 * @param method how it was found
 */
public record Classification(
    String label,
    double probability,
    List<String> labels,
    Map<String, Double> probabilities,
    String method) {

    static Classification of(Fields told) {
        Map<String, Double> probabilities = new LinkedHashMap<>();
        Fields given = told.object("probabilities");
        given.map().keySet().forEach(
            label -> probabilities.put(label.toString(), given.number(label.toString())));
        String label = told.textOr("label", "");
        return new Classification(
            label,
            probabilities.getOrDefault(label, 0.0),
            told.texts("labels"),
            probabilities,
            told.textOr("method", ""));
    }
}
