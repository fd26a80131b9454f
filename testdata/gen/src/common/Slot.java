import java.util.*;
import java.util.function.LongFunction;
import java.util.function.ToLongFunction;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.state.*;
import org.apache.flink.api.common.typeinfo.*;
import org.apache.flink.api.common.typeutils.CompositeType;
import org.apache.flink.api.java.tuple.*;
import org.apache.flink.api.java.typeutils.*;
import org.apache.flink.types.Row;

/** One keyed state: how it is declared, what is written to it, and how its truth is counted. */
final class Slot {
    final String name, kind, valueType;
    final long ttlMs;
    final TypeInformation<?> type, userKey;
    final LongFunction<Object> gen, ukGen;
    final ToLongFunction<Object> num;
    State state;
    Board.StateShadow shadow;

    private Slot(String name, String kind, String valueType, long ttlMs, TypeInformation<?> type, TypeInformation<?> userKey,
            LongFunction<Object> gen, LongFunction<Object> ukGen, ToLongFunction<Object> num) {
        this.name = name; this.kind = kind; this.valueType = valueType; this.ttlMs = ttlMs; this.type = type;
        this.userKey = userKey; this.gen = gen; this.ukGen = ukGen; this.num = num;
    }

    static Slot value(String name, String vt, TypeInformation<?> t, long ttl, LongFunction<Object> g, ToLongFunction<Object> num) {
        return new Slot(name, "VALUE", vt, ttl, t, null, g, null, num);
    }
    static Slot list(String name, String vt, TypeInformation<?> t, long ttl, LongFunction<Object> g, ToLongFunction<Object> num) {
        return new Slot(name, "LIST", "List<" + vt + ">", ttl, t, null, g, null, num);
    }
    static Slot map(String name, String kt, String vt, TypeInformation<?> k, TypeInformation<?> t, long ttl, LongFunction<Object> uk,
            LongFunction<Object> g, ToLongFunction<Object> num) {
        return new Slot(name, "MAP", "Map<" + kt + ", " + vt + ">", ttl, t, k, g, uk, num);
    }
    static Slot reducing(String name, long ttl) {
        return new Slot(name, "REDUCING", "Long", ttl, Types.LONG, null, n -> n, null, v -> (Long) v);
    }
    static Slot aggregating(String name, long ttl) {
        return new Slot(name, "AGGREGATING", "Tuple2<Long, Long>", ttl, Types.TUPLE(Types.LONG, Types.LONG), null, n -> n, null,
                v -> ((Tuple2<Long, Long>) v).f0);
    }

    static final long DAY = 86_400_000L;

    static class Avg implements AggregateFunction<Long, Tuple2<Long, Long>, Double> {
        public Tuple2<Long, Long> createAccumulator() { return Tuple2.of(0L, 0L); }
        public Tuple2<Long, Long> add(Long v, Tuple2<Long, Long> a) { return Tuple2.of(a.f0 + v, a.f1 + 1); }
        public Double getResult(Tuple2<Long, Long> a) { return a.f1 == 0 ? 0.0 : (double) a.f0 / a.f1; }
        public Tuple2<Long, Long> merge(Tuple2<Long, Long> a, Tuple2<Long, Long> b) { return Tuple2.of(a.f0 + b.f0, a.f1 + b.f1); }
    }

    /** The states of a profile. */
    static List<Slot> make(String set) {
        List<Slot> l = new ArrayList<>();
        TypeInformation<Zoo.AccountPojo> account = Types.POJO(Zoo.AccountPojo.class);
        TypeInformation<Zoo.OrderPojo> order = TypeInformation.of(Zoo.OrderPojo.class);
        TypeInformation<Zoo.KryoThing> thing = new GenericTypeInfo<>(Zoo.KryoThing.class);
        ToLongFunction<Object> number = v -> ((Number) v).longValue();
        ToLongFunction<Object> orderId = v -> ((Zoo.OrderPojo) v).id;
        ToLongFunction<Object> level = v -> ((Zoo.AccountPojo) v).level;
        ToLongFunction<Object> thingNo = v -> ((Zoo.KryoThing) v).number();
                boolean a = set.endsWith("-a"), b = set.endsWith("-b");
        if (a || set.equals("mini")) {
            l.add(value("v_long", "Long", Types.LONG, 0, n -> n, number));
            l.add(list("l_long", "Long", Types.LONG, 0, n -> n, number));
            l.add(map("m_string_long_ttl", "String", "Long", Types.STRING, Types.LONG, 7 * DAY, n -> "uk" + n % 13, n -> n, number));
        }
        if (set.equals("few") || set.equals("two")) {
            l.add(value("v_account_ttl", "AccountPojo", account, 30 * DAY, n -> Zoo.account(n), level));
            l.add(map("m_long_string", "Long", "String", Types.LONG, Types.STRING, 0, n -> n % 17 - 3, n -> "s" + n, v -> ((String) v).length()));
            if (set.equals("few")) l.add(list("l_long", "Long", Types.LONG, 0, n -> n, number));
        }
        if (a) {
            l.add(value("v_string_ttl", "String", Types.STRING, DAY, n -> "value-" + n, v -> ((String) v).length()));
            l.add(value("v_order", "OrderPojo", order, 0, n -> Zoo.order(n), orderId));
            l.add(value("v_kryo", "KryoThing", thing, 0, n -> Zoo.thing(n), thingNo));
            l.add(list("l_account_ttl", "AccountPojo", account, 30 * DAY, n -> Zoo.account(n), level));
            l.add(map("m_string_nullable", "String", "String", Types.STRING, Types.STRING, 0, n -> "uk" + n % 7, n -> n % 2 == 0 ? null : "s" + n,
                    v -> v == null ? 0 : 1));
            l.add(reducing("r_sum", 0));
            l.add(aggregating("a_avg_ttl", 2 * DAY));
        }
        if (set.equals("all-b")) {
            l.add(value("v_enum", "Color", new EnumTypeInfo<>(Zoo.Color.class), 0, n -> Zoo.Color.values()[(int) (n % 3)], v -> ((Zoo.Color) v).ordinal()));
            l.add(value("v_bytes", "byte[]", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO, 0,
                    n -> new byte[] {(byte) n, 0, (byte) 0x2c}, v -> ((byte[]) v)[0]));
            l.add(value("v_tuple_ttl", "Tuple3<Integer, String, Double>", Types.TUPLE(Types.INT, Types.STRING, Types.DOUBLE), DAY,
                    n -> Tuple3.of((int) n, "t" + n, n / 4.0), v -> ((Tuple3<Integer, ?, ?>) v).f0));
            l.add(list("l_kryo", "KryoThing", thing, 0, n -> Zoo.thing(n), thingNo));
            l.add(list("l_string_ttl", "String", Types.STRING, 3 * DAY, n -> "e," + n, v -> ((String) v).length()));
            l.add(map("m_long_order_ttl", "Long", "OrderPojo", Types.LONG, order, 14 * DAY, n -> n % 5, n -> Zoo.order(n), orderId));
            l.add(map("m_tuple_account", "Tuple2<Integer, String>", "AccountPojo", Types.TUPLE(Types.INT, Types.STRING), account, 0,
                    n -> Tuple2.of((int) (n % 3), "z" + n % 4), n -> Zoo.account(n), level));
            l.add(map("m_string_listlong", "String", "List<Long>", Types.STRING, Types.LIST(Types.LONG), 0, n -> "ul" + n % 3,
                    n -> new ArrayList<>(Arrays.asList(n, n + 1)), v -> ((List<Long>) v).get(0)));
        }
        if (b) {
            l.add(value("v_list", "List<String>", Types.LIST(Types.STRING), 0, n -> new ArrayList<>(Arrays.asList("a" + n, "b")), v -> ((List<?>) v).size()));
            l.add(value("v_map_ttl", "Map<String, Long>", Types.MAP(Types.STRING, Types.LONG), DAY,
                    n -> new HashMap<>(Collections.singletonMap("k" + n % 4, n)), v -> ((Map<?, Long>) v).values().iterator().next()));
            l.add(value("v_accountarr", "AccountPojo[]", Types.OBJECT_ARRAY(account), 0,
                    n -> new Zoo.AccountPojo[] {Zoo.account(n), Zoo.account(n + 1)}, v -> ((Zoo.AccountPojo[]) v)[0].level));
            l.add(value("v_row", "Row(i Integer, s String, d LocalDateTime)", Types.ROW_NAMED(new String[] {"i", "s", "d"}, Types.INT, Types.STRING, Types.LOCAL_DATE_TIME), 0,
                    n -> Row.of((int) n, n % 2 == 0 ? null : "r" + n, java.time.LocalDateTime.of(2024, 1, 1, 0, 0).plusSeconds(n)), v -> (Integer) ((Row) v).getField(0)));
            l.add(list("l_tuple", "Tuple2<String, Long>", Types.TUPLE(Types.STRING, Types.LONG), 0, n -> Tuple2.of("t" + n % 3, n), v -> ((Tuple2<?, Long>) v).f1));
            l.add(map("m_enum_long", "Color", "Long", new EnumTypeInfo<>(Zoo.Color.class), Types.LONG, 0, n -> Zoo.Color.values()[(int) (n % 3)], n -> n, number));
        }
        if (set.equals("all-b")) {
            l.add(value("v_set", "Set<String>", TypeInformation.of(new TypeHint<Set<String>>() {}), 0, n -> new HashSet<>(Arrays.asList("s" + n % 3, "t" + n % 2)), v -> ((Set<?>) v).size()));
            l.add(value("v_longarr_ttl", "long[]", PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO, DAY, n -> new long[] {n, -n}, v -> ((long[]) v)[0]));
            l.add(value("v_strarr", "String[]", BasicArrayTypeInfo.STRING_ARRAY_TYPE_INFO, 0, n -> new String[] {"x" + n, n % 2 == 0 ? null : "y"}, v -> ((String[]) v).length));
            l.add(value("v_mixed", "Tuple4<BigDecimal, BigInteger, Instant, LocalDate>", Types.TUPLE(Types.BIG_DEC, Types.BIG_INT, Types.INSTANT, Types.LOCAL_DATE), 0,
                    n -> Tuple4.of(new java.math.BigDecimal(n + ".25"), java.math.BigInteger.valueOf(n).pow(5), java.time.Instant.ofEpochMilli(Zoo.BASE_TS + n), java.time.LocalDate.ofEpochDay(n)),
                    v -> ((Tuple4<java.math.BigDecimal, ?, ?, ?>) v).f0.longValue()));
            l.add(value("v_small", "Tuple5<Short, Byte, Character, Float, Integer>", Types.TUPLE(Types.SHORT, Types.BYTE, Types.CHAR, Types.FLOAT, Types.INT), 0,
                    n -> Tuple5.of((short) n, (byte) n, (char) ('a' + n % 26), n / 8f, -(int) n), v -> ((Tuple5<Short, ?, ?, ?, ?>) v).f0));
            l.add(value("v_listkryo", "List<KryoThing>", Types.LIST(thing), 0, n -> new ArrayList<>(Arrays.asList(Zoo.thing(n), Zoo.thing(n + 1))),
                    v -> ((List<Zoo.KryoThing>) v).get(0).number()));
            l.add(value("v_either", "Either<String, Long>", new EitherTypeInfo<>(Types.STRING, Types.LONG), 0,
                    n -> n % 2 == 0 ? org.apache.flink.types.Either.Left("l" + n) : org.apache.flink.types.Either.Right(n), null));
        }
        return l;
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    void register(KeyedStateStore store, String opName) {
        StateDescriptor d;
        switch (kind) {
            case "VALUE": d = new ValueStateDescriptor(name, type); break;
            case "LIST": d = new ListStateDescriptor(name, type); break;
            case "MAP": d = new MapStateDescriptor(name, userKey, type); break;
            case "REDUCING": d = new ReducingStateDescriptor<Long>(name, Long::sum, Types.LONG); break;
            default: d = new AggregatingStateDescriptor(name, new Avg(), type);
        }
        if (ttlMs > 0) d.enableTimeToLive(Compat.ttl(ttlMs));
        switch (kind) {
            case "VALUE": state = store.getState((ValueStateDescriptor) d); break;
            case "LIST": state = store.getListState((ListStateDescriptor) d); break;
            case "MAP": state = store.getMapState((MapStateDescriptor) d); break;
            case "REDUCING": state = store.getReducingState((ReducingStateDescriptor) d); break;
            default: state = store.getAggregatingState((AggregatingStateDescriptor) d);
        }
        shadow = Board.shadow(opName, this);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    void apply(Object key, long n) throws Exception {
        long a = Zoo.mix(n * 31 + name.hashCode()) % 10;
        Map<Object, Object> sh = shadow.byKey;
        if (a == 0 && !kind.equals("MAP")) {
            state.clear();
            sh.remove(key);
            return;
        }
        switch (kind) {
            case "VALUE":
                ((ValueState) state).update(gen.apply(n));
                sh.put(key, gen.apply(n));
                break;
            case "LIST":
                List<Object> l = (List<Object>) sh.computeIfAbsent(key, k -> new ArrayList<>());
                if (a == 1) {
                    l.clear();
                    l.addAll(Arrays.asList(gen.apply(n), gen.apply(n + 1), gen.apply(n + 2)));
                    ((ListState) state).update(new ArrayList<>(l));
                } else if (a == 2) {
                    List<Object> more = Arrays.asList(gen.apply(n), gen.apply(n + 1));
                    l.addAll(more);
                    ((ListState) state).addAll(more);
                } else {
                    l.add(gen.apply(n));
                    ((ListState) state).add(gen.apply(n));
                }
                break;
            case "MAP":
                Map<Object, Object> m = (Map<Object, Object>) sh.computeIfAbsent(key, k -> new HashMap<>());
                Object uk = ukGen.apply(n);
                if (a <= 1) {
                    ((MapState) state).remove(uk);
                    m.remove(uk);
                } else if (a == 2 && n % 11 == 0) {
                    state.clear();
                    m.clear();
                } else {
                    ((MapState) state).put(uk, gen.apply(n));
                    m.put(uk, gen.apply(n));
                }
                if (m.isEmpty()) sh.remove(key);
                break;
            case "REDUCING":
                ((ReducingState) state).add(n);
                sh.merge(key, n, (x, y) -> (Long) x + (Long) y);
                break;
            default:
                ((AggregatingState) state).add(n);
                sh.put(key, new Avg().add(n, (Tuple2<Long, Long>) sh.getOrDefault(key, Tuple2.of(0L, 0L))));
        }
    }

    Map<String, Object> truth(Board.Op op, Board.StateShadow sh) {
        long rows = 0, entries = 0, sum = 0;
        TreeMap<String, Object[]> byText = new TreeMap<>();
        for (Map.Entry<Object, Object> e : sh.byKey.entrySet()) {
            Object v = e.getValue();
            byText.put(Json.write(Json.plain(e.getKey()), 0), new Object[] {e.getKey(), v});
            Collection<?> vals = kind.equals("LIST") ? (List<?>) v : kind.equals("MAP") ? ((Map<?, ?>) v).values() : Collections.singleton(v);
            rows += kind.equals("MAP") ? vals.size() : 1;
            entries += vals.size();
            if (num != null) for (Object x : vals) sum += num.applyAsLong(x);
        }
        List<Object> sample = new ArrayList<>();
        for (Object[] kv : byText.values()) {
            if (sample.size() == 3) break;
            Object v = kv[1];
            if (kind.equals("MAP")) {
                List<Object> some = new ArrayList<>();
                for (Map.Entry<?, ?> e : ((Map<?, ?>) v).entrySet()) some.add(Arrays.asList(Json.plain(e.getKey()), Json.plain(e.getValue())));
                some.sort(Comparator.comparing(x -> Json.write(x, 0)));
                sample.add(Json.obj("key", Json.plain(kv[0]), "map_size", some.size(), "map", some.subList(0, Math.min(3, some.size()))));
            } else if (kind.equals("LIST")) {
                List<?> ls = (List<?>) v;
                sample.add(Json.obj("key", Json.plain(kv[0]), "list_size", ls.size(), "list", Json.plain(ls.subList(0, Math.min(3, ls.size())))));
            } else sample.add(Json.obj("key", Json.plain(kv[0]), "value", Json.plain(v)));
        }
        return Json.obj("name", name, "kind", kind, "ttl", ttlMs > 0, "ttl_ms", ttlMs > 0 ? ttlMs : null,
                "kryo", op.keyKryo || kryo(type) || (userKey != null && kryo(userKey)), "key_type", op.keyType, "namespace_type", "VoidNamespace",
                "value_type", valueType, "rows", rows, "entries", entries, "keys", (long) sh.byKey.size(), "sum", num == null ? null : sum, "sample", sample);
    }

    /** Whether Kryo takes part anywhere in this type. */
    static boolean kryo(TypeInformation<?> t) {
        if (t instanceof GenericTypeInfo) return true;
        if (t instanceof CompositeType) {
            for (int i = 0; i < t.getArity(); i++) if (kryo(((CompositeType<?>) t).getTypeAt(i))) return true;
            return false;
        }
        if (t instanceof ObjectArrayTypeInfo) return kryo(((ObjectArrayTypeInfo<?, ?>) t).getComponentInfo());
        for (TypeInformation<?> g : t.getGenericParameters().values()) if (g != null && kryo(g)) return true;
        if (t instanceof ListTypeInfo) return kryo(((ListTypeInfo<?>) t).getElementTypeInfo());
        if (t instanceof MapTypeInfo) return kryo(((MapTypeInfo<?, ?>) t).getKeyTypeInfo()) || kryo(((MapTypeInfo<?, ?>) t).getValueTypeInfo());
        return false;
    }
}
