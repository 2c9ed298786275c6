package canteen.client;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** The end of a call over all its attempts, and how much silence is borne until then. */
record Deadline(Ticker ticker, long endNanos, long silenceNanos) {
    /** A clock that can wait. */
    interface Ticker {
        /** Nanoseconds since some moment. */
        long nanos();

        /** Waits for so long, or until the client is closed. */
        void await(CountDownLatch closed, Duration time) throws InterruptedException;
    }

    static final Ticker SYSTEM = new Ticker() {
        @Override
        public long nanos() {
            return System.nanoTime();
        }

        @Override
        public void await(CountDownLatch closed, Duration time) throws InterruptedException {
            closed.await(time.toNanos(), TimeUnit.NANOSECONDS);
        }
    };

    static Deadline in(Duration timeout, Duration silence, Ticker ticker) {
        return new Deadline(ticker, ticker.nanos() + timeout.toNanos(), silence.toNanos());
    }

    /** The same, or an earlier end. */
    Deadline atMost(long nanos) {
        return new Deadline(ticker, Math.min(endNanos, ticker.nanos() + nanos), silenceNanos);
    }

    /** What is left of the whole, at least 0. */
    Duration left() {
        return Duration.ofNanos(Math.max(0, endNanos - ticker.nanos()));
    }

    /** How long the next piece may be awaited. */
    long leftNanos() {
        return Math.min(left().toNanos(), silenceNanos);
    }

    String over() {
        return left().isZero()
            ? "the time given to the call is over"
            : "the service was silent for " + silenceNanos / 1_000_000 + " ms";
    }
}
