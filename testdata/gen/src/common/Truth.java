import java.util.*;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.*;
import org.apache.flink.runtime.jobgraph.*;
import org.apache.flink.streaming.api.datastream.*;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Which operators the job has, and what each is known to hold. */
final class Truth {
    final Map<String, String> uids = new LinkedHashMap<>();
    final Map<String, Integer> sourceSplits = new LinkedHashMap<>();
    final Map<String, Long> splitGoals = new LinkedHashMap<>();

    /** Operators that end before the last snapshot: all subtasks ("full") or some ("partial"). */
    final Map<String, String> fate = new HashMap<>();

    void op(String name, String uid) { uids.put(name, uid); }

    DataStream<Zoo.Evt> source(StreamExecutionEnvironment env, PlanSource s, String name, String uid, int parallelism) {
        SingleOutputStreamOperator<Zoo.Evt> d = env.fromSource(s, WatermarkStrategy.noWatermarks(), name, Types.POJO(Zoo.Evt.class)).setParallelism(parallelism);
        if (uid != null) d.uid(uid);
        uids.put("Source: " + name, uid);
        sourceSplits.put("Source: " + name, s.splits);
        if (!s.bounded) for (int i = 0; i < s.splits; i++) splitGoals.put(name + "-split-" + i, s.stride);
        return d;
    }

    boolean emitted() {
        for (Map.Entry<String, Long> e : splitGoals.entrySet())
            if (Board.EMITTED.getOrDefault(e.getKey(), -1L) < Board.LIMIT / e.getValue() * e.getValue()) return false;
        return true;
    }

    static int defaultMaxParallelism(int p) {
        int x = p + p / 2, r = 1;
        while (r < x) r <<= 1;
        return Math.min(Math.max(r, 128), 32768);
    }

    List<Object> operators(JobGraph g, Job job) throws Exception {
        List<Object> out = new ArrayList<>();
        for (JobVertex v : g.getVerticesSortedTopologicallyFromSources()) {
            String name = v.getName();
            String uid = uids.get(name);
            int max = v.getMaxParallelism() > 0 ? v.getMaxParallelism() : defaultMaxParallelism(v.getParallelism());
            Map<String, Object> o = Json.obj("name", name, "uid", uid, "id", v.getOperatorIDs().get(0).getGeneratedOperatorID().toString(),
                    "parallelism", v.getParallelism(), "max_parallelism", max);
            List<Object> keyed = new ArrayList<>(), timers = new ArrayList<>(), opStates = new ArrayList<>(), broadcast = new ArrayList<>();
            o.put("keyed_states", keyed);
            o.put("timers", timers);
            o.put("operator_states", opStates);
            o.put("broadcast_states", broadcast);
            o.put("coordinator_state", sourceSplits.containsKey(name));
            if (sourceSplits.containsKey(name))
                opStates.add(Json.obj("name", "SourceReaderState", "mode", "SPLIT_DISTRIBUTE", "elements", sourceSplits.get(name)));
            Board.Op op = Board.OPS.get(name);
            if (op != null) {
                for (Board.StateShadow s : op.states.values()) keyed.add(s.slot.truth(op, s));
                if (op.keyType != null) {
                    timers.add(Json.obj("name", "_timer_state/event_user-timers", "domain", "event", "count", (long) op.eventTimers.size()));
                    timers.add(Json.obj("name", "_timer_state/processing_user-timers", "domain", "processing", "count", (long) op.procTimers.size()));
                }
                for (String s : op.opModes.keySet()) opStates.add(Json.obj("name", s, "mode", op.opModes.get(s), "elements", op.opElements.get(s)));
                for (Map.Entry<String, Map<Object, Object>> b : op.broadcast.entrySet()) {
                    Object first = b.getValue().keySet().stream().map(String::valueOf).sorted().findFirst().orElse(null);
                    broadcast.add(Json.obj("name", b.getKey(), "entries", b.getValue().size(), "first_key", first));
                }
            }
            if (fate.containsKey(name)) {
                o.put("ends", fate.get(name));
                o.put("partly_known", true);
            }
            job.extraTruth(name, Board.LIMIT, o);
            out.add(o);
        }
        return out;
    }
}
