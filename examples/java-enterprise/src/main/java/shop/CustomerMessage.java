package shop;

/** What a customer wrote. The same id is the same message, however often it is delivered. */
public record CustomerMessage(String id, String from, String text) {}
