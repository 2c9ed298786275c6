package canteen.client;

import static canteen.testing.Tests.equal;
import static canteen.testing.Tests.holds;
import static canteen.testing.Tests.thrown;

import canteen.client.CanteenException.BrokenAnswer;
import canteen.client.CanteenException.Cancelled;
import canteen.client.CanteenException.DeadlineExceeded;
import canteen.client.CanteenException.ServiceFailed;
import canteen.client.CanteenException.Unreachable;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import java.util.stream.Stream;

public class StreamTest implements AutoCloseable {
    private static final String DONE = "data: [DONE]\n\n";

    private final StandIn service = new StandIn();
    private final Canteen canteen =
        Canteen.builder(service.url()).silence(Duration.ofSeconds(5)).build();

    public StreamTest() throws IOException {}

    @Override
    public void close() {
        canteen.close();
        service.close();
    }

    private Stream<ChatChunk> open() {
        return canteen.stream(ChatRequest.of("m", Message.user("hello")));
    }

    private String text() {
        try (Stream<ChatChunk> chunks = open()) {
            return chunks.map(ChatChunk::text).collect(Collectors.joining());
        }
    }

    private static String piece(String text) {
        return "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
            + Json.write(text) + "},\"finish_reason\":null}]}\n\n";
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    public void piecesAddUpHoweverTheyAreCut() {
        byte[] all = bytes(": ping\n" + piece("Gr\u00FC\u00DFe ") + ": ping\n"
            + piece("\uD83D\uDE00").replace("\n", "\r\n") + DONE);
        byte[][] single = new byte[all.length][];
        for (int index = 0; index < all.length; index++) {
            single[index] = new byte[] {all[index]};
        }
        service.thenChunks(all).thenChunks(single);

        equal("Gr\u00FC\u00DFe \uD83D\uDE00", text());
        equal("Gr\u00FC\u00DFe \uD83D\uDE00", text());
    }

    public void aStreamWithoutItsEndIsBroken() {
        service.thenChunks(bytes(piece("half")));

        thrown(BrokenAnswer.class, this::text);

        equal(1, service.asked().size());
    }

    public void aConnectionThatBreaksIsNotTriedAgain() {
        service.then(exchange -> {
            exchange.sendResponseHeaders(200, 0);
            exchange.getResponseBody().write(bytes(piece("half")));
            exchange.getResponseBody().flush();
            throw new IOException("cut");
        });

        thrown(Unreachable.class, this::text);

        equal(1, service.asked().size());
    }

    public void anErrorWithinAStreamIsThrownAfterWhatCameBefore() {
        service.thenChunks(bytes(piece("half") + "event: error\ndata: {\"error\":{\"message\":"
            + "\"the worker died\",\"type\":\"server_error\",\"param\":null,\"code\":\"worker_died\"}}\n\n"));

        try (Stream<ChatChunk> chunks = open()) {
            Iterator<ChatChunk> iterator = chunks.iterator();
            equal("half", iterator.next().text());
            ServiceFailed error = thrown(ServiceFailed.class, iterator::hasNext);
            equal("worker_died", error.refusal().code());
            equal("the worker died", error.getMessage());
        }
    }

    public void aStreamThatFallsSilentIsLeft() {
        CountDownLatch left = new CountDownLatch(1);
        service.then(exchange -> {
            exchange.sendResponseHeaders(200, 0);
            exchange.getResponseBody().write(bytes(piece("half")));
            exchange.getResponseBody().flush();
            await(left);
        });

        try (Canteen impatient =
                Canteen.builder(service.url()).silence(Duration.ofMillis(200)).build();
            Stream<ChatChunk> chunks =
                impatient.stream(ChatRequest.of("m", Message.user("hello")))) {
            DeadlineExceeded error = thrown(DeadlineExceeded.class, chunks::count);
            holds(error.getMessage(), said -> said.contains("silent"));
        }
        left.countDown();
    }

    public void closingAStreamHangsUp() throws Exception {
        CountDownLatch gone = new CountDownLatch(1);
        service.then(exchange -> {
            exchange.sendResponseHeaders(200, 0);
            try {
                while (true) {
                    exchange.getResponseBody().write(bytes(piece("more ")));
                    exchange.getResponseBody().flush();
                }
            } catch (IOException hungUp) {
                gone.countDown();
            }
        });

        try (Stream<ChatChunk> chunks = open()) {
            equal(List.of("more ", "more "), chunks.limit(2).map(ChatChunk::text).toList());
        }
        gone.await();
    }

    public void closingTheClientEndsItsStreams() {
        CountDownLatch left = new CountDownLatch(1);
        service.then(exchange -> {
            exchange.sendResponseHeaders(200, 0);
            exchange.getResponseBody().write(bytes(piece("half")));
            exchange.getResponseBody().flush();
            await(left);
        });

        try (Stream<ChatChunk> chunks = open()) {
            Iterator<ChatChunk> iterator = chunks.iterator();
            equal("half", iterator.next().text());
            canteen.close();
            thrown(Cancelled.class, iterator::hasNext);
        }
        left.countDown();
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }
}
