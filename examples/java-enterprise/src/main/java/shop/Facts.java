package shop;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/** What a reply may say, and whether one says no more. */
record Facts(List<Order> orders, List<String> unknownOrders, List<Language.Passage> passages) {
    private static final Pattern NUMBER = Pattern.compile("[\\p{L}\\p{N}-]*\\p{N}[\\p{L}\\p{N}-]*");

    List<String> lines() {
        List<String> lines = new ArrayList<>();
        orders.forEach(one -> lines.add(one.line()));
        unknownOrders.forEach(one -> lines.add("We have no order " + one + "."));
        passages.forEach(one -> lines.add(one.text()));
        return lines;
    }

    /**
     * Whether a draft names every order, and has no number that neither facts nor customer have.
     * Instructions to a model are no guarantee; this is.
     */
    boolean bearOut(String draft, String asked) {
        String known = String.join("\n", lines()) + "\n" + asked;
        List<String> numbers =
            NUMBER.matcher(known).results().map(MatchResult::group).toList();
        return orders.stream().allMatch(one -> draft.contains(one.number()))
            && NUMBER.matcher(draft).results().map(MatchResult::group).allMatch(numbers::contains)
            && !draft.isBlank();
    }

    /** A reply that needs no model. */
    String plainReply() {
        StringBuilder reply = new StringBuilder("Thank you for your message.");
        orders.forEach(one -> reply.append(' ').append(one.line()));
        unknownOrders.forEach(one -> reply.append(" We have no order ").append(one)
            .append("; please look at its number again."));
        if (orders.isEmpty() && unknownOrders.isEmpty()) {
            reply.append(" We will answer you soon.");
        }
        return reply.toString();
    }
}
