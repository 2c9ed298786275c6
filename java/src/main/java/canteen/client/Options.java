package canteen.client;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** Maps that nobody changes, in their order. */
final class Options {
    private Options() {}

    static Map<String, Object> copy(Map<String, ?> options) {
        return Collections.unmodifiableMap(new LinkedHashMap<>(options));
    }

    static Map<String, Object> with(Map<String, ?> options, String name, Object value) {
        Map<String, Object> more = new LinkedHashMap<>(options);
        more.put(name, value);
        return more;
    }
}
