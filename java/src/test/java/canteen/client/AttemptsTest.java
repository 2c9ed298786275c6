package canteen.client;

import static canteen.testing.Tests.equal;
import static canteen.testing.Tests.holds;
import static canteen.testing.Tests.thrown;

import canteen.client.CanteenException.Cancelled;
import canteen.client.CanteenException.DeadlineExceeded;
import canteen.client.CanteenException.InvalidRequest;
import canteen.client.CanteenException.NotAllowed;
import canteen.client.CanteenException.RateLimited;
import canteen.client.CanteenException.ServiceFailed;
import canteen.client.CanteenException.Unavailable;
import canteen.client.CanteenException.Unreachable;
import java.io.IOException;
import java.net.http.HttpHeaders;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;

public class AttemptsTest implements AutoCloseable {
    private static final String GOOD =
        "{\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        + "\"content\":\"hi\"},\"finish_reason\":\"stop\"}],"
        + "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}";
    private static final String BUSY = "{\"error\":{\"message\":\"full\",\"type\":"
        + "\"overloaded_error\",\"param\":null,\"code\":\"overloaded\"}}";

    private final StandIn service = new StandIn();
    private final Skipping clock = new Skipping();
    private final Canteen canteen =
        Canteen.builder(service.url()).key("k-1").ticker(clock).build();

    public AttemptsTest() throws IOException {}

    /** A clock whose waits take no time and are remembered. */
    private static final class Skipping implements Deadline.Ticker {
        private final List<Long> waitsMs = new ArrayList<>();
        private long skippedNanos;

        @Override
        public long nanos() {
            return System.nanoTime() + skippedNanos;
        }

        @Override
        public void await(CountDownLatch closed, Duration time) {
            waitsMs.add(time.toMillis());
            skippedNanos += time.toNanos();
        }
    }

    @Override
    public void close() {
        canteen.close();
        service.close();
    }

    private String say() {
        return canteen.chat(request()).value().text();
    }

    private static ChatRequest request() {
        return ChatRequest.of("m", Message.user("hello"));
    }

    public void waitsAsLongAsTheServiceSaysInMilliseconds() {
        service.then(503, BUSY, "retry-after", "3", "retry-after-ms", "2500").then(200, GOOD);

        equal("hi", say());
        equal(List.of(2500L), clock.waitsMs);
    }

    public void waitsAsLongAsTheServiceSaysInSeconds() {
        service.then(429, BUSY, "retry-after", "2").then(200, GOOD);

        equal("hi", say());
        equal(List.of(2000L), clock.waitsMs);
    }

    public void readsADateToWaitFor() {
        HttpHeaders headers = HttpHeaders.of(
            Map.of("Retry-After", List.of("Wed, 21 Oct 2026 07:28:00 GMT")), (name, value) -> true);

        Instant now = Instant.parse("2026-10-21T07:27:30Z");

        equal(Optional.of(Duration.ofSeconds(30)), Refusals.retryAfter(headers, now));
    }

    public void everyAttemptHasTheSameKeyAndTraceAndLessTime() {
        service.then(503, BUSY, "retry-after-ms", "7000").then(200, GOOD);

        say();

        StandIn.Asked first = service.asked().get(0);
        StandIn.Asked second = service.asked().get(1);
        for (String name : List.of("Idempotency-Key", "traceparent", "Authorization")) {
            holds(first.header(name), text -> text != null && !text.isEmpty());
            equal(first.header(name), second.header(name));
        }
        equal("Bearer k-1", first.header("Authorization"));
        equal("0", first.header("X-Stainless-Retry-Count"));
        equal("1", second.header("X-Stainless-Retry-Count"));
        double before = Double.parseDouble(first.header("X-Stainless-Timeout"));
        double after = Double.parseDouble(second.header("X-Stainless-Timeout"));
        holds(before - after, spent -> spent >= 7);
        equal(first.body(), second.body());
    }

    public void aKeyOfTheCallersGoesInPlaceOfAFreshOneAndAnEmptyOneNotAtAll() {
        service.then(200, GOOD).then(200, GOOD);

        canteen.header("idempotency-key", "m-1").chat(request());
        canteen.header("Idempotency-Key", "").chat(request());

        equal("m-1", service.asked().get(0).header("Idempotency-Key"));
        equal(null, service.asked().get(1).header("Idempotency-Key"));
    }

    public void aConnectionIsUsedAgainAfterAnswersErrorsAndStreams() {
        service.then(200, GOOD).then(400, BUSY)
            .thenChunks("data: [DONE]\n\n".getBytes()).then(200, GOOD);

        say();
        thrown(InvalidRequest.class, this::say);
        try (Stream<ChatChunk> chunks = canteen.stream(request())) {
            equal(0L, chunks.count());
        }
        say();

        equal(1L, service.asked().stream().map(StandIn.Asked::from).distinct().count());
    }

    public void offersNoHttp2() {
        service.then(200, GOOD);

        say();

        equal(null, service.asked().get(0).header("Upgrade"));
    }

    public void neverSleepsPastTheDeadline() {
        service.then(503, BUSY, "retry-after", "60");

        Unavailable error = thrown(
            Unavailable.class, () -> canteen.within(Duration.ofSeconds(30)).chat(request()));

        equal(Optional.of(Duration.ofSeconds(60)), error.retryAfter());
        equal("overloaded", error.refusal().code());
        equal(List.of(), clock.waitsMs);
    }

    public void givesUpAfterItsAttempts() {
        for (int attempt = 0; attempt < 3; attempt++) {
            service.then(429, BUSY, "retry-after-ms", "10");
        }

        thrown(RateLimited.class, this::say);

        equal(3, service.asked().size());
    }

    public void doesNotAskAgainWhereThatWillNotHelp() {
        service.then(429, BUSY, "retry-after", "1", "x-should-retry", "false");

        thrown(RateLimited.class, this::say);

        equal(1, service.asked().size());
    }

    public void asksAgainWhereTheServiceSaysSo() {
        service.then(500, BUSY, "x-should-retry", "true", "retry-after-ms", "1").then(200, GOOD);

        equal("hi", say());
    }

    public void withoutAdviceItWaitsTwiceAsLongEachTime() {
        service.then(503, "").then(502, "<html>").then(200, GOOD);

        equal("hi", say());
        holds(clock.waitsMs.get(0), wait -> wait >= 400 && wait <= 600);
        holds(clock.waitsMs.get(1), wait -> wait >= 800 && wait <= 1200);
    }

    public void aBrokenConnectionIsTriedAgain() {
        service.then(exchange -> {
            exchange.sendResponseHeaders(200, 1000);
            exchange.getResponseBody().write("{\"id\":".getBytes());
            exchange.getResponseBody().flush();
            throw new IOException("cut");
        }).then(200, GOOD);

        equal("hi", say());
    }

    public void whatTheCallerMustChangeIsNotAskedAgain() {
        service.then(400, "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,"
            + "\"detail\":\"inputs must be texts\",\"code\":\"invalid_request\",\"param\":\"inputs\"}",
            "x-request-id", "req-7");

        InvalidRequest error = thrown(InvalidRequest.class, this::say);

        equal("inputs must be texts", error.getMessage());
        equal("inputs", error.refusal().param());
        equal("req-7", error.refusal().requestId());
        equal(1, service.asked().size());
    }

    public void everyStatusHasItsKind() {
        Map<Integer, Class<? extends CanteenException>> kinds = Map.of(
            401, NotAllowed.class, 403, NotAllowed.class, 404, InvalidRequest.class,
            408, DeadlineExceeded.class, 422, InvalidRequest.class, 501, InvalidRequest.class,
            500, ServiceFailed.class, 507, ServiceFailed.class);

        kinds.forEach((status, kind) -> {
            service.then(status, "{\"error\":\"in Ollama's words\"}");
            equal("in Ollama's words", thrown(kind, this::say).getMessage());
        });
        equal(kinds.size(), service.asked().size());
    }

    public void aSilentServiceIsLeftAtTheDeadline() {
        CountDownLatch left = new CountDownLatch(1);
        service.then(exchange -> await(left));

        thrown(
            DeadlineExceeded.class, () -> canteen.within(Duration.ofMillis(200)).chat(request()));

        left.countDown();
        equal(1, service.asked().size());
    }

    public void aBodyThatStallsIsLeftAtTheDeadlineToo() {
        CountDownLatch left = new CountDownLatch(1);
        service.then(exchange -> {
            exchange.sendResponseHeaders(200, 1000);
            exchange.getResponseBody().write('{');
            exchange.getResponseBody().flush();
            await(left);
        });

        thrown(
            DeadlineExceeded.class, () -> canteen.within(Duration.ofMillis(200)).chat(request()));

        left.countDown();
    }

    public void nobodyThereIsUnreachable() {
        service.close();

        thrown(Unreachable.class, this::say);
    }

    public void closingCancelsWhatIsUnderWay() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CountDownLatch left = new CountDownLatch(1);
        service.then(exchange -> {
            begun.countDown();
            await(left);
        });
        CompletableFuture<String> answer = CompletableFuture.supplyAsync(this::say);

        begun.await();
        canteen.close();

        holds(
            thrown(java.util.concurrent.ExecutionException.class, answer::get).getCause(),
            Cancelled.class::isInstance);
        thrown(Cancelled.class, this::say);
        left.countDown();
    }

    public void anInterruptedThreadStaysInterrupted() {
        CountDownLatch left = new CountDownLatch(1);
        service.then(exchange -> await(left));

        Thread.currentThread().interrupt();
        thrown(Cancelled.class, this::say);

        holds(Thread.interrupted(), is -> is);
        left.countDown();
    }

    public void theOpeningOfAStreamIsTriedAgain() {
        service.then(503, BUSY, "retry-after-ms", "40")
            .thenChunks("data: [DONE]\n\n".getBytes());

        try (Stream<ChatChunk> chunks = canteen.stream(request())) {
            equal(0L, chunks.count());
        }
        equal(List.of(40L), clock.waitsMs);
        equal(null, service.asked().get(1).header("Idempotency-Key"));
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }
}
