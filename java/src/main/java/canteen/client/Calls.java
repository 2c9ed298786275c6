package canteen.client;

import canteen.client.CanteenException.Cancelled;
import canteen.client.CanteenException.DeadlineExceeded;
import canteen.client.CanteenException.Refusal;
import canteen.client.CanteenException.Unreachable;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BiFunction;
import java.util.function.Supplier;

/** Calls over HTTP: attempts under one deadline, and an end to all of them when it is closed. */
final class Calls implements AutoCloseable {
    private static final long FIRST_WAIT_MS = 500;
    private static final long LONGEST_WAIT_MS = 8_000;
    private static final int OK = 200;

    private final HttpClient http;
    private final URI base;
    private final Supplier<String> key;
    private final Deadline.Ticker ticker;
    private final CountDownLatch closed = new CountDownLatch(1);
    private final Set<Runnable> underWay = ConcurrentHashMap.newKeySet();
    private final Set<Pieces> open = ConcurrentHashMap.newKeySet();

    Calls(HttpClient http, URI base, Supplier<String> key, Deadline.Ticker ticker) {
        this.http = http;
        this.base = base;
        this.key = key;
        this.ticker = ticker;
    }

    /** What is asked, the same in every attempt. */
    record Asked(String method, String path, String body, Terms terms, Map<String, String> ids) {
        static Asked get(String path, Terms terms) {
            return new Asked("GET", path, null, terms, Map.of());
        }

        /** All attempts have one trace and one key, so that none is computed twice. */
        static Asked post(String path, Object body, Terms terms) {
            Map<String, String> ids = Map.of(
                "Idempotency-Key", UUID.randomUUID().toString(), "traceparent", trace());
            return new Asked("POST", path, Json.write(body), terms, ids);
        }

        /** Without a key: nobody comes back to a stream, and the service is not to wait for it. */
        static Asked stream(String path, Object body, Terms terms) {
            return new Asked(
                "POST", path, Json.write(body), terms, Map.of("traceparent", trace()));
        }

        private static String trace() {
            String trace = UUID.randomUUID().toString().replace("-", "");
            String span = UUID.randomUUID().toString().replace("-", "").substring(0, 16);
            return "00-" + trace + "-" + span + "-01";
        }
    }

    /** The JSON object that answers. */
    Fields ask(Asked asked) {
        return Fields.of(attempt(asked, (pieces, deadline) -> {
            try (pieces) {
                return pieces.whole(deadline);
            }
        }));
    }

    /** The events of a stream. Its opening may be tried again, but nothing that was begun. */
    Events open(Asked asked) {
        return attempt(asked, Events::new);
    }

    @Override
    public void close() {
        closed.countDown();
        underWay.forEach(Runnable::run);
        open.forEach(Pieces::close);
    }

    private <T> T attempt(Asked asked, BiFunction<Pieces, Deadline, T> read) {
        Terms terms = asked.terms();
        Deadline deadline = Deadline.in(terms.timeout(), terms.silence(), ticker);
        for (int attempt = 0; ; attempt++) {
            try {
                return once(asked, attempt, deadline, read);
            } catch (CanteenException failure) {
                Duration wait = waitAfter(failure, attempt);
                boolean isLast = attempt + 1 >= terms.mostAttempts();
                if (isLast || !failure.isWorthRetrying() || wait.compareTo(deadline.left()) >= 0) {
                    throw failure;
                }
                pause(wait);
            }
        }
    }

    private <T> T once(
        Asked asked, int attempt, Deadline deadline, BiFunction<Pieces, Deadline, T> read) {
        CompletableFuture<HttpResponse<Pieces>> coming =
            http.sendAsync(request(asked, attempt, deadline), head -> body());
        // Cancelling closes the socket, which frees what the service does for us.
        Runnable cancel = () -> leave(coming);
        underWay.add(cancel);
        try {
            if (isClosed()) {
                cancel.run();
            }
            HttpResponse<Pieces> answer = await(coming, deadline);
            if (answer.statusCode() == OK) {
                return read.apply(answer.body(), deadline);
            }
            try (Pieces body = answer.body()) {
                String text = body.whole(deadline);
                throw Refusals.of(answer.statusCode(), answer.headers(), text);
            }
        } finally {
            underWay.remove(cancel);
        }
    }

    /** A body that is closed with the client, also if it comes while that is closed. */
    private Pieces body() {
        Pieces body = new Pieces(open::remove);
        open.add(body);
        if (isClosed()) {
            body.close();
        }
        return body;
    }

    private HttpResponse<Pieces> await(
        CompletableFuture<HttpResponse<Pieces>> coming, Deadline deadline) {
        try {
            return coming.get(deadline.left().toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            leave(coming);
            throw new DeadlineExceeded("the time given to the call is over", Refusal.NONE, e);
        } catch (InterruptedException e) {
            leave(coming);
            Thread.currentThread().interrupt();
            throw new Cancelled("interrupted while the answer was awaited", e);
        } catch (CancellationException e) {
            throw new Cancelled("the client is closed", e);
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            throw new Unreachable(base + " does not answer: " + cause, cause);
        }
    }

    /** Also where the answer has just come. */
    private static void leave(CompletableFuture<HttpResponse<Pieces>> coming) {
        coming.cancel(true);
        coming.thenAccept(answer -> answer.body().close());
    }

    private HttpRequest request(Asked asked, int attempt, Deadline deadline) {
        Map<String, String> headers = new HashMap<>(asked.ids());
        asked.terms().headers().forEach((name, value) -> {
            headers.keySet().removeIf(name::equalsIgnoreCase);
            if (!value.isEmpty()) {
                headers.put(name, value);
            }
        });
        headers.put("X-Stainless-Timeout", seconds(deadline.left()));
        headers.put("X-Stainless-Retry-Count", Integer.toString(attempt));
        // Offering HTTP/2 in clear text costs a round trip, and some servers the body.
        HttpRequest.Builder builder = HttpRequest.newBuilder(URI.create(base + asked.path()))
            .version(HttpClient.Version.HTTP_1_1);
        headers.forEach(builder::setHeader);
        String bearer = key.get();
        if (bearer != null && !bearer.isEmpty()) {
            builder.setHeader("Authorization", "Bearer " + bearer);
        }
        if (asked.body() == null) {
            return builder.method(asked.method(), BodyPublishers.noBody()).build();
        }
        return builder.setHeader("Content-Type", "application/json")
            .method(asked.method(), BodyPublishers.ofString(asked.body())).build();
    }

    private static String seconds(Duration time) {
        return String.format(Locale.ROOT, "%d.%03d", time.toSeconds(), time.toMillisPart());
    }

    /** What the service says; or half a second, twice as long each time, give or take a fifth. */
    private static Duration waitAfter(CanteenException failure, int attempt) {
        long doubled = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS << Math.min(attempt, 10));
        double spread = ThreadLocalRandom.current().nextDouble(0.8, 1.2);
        return failure.retryAfter().orElse(Duration.ofMillis(Math.round(doubled * spread)));
    }

    private void pause(Duration wait) {
        try {
            ticker.await(closed, wait);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Cancelled("interrupted between two attempts", e);
        }
    }

    private boolean isClosed() {
        return closed.getCount() == 0;
    }
}
