package shop;

import canteen.client.CanteenException;
import canteen.client.Receipt;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Where messages come in and drafts go out. Its own code decides what is asked in which order; the
 * model only answers. What cannot be done now waits, so that the shop takes messages at any time.
 */
public final class Desk {
    private final Language language;
    private final Orders orders;
    private final Map<String, Ticket> tickets = new ConcurrentHashMap<>();

    public Desk(Language language, Orders orders) {
        this.language = language;
        this.orders = orders;
    }

    /** Takes a message once: one that is known already gives the ticket that it has. */
    public Ticket take(CustomerMessage message) {
        Ticket known = tickets.putIfAbsent(message.id(), Ticket.atWork(message));
        return known == null ? work(message) : known;
    }

    public Optional<Ticket> find(String id) {
        return Optional.ofNullable(tickets.get(id));
    }

    public Collection<Ticket> all() {
        return List.copyOf(tickets.values());
    }

    public List<Ticket> waiting() {
        return tickets.values().stream()
            .filter(one -> one.state() == Ticket.State.WAITING).toList();
    }

    /** Does what waits, until something has to wait again; how many got done. */
    public synchronized int catchUp() {
        int done = 0;
        for (Ticket ticket : waiting()) {
            if (work(ticket.message()).state() == Ticket.State.WAITING) {
                break;
            }
            done++;
        }
        return done;
    }

    private Ticket work(CustomerMessage message) {
        Ticket ticket;
        try {
            ticket = draft(message);
        } catch (Language.NotNow e) {
            ticket = Ticket.waiting(message, e.getMessage());
        } catch (CanteenException e) {
            ticket = Ticket.refused(message, e.getMessage());
        }
        tickets.put(message.id(), ticket);
        return ticket;
    }

    private Ticket draft(CustomerMessage message) {
        Map<String, Receipt> receipts = new LinkedHashMap<>();
        Kind kind = noted("kind", language.kindOf(message), receipts);
        List<Order> known = new ArrayList<>();
        List<String> unknown = new ArrayList<>();
        for (String number : noted("orders", language.orderNumbers(message), receipts)) {
            orders.find(number).ifPresentOrElse(known::add, () -> unknown.add(number));
        }
        List<Language.Passage> passages = kind == Kind.PRAISE
            ? List.of() : noted("knowledge", language.lookUp(message), receipts);
        Facts facts = new Facts(known, unknown, passages);
        String draft = noted("draft", language.draft(message, facts.lines()), receipts);
        boolean isByModel = facts.bearOut(draft, message.text());
        return new Ticket(
            message, Ticket.State.DRAFTED, "", kind, facts,
            isByModel ? draft : facts.plainReply(), isByModel, receipts);
    }

    private static <T> T noted(String step, Told<T> told, Map<String, Receipt> receipts) {
        told.receipt().ifPresent(receipt -> receipts.put(step, receipt));
        return told.value();
    }
}
