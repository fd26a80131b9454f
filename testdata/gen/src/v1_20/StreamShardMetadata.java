package org.apache.flink.streaming.connectors.kinesis.model;

/** Stands in for the connector's class of this name: a POJO with the same properties. */
public class StreamShardMetadata implements java.io.Serializable {
    public String streamName, shardId, parentShardId, adjacentParentShardId, startingHashKeyRange, endingHashKeyRange, startingSequenceNumber, endingSequenceNumber;
}
