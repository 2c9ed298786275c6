package canteen.client;

import canteen.client.CanteenException.BrokenAnswer;
import java.util.Map;
import java.util.Optional;
import java.util.Spliterator;
import java.util.Spliterators.AbstractSpliterator;
import java.util.function.Consumer;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/** The JSON objects of a stream of server-sent events, one by one. */
final class Events implements AutoCloseable {
    private final Pieces pieces;
    private final Deadline deadline;

    Events(Pieces pieces, Deadline deadline) {
        this.pieces = pieces;
        this.deadline = deadline;
    }

    /** All events in order; closing the stream hangs up. */
    Stream<Fields> stream() {
        int kind = Spliterator.ORDERED | Spliterator.NONNULL;
        return StreamSupport.stream(new AbstractSpliterator<Fields>(Long.MAX_VALUE, kind) {
            @Override
            public boolean tryAdvance(Consumer<? super Fields> action) {
                Optional<Fields> event = next();
                event.ifPresent(action);
                return event.isPresent();
            }
        }, false).onClose(this::close);
    }

    /**
     * The next event, or empty after the last. A stream that ends without saying so was cut, and
     * one that breaks off says why.
     */
    Optional<Fields> next() {
        boolean isError = false;
        while (true) {
            String line = pieces.line(deadline).orElseThrow(() -> new BrokenAnswer(
                "the stream was cut off: it ended without [DONE]", null));
            if (line.startsWith("event:")) {
                isError = line.substring("event:".length()).strip().equals("error");
            } else if (line.startsWith("data:")) {
                String data = line.substring("data:".length()).strip();
                if (!data.equals("[DONE]")) {
                    return Optional.of(event(data, isError));
                }
                pieces.drain(deadline);
                return Optional.empty();
            }
        }
    }

    @Override
    public void close() {
        pieces.close();
    }

    private static Fields event(String data, boolean isError) {
        Fields event = Fields.of(data);
        Map<?, ?> map = event.map();
        if (map.get("error") != null || isError) {
            throw Refusals.within(map.get("error") == null ? map : map.get("error"));
        }
        return event;
    }
}
