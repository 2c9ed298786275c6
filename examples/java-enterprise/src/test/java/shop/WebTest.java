package shop;

import static canteen.testing.Tests.equal;
import static canteen.testing.Tests.holds;
import static canteen.testing.Tests.thrown;

import canteen.client.Canteen;
import canteen.client.CanteenException;
import canteen.client.Json;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Map;

public class WebTest implements AutoCloseable {
    private final HttpClient http = HttpClient.newHttpClient();
    private final Prepared language = new Prepared();
    private final Desk desk = new Desk(language, Orders.sample());
    private Breaker.State circuit = Breaker.State.CLOSED;
    private final Web web = new Web(0, desk, language, () -> circuit);

    public WebTest() throws IOException {
        web.start();
    }

    @Override
    public void close() {
        web.close();
    }

    private HttpResponse<String> send(String method, String path, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + web.port() + path))
            .method(method, BodyPublishers.ofString(body)).build();
        return http.send(request, BodyHandlers.ofString());
    }

    private static Map<?, ?> json(HttpResponse<String> answer) {
        return (Map<?, ?>) Json.read(answer.body());
    }

    public void aMessageIsAnsweredWithItsTicket() throws Exception {
        HttpResponse<String> answer =
            send("POST", "/messages", "{\"id\":\"m-1\",\"text\":\"Where is ORD-20417?\"}");

        equal(200, answer.statusCode());
        equal("DRAFTED", json(answer).get("state"));
        equal("model", json(answer).get("drafted_by"));
        equal(json(answer), json(send("GET", "/messages/m-1", "")));
    }

    public void aMessageIsTakenWhileTheLanguageServiceIsAway() throws Exception {
        language.failure = new Language.NotNow("away", null);
        circuit = Breaker.State.OPEN;

        HttpResponse<String> answer = send("POST", "/messages", "{\"text\":\"hello\"}");
        Map<?, ?> health = json(send("GET", "/health", ""));

        equal(202, answer.statusCode());
        equal("WAITING", json(answer).get("state"));
        equal("UP", health.get("status"));
        Map<?, ?> components = (Map<?, ?>) health.get("components");
        equal(
            Map.of("status", "DOWN", "details", Map.of("circuit", "OPEN")),
            components.get("canteen"));
        equal(Map.of("status", "UP", "details", Map.of("waiting", 1L)), components.get("desk"));
    }

    public void aDraftIsSentAsItIsWritten() throws Exception {
        send("POST", "/messages", "{\"id\":\"m-1\",\"text\":\"Where is ORD-20417?\"}");

        equal(language.draft, send("GET", "/messages/m-1/draft", "").body());
        language.failure = new Language.NotNow("away", null);
        equal(503, send("GET", "/messages/m-1/draft", "").statusCode());
    }

    public void aDraftThatBreaksOffDoesNotLookWhole() throws Exception {
        send("POST", "/messages", "{\"id\":\"m-1\",\"text\":\"Where is ORD-20417?\"}");
        try (Canteen nobody = Canteen.builder("http://127.0.0.1:1").attempts(1).build()) {
            language.breaksAfter = thrown(
                CanteenException.class, () -> nobody.footprintBy("model"));
        }

        thrown(IOException.class, () -> send("GET", "/messages/m-1/draft", ""));
    }

    public void whatIsNoMessageIsRefusedWithTheReason() throws Exception {
        equal(400, send("POST", "/messages", "no json").statusCode());
        equal(400, send("POST", "/messages", "{\"text\":\" \"}").statusCode());
        equal(413, send("POST", "/messages", "x".repeat(70_000)).statusCode());
        equal(404, send("GET", "/messages/nobody", "").statusCode());
        equal(404, send("DELETE", "/messages", "").statusCode());
        holds(send("GET", "/nowhere", "").body(), text -> text.contains("error"));
    }

    public void thePageShowsMessagesAsTextAndNotAsMarkup() throws Exception {
        send("POST", "/messages", "{\"text\":\"<script>alert(1)</script> ORD-20417\"}");

        String page = send("GET", "/", "").body();

        holds(page, text -> text.contains("&lt;script>alert(1)"));
        holds(page, text -> !text.contains("<script>alert(1)"));
    }
}
