import java.util.*;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.*;
import org.apache.flink.api.common.state.*;
import org.apache.flink.api.common.typeinfo.*;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.tuple.*;
import org.apache.flink.api.java.typeutils.GenericTypeInfo;
import org.apache.flink.runtime.state.*;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.*;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.co.BroadcastProcessFunction;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;

/** Every kind of keyed and operator state. Profiles: zoo (all of it), mid, mini. */
final class StateZoo implements Job {
    static final long FAR = 4_102_444_800_000L;
    static final long TUMBLE = 600_000, GAP = 3_000;
    static final int KEYS = 60;

    public void build(StreamExecutionEnvironment env, Map<String, String> args, Truth truth) {
        String profile = args.getOrDefault("profile", "mid");
        boolean zoo = profile.equals("zoo"), mini = profile.equals("mini");
        int p = Integer.parseInt(args.getOrDefault("parallelism", "2"));

        DataStream<Zoo.Evt> events = truth.source(env, new PlanSource("events", 1, false, 1), "events", "events-src-uid", 1);
        DataStream<Zoo.Evt> rules = truth.source(env, new PlanSource("rules", 3, false, 30), "rules", null, p);
        events.map(new Plain()).returns(Types.LONG).name("stateless");
        truth.op("stateless", null);
        if (args.containsKey("finishing")) {
            DataStream<Zoo.Evt> ends = truth.source(env, new PlanSource("ending", 2, true, 10), "ending", "ending-src-uid", p);
            ends.map(new Lists("ending-lists")).returns(Types.LONG).name("ending-lists").uid("ending-lists-uid");
            truth.op("ending-lists", "ending-lists-uid");
            truth.fate.put("Source: ending", "full");
            truth.fate.put("ending-lists", "full");
            // Here only the subtask that reads split 0 ends.
            truth.source(env, new PlanSource("half", 2, true, 10), "half", "half-src-uid", 2).map(new Plain()).returns(Types.LONG).name("half-out").setParallelism(2);
            truth.op("half-out", null);
            truth.fate.put("Source: half", "partial");
            truth.fate.put("half-out", "partial");
        }

        keyed(events, truth, "by-string", "by-string-uid", mini ? "mini" : "mid-a", "string", 0);
        if (!mini) {
            keyed(events, truth, "by-long", "by-long-uid", zoo ? "all-b" : "mid-b", "long", zoo ? 1 : 0);
        }
        if (zoo) {
            keyed(events, truth, "by-tuple", null, "few", "tuple", 1);
            keyed(events, truth, "by-pojo", "by-pojo-uid", "two", "pojo", 1);
            keyed(events, truth, "by-kryo", null, "two", "kryo", 1);
        }
        events.map(new Lists("op-lists")).returns(Types.LONG).name("op-lists").uid("op-lists-uid");
        truth.op("op-lists", "op-lists-uid");

        KeyedStream<Zoo.Evt, Object> byString = keyBy(events, "string");
        byString.window(Compat.tumbling(TUMBLE)).aggregate(new SumOfN(), Types.TUPLE(Types.LONG, Types.LONG), Types.LONG).name("tumbling").uid("tumbling-uid");
        truth.op("tumbling", "tumbling-uid");
        if (!mini) {
            byString.window(Compat.session(GAP)).reduce(new AddUp()).name("sessions").uid("sessions-uid").setParallelism(1);
            truth.op("sessions", "sessions-uid");
            events.connect(rules.broadcast(Rules.ACCOUNTS, Rules.TEXTS)).process(new Rules()).returns(Types.LONG).name("broadcast").uid("broadcast-uid");
            truth.op("broadcast", "broadcast-uid");
        } else {
            rules.map(new Plain()).returns(Types.LONG).name("stateless-2");
            truth.op("stateless-2", null);
        }
        if (zoo) {
            keyBy(events, "long").window(Compat.tumbling(TUMBLE)).process(new Keep()).returns(Types.LONG).name("tumbling-list").setParallelism(1);
            truth.op("tumbling-list", null);
        }
    }

    // ---- keyed ---------------------------------------------------------------------------------

    static final class Key implements KeySelector<Zoo.Evt, Object> {
        final String kind;
        Key(String kind) { this.kind = kind; }
        public Object getKey(Zoo.Evt e) {
            int i = Zoo.keyIndex(e.n, KEYS);
            switch (kind) {
                case "string": return Zoo.strKey(i);
                case "long": return Zoo.longKey(i);
                case "tuple": return Tuple2.of(Zoo.strKey(i % 9), i);
                case "pojo": return new Zoo.KeyPojo(i % 4, "name-" + i);
                default: return new Zoo.KryoKey("kk-" + i % 10, i);
            }
        }
    }

    static final Map<String, String> KEY_TYPES = new HashMap<>();
    static {
        KEY_TYPES.put("string", "String");
        KEY_TYPES.put("long", "Long");
        KEY_TYPES.put("tuple", "Tuple2<String, Integer>");
        KEY_TYPES.put("pojo", "KeyPojo");
        KEY_TYPES.put("kryo", "KryoKey");
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static KeyedStream<Zoo.Evt, Object> keyBy(DataStream<Zoo.Evt> s, String kind) {
        TypeInformation t;
        switch (kind) {
            case "string": t = Types.STRING; break;
            case "long": t = Types.LONG; break;
            case "tuple": t = Types.TUPLE(Types.STRING, Types.INT); break;
            case "pojo": t = Types.POJO(Zoo.KeyPojo.class); break;
            default: t = new GenericTypeInfo<>(Zoo.KryoKey.class);
        }
        return s.keyBy(new Key(kind), (TypeInformation<Object>) t);
    }

    /** Parallelism 0: the job's own. */
    static void keyed(DataStream<Zoo.Evt> events, Truth truth, String name, String uid, String set, String key, int parallelism) {
        SingleOutputStreamOperator<Long> o = keyBy(events, key).process(new Keyed(name, set, key)).returns(Types.LONG).name(name);
        if (parallelism > 0) o.setParallelism(parallelism);
        if (uid != null) o.uid(uid);
        truth.op(name, uid);
        Board.op(name).keyType = KEY_TYPES.get(key);
        Board.op(name).keyKryo = key.equals("kryo");
    }

    static final class Keyed extends KeyedProcessFunction<Object, Zoo.Evt, Long> implements CheckpointedFunction {
        final String name, set, key;
        transient List<Slot> slots;
        Keyed(String name, String set, String key) { this.name = name; this.set = set; this.key = key; }

        public void initializeState(FunctionInitializationContext c) {
            slots = Slot.make(set);
            for (Slot s : slots) s.register(c.getKeyedStateStore(), name);
        }
        public void snapshotState(FunctionSnapshotContext c) {}

        public void processElement(Zoo.Evt e, Context ctx, Collector<Long> out) throws Exception {
            Object k = new Key(key).getKey(e);
            int i = 0;
            for (Slot s : slots) if ((e.n + i++) % 3 == 0) s.apply(k, e.n);
            Board.Op op = Board.op(name);
            if (e.n % 5 == 0) {
                long ts = FAR + e.n;
                ctx.timerService().registerEventTimeTimer(ts);
                op.eventTimers.add(Arrays.asList(k, ts));
            }
            if (e.n % 35 == 0) {
                long ts = -1 - e.n % 10;
                ctx.timerService().registerEventTimeTimer(ts);
                op.eventTimers.add(Arrays.asList(k, ts));
            }
            if (e.n % 7 == 0) {
                long ts = FAR + e.n % 50;
                ctx.timerService().registerProcessingTimeTimer(ts);
                op.procTimers.add(Arrays.asList(k, ts));
            }
            if (e.n % 40 == 20) {
                ctx.timerService().deleteEventTimeTimer(FAR + e.n);
                op.eventTimers.remove(Arrays.asList(k, FAR + e.n));
            }
        }
        @Override public void onTimer(long ts, OnTimerContext ctx, Collector<Long> out) { throw new IllegalStateException("a timer fired: " + ts); }
    }

    // ---- the rest ------------------------------------------------------------------------------

    static final class Plain implements MapFunction<Zoo.Evt, Long> { public Long map(Zoo.Evt e) { return e.n; } }

    static final class SumOfN implements AggregateFunction<Zoo.Evt, Tuple2<Long, Long>, Long> {
        public Tuple2<Long, Long> createAccumulator() { return Tuple2.of(0L, 0L); }
        public Tuple2<Long, Long> add(Zoo.Evt v, Tuple2<Long, Long> a) { return Tuple2.of(a.f0 + v.n, a.f1 + 1); }
        public Long getResult(Tuple2<Long, Long> a) { return a.f0; }
        public Tuple2<Long, Long> merge(Tuple2<Long, Long> a, Tuple2<Long, Long> b) { return Tuple2.of(a.f0 + b.f0, a.f1 + b.f1); }
    }

    static final class AddUp implements ReduceFunction<Zoo.Evt> {
        public Zoo.Evt reduce(Zoo.Evt a, Zoo.Evt b) { return new Zoo.Evt(a.n + b.n, Math.max(a.ts, b.ts)); }
    }

    static final class Keep extends ProcessWindowFunction<Zoo.Evt, Long, Object, TimeWindow> {
        public void process(Object k, Context c, Iterable<Zoo.Evt> in, Collector<Long> out) {}
    }

    static final class Lists extends RichMapFunction<Zoo.Evt, Long> implements CheckpointedFunction {
        final String name;
        transient ListState<Tuple2<Integer, String>> split;
        transient ListState<Long> union;
        Lists(String name) { this.name = name; }
        public void initializeState(FunctionInitializationContext c) throws Exception {
            split = c.getOperatorStateStore().getListState(new ListStateDescriptor<>("split-list", Types.TUPLE(Types.INT, Types.STRING)));
            union = c.getOperatorStateStore().getUnionListState(new ListStateDescriptor<>("union-list", Types.LONG));
            Board.Op op = Board.op(name);
            synchronized (op) {
                op.opModes.put("split-list", "SPLIT_DISTRIBUTE");
                op.opModes.put("union-list", "UNION");
                op.opElements.putIfAbsent("split-list", 0);
                op.opElements.putIfAbsent("union-list", 0);
                // A union list comes back whole at every subtask: one keeps it.
                if (c.isRestored() && op.opElements.getOrDefault("union-owner", 0) != 0) union.clear();
                op.opElements.put("union-owner", 1);
            }
        }
        public void snapshotState(FunctionSnapshotContext c) throws Exception { while (Board.STALL) Thread.sleep(100); }
        public Long map(Zoo.Evt e) throws Exception {
            Board.Op op = Board.op(name);
            synchronized (op) {
                if (e.n % 10 == 3) {
                    split.add(Tuple2.of((int) e.n, "split-" + e.n));
                    op.opElements.merge("split-list", 1, Integer::sum);
                }
                if (e.n % 25 == 3) {
                    union.add(e.n);
                    op.opElements.merge("union-list", 1, Integer::sum);
                }
            }
            return e.n;
        }
    }

    static final class Rules extends BroadcastProcessFunction<Zoo.Evt, Zoo.Evt, Long> {
        static final MapStateDescriptor<String, Zoo.AccountPojo> ACCOUNTS = new MapStateDescriptor<>("rules-accounts", Types.STRING, Types.POJO(Zoo.AccountPojo.class));
        static final MapStateDescriptor<Long, String> TEXTS = new MapStateDescriptor<>("rules-texts", Types.LONG, Types.STRING);
        public void processElement(Zoo.Evt e, ReadOnlyContext c, Collector<Long> out) {}
        public void processBroadcastElement(Zoo.Evt e, Context c, Collector<Long> out) throws Exception {
            Board.Op op = Board.op("broadcast");
            c.getBroadcastState(ACCOUNTS).put("rule-" + e.n, Zoo.account(e.n));
            c.getBroadcastState(TEXTS).put(e.n % 7, "text-" + e.n % 7);
            synchronized (op) {
                op.broadcast.computeIfAbsent("rules-accounts", k -> new HashMap<>()).put("rule-" + e.n, Zoo.account(e.n));
                op.broadcast.computeIfAbsent("rules-texts", k -> new HashMap<>()).put(e.n % 7, "text-" + e.n % 7);
            }
        }
    }

    // ---- windows: counted from the plan ----------------------------------------------------------

    /** What Flink's window operators must hold after events 0..limit, worked out without them. */
    public void extraTruth(String op, long limit, Map<String, Object> o) {
        String key = op.equals("tumbling-list") ? "long" : "string";
        boolean session = op.equals("sessions");
        if (!session && !op.startsWith("tumbling")) return;
        Map<Object, List<long[]>> windows = new HashMap<>();
        long sum = 0;
        for (long n = 0; n < limit; n++) {
            sum += n;
            long ts = Zoo.BASE_TS + n * 1000;
            Object k = new Key(key).getKey(new Zoo.Evt(n, ts));
            List<long[]> l = windows.computeIfAbsent(k, x -> new ArrayList<>());
            long[] last = l.isEmpty() ? null : l.get(l.size() - 1);
            if (session && last != null && ts <= last[1]) last[1] = ts + GAP;
            else if (session) l.add(new long[] {ts, ts + GAP});
            else if (last == null || last[0] != ts / TUMBLE * TUMBLE) l.add(new long[] {ts / TUMBLE * TUMBLE, ts / TUMBLE * TUMBLE + TUMBLE});
        }
        long rows = 0;
        for (List<long[]> l : windows.values()) rows += l.size();
        boolean list = op.equals("tumbling-list");
        List<Object> states = new ArrayList<>();
        states.add(Json.obj("name", "window-contents", "kind", session ? "REDUCING" : list ? "LIST" : "AGGREGATING", "ttl", false, "ttl_ms", null, "kryo", false,
                "key_type", KEY_TYPES.get(key), "namespace_type", "TimeWindow", "value_type", session ? "Evt" : list ? "List<Evt>" : "Tuple2<Long, Long>",
                "rows", rows, "entries", list ? limit : rows, "keys", (long) windows.size(), "sum", sum));
        if (session)
            states.add(Json.obj("name", "merging-window-set", "kind", "LIST", "ttl", false, "ttl_ms", null, "kryo", false, "key_type", KEY_TYPES.get(key),
                    "namespace_type", "VoidNamespace", "value_type", "List<Tuple2<TimeWindow, TimeWindow>>", "rows", (long) windows.size(), "entries", rows,
                    "keys", (long) windows.size(), "sum", null));
        o.put("keyed_states", states);
        o.put("timers", Arrays.asList(Json.obj("name", "_timer_state/event_window-timers", "domain", "event", "count", rows),
                Json.obj("name", "_timer_state/processing_window-timers", "domain", "processing", "count", 0L)));
    }
}
