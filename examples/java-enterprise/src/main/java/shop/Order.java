package shop;

/** An order, as the shop's own database has it. */
public record Order(String number, String item, String state) {
    String line() {
        return "Order " + number + " (" + item + ") is " + state + ".";
    }
}
