import java.util.*;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.v2.*;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.streaming.api.datastream.*;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** The asynchronous state API of Flink 2.x (KEY_VALUE_V2 states; its timers are raw keyed state). */
final class AsyncJob implements Job {
    public void build(StreamExecutionEnvironment env, Map<String, String> args, Truth truth) {
        DataStream<Zoo.Evt> events = truth.source(env, new PlanSource("events", 1, false, 1), "events", "events-src-uid", 1);
        StateZoo.keyBy(events, "string").enableAsyncState().process(new Async()).returns(Types.LONG).name("async").uid("async-uid");
        truth.op("async", "async-uid");
        Board.op("async").keyType = "String";
    }

    public void extraTruth(String op, long limit, Map<String, Object> o) {}

    static final class Async extends KeyedProcessFunction<Object, Zoo.Evt, Long> {
        transient Slot value, list, map, reducing, aggregating;
        transient ValueState<Zoo.AccountPojo> v;
        transient ListState<Long> l;
        transient MapState<String, Long> m;
        transient ReducingState<Long> r;
        transient AggregatingState<Long, Double> a;

        @Override public void open(OpenContext c) throws Exception {
            value = Slot.value("v_account_ttl", "AccountPojo", Types.POJO(Zoo.AccountPojo.class), Slot.DAY, n -> Zoo.account(n), x -> ((Zoo.AccountPojo) x).level);
            list = Slot.list("l_long", "Long", Types.LONG, 0, n -> n, x -> (Long) x);
            map = Slot.map("m_string_long_ttl", "String", "Long", Types.STRING, Types.LONG, 7 * Slot.DAY, n -> "uk" + n % 13, n -> n, x -> (Long) x);
            reducing = Slot.reducing("r_sum", 0);
            aggregating = Slot.aggregating("a_avg", 0);
            for (Slot s : new Slot[] {value, list, map, reducing, aggregating}) s.shadow = Board.shadow("async", s);
            ValueStateDescriptor<Zoo.AccountPojo> vd = new ValueStateDescriptor<>(value.name, Types.POJO(Zoo.AccountPojo.class));
            vd.enableTimeToLive(Compat.ttl(value.ttlMs));
            v = getRuntimeContext().getState(vd);
            l = getRuntimeContext().getListState(new ListStateDescriptor<>(list.name, Types.LONG));
            MapStateDescriptor<String, Long> md = new MapStateDescriptor<>(map.name, Types.STRING, Types.LONG);
            md.enableTimeToLive(Compat.ttl(map.ttlMs));
            m = getRuntimeContext().getMapState(md);
            r = getRuntimeContext().getReducingState(new ReducingStateDescriptor<>(reducing.name, Long::sum, Types.LONG));
            a = getRuntimeContext().getAggregatingState(new AggregatingStateDescriptor<>(aggregating.name, new Slot.Avg(), Types.TUPLE(Types.LONG, Types.LONG)));
        }

        @SuppressWarnings("unchecked")
        public void processElement(Zoo.Evt e, Context ctx, Collector<Long> out) {
            Object k = new StateZoo.Key("string").getKey(e);
            long n = e.n;
            if (n % 9 == 4) {
                v.asyncClear();
                value.shadow.byKey.remove(k);
            } else {
                v.asyncUpdate(Zoo.account(n));
                value.shadow.byKey.put(k, Zoo.account(n));
            }
            l.asyncAdd(n);
            ((List<Object>) list.shadow.byKey.computeIfAbsent(k, x -> new ArrayList<>())).add(n);
            Map<Object, Object> sm = (Map<Object, Object>) map.shadow.byKey.computeIfAbsent(k, x -> new HashMap<>());
            if (n % 10 == 1) {
                m.asyncRemove("uk" + n % 13);
                sm.remove("uk" + n % 13);
            } else {
                m.asyncPut("uk" + n % 13, n);
                sm.put("uk" + n % 13, n);
            }
            if (sm.isEmpty()) map.shadow.byKey.remove(k);
            r.asyncAdd(n);
            reducing.shadow.byKey.merge(k, n, (x, y) -> (Long) x + (Long) y);
            a.asyncAdd(n);
            aggregating.shadow.byKey.put(k, new Slot.Avg().add(n, (Tuple2<Long, Long>) aggregating.shadow.byKey.getOrDefault(k, Tuple2.of(0L, 0L))));
            Board.Op op = Board.op("async");
            if (n % 5 == 0) {
                ctx.timerService().registerEventTimeTimer(StateZoo.FAR + n);
                op.eventTimers.add(Arrays.asList(k, StateZoo.FAR + n));
            }
            if (n % 7 == 0) {
                ctx.timerService().registerProcessingTimeTimer(StateZoo.FAR + n % 50);
                op.procTimers.add(Arrays.asList(k, StateZoo.FAR + n % 50));
            }
        }
    }
}
