/**
 * A client of Canteen for JDK 17, without dependencies.
 *
 * <p>{@link canteen.client.Canteen} is the way in. Answers come as {@link canteen.client.Answer},
 * each with its {@link canteen.client.Receipt}; what goes wrong is a
 * {@link canteen.client.CanteenException}, whose few kinds say what to do.
 */
package canteen.client;
