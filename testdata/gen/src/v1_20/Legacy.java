import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.*;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.typeutils.runtime.TupleSerializer;
import org.apache.flink.api.java.typeutils.runtime.kryo.KryoSerializer;
import org.apache.flink.runtime.state.*;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.connectors.kafka.internals.KafkaTopicPartition;
import org.apache.flink.streaming.connectors.kinesis.model.*;

/** States as FlinkKafkaConsumer and FlinkKinesisConsumer register them, with Flink's own serializers; the connectors themselves are not on this class path. */
final class Legacy {
    private Legacy() {}

    static void attach(DataStream<String> in, Truth truth) {
        in.map(new Kafka()).name("kafka-consumer").uid("kafka-consumer-uid");
        in.map(new Kinesis()).name("kinesis-consumer").uid("kinesis-consumer-uid");
        truth.op("kafka-consumer", "kafka-consumer-uid");
        truth.op("kinesis-consumer", "kinesis-consumer-uid");
    }

    @SuppressWarnings("unchecked")
    private static <A, B> ListStateDescriptor<Tuple2<A, B>> descriptor(String name, TypeSerializer<A> a, TypeSerializer<B> b) {
        return new ListStateDescriptor<>(name, new TupleSerializer<>((Class<Tuple2<A, B>>) (Class<?>) Tuple2.class, new TypeSerializer<?>[] {a, b}));
    }

    static final class Kafka extends RichMapFunction<String, String> implements CheckpointedFunction {
        transient ListState<Tuple2<KafkaTopicPartition, Long>> state;

        public String map(String s) { return s; }

        public void snapshotState(FunctionSnapshotContext c) throws Exception {
            state.clear();
            for (int i = 0; i < 3; i++) state.add(Tuple2.of(new KafkaTopicPartition("orders", i), 1000L * i));
            state.add(Tuple2.of(new KafkaTopicPartition("p", 0), -915623761775L));
        }

        public void initializeState(FunctionInitializationContext c) throws Exception {
            state = c.getOperatorStateStore().getUnionListState(descriptor("topic-partition-offset-states",
                    new KryoSerializer<>(KafkaTopicPartition.class, new ExecutionConfig()), LongSerializer.INSTANCE));
        }
    }

    static final class Kinesis extends RichMapFunction<String, String> implements CheckpointedFunction {
        transient ListState<Tuple2<StreamShardMetadata, SequenceNumber>> state;

        public String map(String s) { return s; }

        public void snapshotState(FunctionSnapshotContext c) throws Exception {
            state.clear();
            for (int i = 0; i < 2; i++) {
                StreamShardMetadata shard = new StreamShardMetadata();
                shard.streamName = "clicks";
                shard.shardId = "shardId-00000000000" + i;
                shard.startingSequenceNumber = "495";
                state.add(Tuple2.of(shard, i == 0 ? new SequenceNumber("SENTINEL_TRIM_HORIZON", -1) : new SequenceNumber("49590338271490256608559692538361571095921575989136588898", 7)));
            }
        }

        public void initializeState(FunctionInitializationContext c) throws Exception {
            ExecutionConfig config = new ExecutionConfig();
            state = c.getOperatorStateStore().getUnionListState(descriptor("Kinesis-Stream-Shard-State",
                    TypeInformation.of(StreamShardMetadata.class).createSerializer(config), new KryoSerializer<>(SequenceNumber.class, config)));
        }
    }
}
