// Writes one file for each serializer: what getLength() says, its snapshot, and values as it writes them.
//   i32 length │ i32 n, snapshot │ i32 n │ n × { i32 n, value }
// javac/java -cp "<flink>/lib/*:<flink>/opt/*:." ValueGold <directory>; --add-opens java.base/java.util=ALL-UNNAMED
import java.io.*;
import java.lang.reflect.*;
import java.math.*;
import java.nio.file.*;
import java.time.*;
import java.util.*;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.typeinfo.*;
import org.apache.flink.api.common.typeutils.*;
import org.apache.flink.api.common.typeutils.base.*;
import org.apache.flink.api.common.typeutils.base.array.*;
import org.apache.flink.api.java.tuple.*;
import org.apache.flink.api.java.typeutils.*;
import org.apache.flink.api.java.typeutils.runtime.*;
import org.apache.flink.core.memory.*;
import org.apache.flink.table.data.*;
import org.apache.flink.table.types.logical.*;
import org.apache.flink.types.*;

public class ValueGold {
  public enum Colour { RED, GREEN, BLUE }
  public static class Item { public long id; public String name; public Colour colour; public int[] counts; public Item() {}
    Item(long id, String name) { this.id = id; this.name = name; colour = Colour.GREEN; counts = new int[] {1, 2}; } }
  public static class SubItem extends Item { public double price; public SubItem() {} SubItem(double p) { super(9, "sub"); price = p; } }
  public static class OtherItem extends Item { public String note; public OtherItem() {} OtherItem(String n) { super(8, null); note = n; } }
  public static class WithKryo { public long id; public TreeMap<String, Long> tree; public String last; public WithKryo() {} WithKryo(TreeMap<String, Long> t) { tree = t; last = "z"; } }

  static Path dir;
  interface Maker<T> { T make() throws Throwable; }
  @SuppressWarnings({"unchecked", "rawtypes"})
  static void put(String name, Maker<TypeSerializer<?>> maker, Maker<List<?>> values) {
    try {
      TypeSerializer s = maker.make();
      ByteArrayOutputStream data = new ByteArrayOutputStream();
      DataOutputStream all = new DataOutputStream(data);
      List<byte[]> written = new ArrayList<>();
      for (Object value : values.make()) {
        DataOutputSerializer out = new DataOutputSerializer(64);
        s.serialize(value, out);
        written.add(out.getCopyOfBuffer());
      }
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      DataOutputViewStreamWrapper out = new DataOutputViewStreamWrapper(bytes);
      TypeSerializerSnapshot<?> snapshot = s.snapshotConfiguration();
      for (Method m : TypeSerializerSnapshotSerializationUtil.class.getMethods())
        if (m.getName().equals("writeSerializerSnapshot")) {
          if (m.getParameterCount() == 3) m.invoke(null, out, snapshot, s); else m.invoke(null, out, snapshot);
        }
      all.writeInt(s.getLength());
      all.writeInt(bytes.size()); bytes.writeTo(all);
      all.writeInt(written.size());
      for (byte[] w : written) { all.writeInt(w.length); all.write(w); }
      Files.write(dir.resolve(name), data.toByteArray());
      System.out.println(name + " " + data.size());
    } catch (Throwable e) { System.out.println(name + " FAILED " + e + " " + e.getCause()); }
  }
  static void put(String name, TypeSerializer<?> s, Object... values) { put(name, () -> s, () -> Arrays.asList(values)); }
  @SuppressWarnings("unchecked") static <T> TypeSerializer<T> of(TypeInformation<T> t, ExecutionConfig c) throws Exception {
    try { return (TypeSerializer<T>) TypeInformation.class.getMethod("createSerializer", ExecutionConfig.class).invoke(t, c); }
    catch (NoSuchMethodException e) { Object sc = ExecutionConfig.class.getMethod("getSerializerConfig").invoke(c);
      return (TypeSerializer<T>) TypeInformation.class.getMethod("createSerializer", Class.forName("org.apache.flink.api.common.serialization.SerializerConfig")).invoke(t, sc); } }
  static Object make(String cls, Object... args) throws Throwable {
    for (Constructor<?> c : Class.forName(cls).getDeclaredConstructors()) {
      if (c.getParameterCount() != args.length) continue;
      c.setAccessible(true);
      try { return c.newInstance(args); } catch (IllegalArgumentException e) { } }
    throw new IllegalArgumentException(cls); }
  static TypeSerializer<?> ser(String cls, Object... args) throws Throwable { return (TypeSerializer<?>) make(cls, args); }
  static TypeSerializer<?> instance(String cls) throws Throwable { return (TypeSerializer<?>) Class.forName(cls).getField("INSTANCE").get(null); }
  static Object call(Class<?> on, String method, Object target, Object... args) throws Throwable {
    for (Method m : on.getDeclaredMethods()) if (m.getName().equals(method) && m.getParameterCount() == args.length) {
      m.setAccessible(true); try { return m.invoke(target, args); } catch (IllegalArgumentException e) { } }
    throw new NoSuchMethodException(method); }
  static <T> LinkedHashMap<String, T> map(Object... kv) { LinkedHashMap<String, T> m = new LinkedHashMap<>(); for (int i = 0; i < kv.length; i += 2) m.put((String) kv[i], (T) kv[i + 1]); return m; }
  static Class<?> either(String a, String b) throws ClassNotFoundException { try { return Class.forName(a); } catch (ClassNotFoundException e) { return Class.forName(b); } }

  public static void main(String[] a) throws Throwable {
    dir = Paths.get(a[0]); Files.createDirectories(dir);
    ExecutionConfig c = new ExecutionConfig();
    try { ExecutionConfig.class.getMethod("registerPojoType", Class.class).invoke(c, SubItem.class); }
    catch (NoSuchMethodException e) { Object sc = ExecutionConfig.class.getMethod("getSerializerConfig").invoke(c);
      Class.forName("org.apache.flink.api.common.serialization.SerializerConfigImpl").getMethod("registerPojoType", Class.class).invoke(sc, SubItem.class); }
    String longText = String.join("", Collections.nCopies(300, "aé中😀"));
    put("boolean", BooleanSerializer.INSTANCE, true, false);
    put("boolean-value", BooleanValueSerializer.INSTANCE, new BooleanValue(true));
    put("byte", ByteSerializer.INSTANCE, (byte) 5);
    put("byte-value", ByteValueSerializer.INSTANCE, new ByteValue((byte) 5));
    put("char", CharSerializer.INSTANCE, 'x');
    put("char-value", CharValueSerializer.INSTANCE, new CharValue('x'));
    put("short", ShortSerializer.INSTANCE, (short) 5);
    put("short-value", ShortValueSerializer.INSTANCE, new ShortValue((short) 5));
    put("int", IntSerializer.INSTANCE, 5);
    put("int-value", IntValueSerializer.INSTANCE, new IntValue(5));
    put("long", LongSerializer.INSTANCE, 5L);
    put("long-value", LongValueSerializer.INSTANCE, new LongValue(5));
    put("float", FloatSerializer.INSTANCE, 5f);
    put("float-value", FloatValueSerializer.INSTANCE, new FloatValue(5));
    put("double", DoubleSerializer.INSTANCE, 5d);
    put("double-value", DoubleValueSerializer.INSTANCE, new DoubleValue(5));
    put("string", StringSerializer.INSTANCE, null, "", "a", "hello, world: more than eight", "é", "中", "😀x", longText, String.join("", Collections.nCopies(127, "x")), String.join("", Collections.nCopies(128, "x")));
    put("string-value", StringValueSerializer.INSTANCE, new StringValue("abc"));
    put("big-integer", BigIntSerializer.INSTANCE, null, BigInteger.ZERO, BigInteger.ONE, BigInteger.TEN, BigInteger.TWO, BigInteger.ONE.shiftLeft(200), BigInteger.ONE.negate());
    put("big-decimal", BigDecSerializer.INSTANCE, null, BigDecimal.ZERO, BigDecimal.ONE, BigDecimal.TEN, new BigDecimal("123.45"), new BigDecimal("-1E+100"));
    put("date", DateSerializer.INSTANCE, null, new Date(5));
    put("sql-date", SqlDateSerializer.INSTANCE, null, new java.sql.Date(5));
    put("sql-time", SqlTimeSerializer.INSTANCE, null, new java.sql.Time(5));
    put("sql-timestamp", SqlTimestampSerializer.INSTANCE, null, new java.sql.Timestamp(5));
    put("instant", InstantSerializer.INSTANCE, null, Instant.EPOCH);
    put("local-date", LocalDateSerializer.INSTANCE, null, LocalDate.EPOCH);
    put("local-time", LocalTimeSerializer.INSTANCE, null, LocalTime.NOON);
    put("local-date-time", LocalDateTimeSerializer.INSTANCE, null, LocalDateTime.of(LocalDate.EPOCH, LocalTime.NOON));
    put("void", VoidSerializer.INSTANCE, (Object) null);
    put("null-value", NullValueSerializer.INSTANCE, NullValue.getInstance());
    put("booleans", BooleanPrimitiveArraySerializer.INSTANCE, new boolean[0], new boolean[3]);
    put("bytes", BytePrimitiveArraySerializer.INSTANCE, new byte[0], new byte[3]);
    put("chars", CharPrimitiveArraySerializer.INSTANCE, new char[0], new char[3]);
    put("shorts", ShortPrimitiveArraySerializer.INSTANCE, new short[0], new short[3]);
    put("ints", IntPrimitiveArraySerializer.INSTANCE, new int[0], new int[3]);
    put("longs", LongPrimitiveArraySerializer.INSTANCE, new long[0], new long[3]);
    put("floats", FloatPrimitiveArraySerializer.INSTANCE, new float[0], new float[3]);
    put("doubles", DoublePrimitiveArraySerializer.INSTANCE, new double[0], new double[3]);
    put("strings", StringArraySerializer.INSTANCE, new String[0], new String[] {"a", null, longText});
    put("tuple0", Tuple0Serializer.INSTANCE, Tuple0.INSTANCE);
    put("enum", new EnumSerializer<>(Colour.class), Colour.RED, Colour.BLUE);
    put("list", new ListSerializer<>(StringSerializer.INSTANCE), List.of(), List.of("a", "bc"));
    put("list-of-nothing", new ListSerializer<>(NullValueSerializer.INSTANCE), List.of(NullValue.getInstance(), NullValue.getInstance()));
    put("map", new MapSerializer<>(StringSerializer.INSTANCE, new ListSerializer<>(LongSerializer.INSTANCE)), map(), map("a", List.of(1L), "b", null));
    put("either", () -> of(new EitherTypeInfo<>(Types.LONG, Types.STRING), c), () -> List.of(Either.Left(5L), Either.Right("r")));
    put("generic-array", () -> of(Types.OBJECT_ARRAY(Types.SQL_TIME), c), () -> List.of(new java.sql.Time[0], new java.sql.Time[] {null, new java.sql.Time(4)}));
    put("tuple", () -> of(Types.TUPLE(Types.LONG, Types.STRING, Types.ENUM(Colour.class)), c), () -> List.of(Tuple3.of(1L, "x", Colour.RED)));
    put("tuple-fixed", () -> of(Types.TUPLE(Types.INT, Types.LONG), c), () -> List.of(Tuple2.of(1, 2L)));
    put("tuple-with-nothing", new TupleSerializer(Tuple2.class, new TypeSerializer[] {IntSerializer.INSTANCE, NullValueSerializer.INSTANCE}), Tuple2.of(1, NullValue.getInstance()));
    put("nullable", NullableSerializer.wrap(LongSerializer.INSTANCE, false), null, 5L);
    put("nullable-padded", NullableSerializer.wrap(LongSerializer.INSTANCE, true), null, 5L);
    put("nullable-string", NullableSerializer.wrap(StringSerializer.INSTANCE, true), null, "x");
    put("row", () -> of(new RowTypeInfo(new TypeInformation<?>[] {Types.INT, Types.STRING, Types.LONG, Types.INT, Types.INT, Types.INT, Types.STRING, Types.INT}, new String[] {"a", "b", "c", "d", "e", "f", "g", "h"}), c),
        () -> List.of(Row.of(1, "x", 2L, 3, 4, 5, "y", 6), Row.ofKind(RowKind.DELETE, null, "x", null, null, 4, null, "y", null), new Row(8)));
    put("pojo", () -> { TypeSerializer<Item> s = of(TypeInformation.of(Item.class), c); s.serialize(new OtherItem("first"), new DataOutputSerializer(8)); return s; },
        () -> Arrays.asList(null, new Item(1, "one"), new Item(2, null), new SubItem(1.5), new OtherItem("n"), new OtherItem(null)));
    put("pojo-kryo", () -> of(TypeInformation.of(WithKryo.class), c), () -> List.of(new WithKryo(null), new WithKryo(new TreeMap<>(Map.of("k", 1L)))));
    put("kryo", () -> of(new GenericTypeInfo<>(TreeMap.class), c), () -> List.of(new TreeMap<>(Map.of("k", 1L))));
    put("tuple-kryo", () -> of(Types.TUPLE(Types.LONG, new GenericTypeInfo<>(TreeMap.class)), c), () -> List.of(Tuple2.of(1L, new TreeMap<>(Map.of("k", 1L)))));
    put("java-object", () -> ser("org.apache.flink.runtime.state.JavaSerializer"), () -> List.of("x"));
    put("copyable-value", () -> new CopyableValueSerializer<>(LongValue.class), () -> List.of(new LongValue(4)));
    put("array-list", () -> ser("org.apache.flink.runtime.state.ArrayListSerializer", LongSerializer.INSTANCE), () -> List.of(new ArrayList<>(List.of(1L, 2L))));
    put("void-namespace", () -> instance("org.apache.flink.runtime.state.VoidNamespaceSerializer"), () -> List.of(Class.forName("org.apache.flink.runtime.state.VoidNamespace").getField("INSTANCE").get(null)));
    put("time-window", new org.apache.flink.streaming.api.windowing.windows.TimeWindow.Serializer(), new org.apache.flink.streaming.api.windowing.windows.TimeWindow(1, 2));
    put("global-window", new org.apache.flink.streaming.api.windowing.windows.GlobalWindow.Serializer(), org.apache.flink.streaming.api.windowing.windows.GlobalWindow.get());
    put("tuple-of-windows", new TupleSerializer(Tuple2.class, new TypeSerializer[] {new org.apache.flink.streaming.api.windowing.windows.TimeWindow.Serializer(), new org.apache.flink.streaming.api.windowing.windows.TimeWindow.Serializer()}), Tuple2.of(new org.apache.flink.streaming.api.windowing.windows.TimeWindow(1, 2), new org.apache.flink.streaming.api.windowing.windows.TimeWindow(1, 2)));
    String w = "org.apache.flink.table.runtime.operators.window.";
    put("table-time-window", () -> ser(w + "TimeWindow$Serializer"), () -> List.of(make(w + "TimeWindow", 1L, 2L)));
    put("table-count-window", () -> ser(w + "CountWindow$Serializer"), () -> List.of(make(w + "CountWindow", 1L)));
    put("table-global-window", () -> ser(w + "GlobalWindow$Serializer"), () -> List.of(Class.forName(w + "GlobalWindow").getMethod("get").invoke(null)));
    put("timer", () -> ser("org.apache.flink.streaming.api.operators.TimerSerializer", StringSerializer.INSTANCE, instance("org.apache.flink.runtime.state.VoidNamespaceSerializer")),
        () -> List.of(make("org.apache.flink.streaming.api.operators.TimerHeapInternalTimer", -5L, "key", Class.forName("org.apache.flink.runtime.state.VoidNamespace").getField("INSTANCE").get(null))));
    String ttl = "org.apache.flink.runtime.state.ttl.";
    put("ttl", () -> ser(ttl + "TtlStateFactory$TtlSerializer", LongSerializer.INSTANCE, StringSerializer.INSTANCE), () -> List.of(make(ttl + "TtlValue", "x", 77L)));
    put("ttl-fixed", () -> ser(ttl + "TtlStateFactory$TtlSerializer", LongSerializer.INSTANCE, IntSerializer.INSTANCE), () -> List.of(make(ttl + "TtlValue", 1, 77L)));
    put("ttl-aware", () -> ser(ttl + "TtlAwareSerializer", ser(ttl + "TtlStateFactory$TtlSerializer", LongSerializer.INSTANCE, StringSerializer.INSTANCE)), () -> List.of(make(ttl + "TtlValue", "x", 77L)));
    String se = "org.apache.flink.streaming.runtime.streamrecord.";
    put("stream-element", () -> ser(se + "StreamElementSerializer", StringSerializer.INSTANCE), () -> {
      List<Object> all = new ArrayList<>(List.of(make(se + "StreamRecord", "x"), make(se + "StreamRecord", "x", 7L), new org.apache.flink.streaming.api.watermark.Watermark(5),
          make(se + "LatencyMarker", 1L, new org.apache.flink.runtime.jobgraph.OperatorID(2, 3), 4)));
      all.add(make(either("org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus", "org.apache.flink.streaming.runtime.streamstatus.StreamStatus").getName(), 0));
      try { all.add(make(se + "RecordAttributes", true)); all.add(make("org.apache.flink.streaming.api.watermark.InternalWatermark", 5L, 6)); } catch (ClassNotFoundException e) { }
      return all; });
    put("buffer-entry", () -> ser("org.apache.flink.streaming.api.operators.co.IntervalJoinOperator$BufferEntrySerializer", StringSerializer.INSTANCE), () -> List.of(make("org.apache.flink.streaming.api.operators.co.IntervalJoinOperator$BufferEntry", "x", true)));
    put("co-group-union", () -> ser("org.apache.flink.streaming.api.datastream.CoGroupedStreams$UnionSerializer", StringSerializer.INSTANCE, LongSerializer.INSTANCE), () -> {
      Class<?> u = either("org.apache.flink.streaming.api.datastream.CoGroupedStreams$TaggedUnion", "org.apache.flink.util.TaggedUnion");
      return List.of(call(u, "one", null, "x"), call(u, "two", null, 5L)); });
    String tp = either("org.apache.flink.streaming.api.functions.sink.TwoPhaseCommitSinkFunction", "org.apache.flink.streaming.api.functions.sink.legacy.TwoPhaseCommitSinkFunction").getName();
    Object holder = make(tp + "$TransactionHolder", "txn", 5L);
    put("two-phase-commit", () -> ser(tp + "$StateSerializer", StringSerializer.INSTANCE, LongSerializer.INSTANCE), () -> List.of(
        make(tp + "$State", holder, List.of(), Optional.empty()), make(tp + "$State", holder, List.of(holder, holder), Optional.of(7L))));
    put("two-phase-commit-null", () -> ser(tp + "$StateSerializer", StringSerializer.INSTANCE, LongSerializer.INSTANCE, true), () -> List.of(
        make(tp + "$State", null, List.of(holder), Optional.empty()), make(tp + "$State", holder, List.of(), Optional.of(7L))));
    // SQL
    String t = "org.apache.flink.table.runtime.typeutils.";
    LogicalType[] types = {new IntType(), new VarCharType(VarCharType.MAX_LENGTH), new DecimalType(30, 5)};
    Maker<GenericRowData> row = () -> GenericRowData.of(5, StringData.fromString("a longer text"), DecimalData.fromBigDecimal(new BigDecimal("1.5"), 30, 5));
    put("row-data", () -> ser(t + "RowDataSerializer", (Object) RowType.of(types)), () -> List.of(row.make(), new GenericRowData(3)));
    Maker<Object> binary = () -> call(Class.forName(t + "RowDataSerializer"), "toBinaryRow", ser(t + "RowDataSerializer", (Object) RowType.of(types)), row.make());
    put("binary-row-data", () -> ser(t + "BinaryRowDataSerializer", 3), () -> List.of(binary.make()));
    put("array-data", () -> ser(t + "ArrayDataSerializer", new VarCharType(7)), () -> List.of(new GenericArrayData(new Object[] {StringData.fromString("x"), null})));
    put("map-data", () -> ser(t + "MapDataSerializer", new IntType(), new BigIntType()), () -> List.of(new GenericMapData(Map.of(1, 2L))));
    put("decimal-compact", () -> ser(t + "DecimalDataSerializer", 10, 2), () -> List.of(DecimalData.fromBigDecimal(new BigDecimal("1.5"), 10, 2)));
    put("decimal-data", () -> ser(t + "DecimalDataSerializer", 30, 5), () -> List.of(DecimalData.fromBigDecimal(new BigDecimal("1.5"), 30, 5)));
    put("timestamp-compact", () -> ser(t + "TimestampDataSerializer", 3), () -> List.of(TimestampData.fromEpochMillis(5)));
    put("timestamp-data", () -> ser(t + "TimestampDataSerializer", 6), () -> List.of(TimestampData.fromEpochMillis(5, 6)));
    put("raw-value-data", () -> ser(t + "RawValueDataSerializer", LongSerializer.INSTANCE), () -> List.of(RawValueData.fromObject(7L)));
    put("string-data", () -> instance(t + "StringDataSerializer"), () -> List.of(StringData.fromString(""), StringData.fromString("xyz")));
    put("linked-list", () -> ser(t + "LinkedListSerializer", LongSerializer.INSTANCE), () -> List.of(new LinkedList<>(), new LinkedList<>(Arrays.asList(1L, null, 2L, 3L, null, null, null, 4L, 5L, null))));
    put("window-key", () -> ser(t + "WindowKeySerializer", ser(t + "BinaryRowDataSerializer", 3)), () -> List.of(make(either("org.apache.flink.table.runtime.util.WindowKey", "org.apache.flink.table.runtime.operators.aggregate.window.buffers.WindowKey").getName(), 5L, binary.make())));
    put("external", () -> (TypeSerializer<?>) Class.forName(t + "ExternalSerializer").getMethod("of", org.apache.flink.table.types.DataType.class).invoke(null, org.apache.flink.table.api.DataTypes.ROW(org.apache.flink.table.api.DataTypes.FIELD("a", org.apache.flink.table.api.DataTypes.INT()))), () -> List.of(Row.of(5)));
    put("sorted-map", () -> ser(t + "SortedMapSerializer", (Comparator<Long> & Serializable) (x, y) -> Long.compare(x, y), LongSerializer.INSTANCE, StringSerializer.INSTANCE), () -> { TreeMap<Long, String> m = new TreeMap<>(); m.put(1L, "x"); m.put(2L, null); return List.of(m); });
    String d = "org.apache.flink.table.dataview.";
    put("null-aware-map", () -> ser(d + "NullAwareMapSerializer", StringSerializer.INSTANCE, LongSerializer.INSTANCE), () -> { HashMap<String, Long> m = new HashMap<>(); m.put(null, 1L); m.put("x", null); return List.of(m); });
    put("list-view", () -> ser(d + "ListViewSerializer", new ListSerializer<>(LongSerializer.INSTANCE)), () -> { var v = new org.apache.flink.table.api.dataview.ListView<Long>(); v.add(4L); return List.of(v); });
    put("map-view", () -> ser(d + "MapViewSerializer", ser(d + "NullAwareMapSerializer", StringSerializer.INSTANCE, LongSerializer.INSTANCE)), () -> { var v = new org.apache.flink.table.api.dataview.MapView<String, Long>(); v.put("x", 4L); return List.of(v); });
    put("null-serializer", () -> instance(d + "NullSerializer"), () -> Arrays.asList((Object) null));
    put("sorted-long", () -> instance("org.apache.flink.table.runtime.operators.sink.SortedLongSerializer"), () -> List.of(5L));
    // PyFlink
    String p = t + "serializers.python.";
    put("python-row-data", () -> ser(p + "RowDataSerializer", new LogicalType[] {new IntType(), new VarCharType(9)}, new TypeSerializer<?>[] {IntSerializer.INSTANCE, instance(t + "StringDataSerializer")}), () -> List.of(GenericRowData.of(5, StringData.fromString("x")), GenericRowData.of(null, StringData.fromString("x")), new GenericRowData(2)));
    put("python-array-data", () -> ser(p + "ArrayDataSerializer", new IntType(), IntSerializer.INSTANCE), () -> List.of(new GenericArrayData(new int[] {1})));
    put("python-decimal", () -> ser(p + "DecimalDataSerializer", 10, 2), () -> List.of(DecimalData.fromBigDecimal(new BigDecimal("1.5"), 10, 2)));
    put("python-timestamp", () -> ser(p + "TimestampSerializer", 3), () -> List.of(new java.sql.Timestamp(5)));
    put("python-timestamp-6", () -> ser(p + "TimestampSerializer", 6), () -> List.of(new java.sql.Timestamp(5)));
    put("python-string", () -> instance(p + "StringSerializer"), () -> List.of("é"));
    put("python-big-decimal", () -> instance(p + "BigDecSerializer"), () -> List.of(new BigDecimal("1.5")));
    put("python-date", () -> instance(p + "DateSerializer"), () -> List.of(new java.sql.Date(5)));
    put("python-time", () -> instance(p + "TimeSerializer"), () -> List.of(new java.sql.Time(5)));
    put("python-byte-array-wrapper", () -> instance("org.apache.flink.streaming.api.utils.ByteArrayWrapperSerializer"), () -> List.of(make("org.apache.flink.streaming.api.utils.ByteArrayWrapper", (Object) new byte[] {1, 2, 3})));
    // CEP
    String n = "org.apache.flink.cep.nfa.";
    Maker<Object> event = () -> make(n + "sharedbuffer.EventId", 3, 4L);
    Maker<Object> node = () -> make(n + "sharedbuffer.NodeId", event.make(), "page");
    Maker<Object> version = () -> make(n + "DeweyNumber", 1);
    put("cep-dewey-number", () -> instance(n + "DeweyNumber$DeweyNumberSerializer"), () -> List.of(version.make(), call(Class.forName(n + "DeweyNumber"), "addStage", version.make())));
    put("cep-event-id", () -> instance(n + "sharedbuffer.EventId$EventIdSerializer"), () -> List.of(event.make()));
    put("cep-node-id", () -> ser(n + "sharedbuffer.NodeId$NodeIdSerializer"), () -> Arrays.asList(null, node.make()));
    put("cep-lockable", () -> ser(n + "sharedbuffer.Lockable$LockableTypeSerializer", StringSerializer.INSTANCE), () -> List.of(make(n + "sharedbuffer.Lockable", "x", 3)));
    put("cep-shared-buffer-edge", () -> ser(n + "sharedbuffer.SharedBufferEdge$SharedBufferEdgeSerializer"), () -> List.of(make(n + "sharedbuffer.SharedBufferEdge", node.make(), version.make()), make(n + "sharedbuffer.SharedBufferEdge", null, version.make())));
    put("cep-shared-buffer-node", () -> ser(n + "sharedbuffer.SharedBufferNodeSerializer"), () -> { Object b = make(n + "sharedbuffer.SharedBufferNode"); call(b.getClass(), "addEdge", b, make(n + "sharedbuffer.SharedBufferEdge", node.make(), version.make())); return List.of(make(n + "sharedbuffer.SharedBufferNode"), b); });
    put("cep-nfa-state", () -> ser(n + "NFAStateSerializer"), () -> { Class<?> cs = Class.forName(n + "ComputationState"); Object begun = null, started = null;
      for (Method m : cs.getDeclaredMethods()) if (m.getName().equals("createState")) { m.setAccessible(true);
        started = m.getParameterCount() == 6 ? m.invoke(null, "middle", node.make(), version.make(), 5L, 6L, event.make()) : m.invoke(null, "middle", node.make(), version.make(), 5L, event.make());
        begun = m.getParameterCount() == 6 ? m.invoke(null, "start", null, version.make(), -1L, -1L, null) : m.invoke(null, "start", null, version.make(), -1L, null); }
      PriorityQueue<Object> none = new PriorityQueue<>(), two = new PriorityQueue<>((x, y) -> 0); two.add(begun); two.add(started);
      return List.of(make(n + "NFAState", none, none), make(n + "NFAState", two, two)); });
    // sequenced multisets
    String q = "org.apache.flink.table.runtime.sequencedmultisetstate.linked.";
    put("multiset-row-sqn-info", () -> ser(q + "RowSqnInfoSerializer"), () -> List.of(make(q + "RowSqnInfo", 1L, 2L)));
    put("multiset-meta-sqn-info", () -> ser(q + "MetaSqnInfoSerializer"), () -> List.of(make(q + "MetaSqnInfo", 1L, 2L)));
    put("multiset-node", () -> ser(q + "NodeSerializer", ser(t + "BinaryRowDataSerializer", 3)), () -> List.of(make(q + "Node", binary.make(), 1L, null, 2L, null, 3L)));
    String b = "org.apache.flink.api.common.typeutils.base.";
    put("variant", () -> instance(b + "VariantSerializer"), () -> { Object builder = Class.forName("org.apache.flink.types.variant.Variant").getMethod("newBuilder").invoke(null); return List.of(call(Class.forName("org.apache.flink.types.variant.BinaryVariantBuilder"), "of", builder, "text")); });
    put("bitmap", () -> instance(b + "BitmapSerializer"), () -> { Object m = Class.forName("org.apache.flink.types.bitmap.Bitmap").getMethod("fromArray", int[].class).invoke(null, (Object) new int[] {1, 5}); return List.of(m); });
    put("set", () -> ser(b + "SetSerializer", LongSerializer.INSTANCE), () -> List.of(Set.of(), new HashSet<>(Arrays.asList(1L, null))));
    // Scala
    String s = "org.apache.flink.api.scala.typeutils.";
    put("scala-option", () -> ser(s + "OptionSerializer", LongSerializer.INSTANCE), () -> List.of(Class.forName("scala.Option").getMethod("apply", Object.class).invoke(null, 5L), Class.forName("scala.Option").getMethod("empty").invoke(null)));
    put("scala-either", () -> ser(s + "EitherSerializer", LongSerializer.INSTANCE, StringSerializer.INSTANCE), () -> List.of(make("scala.util.Left", 5L), make("scala.util.Right", "x")));
    put("scala-try", () -> ser(s + "TrySerializer", LongSerializer.INSTANCE, StringSerializer.INSTANCE), () -> List.of(make("scala.util.Success", 5L)));
    put("scala-unit", () -> ser(s + "UnitSerializer"), () -> List.of(Class.forName("scala.runtime.BoxedUnit").getField("UNIT").get(null)));
  }
}
