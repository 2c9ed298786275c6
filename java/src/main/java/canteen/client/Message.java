package canteen.client;

/**
 * A part of a conversation.
 *
 * @param role system, user or assistant
 * @param content its text
 */
public record Message(String role, String content) {
    /**
     * What holds for the whole conversation.
     *
     * @param content its text
     * @return a message of the system
     */
    public static Message system(String content) {
        return new Message("system", content);
    }

    /**
     * What a person says.
     *
     * @param content its text
     * @return a message of the user
     */
    public static Message user(String content) {
        return new Message("user", content);
    }

    /**
     * What the model said before.
     *
     * @param content its text
     * @return a message of the assistant
     */
    public static Message assistant(String content) {
        return new Message("assistant", content);
    }
}
