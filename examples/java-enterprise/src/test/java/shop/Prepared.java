package shop;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** Language work whose results are known beforehand, and which can be away. */
final class Prepared implements Language {
    final List<String> asked = new ArrayList<>();
    Kind kind = Kind.DELIVERY;
    List<String> numbers = List.of("ORD-20417");
    String draft = "Your order ORD-20417 comes on Friday.";
    RuntimeException failure;
    /** What breaks off a draft that is being written. */
    RuntimeException breaksAfter;

    @Override
    public Told<Kind> kindOf(CustomerMessage message) {
        return told("kind", kind);
    }

    @Override
    public Told<List<String>> orderNumbers(CustomerMessage message) {
        return told("orders", numbers);
    }

    @Override
    public Told<List<Passage>> lookUp(CustomerMessage message) {
        return told("knowledge", List.of(new Passage("delivery", "A parcel takes 3 days.")));
    }

    @Override
    public Told<String> draft(CustomerMessage message, List<String> facts) {
        return told("draft", draft);
    }

    @Override
    public Stream<String> drafting(CustomerMessage message, List<String> facts) {
        Stream<String> pieces = Stream.of(told("drafting", draft).value().split("(?<= )"));
        return pieces.peek(piece -> {
            if (breaksAfter != null) {
                throw breaksAfter;
            }
        });
    }

    private <T> Told<T> told(String step, T value) {
        if (failure != null) {
            throw failure;
        }
        asked.add(step);
        return new Told<>(value, Optional.empty());
    }
}
