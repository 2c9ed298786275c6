package canteen.client;

import canteen.client.CanteenException.BrokenAnswer;
import canteen.client.CanteenException.Cancelled;
import canteen.client.CanteenException.DeadlineExceeded;
import canteen.client.CanteenException.Refusal;
import canteen.client.CanteenException.Unreachable;
import java.io.ByteArrayOutputStream;
import java.net.http.HttpResponse.BodySubscriber;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow.Subscription;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * The body of an answer as it comes, waited for until a deadline; closing it hangs up.
 *
 * <p>Of {@code java.net.http} no timeout reaches into a body, so the waiting is done here. One
 * piece is asked for at a time: a reader that is slow slows the service down, and fills no memory.
 */
final class Pieces implements BodySubscriber<Pieces>, AutoCloseable {
    private static final Object END = "end";
    private static final Object CLOSED = "closed";
    private static final long DRAIN_NANOS = 1_000_000_000;

    private final BlockingQueue<Object> queue = new LinkedBlockingQueue<>();
    private final ArrayDeque<String> lines = new ArrayDeque<>();
    private final ByteArrayOutputStream rest = new ByteArrayOutputStream();
    private final Consumer<Pieces> onClose;
    private Subscription subscription;
    private boolean isClosed;
    private boolean isEnded;

    Pieces(Consumer<Pieces> onClose) {
        this.onClose = onClose;
    }

    @Override
    public CompletionStage<Pieces> getBody() {
        return CompletableFuture.completedFuture(this);
    }

    @Override
    public synchronized void onSubscribe(Subscription given) {
        subscription = given;
        if (isClosed) {
            given.cancel();
        } else {
            given.request(1);
        }
    }

    @Override
    public void onNext(List<ByteBuffer> buffers) {
        queue.add(buffers);
    }

    @Override
    public void onError(Throwable failure) {
        queue.add(failure);
    }

    @Override
    public void onComplete() {
        queue.add(END);
    }

    @Override
    public void close() {
        onClose.accept(this);
        queue.add(CLOSED);
        cancel();
    }

    private synchronized void cancel() {
        isClosed = true;
        if (subscription != null) {
            subscription.cancel();
        }
    }

    /** All of it, as text. */
    String whole(Deadline deadline) {
        while (!isEnded) {
            take(deadline);
        }
        return rest.toString(StandardCharsets.UTF_8);
    }

    /** The next line without its end; empty where the body is over. */
    Optional<String> line(Deadline deadline) {
        while (lines.isEmpty() && !isEnded) {
            take(deadline);
            split();
        }
        return Optional.ofNullable(lines.poll());
    }

    /** Reads what may follow the last event, so that the connection can be used again. */
    void drain(Deadline deadline) {
        try {
            whole(deadline.atMost(DRAIN_NANOS));
        } catch (CanteenException notNeeded) {
            close();
        }
    }

    private void split() {
        byte[] held = rest.toByteArray();
        int start = 0;
        for (int place = 0; place < held.length; place++) {
            if (held[place] == '\n') {
                int end = place > start && held[place - 1] == '\r' ? place - 1 : place;
                lines.add(new String(held, start, end - start, StandardCharsets.UTF_8));
                start = place + 1;
            }
        }
        rest.reset();
        rest.write(held, start, held.length - start);
    }

    private void take(Deadline deadline) {
        Object piece = await(deadline);
        if (piece == END) {
            isEnded = true;
        } else if (piece == CLOSED) {
            throw new Cancelled("the answer was closed before its end", null);
        } else if (piece instanceof Throwable failure) {
            throw new Unreachable("the connection broke within the answer", failure);
        } else if (piece instanceof List<?> buffers) {
            buffers.forEach(one -> keep((ByteBuffer) one));
            ask();
        } else {
            throw new BrokenAnswer("an unknown piece: " + piece, null);
        }
    }

    private Object await(Deadline deadline) {
        try {
            Object piece = queue.poll(deadline.leftNanos(), TimeUnit.NANOSECONDS);
            if (piece != null) {
                return piece;
            }
        } catch (InterruptedException e) {
            close();
            Thread.currentThread().interrupt();
            throw new Cancelled("interrupted within an answer", e);
        }
        close();
        throw new DeadlineExceeded(deadline.over(), Refusal.NONE, null);
    }

    private synchronized void ask() {
        subscription.request(1);
    }

    private void keep(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        rest.writeBytes(bytes);
    }
}
