package shop;

import static canteen.testing.Tests.equal;
import static canteen.testing.Tests.thrown;

import canteen.client.Canteen;
import canteen.client.CanteenException.InvalidRequest;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;

/** Against a service that answers with the status it is told to. */
public class BreakerTest implements AutoCloseable {
    private final HttpServer service =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    private final Canteen canteen;
    private final Breaker breaker = new Breaker(2, Duration.ofSeconds(10), () -> nowNanos());
    private int status = 200;
    private String retryAfter = "";
    private int asked;
    private long nowS;

    public BreakerTest() throws IOException {
        service.createContext("/", exchange -> {
            asked++;
            byte[] body = "{\"sums\": []}".getBytes();
            if (!retryAfter.isEmpty()) {
                exchange.getResponseHeaders().set("Retry-After", retryAfter);
            }
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        service.start();
        String url = "http://127.0.0.1:" + service.getAddress().getPort();
        canteen = Canteen.builder(url).attempts(1).build();
    }

    @Override
    public void close() {
        canteen.close();
        service.stop(0);
    }

    private long nowNanos() {
        return Duration.ofSeconds(nowS).toNanos();
    }

    private void call() {
        breaker.call(() -> canteen.footprintBy("model"));
    }

    private void failTwice() {
        status = 503;
        thrown(Language.NotNow.class, this::call);
        thrown(Language.NotNow.class, this::call);
    }

    public void opensAfterFailuresInARowAndAsksNoMore() {
        failTwice();

        equal(Breaker.State.OPEN, breaker.state());
        thrown(Language.NotNow.class, this::call);
        equal(2, asked);
    }

    public void aSuccessBetweenStartsTheCountAnew() {
        status = 500;
        thrown(Language.NotNow.class, this::call);
        status = 200;
        call();
        status = 500;
        thrown(Language.NotNow.class, this::call);

        equal(Breaker.State.CLOSED, breaker.state());
    }

    public void closesWhenTheTrialSucceeds() {
        failTwice();
        nowS = 10;
        status = 200;

        call();

        equal(Breaker.State.CLOSED, breaker.state());
    }

    public void opensAgainWhenTheTrialFails() {
        failTwice();
        nowS = 10;

        thrown(Language.NotNow.class, this::call);
        thrown(Language.NotNow.class, this::call);

        equal(Breaker.State.OPEN, breaker.state());
        equal(3, asked);
    }

    public void restsAsLongAsTheServiceAsks() {
        retryAfter = "40";
        failTwice();
        nowS = 39;
        thrown(Language.NotNow.class, this::call);
        equal(2, asked);

        nowS = 40;
        status = 200;
        call();

        equal(3, asked);
    }

    public void askingTooMuchOpensNothing() {
        status = 429;
        for (int call = 0; call < 5; call++) {
            thrown(Language.NotNow.class, this::call);
        }

        equal(Breaker.State.CLOSED, breaker.state());
        equal(5, asked);
    }

    public void whereAQuotaIsGoneOrAKeyIsWrongTheMessageWaits() {
        for (int refusal : List.of(401, 403, 429)) {
            status = refusal;
            thrown(Language.NotNow.class, this::call);
        }

        equal(Breaker.State.CLOSED, breaker.state());
    }

    public void aWrongRequestOpensNothingAndStaysWhatItIs() {
        status = 400;
        for (int call = 0; call < 3; call++) {
            thrown(InvalidRequest.class, this::call);
        }

        equal(Breaker.State.CLOSED, breaker.state());
    }

    public void whatIsNoAnswerOfTheServiceLeavesTheTrialOpenToOthers() {
        failTwice();
        nowS = 10;
        thrown(IllegalStateException.class, () -> breaker.call(() -> {
            throw new IllegalStateException("ours");
        }));
        status = 200;

        nowS = 20;
        call();

        equal(Breaker.State.CLOSED, breaker.state());
    }
}
