package canteen.client;

import canteen.client.CanteenException.DeadlineExceeded;
import canteen.client.CanteenException.InvalidRequest;
import canteen.client.CanteenException.NotAllowed;
import canteen.client.CanteenException.RateLimited;
import canteen.client.CanteenException.Refusal;
import canteen.client.CanteenException.ServiceFailed;
import canteen.client.CanteenException.Unavailable;
import java.net.http.HttpHeaders;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.Map;
import java.util.Optional;

/** From an error of the service, in any of its dialects, to an exception. */
final class Refusals {
    private static final int TIMEOUT = 408;
    private static final int TOO_MANY = 429;
    private static final int FAILED = 500;

    private Refusals() {}

    /** Of a whole answer whose status is an error. */
    static CanteenException of(int status, HttpHeaders headers, String body) {
        Fields told = told(body);
        Refusal refusal = new Refusal(
            status,
            told.textOr("code", ""),
            told.textOr("param", ""),
            headers.firstValue("x-request-id").orElse(""),
            retryAfter(headers, Instant.now()).orElse(null),
            headers.firstValue("x-should-retry").map(Boolean::valueOf).orElse(null));
        return of(message(told, body, status), refusal);
    }

    /** Of a problem inside an answer: an event of a stream, or one input of many. */
    static CanteenException within(Object error) {
        Fields told = error instanceof Map<?, ?> map ? new Fields(map)
            : new Fields(Map.of("message", String.valueOf(error)));
        int status = told.map().get("status") instanceof Number number
            ? number.intValue() : FAILED;
        Refusal refusal = new Refusal(
            status, told.textOr("code", ""), told.textOr("param", ""), "", null, null);
        return of(message(told, "", status), refusal);
    }

    private static CanteenException of(String message, Refusal refusal) {
        switch (refusal.status()) {
            case 401, 403:
                return new NotAllowed(message, refusal);
            case TIMEOUT:
                return new DeadlineExceeded(message, refusal, null);
            case TOO_MANY:
                return new RateLimited(message, refusal);
            case 502, 503, 504:
                return new Unavailable(message, refusal);
            case 501:
                return new InvalidRequest(message, refusal);
            default:
                return refusal.status() < FAILED
                    ? new InvalidRequest(message, refusal) : new ServiceFailed(message, refusal);
        }
    }

    /** OpenAI's shape has an object in `error`, Ollama's a text, and a problem is bare. */
    private static Fields told(String body) {
        try {
            Object value = Json.read(body);
            Object error = value instanceof Map<?, ?> map ? map.get("error") : null;
            if (error instanceof Map<?, ?> inner) {
                return new Fields(inner);
            }
            if (error instanceof String text) {
                return new Fields(Map.of("message", text));
            }
            return value instanceof Map<?, ?> map ? new Fields(map) : new Fields(Map.of());
        } catch (IllegalArgumentException notJson) {
            return new Fields(Map.of());
        }
    }

    private static String message(Fields told, String body, int status) {
        String said = told.textOr("detail", told.textOr("message", ""));
        String plain = said.isEmpty() && told.map().isEmpty() ? body.strip() : said;
        return plain.isEmpty() ? "the service answered with status " + status : plain;
    }

    /** How long to wait: in milliseconds, in seconds, or until a date. */
    static Optional<Duration> retryAfter(HttpHeaders headers, Instant now) {
        Optional<Duration> exact = headers.firstValue("retry-after-ms")
            .flatMap(text -> amount(text, 1e-3));
        return exact.or(() -> headers.firstValue("retry-after")
            .flatMap(text -> amount(text, 1.0).or(() -> until(text, now))));
    }

    private static Optional<Duration> amount(String text, double unitS) {
        try {
            double nanos = Double.parseDouble(text.strip()) * unitS * 1e9;
            return nanos >= 0 ? Optional.of(Duration.ofNanos((long) nanos)) : Optional.empty();
        } catch (NumberFormatException notANumber) {
            return Optional.empty();
        }
    }

    private static Optional<Duration> until(String text, Instant now) {
        try {
            ZonedDateTime then = ZonedDateTime.parse(text, DateTimeFormatter.RFC_1123_DATE_TIME);
            Duration wait = Duration.between(now, then.toInstant());
            return Optional.of(wait.isNegative() ? Duration.ZERO : wait);
        } catch (DateTimeParseException notADate) {
            return Optional.empty();
        }
    }
}
