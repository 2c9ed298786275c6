package canteen.client;

/**
 * What became of one input of many; one that fails does not fail the others.
 *
 * @param <T> the kind of result
 */
public sealed interface Outcome<T> {
    /**
     * A result.
     *
     * @param <T> the kind of result
     * @param value the result
     */
    record Done<T>(T value) implements Outcome<T> {}

    /**
     * An error of one input.
     *
     * @param <T> the kind of result
     * @param error what went wrong
     */
    record Failed<T>(CanteenException error) implements Outcome<T> {}

    /**
     * The result.
     *
     * @return it, if there is one
     * @throws CanteenException the error, if there is none
     */
    default T get() {
        if (this instanceof Failed<T> failed) {
            throw failed.error();
        }
        return ((Done<T>) this).value();
    }
}
