package canteen.client;

import java.util.Locale;

/**
 * An uncertain figure.
 *
 * @param central the median
 * @param low the 5th percentile
 * @param high the 95th percentile
 * @param grade A metered, B modelled and calibrated, C modelled with a guess in it, D declared
 */
public record Figure(double central, double low, double high, String grade) {
    static Figure of(Fields told) {
        return new Figure(
            told.number("central"), told.number("low"), told.number("high"), told.text("grade"));
    }

    /**
     * The figure for people.
     *
     * @param unit what it counts
     * @return such as {@code 0.0044 Wh (0.0027 to 0.0072, grade C)}
     */
    public String in(String unit) {
        return String.format(
            Locale.ROOT, "%s %s (%s to %s, grade %s)",
            rounded(central), unit, rounded(low), rounded(high), grade);
    }

    private static String rounded(double value) {
        return String.format(Locale.ROOT, "%.2g", value);
    }
}
