package canteen.client;

/**
 * What many answers took together.
 *
 * @param name the model, key, phase, hour, day, conversation or account that is summed
 * @param requests how many
 * @param energyWh at the facility
 * @param waterSiteMl evaporated to cool the site
 * @param waterSourceMl consumed in making its power
 * @param carbonG of making the power
 */
public record Sum(
    String name,
    long requests,
    Figure energyWh,
    Figure waterSiteMl,
    Figure waterSourceMl,
    Figure carbonG) {

    static Sum of(Fields told, String by) {
        Fields water = told.object("water_ml");
        return new Sum(
            told.textOr(by, ""),
            told.whole("requests"),
            Figure.of(told.object("energy_wh")),
            Figure.of(water.object("site")),
            Figure.of(water.object("source")),
            Figure.of(told.object("carbon_g")));
    }
}
