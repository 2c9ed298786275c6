package shop;

import canteen.client.Receipt;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** How far the work on a message is. */
public record Ticket(
    CustomerMessage message,
    State state,
    String reason,
    Kind kind,
    Facts facts,
    String draft,
    boolean isByModel,
    Map<String, Receipt> receipts) {

    /** A message is worked on, or waits until that is possible; its draft is for a person to send. */
    public enum State { AT_WORK, WAITING, DRAFTED, REFUSED }

    private static final Facts NO_FACTS = new Facts(List.of(), List.of(), List.of());

    static Ticket atWork(CustomerMessage message) {
        return unanswered(message, State.AT_WORK, "");
    }

    static Ticket waiting(CustomerMessage message, String reason) {
        return unanswered(message, State.WAITING, reason);
    }

    static Ticket refused(CustomerMessage message, String reason) {
        return unanswered(message, State.REFUSED, reason);
    }

    private static Ticket unanswered(CustomerMessage message, State state, String reason) {
        return new Ticket(
            message, state, reason, null, NO_FACTS, "", false, Map.of());
    }

    /** Whether there is more to come. */
    boolean isOpen() {
        return state == State.AT_WORK || state == State.WAITING;
    }

    /** As JSON. */
    Map<String, Object> told() {
        Map<String, Object> told = new LinkedHashMap<>();
        told.put("id", message.id());
        told.put("from", message.from());
        told.put("text", message.text());
        told.put("state", state.name());
        told.put("reason", reason);
        told.put("kind", kind == null ? null : kind.name());
        told.put("orders", facts.orders().stream().map(Ticket::order).toList());
        told.put("unknown_orders", facts.unknownOrders());
        told.put("knowledge", facts.passages().stream().map(Language.Passage::document).toList());
        told.put("draft", draft);
        told.put("drafted_by", isByModel ? "model" : "template");
        Map<String, Object> shown = new LinkedHashMap<>();
        receipts.forEach((step, receipt) -> shown.put(step, Receipts.told(receipt)));
        told.put("receipts", shown);
        told.put("total", Receipts.total(receipts.values()));
        return told;
    }

    private static Map<String, Object> order(Order order) {
        return Map.of("number", order.number(), "item", order.item(), "state", order.state());
    }
}
