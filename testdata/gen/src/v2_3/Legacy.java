import org.apache.flink.streaming.api.datastream.DataStream;

/** Connectors from before FLIP-27: there are none for 2.x. */
final class Legacy {
    private Legacy() {}
    static void attach(DataStream<String> in, Truth truth) {}
}
