import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.api.common.state.*;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.common.typeutils.base.StringSerializer;
import org.apache.flink.runtime.state.*;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.operators.*;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/** What only a hand-written operator does: namespaces of variable length (ambiguous composite keys), raw operator and raw keyed state. */
final class OddJob implements Job {
    static final Map<List<Object>, Long> VALUES = new ConcurrentHashMap<>();
    static final Map<List<Object>, List<Long>> LISTS = new ConcurrentHashMap<>();
    static final Map<List<Object>, Long> MAPS = new ConcurrentHashMap<>();

    static String namespace(long n) {
        if (n % 10 == 9) return String.join("", Collections.nCopies(300, "long-"));
        return n % 3 == 0 ? "" : "ns" + String.join("", Collections.nCopies((int) (n % 3), "-x"));
    }

    public void build(StreamExecutionEnvironment env, Map<String, String> args, Truth truth) {
        DataStream<Zoo.Evt> events = truth.source(env, new PlanSource("events", 1, false, 1), "events", "events-src-uid", 1);
        StateZoo.keyBy(events, "string").transform("odd", Types.LONG, new Odd()).uid("odd-uid");
        truth.op("odd", "odd-uid");
    }

    static final class Odd extends AbstractStreamOperator<Long> implements OneInputStreamOperator<Zoo.Evt, Long> {
        @Override protected boolean isUsingCustomRawKeyedState() { return true; }

        public void processElement(StreamRecord<Zoo.Evt> r) throws Exception {
            long n = r.getValue().n;
            Object key = getCurrentKey();
            String ns = namespace(n);
            getPartitionedState(ns, StringSerializer.INSTANCE, new ValueStateDescriptor<>("odd-value", Types.LONG)).update(n);
            VALUES.put(Arrays.asList(key, ns), n);
            getPartitionedState(ns, StringSerializer.INSTANCE, new ListStateDescriptor<>("odd-list", Types.LONG)).add(n);
            LISTS.computeIfAbsent(Arrays.asList(key, ns), k -> new ArrayList<>()).add(n);
            getPartitionedState(ns, StringSerializer.INSTANCE, new MapStateDescriptor<>("odd-map", Types.STRING, Types.LONG)).put("uk" + n % 4, n);
            MAPS.put(Arrays.asList(key, ns, "uk" + n % 4), n);
        }

        @Override public void snapshotState(StateSnapshotContext c) throws Exception {
            super.snapshotState(c);
            OperatorStateCheckpointOutputStream o = c.getRawOperatorStateOutput();
            for (int i = 0; i < 3; i++) {
                o.startNewPartition();
                o.write(("raw partition " + i).getBytes());
            }
            KeyedStateCheckpointOutputStream k = c.getRawKeyedOperatorStateOutput();
            for (int g : k.getKeyGroupList()) {
                if (g % 2 == 1) continue;
                k.startNewKeyGroup(g);
                k.write(("raw key group " + g).getBytes());
            }
        }
    }

    private static Object state(String name, String kind, String vt, long rows, long entries, long sum) {
        Set<Object> keys = new HashSet<>();
        for (List<Object> k : VALUES.keySet()) keys.add(k.get(0));
        return Json.obj("name", name, "kind", kind, "ttl", false, "ttl_ms", null, "kryo", false, "key_type", "String", "namespace_type", "String", "value_type", vt,
                "rows", rows, "entries", entries, "keys", (long) keys.size(), "sum", sum);
    }

    public void extraTruth(String op, long limit, Map<String, Object> o) {
        if (!op.equals("odd")) return;
        long v = 0, l = 0, ls = 0, m = 0;
        for (long x : VALUES.values()) v += x;
        for (List<Long> x : LISTS.values()) {
            l += x.size();
            for (long y : x) ls += y;
        }
        for (long x : MAPS.values()) m += x;
        o.put("keyed_states", Arrays.asList(state("odd-value", "VALUE", "Long", VALUES.size(), VALUES.size(), v), state("odd-list", "LIST", "List<Long>", LISTS.size(), l, ls),
                state("odd-map", "MAP", "Map<String, Long>", MAPS.size(), MAPS.size(), m)));
        o.put("raw_operator_partitions", 3L * (Integer) o.get("parallelism"));
        o.put("raw_key_groups", 64);
    }
}
