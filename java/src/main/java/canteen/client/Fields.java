package canteen.client;

import canteen.client.CanteenException.BrokenAnswer;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The fields of a JSON object that the service sent; what is not as promised is a BrokenAnswer. */
record Fields(Map<?, ?> map) {
    static Fields of(String json) {
        try {
            return of(Json.read(json));
        } catch (IllegalArgumentException e) {
            throw new BrokenAnswer("the answer is no JSON: " + e.getMessage(), e);
        }
    }

    static Fields of(Object value) {
        return new Fields(as(Map.class, value, "an object"));
    }

    String text(String name) {
        return as(String.class, map.get(name), name);
    }

    String textOr(String name, String otherwise) {
        return map.get(name) instanceof String text ? text : otherwise;
    }

    long whole(String name) {
        return as(Number.class, map.get(name), name).longValue();
    }

    double number(String name) {
        return as(Number.class, map.get(name), name).doubleValue();
    }

    Fields object(String name) {
        return new Fields(as(Map.class, map.get(name), name));
    }

    Optional<Fields> maybe(String name) {
        return map.get(name) instanceof Map<?, ?> inner
            ? Optional.of(new Fields(inner)) : Optional.empty();
    }

    List<Fields> objects(String name) {
        return list(name).stream().map(Fields::of).toList();
    }

    List<String> texts(String name) {
        return list(name).stream().map(item -> as(String.class, item, name)).toList();
    }

    private List<?> list(String name) {
        return as(List.class, map.get(name), name);
    }

    private static <T> T as(Class<T> kind, Object value, String name) {
        if (!kind.isInstance(value)) {
            String met = value == null ? "nothing" : "a " + value.getClass().getSimpleName();
            throw new BrokenAnswer(
                "the answer has " + met + " where " + name + " was expected", null);
        }
        return kind.cast(value);
    }
}
