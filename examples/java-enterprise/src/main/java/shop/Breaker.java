package shop;

import canteen.client.CanteenException;
import canteen.client.CanteenException.BrokenAnswer;
import canteen.client.CanteenException.Cancelled;
import canteen.client.CanteenException.DeadlineExceeded;
import canteen.client.CanteenException.InvalidRequest;
import canteen.client.CanteenException.ServiceFailed;
import canteen.client.CanteenException.Unavailable;
import canteen.client.CanteenException.Unreachable;
import java.time.Duration;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * A circuit breaker: after some failures in a row nobody asks for a while, then one caller tries.
 *
 * <p>That a caller asks too much (429) is flow control, and a wrong request is the caller's: neither
 * counts, or the shop would cut itself off from a service that is well.
 */
public final class Breaker {
    /** Whether calls go through; half open, one does. */
    public enum State { CLOSED, OPEN, HALF_OPEN }

    private final int mostFailures;
    private final Duration rest;
    private final LongSupplier nanos;
    private int failures;
    private long openUntilNanos;
    private State state = State.CLOSED;

    public Breaker(int mostFailures, Duration rest, LongSupplier nanos) {
        this.mostFailures = mostFailures;
        this.rest = rest;
        this.nanos = nanos;
    }

    /** Calls, unless the circuit is open; throws {@link Language.NotNow} for all that may pass. */
    public <T> T call(Supplier<T> call) {
        enter();
        try {
            T result = call.get();
            close();
            return result;
        } catch (CanteenException e) {
            settle(e);
            if (e instanceof InvalidRequest) {
                throw e;
            }
            throw new Language.NotNow(e.getMessage(), e);
        } catch (RuntimeException ours) {
            letOthersTry();
            throw ours;
        }
    }

    private void settle(CanteenException e) {
        if (isFailure(e)) {
            fail(e.retryAfter().orElse(Duration.ZERO));
        } else if (e instanceof Cancelled) {
            letOthersTry();
        } else {
            close();
        }
    }

    public synchronized State state() {
        return state;
    }

    private static boolean isFailure(CanteenException e) {
        return e instanceof Unavailable || e instanceof Unreachable || e instanceof ServiceFailed
            || e instanceof DeadlineExceeded || e instanceof BrokenAnswer;
    }

    private synchronized void enter() {
        if (state == State.CLOSED) {
            return;
        }
        if (state == State.HALF_OPEN || nanos.getAsLong() < openUntilNanos) {
            throw new Language.NotNow("the language service is resting", null);
        }
        state = State.HALF_OPEN;
    }

    private synchronized void close() {
        state = State.CLOSED;
        failures = 0;
    }

    /** After a trial that told nothing of the service. */
    private synchronized void letOthersTry() {
        if (state == State.HALF_OPEN) {
            state = State.OPEN;
        }
    }

    private synchronized void fail(Duration asked) {
        failures++;
        if (state == State.HALF_OPEN || failures >= mostFailures) {
            state = State.OPEN;
            Duration longer = asked.compareTo(rest) > 0 ? asked : rest;
            openUntilNanos = nanos.getAsLong() + longer.toNanos();
        }
    }
}
