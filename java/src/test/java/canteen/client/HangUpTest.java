package canteen.client;

import static canteen.testing.Tests.equal;
import static canteen.testing.Tests.holds;
import static canteen.testing.Tests.thrown;

import canteen.client.CanteenException.Cancelled;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Against a service that takes its time, whose log then says who left. */
public class HangUpTest implements AutoCloseable {
    private static final ChatRequest LONG = ChatRequest.of(
        System.getProperty("canteen.model"), Message.user("word ".repeat(4000).strip()));
    private static final long WHILE_MS = 500;

    private final Canteen canteen = Canteen.at(System.getProperty("canteen.url"));

    @Override
    public void close() {
        canteen.close();
    }

    private Canteen named(String id) {
        return canteen.header("X-Request-Id", id).header("Idempotency-Key", "");
    }

    public void aStreamIsClosed() {
        try (Stream<ChatChunk> chunks = named("closed-stream").stream(LONG)) {
            equal(3L, chunks.limit(3).count());
        }
    }

    public void theClientIsClosed() throws Exception {
        CompletableFuture<Answer<Chat>> answer =
            CompletableFuture.supplyAsync(() -> named("closed-client").chat(LONG));

        TimeUnit.MILLISECONDS.sleep(WHILE_MS);
        canteen.close();

        holds(
            thrown(ExecutionException.class, answer::get).getCause(), Cancelled.class::isInstance);
    }

    public void theThreadIsInterrupted() throws Exception {
        CountDownLatch cancelled = new CountDownLatch(1);
        Thread caller = new Thread(() -> {
            thrown(Cancelled.class, () -> named("interrupted").chat(LONG));
            cancelled.countDown();
        });

        caller.start();
        TimeUnit.MILLISECONDS.sleep(WHILE_MS);
        caller.interrupt();

        cancelled.await();
    }
}
