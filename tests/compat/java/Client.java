import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;

/** java.net.http with its defaults, so with its offer of h2c: posts, streams and cancels. */
public class Client {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    private static URI chat;

    public static void main(String[] arguments) throws Exception {
        chat = URI.create(arguments[0] + "/v1/chat/completions");
        post("small", body("hello from Java", false));
        post("large", body("w".repeat(200_000), false));
        chunked();
        stream();
        cancelWaiting();
        cancelStreaming();
        post("after", body("still here", false));
    }

    private static void post(String name, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(chat).POST(BodyPublishers.ofString(body)).build();
        report(name, CLIENT.send(request, BodyHandlers.ofString()));
    }

    private static void chunked() throws Exception {
        byte[] body = body("hello in chunks", false).getBytes("UTF-8");
        HttpRequest request = HttpRequest.newBuilder(chat)
            .POST(BodyPublishers.ofInputStream(() -> new java.io.ByteArrayInputStream(body)))
            .build();
        report("chunked", CLIENT.send(request, BodyHandlers.ofString()));
    }

    private static void stream() throws Exception {
        HttpRequest request = HttpRequest.newBuilder(chat)
            .POST(BodyPublishers.ofString(body("one two three", true))).build();
        List<String> lines = CLIENT.send(request, BodyHandlers.ofLines()).body()
            .filter(line -> !line.isEmpty()).collect(Collectors.toList());
        System.out.println("stream " + lines.size() + " " + lines.get(lines.size() - 1));
    }

    /** The way to bound a call on JDK 17: wait for so long, then cancel, which hangs up. */
    private static void cancelWaiting() throws Exception {
        HttpRequest request = HttpRequest.newBuilder(chat)
            .header("X-Request-Id", "cancelled-waiting")
            .POST(BodyPublishers.ofString(body("word ".repeat(4000), false))).build();
        CompletableFuture<HttpResponse<String>> answer =
            CLIENT.sendAsync(request, BodyHandlers.ofString());
        try {
            answer.get(500, TimeUnit.MILLISECONDS);
            System.out.println("waiting answered");
        } catch (TimeoutException expected) {
            System.out.println("waiting cancelled " + answer.cancel(true));
        }
    }

    private static void cancelStreaming() throws Exception {
        HttpRequest request = HttpRequest.newBuilder(chat)
            .header("X-Request-Id", "cancelled-streaming")
            .POST(BodyPublishers.ofString(body("word ".repeat(4000), true))).build();
        try (InputStream events = CLIENT.send(request, BodyHandlers.ofInputStream()).body()) {
            System.out.println("streaming cancelled after " + (events.read() >= 0 ? "an event" : "nothing"));
        }
    }

    private static String body(String text, boolean stream) {
        return "{\"model\":\"echo\",\"stream\":" + stream
            + ",\"messages\":[{\"role\":\"user\",\"content\":\"" + text.trim() + "\"}]}";
    }

    private static void report(String name, HttpResponse<String> answer) {
        System.out.println(name + " " + answer.statusCode() + " " + answer.version() + " "
            + answer.body().length());
    }
}
