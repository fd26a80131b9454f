import java.util.*;
import java.util.function.IntFunction;
import org.apache.flink.api.common.state.*;
import org.apache.flink.api.common.typeinfo.*;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.typeutils.GenericTypeInfo;
import org.apache.flink.runtime.state.*;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Tens of millions of entries: each event writes 64 of them, 48 to a map under a String key, 16 to a map with TTL under a Long key. Of 50 events, 47 write
 * new entries; 2 write those of an older event again; 1 deletes every other one of an older event's entries and clears the other states of its key.
 *
 * All is a function of the event's number, so the truth is worked out by going through the plan, without what the state calls did.
 */
final class LargeJob implements Job {
    static final int USER_ENTRIES = 48, DEVICE_ENTRIES = 16, USERS = 40_000, DEVICES = 25_000;
    static final long FAR = StateZoo.FAR, DAY = Slot.DAY;

    // ---- the plan ------------------------------------------------------------------------------

    enum What { INSERT, REWRITE, DELETE }

    static What what(long n) {
        int r = (int) (n % 50);
        return n < 50 ? What.INSERT : r == 17 || r == 42 ? What.REWRITE : r == 33 ? What.DELETE : What.INSERT;
    }

    /** The inserting event whose entries event n is about: itself, or an older one. */
    static long base(long n) {
        if (what(n) == What.INSERT) return n;
        long m = Zoo.mix(n) % n;
        while (what(m) != What.INSERT) m--;
        return m;
    }

    /** The first key gets 4 % of the events, the next nine 4 % together. */
    static int keyIndex(long base, int keys) {
        long x = Zoo.mix(base + keys), part = x % 100;
        return part < 4 ? 0 : part < 8 ? (int) (1 + x / 100 % 9) : (int) (x / 100 % keys);
    }

    static int user(long base) { return keyIndex(base, USERS); }
    static int device(long base) { return keyIndex(base, DEVICES); }
    static String userKey(int i) { return "user-" + i; }
    static long deviceKey(int i) { return 7_000_000_000L + 1_000_003L * i; }

    /** What entry j that event n wrote is made of. */
    static long chance(long n, int j) { return Zoo.mix(n * 64 + j); }

    /** A word that compresses, and two of nine characters that do not. */
    static String text(long chance) { return kind(chance) + ":" + nine(chance) + ":" + nine(Zoo.mix(chance)); }
    static int textLength(long chance) { return kind(chance).length() + 20; }
    static String kind(long chance) { return KINDS[(int) (chance % KINDS.length)]; }
    static String nine(long x) { return Long.toString(NINE + x % (35 * NINE), 36); }
    static final String[] KINDS = {"view", "click", "search", "purchase", "refund"};
    /** The smallest number of nine digits in base 36. */
    static final long NINE = 2_821_109_907_456L;

    static Reading reading(long n, int j) {
        long x = chance(n, USER_ENTRIES + j);
        Reading r = new Reading();
        r.at = Zoo.BASE_TS + n * 1000 + j;
        r.celsius = x % 600 / 10.0 - 20;
        r.battery = battery(x);
        r.quality = x % 10 == 0 ? null : "q" + x % 3;
        return r;
    }
    static int battery(long chance) { return (int) (chance / 1000 % 101); }

    public static class Reading implements Zoo.Pojo {
        public long at;
        public double celsius;
        public int battery;
        public String quality;
        public Reading() {}
    }

    static boolean eventTimer(long base) { return base % 10 == 3; }
    static boolean processingTimer(long base) { return base % 25 == 4; }
    static boolean thing(long base) { return base % 10 == 6; }

    // ---- the job -------------------------------------------------------------------------------

    public void build(StreamExecutionEnvironment env, Map<String, String> args, Truth truth) {
        DataStream<Zoo.Evt> events = truth.source(env, new PlanSource("events", 1, false, 1), "events", "events-src-uid", 1);
        KeySelector<Zoo.Evt, String> users = e -> userKey(user(base(e.n)));
        events.keyBy(users, Types.STRING).process(new ByUser()).returns(Types.LONG).name("by-user").uid("by-user-uid");
        truth.op("by-user", "by-user-uid");
        KeySelector<Zoo.Evt, Long> devices = e -> deviceKey(device(base(e.n)));
        events.keyBy(devices, Types.LONG).process(new ByDevice()).returns(Types.LONG).name("by-device").uid("by-device-uid");
        truth.op("by-device", "by-device-uid");
    }

    static <D extends StateDescriptor<?, ?>> D ttl(D d, long ms) {
        d.enableTimeToLive(Compat.ttl(ms));
        return d;
    }

    static final class ByUser extends KeyedProcessFunction<String, Zoo.Evt, Long> implements CheckpointedFunction {
        transient MapState<Long, String> actions;
        transient ValueState<Zoo.AccountPojo> profile;
        transient ListState<Long> recent;

        public void initializeState(FunctionInitializationContext c) throws Exception {
            KeyedStateStore s = c.getKeyedStateStore();
            actions = s.getMapState(new MapStateDescriptor<>("actions", Types.LONG, Types.STRING));
            profile = s.getState(ttl(new ValueStateDescriptor<>("profile_ttl", Types.POJO(Zoo.AccountPojo.class)), 30 * DAY));
            recent = s.getListState(new ListStateDescriptor<>("recent", Types.LONG));
        }
        public void snapshotState(FunctionSnapshotContext c) {}

        public void processElement(Zoo.Evt e, Context ctx, Collector<Long> out) throws Exception {
            long b = base(e.n), first = Zoo.BASE_TS + b * 1000;
            if (what(e.n) == What.DELETE) {
                for (int j = 0; j < USER_ENTRIES; j += 2) actions.remove(first + j);
                profile.clear();
                recent.clear();
                if (eventTimer(b)) ctx.timerService().deleteEventTimeTimer(FAR + b);
                return;
            }
            Map<Long, String> m = new LinkedHashMap<>();
            for (int j = 0; j < USER_ENTRIES; j++) m.put(first + j, text(chance(e.n, j)));
            actions.putAll(m);
            profile.update(Zoo.account(e.n));
            if (what(e.n) == What.REWRITE) return;
            recent.add(e.n);
            recent.add(-e.n);
            if (eventTimer(b)) ctx.timerService().registerEventTimeTimer(FAR + b);
            if (processingTimer(b)) ctx.timerService().registerProcessingTimeTimer(FAR + b);
        }
    }

    static final class ByDevice extends KeyedProcessFunction<Long, Zoo.Evt, Long> implements CheckpointedFunction {
        transient MapState<String, Reading> readings;
        transient ValueState<Long> last;
        transient ListState<Double> levels;
        transient ValueState<Zoo.KryoThing> thing;

        public void initializeState(FunctionInitializationContext c) throws Exception {
            KeyedStateStore s = c.getKeyedStateStore();
            readings = s.getMapState(ttl(new MapStateDescriptor<>("readings_ttl", Types.STRING, Types.POJO(Reading.class)), 7 * DAY));
            last = s.getState(new ValueStateDescriptor<>("last", Types.LONG));
            levels = s.getListState(ttl(new ListStateDescriptor<>("levels_ttl", Types.DOUBLE), DAY));
            thing = s.getState(new ValueStateDescriptor<>("thing", new GenericTypeInfo<>(Zoo.KryoThing.class)));
        }
        public void snapshotState(FunctionSnapshotContext c) {}

        public void processElement(Zoo.Evt e, Context ctx, Collector<Long> out) throws Exception {
            long b = base(e.n);
            String prefix = Long.toString(b, 36) + "/";
            if (what(e.n) == What.DELETE) {
                for (int j = 0; j < DEVICE_ENTRIES; j += 2) readings.remove(prefix + j);
                last.clear();
                levels.clear();
                thing.clear();
                return;
            }
            Map<String, Reading> m = new LinkedHashMap<>();
            for (int j = 0; j < DEVICE_ENTRIES; j++) m.put(prefix + j, reading(e.n, j));
            readings.putAll(m);
            last.update(e.n);
            if (what(e.n) == What.REWRITE) return;
            levels.add((double) (e.n % 1000));
            if (thing(b)) thing.update(Zoo.thing(e.n));
        }
    }

    // ---- the truth -----------------------------------------------------------------------------

    /** Counts by key of one state, as the plan is gone through. */
    static final class Count {
        final String name, kind, valueType;
        final long ttlMs;
        final boolean kryo;
        final long[] entries, sums;
        Count(String name, String kind, String valueType, long ttlMs, boolean kryo, int keys) {
            this.name = name; this.kind = kind; this.valueType = valueType; this.ttlMs = ttlMs; this.kryo = kryo;
            entries = new long[keys];
            sums = new long[keys];
        }
        void add(int key, long n, long sum) { entries[key] += n; sums[key] += sum; }
        void set(int key, long n, long sum) { entries[key] = n; sums[key] = sum; }

        Object truth(String keyType, IntFunction<Object> keyOf) {
            long all = 0, sum = 0;
            List<Integer> held = new ArrayList<>();
            for (int i = 0; i < entries.length; i++) {
                all += entries[i];
                sum += sums[i];
                if (entries[i] > 0) held.add(i);
            }
            Map<String, Object> o = Json.obj("name", name, "kind", kind, "ttl", ttlMs > 0, "ttl_ms", ttlMs > 0 ? ttlMs : null, "kryo", kryo, "key_type", keyType,
                    "namespace_type", "VoidNamespace", "value_type", valueType, "rows", kind.equals("MAP") ? all : (long) held.size(), "entries", all, "keys", held.size(), "sum", sum);
            if (!kind.equals("VALUE")) {
                held.sort(Comparator.comparingLong((Integer i) -> -entries[i]).thenComparing(i -> String.valueOf(keyOf.apply(i))));
                List<Object> most = new ArrayList<>();
                for (int i : held.subList(0, Math.min(10, held.size()))) most.add(Json.obj("key", keyOf.apply(i), "entries", entries[i]));
                o.put("largest_keys", most);
            }
            return o;
        }
    }

    public void extraTruth(String op, long limit, Map<String, Object> o) {
        boolean byUser = op.equals("by-user");
        if (!byUser && !op.equals("by-device")) return;
        int keys = byUser ? USERS : DEVICES;
        Count map = byUser ? new Count("actions", "MAP", "Map<Long, String>", 0, false, keys) : new Count("readings_ttl", "MAP", "Map<String, Reading>", 7 * DAY, false, keys);
        Count value = byUser ? new Count("profile_ttl", "VALUE", "AccountPojo", 30 * DAY, false, keys) : new Count("last", "VALUE", "Long", 0, false, keys);
        Count list = byUser ? new Count("recent", "LIST", "List<Long>", 0, false, keys) : new Count("levels_ttl", "LIST", "List<Double>", DAY, false, keys);
        Count thing = new Count("thing", "VALUE", "KryoThing", 0, true, keys);
        int size = byUser ? USER_ENTRIES : DEVICE_ENTRIES;
        // Of every inserting event: who wrote its entries last, and which of them are there.
        int[] writer = new int[Math.toIntExact(limit)];
        long[] there = new long[writer.length];
        BitSet eventTimers = new BitSet();
        long processingTimers = 0;
        for (int n = 0; n < limit; n++) {
            int b = (int) base(n), key = byUser ? user(b) : device(b);
            if (what(n) == What.DELETE) {
                there[b] &= 0xAAAA_AAAA_AAAA_AAAAL;
                for (Count c : Arrays.asList(value, list, thing)) c.set(key, 0, 0);
                eventTimers.clear(b);
                continue;
            }
            writer[b] = n;
            there[b] = (1L << size) - 1;
            value.set(key, 1, byUser ? Zoo.account(n).level : n);
            if (what(n) == What.REWRITE) continue;
            if (byUser) list.add(key, 2, 0);
            else list.add(key, 1, n % 1000);
            if (!byUser && thing(b)) thing.set(key, 1, n);
            if (byUser && eventTimer(b)) eventTimers.set(b);
            if (byUser && processingTimer(b)) processingTimers++;
        }
        for (int b = 0; b < limit; b++) {
            long sum = 0;
            for (long left = there[b]; left != 0; left &= left - 1) {
                int j = Long.numberOfTrailingZeros(left);
                sum += byUser ? textLength(chance(writer[b], j)) : battery(chance(writer[b], USER_ENTRIES + j));
            }
            map.add(byUser ? user(b) : device(b), Long.bitCount(there[b]), sum);
        }
        List<Object> states = new ArrayList<>();
        for (Count c : byUser ? Arrays.asList(map, value, list) : Arrays.asList(map, value, list, thing))
            states.add(c.truth(byUser ? "String" : "Long", byUser ? i -> userKey(i) : i -> deviceKey(i)));
        o.put("keyed_states", states);
        o.put("timers", Arrays.asList(Json.obj("name", "_timer_state/event_user-timers", "domain", "event", "count", (long) eventTimers.cardinality()),
                Json.obj("name", "_timer_state/processing_user-timers", "domain", "processing", "count", processingTimers)));
    }
}
