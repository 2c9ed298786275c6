package shop;

import canteen.client.Receipt;
import java.util.Optional;

/** A result of language work, and what it took; some takes no model. */
public record Told<T>(T value, Optional<Receipt> receipt) {}
