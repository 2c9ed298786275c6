package canteen.client;

import java.time.Duration;
import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;

/** On what terms a call is made. Headers go with every attempt; their names have no case. */
record Terms(Duration timeout, Duration silence, int mostAttempts, Map<String, String> headers) {
    Terms {
        Map<String, String> copy = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        copy.putAll(headers);
        headers = Collections.unmodifiableMap(copy);
        if (timeout.isNegative() || timeout.isZero() || mostAttempts < 1) {
            throw new IllegalArgumentException("a call needs some time and an attempt");
        }
    }

    Terms within(Duration other) {
        return new Terms(other, silence, mostAttempts, headers);
    }

    Terms with(String header, String value) {
        Map<String, String> more = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        more.putAll(headers);
        more.put(header, value);
        return new Terms(timeout, silence, mostAttempts, more);
    }
}
