package canteen.client;

import java.util.List;
import java.util.Optional;

/**
 * What an answer ate and drank.
 *
 * @param id under which {@link Canteen#footprint} tells it again
 * @param model that worked
 * @param digest of its weights
 * @param engine that ran it
 * @param phase inference, train or load
 * @param tokens read, found in the cache, and written
 * @param time waiting, reading and writing
 * @param energyUj microjoules of the node's meter; all receipts of a node add up to it
 * @param energyWh at the facility
 * @param waterSiteMl evaporated to cool the site
 * @param waterSourceMl consumed in making its power
 * @param carbonG of making the power
 * @param costUsd of the machine, or of the electricity alone where its price is not known
 * @param provenance where each factor comes from
 */
public record Receipt(
    String id,
    String model,
    String digest,
    String engine,
    String phase,
    Tokens tokens,
    Time time,
    Energy energyUj,
    Figure energyWh,
    Figure waterSiteMl,
    Figure waterSourceMl,
    Figure carbonG,
    Optional<Figure> costUsd,
    List<String> provenance) {

    /**
     * Counts of tokens.
     *
     * @param prompt all that were read
     * @param cached those of them that were read before
     * @param completion written
     */
    public record Tokens(long prompt, long cached, long completion) {}

    /**
     * Seconds of each part.
     *
     * @param queueS waiting
     * @param prefillS reading the prompt
     * @param decodeS writing
     */
    public record Time(double queueS, double prefillS, double decodeS) {}

    /**
     * Microjoules of each part.
     *
     * @param prefill reading the prompt
     * @param decode writing
     */
    public record Energy(long prefill, long decode) {}

    static Receipt of(Fields told) {
        Fields tokens = told.object("tokens");
        Fields time = told.object("time_s");
        Fields energy = told.object("energy_uj");
        Fields water = told.object("water_ml");
        return new Receipt(
            told.text("id"),
            told.text("model"),
            told.textOr("digest", ""),
            told.textOr("engine", ""),
            told.textOr("phase", ""),
            new Tokens(tokens.whole("prompt"), tokens.whole("cached"), tokens.whole("completion")),
            new Time(time.number("queue"), time.number("prefill"), time.number("decode")),
            new Energy(energy.whole("prefill"), energy.whole("decode")),
            Figure.of(told.object("energy_wh")),
            Figure.of(water.object("site")),
            Figure.of(water.object("source")),
            Figure.of(told.object("carbon_g")),
            told.maybe("cost_usd").map(Figure::of),
            told.texts("provenance"));
    }
}
