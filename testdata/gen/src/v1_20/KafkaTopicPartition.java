package org.apache.flink.streaming.connectors.kafka.internals;

/** Stands in for the connector's class of this name: the same fields, of which the last is a hash of the others. */
public final class KafkaTopicPartition implements java.io.Serializable {
    private final String topic;
    private final int partition;
    private final int cachedHash;

    public KafkaTopicPartition(String topic, int partition) {
        this.topic = topic;
        this.partition = partition;
        cachedHash = 31 * topic.hashCode() + partition;
    }
}
