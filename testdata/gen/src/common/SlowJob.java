import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.*;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.state.*;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** A slow operator behind a fast source: with unaligned checkpoints, the records in between are state. */
final class SlowJob implements Job {
    /** How many records the slow operator had seen when it was snapshot, by an id no two subtasks share. */
    static final Map<Object, Long> SEEN = new ConcurrentHashMap<>();

    public void build(StreamExecutionEnvironment env, Map<String, String> args, Truth truth) {
        DataStream<Zoo.Evt> events = truth.source(env, new PlanSource("events", 1, false, 1), "events", "events-src-uid", 1);
        events.rebalance().map(new Slow()).returns(Types.LONG).name("slow").uid("slow-uid");
        truth.op("slow", "slow-uid");
    }

    static final class Slow extends RichMapFunction<Zoo.Evt, Long> implements CheckpointedFunction {
        transient ListState<Long> seen;
        transient long n;
        public void initializeState(FunctionInitializationContext c) throws Exception {
            seen = c.getOperatorStateStore().getListState(new ListStateDescriptor<>("seen", Types.LONG));
        }
        public void snapshotState(FunctionSnapshotContext c) throws Exception {
            seen.clear();
            seen.add(n);
            SEEN.put(this, n);
        }
        public Long map(Zoo.Evt e) throws Exception {
            Thread.sleep(5);
            return n++;
        }
    }

    public void extraTruth(String op, long limit, Map<String, Object> o) {
        if (!op.equals("slow")) return;
        long n = 0;
        for (long x : SEEN.values()) n += x;
        o.put("operator_states", Collections.singletonList(Json.obj("name", "seen", "mode", "SPLIT_DISTRIBUTE", "elements", SEEN.size(), "sum", n)));
        o.put("records_in_flight", limit - n);
    }
}
