package shop;

import static canteen.testing.Tests.equal;
import static canteen.testing.Tests.holds;

import java.util.List;

public class DeskTest {
    private final Prepared language = new Prepared();
    private final Desk desk = new Desk(language, Orders.sample());
    private final CustomerMessage message =
        new CustomerMessage("m-1", "ada", "Where is ORD-20417? I wrote on 3 May.");

    public void aMessageIsDraftedWithWhatTheShopKnows() {
        Ticket ticket = desk.take(message);

        equal(Ticket.State.DRAFTED, ticket.state());
        equal(Kind.DELIVERY, ticket.kind());
        equal("kettle", ticket.facts().orders().get(0).item());
        equal(List.of("kind", "orders", "knowledge", "draft"), language.asked);
        equal(language.draft, ticket.draft());
        holds(ticket.isByModel(), is -> is);
    }

    public void aMessageDeliveredTwiceIsWorkedOnOnce() {
        Ticket first = desk.take(message);

        equal(first, desk.take(message));
        equal(4, language.asked.size());
    }

    public void praiseNeedsNoKnowledge() {
        language.kind = Kind.PRAISE;

        desk.take(message);

        equal(List.of("kind", "orders", "draft"), language.asked);
    }

    public void anOrderThatTheShopDoesNotHaveIsSaidToBeUnknown() {
        language.numbers = List.of("ORD-99999");
        language.draft = "Your order ORD-99999 comes on 12 May.";

        Ticket ticket = desk.take(message);

        equal(List.of("ORD-99999"), ticket.facts().unknownOrders());
        holds(ticket.draft(), text -> text.contains("no order ORD-99999"));
    }

    public void aDraftWithANumberThatNobodyGaveIsReplaced() {
        language.draft = "Your order ORD-20417 comes in 14 days.";

        Ticket ticket = desk.take(message);

        holds(ticket.isByModel(), is -> !is);
        holds(ticket.draft(), text -> text.contains("ORD-20417") && !text.contains("14"));
    }

    public void aDraftThatForgetsTheOrderIsReplaced() {
        language.draft = "We are glad to help.";

        holds(desk.take(message).isByModel(), is -> !is);
    }

    public void aMessageWaitsWhileTheLanguageServiceIsAway() {
        language.failure = new Language.NotNow("away", null);
        Ticket waiting = desk.take(message);
        equal(0, desk.catchUp());
        language.failure = null;

        int done = desk.catchUp();

        equal(Ticket.State.WAITING, waiting.state());
        equal("away", waiting.reason());
        equal(1, done);
        equal(Ticket.State.DRAFTED, desk.find("m-1").orElseThrow().state());
    }
}
