package shop;

import java.util.Collection;
import java.util.Map;
import java.util.stream.Collectors;

/** The desk as a page for people. */
final class Page {
    private static final String HEAD = """
        <!doctype html><html lang="en"><meta charset="utf-8"><title>The desk</title>
        <style>body{font:16px sans-serif;max-width:50em;margin:2em auto}
        article{border-top:1px solid;padding:1em 0}small{color:#555}</style>
        <h1>The desk</h1>
        <form><textarea name="text" rows="4" cols="60">Where is my order ORD-20417?</textarea>
        <p><button>Send</button></p></form>
        <script>
        document.forms[0].onsubmit = async event => {
          event.preventDefault();
          await fetch("/messages", {method: "POST",
            body: JSON.stringify({text: event.target.text.value})});
          location.reload();
        };
        </script>
        """;

    private Page() {}

    static String of(Collection<Ticket> tickets) {
        return HEAD + tickets.stream().map(Page::article).collect(Collectors.joining());
    }

    private static String article(Ticket ticket) {
        String kind = ticket.kind() == null ? "" : ", " + ticket.kind().name().toLowerCase();
        String receipts = ticket.receipts().entrySet().stream()
            .map(one -> "<li>" + one.getKey() + ": " + line(Receipts.told(one.getValue())))
            .collect(Collectors.joining());
        return "<article><p>" + escaped(ticket.message().text()) + "<p><b>"
            + ticket.state().name().toLowerCase() + kind + "</b> " + escaped(ticket.reason())
            + "<blockquote>" + escaped(ticket.draft()) + "</blockquote><small><ul>" + receipts
            + "</ul></small></article>";
    }

    private static String line(Map<String, Object> receipt) {
        return escaped(receipt.get("energy") + ", " + receipt.get("water") + " of water, "
            + receipt.get("carbon") + " of CO2e, " + receipt.get("cost") + " by "
            + receipt.get("model"));
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace("\"", "&quot;");
    }
}
