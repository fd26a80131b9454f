import java.math.BigDecimal;
import java.time.*;
import java.util.*;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.types.Row;

/** What SQL keeps: an aggregation, a join, a deduplication, a Top-N, a window TVF. */
final class SqlJob implements Job {
    static final int KEYS = 40;
    boolean ttl;
    int events;

    static String key(long n) { return Zoo.strKey(Zoo.keyIndex(n, KEYS)); }

    static final class ToRow implements MapFunction<Zoo.Evt, Row> {
        public Row map(Zoo.Evt e) {
            long n = e.n;
            return Row.of(n, key(n), new BigDecimal(n).add(new BigDecimal("0.25")), new BigDecimal("12345678901234567890.0123456789").add(new BigDecimal(n)),
                    LocalDateTime.of(2024, 1, 1, 0, 0).plusSeconds(n), LocalDateTime.of(2024, 1, 1, 0, 0, 0, 123_456_789).plusSeconds(n),
                    LocalDate.ofEpochDay(n), n % 3 == 0 ? null : n / 4.0, n % 2 == 0, new String[] {"a" + n % 10, n % 4 == 0 ? null : "a longer element of an array"},
                    Row.of((int) n, n % 5 == 0 ? null : "row-" + n), n % 7 == 0 ? null : Collections.singletonMap("m" + n % 4, (int) n), new byte[] {(byte) n, 1, 2});
        }
    }

    static final class ToPair implements MapFunction<Zoo.Evt, Row> {
        public Row map(Zoo.Evt e) { return Row.of(e.n, key(e.n), "rule number " + e.n); }
    }

    public void build(StreamExecutionEnvironment env, Map<String, String> args, Truth truth) {
        ttl = args.containsKey("ttl");
        StreamTableEnvironment t = StreamTableEnvironment.create(env);
        t.getConfig().set("table.optimizer.agg-phase-strategy", "ONE_PHASE");
        t.getConfig().set("table.local-time-zone", "UTC");
        if (ttl) t.getConfig().set("table.exec.state.ttl", args.get("ttl"));
        DataStream<Row> events = truth.source(env, new PlanSource("events", 1, false, 1), "events", "events-src-uid", 1).map(new ToRow())
                .returns(Types.ROW_NAMED(new String[] {"id", "k", "amount", "big", "ts", "ts9", "d", "dbl", "flag", "arr", "r", "m", "raw"}, Types.LONG, Types.STRING, Types.BIG_DEC,
                        Types.BIG_DEC, Types.LOCAL_DATE_TIME, Types.LOCAL_DATE_TIME, Types.LOCAL_DATE, Types.DOUBLE, Types.BOOLEAN, Types.OBJECT_ARRAY(Types.STRING),
                        Types.ROW_NAMED(new String[] {"a", "b"}, Types.INT, Types.STRING), Types.MAP(Types.STRING, Types.INT), Types.PRIMITIVE_ARRAY(Types.BYTE)))
                .setParallelism(1).name("to-row").uid("to-row-uid");
        truth.op("to-row", "to-row-uid");
        DataStream<Row> rules = truth.source(env, new PlanSource("rules", 1, false, 10), "rules", "rules-src-uid", 1).map(new ToPair())
                .returns(Types.ROW_NAMED(new String[] {"id", "k", "text"}, Types.LONG, Types.STRING, Types.STRING)).setParallelism(1).name("to-pair").uid("to-pair-uid");
        truth.op("to-pair", "to-pair-uid");
        t.createTemporaryView("t", t.fromDataStream(events, Schema.newBuilder().column("id", "BIGINT NOT NULL").column("k", "STRING").column("amount", "DECIMAL(10, 2)")
                .column("big", "DECIMAL(38, 10)").column("ts", "TIMESTAMP(3)").column("ts9", "TIMESTAMP(9)").column("d", "DATE").column("dbl", "DOUBLE")
                .column("flag", "BOOLEAN").column("arr", "ARRAY<STRING>").column("r", "ROW<a INT, b STRING>").column("m", "MAP<STRING, INT>").column("raw", "BYTES")
                .columnByMetadata("rowtime", "TIMESTAMP_LTZ(3)").watermark("rowtime", "SOURCE_WATERMARK()").columnByExpression("pt", "PROCTIME()").build()));
        t.createTemporaryView("rules", t.fromDataStream(rules, Schema.newBuilder().column("id", "BIGINT").column("k", "STRING").column("text", "STRING").build()));
        String[] queries = {
            "SELECT k, COUNT(*), SUM(amount), MAX(big), MAX(ts), MAX(ts9), SUM(dbl), COUNT(DISTINCT d) FROM t GROUP BY k",
            "SELECT t.id, t.arr, t.m, rules.text FROM t JOIN rules ON t.k = rules.k",
            "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY pt DESC) AS rn FROM t) WHERE rn = 1",
            "SELECT * FROM (SELECT id, k, amount, ts9, r, ROW_NUMBER() OVER (PARTITION BY k ORDER BY amount DESC) AS rn FROM t) WHERE rn <= 3",
            "SELECT k, window_start, window_end, COUNT(*), SUM(amount) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(rowtime), INTERVAL '2' MINUTES)) GROUP BY k, window_start, window_end",
        };
        for (String q : queries) t.toChangelogStream(t.sqlQuery(q)).map(r -> 1L).returns(Types.LONG).name("out");
    }

    private Object state(String name, String kind, boolean ttl, String vt, long rows, long keys, String ns) {
        return Json.obj("name", name, "kind", kind, "ttl", ttl, "ttl_ms", null, "kryo", false, "key_type", "RowData(STRING)", "namespace_type", ns, "value_type", vt,
                "rows", rows, "entries", rows, "keys", keys, "sum", null);
    }

    public void extraTruth(String op, long limit, Map<String, Object> o) {
        o.put("partly_known", true);
        Map<String, Long> perKey = new HashMap<>(), rulesPerKey = new HashMap<>();
        Set<String> windows = new HashSet<>(), days = new HashSet<>();
        for (long n = 0; n < limit; n++) {
            perKey.merge(key(n), 1L, Long::sum);
            windows.add(key(n) + "|" + (Zoo.BASE_TS + n * 1000) / 120_000);
            if (n < limit / 10) rulesPerKey.merge(key(n), 1L, Long::sum);
        }
        // Amounts only grow here, and with the row number asked for, Flink (1.20, 2.3) keeps one sort key beyond the N of the Top-N.
        long keys = perKey.size(), top = 0;
        for (long c : perKey.values()) top += Math.min(4, c);
        List<Object> s = new ArrayList<>();
        if (op.startsWith("GroupAggregate")) {
            s.add(state("accState", "VALUE", ttl, "RowData", keys, keys, "VoidNamespace"));
            s.add(state("distinctAcc_0", "MAP", ttl, "Map<RowData, Long>", limit, keys, "VoidNamespace"));
        } else if (op.startsWith("Join")) {
            s.add(state("left-records", "MAP", ttl, "Map<RowData, Integer>", limit, keys, "VoidNamespace"));
            s.add(state("right-records", "MAP", ttl, "Map<RowData, Integer>", limit / 10, rulesPerKey.size(), "VoidNamespace"));
        } else if (op.startsWith("Deduplicate")) s.add(state("deduplicate-state", "VALUE", ttl, "RowData", keys, keys, "VoidNamespace"));
        else if (op.startsWith("Rank")) s.add(state("data-state-with-append", "MAP", ttl, "Map<RowData, List<RowData>>", top, keys, "VoidNamespace"));
        else if (op.startsWith("GlobalWindowAggregate") || op.startsWith("WindowAggregate")) {
            s.add(state("window-aggs", "VALUE", false, "RowData", windows.size(), keys, "Long"));
            o.put("timers", Arrays.asList(Json.obj("name", "_timer_state/event_window-timers", "domain", "event", "count", (long) windows.size())));
        }
        if (!s.isEmpty()) o.put("keyed_states", s);
    }
}
