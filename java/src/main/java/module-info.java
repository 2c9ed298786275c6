/** A client of Canteen that needs nothing but the JDK. */
module canteen.client {
    requires transitive java.net.http;

    exports canteen.client;
}
