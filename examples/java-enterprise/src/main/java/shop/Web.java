package shop;

import canteen.client.CanteenException;
import canteen.client.Json;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;
import java.util.stream.Stream;

/** The shop over HTTP. */
public final class Web implements AutoCloseable {
    private static final int MOST_THREADS = 16;
    private static final int MOST_BYTES = 64 * 1024;
    private static final String JSON = "application/json";

    private final HttpServer server;
    private final ExecutorService threads = Executors.newFixedThreadPool(MOST_THREADS);
    private final Desk desk;
    private final Language language;
    private final Supplier<Breaker.State> circuit;

    public Web(int port, Desk desk, Language language, Supplier<Breaker.State> circuit)
        throws IOException {
        this.desk = desk;
        this.language = language;
        this.circuit = circuit;
        server = HttpServer.create(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.setExecutor(threads);
        server.createContext("/", this::answer);
    }

    public void start() {
        server.start();
    }

    public int port() {
        return server.getAddress().getPort();
    }

    /** Refuses new requests, and waits a while for those under way. */
    public void stop(int graceS) {
        server.stop(graceS);
        threads.shutdown();
    }

    @Override
    public void close() {
        stop(0);
    }

    private void answer(HttpExchange exchange) throws IOException {
        try {
            route(exchange);
        } catch (Refused e) {
            say(exchange, e.status, Map.of("error", e.getMessage()));
        } catch (Language.NotNow e) {
            exchange.getResponseHeaders().set("Retry-After", "5");
            say(exchange, 503, Map.of("error", e.getMessage()));
        } catch (CanteenException e) {
            if (exchange.getResponseCode() >= 0) {
                // Too late for a status. Left open, the answer is cut, and does not look whole.
                throw new IOException(e);
            }
            say(exchange, 502, Map.of("error", e.getMessage()));
        }
        exchange.close();
    }

    private void route(HttpExchange exchange) throws IOException {
        String[] path = exchange.getRequestURI().getPath().substring(1).split("/", -1);
        switch (exchange.getRequestMethod() + " " + path[0] + " " + path.length) {
            case "GET  1" -> send(exchange, 200, "text/html; charset=utf-8", Page.of(desk.all()));
            case "GET health 1", "GET health 2" -> say(exchange, 200, health());
            case "POST messages 1" -> {
                Ticket ticket = desk.take(message(exchange));
                say(exchange, ticket.isOpen() ? 202 : 200, ticket.told());
            }
            case "GET messages 1" -> say(
                exchange, 200, Map.of("messages", desk.all().stream().map(Ticket::told).toList()));
            case "GET messages 2" -> say(exchange, 200, ticket(path[1]).told());
            case "GET messages 3" -> draft(exchange, ticket(path[1]));
            default -> throw new Refused(404, "no such page; GET / shows what there is");
        }
    }

    private Ticket ticket(String id) {
        return desk.find(id).orElseThrow(() -> new Refused(404, "no message '" + id + "'"));
    }

    /** Another draft, sent as it is written. A reader who leaves stops the model's work. */
    private void draft(HttpExchange exchange, Ticket ticket) throws IOException {
        try (Stream<String> pieces =
            language.drafting(ticket.message(), ticket.facts().lines())) {
            exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
            exchange.sendResponseHeaders(200, 0);
            for (String piece : (Iterable<String>) pieces::iterator) {
                exchange.getResponseBody().write(piece.getBytes(StandardCharsets.UTF_8));
                exchange.getResponseBody().flush();
            }
        }
    }

    private static CustomerMessage message(HttpExchange exchange) throws IOException {
        byte[] bytes = exchange.getRequestBody().readNBytes(MOST_BYTES + 1);
        if (bytes.length > MOST_BYTES) {
            throw new Refused(413, "a message has at most " + MOST_BYTES + " bytes");
        }
        try {
            Object body = Json.read(new String(bytes, StandardCharsets.UTF_8));
            if (body instanceof Map<?, ?> map && map.get("text") instanceof String text
                && !text.isBlank()) {
                return new CustomerMessage(
                    field(map, "id", UUID.randomUUID().toString()), field(map, "from", ""), text);
            }
        } catch (IllegalArgumentException e) {
            throw new Refused(400, e.getMessage());
        }
        throw new Refused(400, "send {\"text\": …}, and id and from if you like");
    }

    private static String field(Map<?, ?> map, String name, String otherwise) {
        return map.get(name) instanceof String text && !text.isBlank() ? text : otherwise;
    }

    /** The shop is up while it takes messages; that the language service rests is a detail. */
    private Map<String, Object> health() {
        Breaker.State state = circuit.get();
        Map<String, Object> components = new LinkedHashMap<>();
        components.put("canteen", Map.of(
            "status", state == Breaker.State.CLOSED ? "UP" : "DOWN",
            "details", Map.of("circuit", state.name())));
        components.put("desk", Map.of(
            "status", "UP", "details", Map.of("waiting", desk.waiting().size())));
        return Map.of("status", "UP", "components", components);
    }

    private static void say(HttpExchange exchange, int status, Map<String, ?> body)
        throws IOException {
        send(exchange, status, JSON, Json.write(body));
    }

    private static void send(HttpExchange exchange, int status, String type, String text)
        throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().put("Content-Type", List.of(type));
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
    }

    /** A request that cannot be answered. */
    private static final class Refused extends RuntimeException {
        private static final long serialVersionUID = 1L;
        private final int status;

        Refused(int status, String message) {
            super(message);
            this.status = status;
        }
    }
}
