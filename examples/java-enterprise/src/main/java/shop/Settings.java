package shop;

import canteen.client.Canteen;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

/** What the environment says. */
public record Settings(int port, String canteenUrl, String model, String keyFile, Duration timeout) {
    public static Settings from(Map<String, String> environ) {
        return new Settings(
            Integer.parseInt(environ.getOrDefault("SHOP_PORT", "8080")),
            environ.getOrDefault("CANTEEN_URL", Canteen.USUAL_URL),
            environ.getOrDefault("CANTEEN_MODEL", "smollm2:135m"),
            environ.getOrDefault("CANTEEN_KEY_FILE", ""),
            Duration.ofSeconds(Long.parseLong(environ.getOrDefault("SHOP_TIMEOUT_S", "60"))));
    }

    /** A client with these settings. The key is read at each call, so it can be changed. */
    public Canteen canteen() {
        return Canteen.builder(canteenUrl).timeout(timeout).key(this::key).build();
    }

    private String key() {
        try {
            return keyFile.isEmpty() ? "" : Files.readString(Path.of(keyFile)).strip();
        } catch (IOException e) {
            throw new UncheckedIOException("CANTEEN_KEY_FILE cannot be read", e);
        }
    }
}
