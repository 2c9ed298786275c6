package shop;

import canteen.client.Canteen;
import canteen.client.Document;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Puts the shop together and opens it. */
public final class Main {
    private static final List<String> KNOWLEDGE =
        List.of("delivery", "returns", "warranty", "invoices");
    private static final int MOST_FAILURES = 3;
    private static final Duration REST = Duration.ofSeconds(10);
    private static final int CATCH_UP_EVERY_S = 2;
    private static final int GRACE_S = 1;

    private final CanteenLanguage language;
    private final Desk desk;
    private boolean hasLearned;

    private Main(CanteenLanguage language) {
        this.language = language;
        this.desk = new Desk(language, Orders.sample());
    }

    public static void main(String[] arguments) throws IOException {
        Settings settings = Settings.from(System.getenv());
        Canteen canteen = settings.canteen();
        Breaker breaker = new Breaker(MOST_FAILURES, REST, System::nanoTime);
        Main shop = new Main(new CanteenLanguage(canteen, settings.model(), breaker));
        Web web = new Web(settings.port(), shop.desk, shop.language, breaker::state);
        ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor();
        shop.tick();
        clock.scheduleWithFixedDelay(shop::tick, CATCH_UP_EVERY_S, CATCH_UP_EVERY_S, TimeUnit.SECONDS);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            clock.shutdownNow();
            web.stop(GRACE_S);
            canteen.close();
        }));
        web.start();
        System.out.println("the shop is open at http://127.0.0.1:" + web.port()
            + " and asks " + settings.canteenUrl());
    }

    static List<Document> knowledge() throws IOException {
        List<Document> documents = new ArrayList<>();
        for (String name : KNOWLEDGE) {
            try (InputStream in = Main.class.getResourceAsStream("/knowledge/" + name + ".md")) {
                documents.add(Document.of(
                    name, new String(in.readAllBytes(), StandardCharsets.UTF_8)));
            }
        }
        return documents;
    }

    /** What is done over and over: learn once, then catch up. */
    private void tick() {
        try {
            if (!hasLearned) {
                language.learn(knowledge());
                hasLearned = true;
            }
            desk.catchUp();
        } catch (Language.NotNow e) {
            System.err.println("the language service: " + e.getMessage());
        } catch (IOException | RuntimeException e) {
            System.err.println("catching up failed: " + e);
        }
    }
}
