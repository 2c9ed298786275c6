package canteen.client;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** A service that gives the answers it was told to, one after the other, and remembers requests. */
final class StandIn implements AutoCloseable {
    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final Queue<Reply> replies = new ConcurrentLinkedQueue<>();
    private final List<Asked> asked = Collections.synchronizedList(new ArrayList<>());

    /** What a client sent. */
    record Asked(String from, Map<String, List<String>> headers, String body) {
        String header(String name) {
            List<String> values = headers.get(name);
            return values == null ? null : String.join(",", values);
        }
    }

    /** An answer. */
    @FunctionalInterface
    interface Reply {
        void give(HttpExchange exchange) throws IOException;
    }

    StandIn() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setExecutor(threads);
        server.createContext("/", this::answer);
        server.start();
    }

    String url() {
        return "http://127.0.0.1:" + server.getAddress().getPort();
    }

    List<Asked> asked() {
        return asked;
    }

    StandIn then(int status, String body, String... headers) {
        return then(exchange -> {
            for (int index = 0; index < headers.length; index += 2) {
                exchange.getResponseHeaders().set(headers[index], headers[index + 1]);
            }
            byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
            exchange.getResponseBody().write(bytes);
        });
    }

    /** Chunks, each in a write of its own, and a good end. */
    StandIn thenChunks(byte[]... chunks) {
        return then(exchange -> {
            exchange.sendResponseHeaders(200, 0);
            for (byte[] chunk : chunks) {
                exchange.getResponseBody().write(chunk);
                exchange.getResponseBody().flush();
            }
        });
    }

    StandIn then(Reply reply) {
        replies.add(reply);
        return this;
    }

    @Override
    public void close() {
        server.stop(0);
        threads.shutdownNow();
    }

    private void answer(HttpExchange exchange) throws IOException {
        String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        asked.add(new Asked(
            exchange.getRemoteAddress().toString(), exchange.getRequestHeaders(), body));
        Reply reply = replies.poll();
        if (reply == null) {
            exchange.sendResponseHeaders(500, -1);
        } else {
            // One that throws leaves the exchange open, and the server cuts its connection.
            reply.give(exchange);
        }
        exchange.close();
    }
}
