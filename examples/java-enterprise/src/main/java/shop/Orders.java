package shop;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;

/** The orders of the shop. */
public final class Orders {
    private final Map<String, Order> byNumber;

    public Orders(List<Order> orders) {
        byNumber = orders.stream().collect(Collectors.toMap(Order::number, Function.identity()));
    }

    /** Those that a shop on a stage has. */
    public static Orders sample() {
        return new Orders(List.of(
            new Order("ORD-20417", "kettle", "on its way, expected on Friday"),
            new Order("ORD-20418", "lamp", "delivered"),
            new Order("ORD-20419", "three chairs", "being packed")));
    }

    public Optional<Order> find(String number) {
        return Optional.ofNullable(byNumber.get(number));
    }
}
