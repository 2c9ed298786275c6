package canteen.client;

import java.util.List;
import java.util.function.Predicate;

/**
 * What became of documents that were to be put into an index.
 *
 * @param indexed new or changed
 * @param unchanged there already
 * @param failed ids of those that could not be read
 */
public record Indexed(long indexed, long unchanged, List<String> failed) {
    static Indexed of(Fields told) {
        Predicate<Fields> isFailed = one -> one.textOr("status", "").equals("failed");
        return new Indexed(
            told.whole("indexed"),
            told.whole("unchanged"),
            told.objects("results").stream().filter(isFailed).map(one -> one.text("id")).toList());
    }
}
