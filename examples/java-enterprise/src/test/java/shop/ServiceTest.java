package shop;

import static canteen.testing.Tests.equal;
import static canteen.testing.Tests.holds;

import canteen.client.Canteen;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The whole way of a message, with a running Canteen. */
public class ServiceTest implements AutoCloseable {
    private final Settings settings = Settings.from(System.getenv());
    private final Canteen canteen = settings.canteen();
    private final Breaker breaker = new Breaker(2, Duration.ofHours(1), System::nanoTime);
    private final CanteenLanguage language =
        new CanteenLanguage(canteen, settings.model(), breaker);
    private final Desk desk = new Desk(language, Orders.sample());
    private final CustomerMessage message = new CustomerMessage(
        "m-" + System.nanoTime(), "ada", "Where is my parcel? I ordered ORD-20417 and ORD-99999.");

    @Override
    public void close() {
        canteen.close();
    }

    public void aMessageIsClassifiedLookedUpAndDraftedWithReceipts() throws IOException {
        language.learn(Main.knowledge());

        Ticket ticket = desk.take(message);

        equal(Ticket.State.DRAFTED, ticket.state());
        equal(List.of("ORD-20417"), ticket.facts().orders().stream().map(Order::number).toList());
        equal(List.of("ORD-99999"), ticket.facts().unknownOrders());
        holds(ticket.facts().passages(), passages -> !passages.isEmpty());
        holds(ticket.draft(), draft -> draft.contains("ORD-20417"));
        // Order numbers have a form of their own, so finding them took no model.
        equal(Set.of("kind", "knowledge", "draft"), ticket.receipts().keySet());
        ticket.receipts().values().forEach(one ->
            equal(one.energyUj(), canteen.footprint(one.id()).energyUj()));
    }

    public void theFootprintOfAMessageIsSummedByTheService() throws IOException {
        language.learn(Main.knowledge());
        desk.take(message);

        holds(canteen.footprintBy("conversation"), sums -> sums.stream()
            .anyMatch(one -> one.name().equals(message.id()) && one.requests() >= 3));
    }

    public void aDraftIsWrittenPieceByPiece() {
        try (Stream<String> pieces = language.drafting(message, List.of("We are closed."))) {
            holds(pieces.collect(Collectors.joining()), text -> !text.isBlank());
        }
    }

    public void aShopWithoutItsServiceTakesMessagesAndSaysSo() {
        try (Canteen nobody = Canteen.builder("http://127.0.0.1:1").attempts(1).build()) {
            Breaker own = new Breaker(2, Duration.ofHours(1), System::nanoTime);
            Desk alone = new Desk(
                new CanteenLanguage(nobody, settings.model(), own), Orders.sample());

            Ticket first = alone.take(message);
            alone.catchUp();

            equal(Ticket.State.WAITING, first.state());
            equal(Breaker.State.OPEN, own.state());
        }
    }
}
