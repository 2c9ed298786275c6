package shop;

import canteen.client.Figure;
import canteen.client.Receipt;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** Receipts as the shop shows them. */
final class Receipts {
    private Receipts() {}

    static Map<String, Object> told(Receipt receipt) {
        Map<String, Object> told = new LinkedHashMap<>();
        told.put("id", receipt.id());
        told.put("model", receipt.model());
        told.put("tokens", receipt.tokens().prompt() + receipt.tokens().completion());
        told.put("energy", receipt.energyWh().in("Wh"));
        told.put("water", receipt.waterSourceMl().in("mL"));
        told.put("carbon", receipt.carbonG().in("g"));
        told.put("cost", receipt.costUsd().map(cost -> cost.in("USD")).orElse("not known"));
        return told;
    }

    /** The medians added up: a message's part of the bill. */
    static Map<String, Object> total(Collection<Receipt> receipts) {
        Map<String, Object> total = new LinkedHashMap<>();
        total.put("energy_wh", sum(receipts.stream().map(Receipt::energyWh).toList()));
        total.put("water_ml", sum(receipts.stream().map(Receipt::waterSourceMl).toList()));
        total.put("carbon_g", sum(receipts.stream().map(Receipt::carbonG).toList()));
        total.put("cost_usd",
            sum(receipts.stream().map(Receipt::costUsd).flatMap(Optional::stream).toList()));
        return total;
    }

    private static double sum(Collection<Figure> figures) {
        return figures.stream().mapToDouble(Figure::central).sum();
    }
}
