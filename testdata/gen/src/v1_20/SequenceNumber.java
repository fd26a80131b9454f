package org.apache.flink.streaming.connectors.kinesis.model;

/** Stands in for the connector's class of this name: the same fields, of which the last is a hash of the others. */
public class SequenceNumber implements java.io.Serializable {
    private final String sequenceNumber;
    private final long subSequenceNumber;
    private final int cachedHash;

    public SequenceNumber(String sequenceNumber, long subSequenceNumber) {
        this.sequenceNumber = sequenceNumber;
        this.subSequenceNumber = subSequenceNumber;
        cachedHash = 37 * (sequenceNumber.hashCode() + Long.hashCode(subSequenceNumber));
    }
}
