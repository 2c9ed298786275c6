package canteen.client;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON as plain Java values: {@code Map}, {@code List}, {@code String}, {@code Boolean}, null, and
 * of numbers {@code Long}, {@code Double}, or {@code BigDecimal} for whole ones beyond a long.
 */
public final class Json {
    private static final int MOST_LEVELS = 200;

    private final String text;
    private int at;
    private int level;

    private Json(String text) {
        this.text = text;
    }

    /**
     * Reads one JSON value.
     *
     * @param text the whole of it
     * @return the value; objects keep the order of their keys
     * @throws IllegalArgumentException if the text is no JSON, with the place where it ceases to be
     */
    public static Object read(String text) {
        Json reader = new Json(text);
        Object value = reader.value();
        reader.space();
        if (reader.at < text.length()) {
            throw reader.unexpected();
        }
        return value;
    }

    /**
     * Writes a value as JSON on one line.
     *
     * @param value what {@link #read} gives, or any {@code Map}, {@code Collection}, {@code Number}
     *     or {@code CharSequence}
     * @return its JSON
     * @throws IllegalArgumentException if there is no JSON for it
     */
    public static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value instanceof CharSequence text) {
            quote(text, out);
        } else if (value instanceof Map<?, ?> map) {
            out.append('{');
            map.forEach((key, item) -> {
                separate(out, '{');
                quote(String.valueOf(key), out);
                write(item, out.append(':'));
            });
            out.append('}');
        } else if (value instanceof Collection<?> items) {
            out.append('[');
            for (Object item : items) {
                separate(out, '[');
                write(item, out);
            }
            out.append(']');
        } else if (value == null || value instanceof Boolean || isFinite(value)) {
            out.append(value);
        } else {
            throw new IllegalArgumentException("there is no JSON for " + value.getClass() + " " + value);
        }
    }

    private static void separate(StringBuilder out, char opening) {
        if (out.charAt(out.length() - 1) != opening) {
            out.append(',');
        }
    }

    private static boolean isFinite(Object value) {
        return value instanceof Number number
            && (!(value instanceof Double || value instanceof Float)
                || Double.isFinite(number.doubleValue()));
    }

    private static void quote(CharSequence text, StringBuilder out) {
        out.append('"');
        for (int place = 0; place < text.length(); place++) {
            char one = text.charAt(place);
            if (one == '"' || one == '\\') {
                out.append('\\').append(one);
            } else if (one < ' ' || one == '\u2028' || one == '\u2029' || isAlone(text, place)) {
                out.append(String.format("\\u%04x", (int) one));
            } else {
                out.append(one);
            }
        }
        out.append('"');
    }

    /** Half a surrogate pair has no UTF-8, so it goes as an escape. */
    private static boolean isAlone(CharSequence text, int place) {
        char one = text.charAt(place);
        if (Character.isHighSurrogate(one)) {
            return place + 1 == text.length() || !Character.isLowSurrogate(text.charAt(place + 1));
        }
        return Character.isLowSurrogate(one)
            && (place == 0 || !Character.isHighSurrogate(text.charAt(place - 1)));
    }

    private Object value() {
        space();
        switch (peek()) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            default:
                return number();
        }
    }

    private Map<String, Object> object() {
        Map<String, Object> map = new LinkedHashMap<>();
        enter();
        if (!ends('}')) {
            do {
                space();
                String key = string();
                space();
                expect(':');
                map.put(key, value());
            } while (goesOn('}'));
        }
        level--;
        return map;
    }

    private List<Object> array() {
        List<Object> items = new ArrayList<>();
        enter();
        if (!ends(']')) {
            do {
                items.add(value());
            } while (goesOn(']'));
        }
        level--;
        return items;
    }

    private void enter() {
        at++;
        if (++level > MOST_LEVELS) {
            throw new IllegalArgumentException("JSON of more than " + MOST_LEVELS + " levels");
        }
    }

    private boolean ends(char closing) {
        space();
        if (peek() != closing) {
            return false;
        }
        at++;
        return true;
    }

    private boolean goesOn(char closing) {
        if (ends(closing)) {
            return false;
        }
        expect(',');
        return true;
    }

    private String string() {
        expect('"');
        StringBuilder out = new StringBuilder();
        while (peek() != '"') {
            char one = text.charAt(at++);
            if (one < ' ') {
                at--;
                throw unexpected();
            }
            out.append(one == '\\' ? escaped() : one);
        }
        at++;
        return out.toString();
    }

    private char escaped() {
        char kind = peek();
        at++;
        if (kind == 'u') {
            return unit();
        }
        int place = "\"\\/bfnrt".indexOf(kind);
        if (place < 0) {
            at--;
            throw unexpected();
        }
        return "\"\\/\b\f\n\r\t".charAt(place);
    }

    private char unit() {
        int unit = 0;
        for (int end = at + 4; at < end; at++) {
            int digit = Character.digit(peek(), 16);
            if (digit < 0 || peek() > 'f') {
                throw unexpected();
            }
            unit = unit * 16 + digit;
        }
        return (char) unit;
    }

    private Number number() {
        int start = at;
        skip('-');
        boolean isZero = peek() == '0';
        int digits = digits();
        if (isZero && digits > 1) {
            throw new IllegalArgumentException("a number begins with 0 at " + start);
        }
        boolean isWhole = true;
        if (skip('.')) {
            isWhole = false;
            digits();
        }
        if (skip('e') || skip('E')) {
            isWhole = false;
            if (!skip('-')) {
                skip('+');
            }
            digits();
        }
        String written = text.substring(start, at);
        if (!isWhole) {
            return Double.valueOf(written);
        }
        return digits < 19 ? (Number) Long.valueOf(written) : narrowed(new BigDecimal(written));
    }

    private static Number narrowed(BigDecimal whole) {
        return whole.toBigInteger().bitLength() < Long.SIZE ? (Number) whole.longValue() : whole;
    }

    private int digits() {
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        if (at == start) {
            throw unexpected();
        }
        return at - start;
    }

    private boolean skip(char wanted) {
        boolean isThere = at < text.length() && text.charAt(at) == wanted;
        at += isThere ? 1 : 0;
        return isThere;
    }

    private Object word(String word, Object meaning) {
        if (!text.startsWith(word, at)) {
            throw unexpected();
        }
        at += word.length();
        return meaning;
    }

    private void expect(char wanted) {
        if (!skip(wanted)) {
            throw unexpected();
        }
    }

    private char peek() {
        if (at >= text.length()) {
            throw unexpected();
        }
        return text.charAt(at);
    }

    private void space() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
    }

    private IllegalArgumentException unexpected() {
        String met = at < text.length() ? "'" + text.charAt(at) + "'" : "its end";
        return new IllegalArgumentException("no JSON: " + met + " at " + at);
    }
}
