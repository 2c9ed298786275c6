package canteen.client;

import java.io.Serializable;
import java.time.Duration;
import java.util.Optional;

/**
 * What goes wrong. The kinds say whose turn it is; {@link #isWorthRetrying} puts it in one word.
 *
 * <pre>
 * CanteenException
 * ├── InvalidRequest     change the request            400, 404, 413, 422, 501, …
 * ├── NotAllowed         show a key that may            401, 403
 * ├── RateLimited        this caller asks too much      429
 * ├── Unavailable        wait retryAfter                502, 503, 504
 * ├── DeadlineExceeded   the time of this call is over  408, or told here
 * ├── ServiceFailed      the service's fault            500, 507, …
 * ├── BrokenAnswer       cut off, or not to be read
 * ├── Unreachable        nobody answers
 * └── Cancelled          closed or interrupted here
 * </pre>
 */
public abstract sealed class CanteenException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final Refusal refusal;

    private CanteenException(String message, Refusal refusal, Throwable cause) {
        super(message, cause);
        this.refusal = refusal;
    }

    /**
     * What the service said beside its message.
     *
     * @param status the HTTP status, 0 where there was none
     * @param code the stable word for the error, empty where there was none
     * @param param the field of the request that is wrong, or empty
     * @param requestId under which the service's log has it, or empty
     * @param retryAfter how long to wait, or null
     * @param shouldRetry whether asking again helps, or null where nothing was said
     */
    public record Refusal(
        int status,
        String code,
        String param,
        String requestId,
        Duration retryAfter,
        Boolean shouldRetry) implements Serializable {

        static final Refusal NONE = new Refusal(0, "", "", "", null, null);
    }

    /**
     * What the service said beside its message.
     *
     * @return status, code, request id and advice
     */
    public final Refusal refusal() {
        return refusal;
    }

    /**
     * How long the service asks to wait.
     *
     * @return the time, or empty if it did not say
     */
    public final Optional<Duration> retryAfter() {
        return Optional.ofNullable(refusal.retryAfter());
    }

    /**
     * Whether the same request may succeed later. The word of the service comes first.
     *
     * @return whether asking again can help
     */
    public final boolean isWorthRetrying() {
        return refusal.shouldRetry() != null ? refusal.shouldRetry() : isPassing();
    }

    /** Whether errors of this kind pass by themselves. */
    boolean isPassing() {
        return false;
    }

    /** The request cannot be answered as it is; {@code refusal().param()} names the field. */
    public static final class InvalidRequest extends CanteenException {
        private static final long serialVersionUID = 1L;

        InvalidRequest(String message, Refusal refusal) {
            super(message, refusal, null);
        }
    }

    /** The key is missing or wrong, or does not allow this. */
    public static final class NotAllowed extends CanteenException {
        private static final long serialVersionUID = 1L;

        NotAllowed(String message, Refusal refusal) {
            super(message, refusal, null);
        }
    }

    /** This caller asks for more than its share. It is no sign that the service is ill. */
    public static final class RateLimited extends CanteenException {
        private static final long serialVersionUID = 1L;

        RateLimited(String message, Refusal refusal) {
            super(message, refusal, null);
        }

        @Override
        boolean isPassing() {
            return true;
        }
    }

    /** The service has no capacity now, or is starting or ending. */
    public static final class Unavailable extends CanteenException {
        private static final long serialVersionUID = 1L;

        Unavailable(String message, Refusal refusal) {
            super(message, refusal, null);
        }

        @Override
        boolean isPassing() {
            return true;
        }
    }

    /** The time given to the call is over, or would be before its next attempt. */
    public static final class DeadlineExceeded extends CanteenException {
        private static final long serialVersionUID = 1L;

        DeadlineExceeded(String message, Refusal refusal, Throwable cause) {
            super(message, refusal, cause);
        }
    }

    /** The service could not do it, which is its fault; its log has the request id. */
    public static final class ServiceFailed extends CanteenException {
        private static final long serialVersionUID = 1L;

        ServiceFailed(String message, Refusal refusal) {
            super(message, refusal, null);
        }
    }

    /** An answer that ends too early, or is not what was promised. */
    public static final class BrokenAnswer extends CanteenException {
        private static final long serialVersionUID = 1L;

        BrokenAnswer(String message, Throwable cause) {
            super(message, Refusal.NONE, cause);
        }
    }

    /** No connection, or one that broke. */
    public static final class Unreachable extends CanteenException {
        private static final long serialVersionUID = 1L;

        Unreachable(String message, Throwable cause) {
            super(message, Refusal.NONE, cause);
        }

        @Override
        boolean isPassing() {
            return true;
        }
    }

    /** The client was closed, or its thread interrupted, while the answer was awaited. */
    public static final class Cancelled extends CanteenException {
        private static final long serialVersionUID = 1L;

        Cancelled(String message, Throwable cause) {
            super(message, Refusal.NONE, cause);
        }
    }
}
