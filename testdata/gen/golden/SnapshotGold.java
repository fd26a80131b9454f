// Writes one file for each serializer, as TypeSerializerSnapshotSerializationUtil frames it.
// javac/java -cp "<flink>/lib/*:<flink>/opt/*:." SnapshotGold <directory>
import java.io.*;
import java.lang.reflect.*;
import java.nio.file.*;
import java.util.*;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.typeinfo.*;
import org.apache.flink.api.common.typeutils.*;
import org.apache.flink.api.common.typeutils.base.*;
import org.apache.flink.api.java.tuple.*;
import org.apache.flink.api.java.typeutils.*;
import org.apache.flink.api.java.typeutils.runtime.*;
import org.apache.flink.core.memory.*;
import org.apache.flink.table.types.logical.*;

public class SnapshotGold {
  public enum Colour { RED, GREEN, BLUE }
  public static class Item { public long id; public String name; public Colour colour; public TreeMap<String, Long> tree; public int[] counts; public Item() {} }
  public static class SubItem extends Item { public double price; public SubItem() {} }
  public static class Order { public Item item; public List<Item> items; public Map<String, Integer> attributes; public Tuple2<Long, String> pair; public Integer boxed; public Order() {} }

  static Path dir;
  static void put(String name, TypeSerializer<?> s) {
    try {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      DataOutputViewStreamWrapper out = new DataOutputViewStreamWrapper(bytes);
      TypeSerializerSnapshot<?> snapshot = s.snapshotConfiguration();
      for (Method m : TypeSerializerSnapshotSerializationUtil.class.getMethods())
        if (m.getName().equals("writeSerializerSnapshot")) {
          if (m.getParameterCount() == 3) m.invoke(null, out, snapshot, s); else m.invoke(null, out, snapshot);
        }
      Files.write(dir.resolve(name), bytes.toByteArray());
      System.out.println(name + " " + bytes.size());
    } catch (Throwable e) { System.out.println(name + " FAILED " + e + " " + e.getCause()); }
  }
  interface Maker { TypeSerializer<?> make() throws Throwable; }
  static void put(String name, Maker m) { try { put(name, m.make()); } catch (Throwable e) { System.out.println(name + " FAILED " + e); } }
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

  public static void main(String[] a) throws Throwable {
    dir = Paths.get(a[0]); Files.createDirectories(dir);
    ExecutionConfig c = new ExecutionConfig();
    try { ExecutionConfig.class.getMethod("registerPojoType", Class.class).invoke(c, SubItem.class);
          ExecutionConfig.class.getMethod("registerKryoType", Class.class).invoke(c, UUID.class); }
    catch (NoSuchMethodException e) { Object sc = ExecutionConfig.class.getMethod("getSerializerConfig").invoke(c);
      Class<?> k = Class.forName("org.apache.flink.api.common.serialization.SerializerConfigImpl");
      k.getMethod("registerPojoType", Class.class).invoke(sc, SubItem.class); k.getMethod("registerKryoType", Class.class).invoke(sc, UUID.class); }
    put("pojo-order", () -> of(TypeInformation.of(Order.class), c));
    put("pojo-item-registered", () -> of(TypeInformation.of(Item.class), c));
    put("kryo-treemap", () -> of(new GenericTypeInfo<>(TreeMap.class), c));
    put("row-named", () -> of(new RowTypeInfo(new TypeInformation<?>[] {Types.INT, Types.STRING}, new String[] {"a", "b"}), c));
    put("tuple3", () -> of(Types.TUPLE(Types.LONG, Types.STRING, Types.ENUM(Colour.class)), c));
    put("either", () -> of(new EitherTypeInfo<>(Types.LONG, Types.STRING), c));
    put("array-of-pojo", () -> of(Types.OBJECT_ARRAY(TypeInformation.of(Item.class)), c));
    put("map-list", () -> new MapSerializer<>(StringSerializer.INSTANCE, new ListSerializer<>(LongSerializer.INSTANCE)));
    put("nullable-padded", () -> NullableSerializer.wrap(LongSerializer.INSTANCE, true));
    put("value", () -> of((TypeInformation<?>) new ValueTypeInfo<>(org.apache.flink.types.ListValue.class == null ? null : (Class) org.apache.flink.types.StringValue.class), c));
    put("copyable-value", () -> new CopyableValueSerializer<>(org.apache.flink.types.LongValue.class));
    put("value-serializer", () -> new ValueSerializer<>(org.apache.flink.types.StringValue.class));
    put("java-serializer", () -> ser("org.apache.flink.runtime.state.JavaSerializer"));
    put("array-list", () -> ser("org.apache.flink.runtime.state.ArrayListSerializer", LongSerializer.INSTANCE));
    put("time-window", () -> new org.apache.flink.streaming.api.windowing.windows.TimeWindow.Serializer());
    put("timer", () -> ser("org.apache.flink.streaming.api.operators.TimerSerializer", StringSerializer.INSTANCE, new org.apache.flink.streaming.api.windowing.windows.GlobalWindow.Serializer()));
    put("ttl", () -> ser("org.apache.flink.runtime.state.ttl.TtlStateFactory$TtlSerializer", LongSerializer.INSTANCE, StringSerializer.INSTANCE));
    put("stream-element", () -> ser("org.apache.flink.streaming.runtime.streamrecord.StreamElementSerializer", StringSerializer.INSTANCE));
    put("buffer-entry", () -> ser("org.apache.flink.streaming.api.operators.co.IntervalJoinOperator$BufferEntrySerializer", StringSerializer.INSTANCE));
    put("co-group-union", () -> ser("org.apache.flink.streaming.api.datastream.CoGroupedStreams$UnionSerializer", StringSerializer.INSTANCE, LongSerializer.INSTANCE));
    String tp = "org.apache.flink.streaming.api.functions.sink.";
    put("two-phase-commit", () -> { try { return ser(tp + "TwoPhaseCommitSinkFunction$StateSerializer", StringSerializer.INSTANCE, VoidSerializer.INSTANCE); } catch (ClassNotFoundException e) { return ser(tp + "legacy.TwoPhaseCommitSinkFunction$StateSerializer", StringSerializer.INSTANCE, VoidSerializer.INSTANCE); } });
    put("two-phase-commit-null", () -> { try { return ser(tp + "TwoPhaseCommitSinkFunction$StateSerializer", StringSerializer.INSTANCE, VoidSerializer.INSTANCE, true); } catch (ClassNotFoundException e) { return ser(tp + "legacy.TwoPhaseCommitSinkFunction$StateSerializer", StringSerializer.INSTANCE, VoidSerializer.INSTANCE, true); } });
    // SQL
    String t = "org.apache.flink.table.runtime.typeutils.";
    RowType nested = RowType.of(new LogicalType[] {new BooleanType(false), new DoubleType()}, new String[] {"flag", "we`ird"});
    LogicalType[] types = {new IntType(), new VarCharType(VarCharType.MAX_LENGTH), new DecimalType(10, 2), new TimestampType(3), new LocalZonedTimestampType(6), new ArrayType(new IntType()), new MapType(new VarCharType(20), new BigIntType()), nested, new DateType(), new VarBinaryType(16), new CharType(3), new TimeType(0), new MultisetType(new SmallIntType()), new YearMonthIntervalType(YearMonthIntervalType.YearMonthResolution.YEAR_TO_MONTH), new DayTimeIntervalType(DayTimeIntervalType.DayTimeResolution.DAY_TO_SECOND), new FloatType(), new TinyIntType(), new BigIntType(false)};
    put("row-data", () -> ser(t + "RowDataSerializer", (Object) RowType.of(types)));
    put("binary-row-data", () -> ser(t + "BinaryRowDataSerializer", 3));
    put("array-data", () -> ser(t + "ArrayDataSerializer", new VarCharType(7)));
    put("map-data", () -> ser(t + "MapDataSerializer", new IntType(), nested));
    put("decimal-data", () -> ser(t + "DecimalDataSerializer", 30, 5));
    put("timestamp-data", () -> ser(t + "TimestampDataSerializer", 6));
    put("raw-value-data", () -> ser(t + "RawValueDataSerializer", LongSerializer.INSTANCE));
    put("string-data", () -> (TypeSerializer<?>) Class.forName(t + "StringDataSerializer").getField("INSTANCE").get(null));
    put("linked-list", () -> ser(t + "LinkedListSerializer", LongSerializer.INSTANCE));
    put("window-key", () -> ser(t + "WindowKeySerializer", ser(t + "BinaryRowDataSerializer", 1)));
    put("external", () -> (TypeSerializer<?>) Class.forName(t + "ExternalSerializer").getMethod("of", org.apache.flink.table.types.DataType.class).invoke(null, org.apache.flink.table.api.DataTypes.ROW(org.apache.flink.table.api.DataTypes.FIELD("a", org.apache.flink.table.api.DataTypes.INT()))));
    put("sorted-map", () -> ser(t + "SortedMapSerializer", (Comparator<Long> & Serializable) (x, y) -> Long.compare(x, y), LongSerializer.INSTANCE, StringSerializer.INSTANCE));
    String d = "org.apache.flink.table.dataview.";
    put("list-view", () -> ser(d + "ListViewSerializer", new ListSerializer<>(LongSerializer.INSTANCE)));
    put("map-view", () -> ser(d + "MapViewSerializer", ser(d + "NullAwareMapSerializer", StringSerializer.INSTANCE, LongSerializer.INSTANCE)));
    put("null-serializer", () -> (TypeSerializer<?>) Class.forName(d + "NullSerializer").getField("INSTANCE").get(null));
    put("table-count-window", () -> ser("org.apache.flink.table.runtime.operators.window.CountWindow$Serializer"));
    // PyFlink
    String p = t + "serializers.python.";
    put("python-row-data", () -> ser(p + "RowDataSerializer", new LogicalType[] {new IntType(), new VarCharType(9)}, new TypeSerializer<?>[] {IntSerializer.INSTANCE, (TypeSerializer<?>) Class.forName(p + "StringSerializer").getField("INSTANCE").get(null)}));
    put("python-array-data", () -> ser(p + "ArrayDataSerializer", new IntType(), IntSerializer.INSTANCE));
    put("python-map-data", () -> ser(p + "MapDataSerializer", new IntType(), new BigIntType(), IntSerializer.INSTANCE, LongSerializer.INSTANCE));
    put("python-decimal", () -> ser(p + "DecimalDataSerializer", 10, 2));
    put("python-timestamp", () -> ser(p + "TimestampSerializer", 3));
    put("python-byte-array-wrapper", () -> (TypeSerializer<?>) Class.forName("org.apache.flink.streaming.api.utils.ByteArrayWrapperSerializer").getField("INSTANCE").get(null));
    // CEP
    String n = "org.apache.flink.cep.nfa.";
    put("cep-nfa-state", () -> ser(n + "NFAStateSerializer"));
    put("cep-lockable", () -> ser(n + "sharedbuffer.Lockable$LockableTypeSerializer", StringSerializer.INSTANCE));
    put("cep-shared-buffer-node", () -> ser(n + "sharedbuffer.SharedBufferNodeSerializer"));
    put("cep-node-id", () -> ser(n + "sharedbuffer.NodeId$NodeIdSerializer"));
    // sequenced multisets (2.x)
    String q = "org.apache.flink.table.runtime.sequencedmultisetstate.linked.";
    put("multiset-row-sqn-info", () -> (TypeSerializer<?>) make(q + "RowSqnInfoSerializer"));
    put("multiset-meta-sqn-info", () -> (TypeSerializer<?>) make(q + "MetaSqnInfoSerializer"));
    put("multiset-node", () -> ser(q + "NodeSerializer", ser(t + "BinaryRowDataSerializer", 1)));
    for (String b : new String[] {"Variant", "Bitmap"})
      put("basic-" + b.toLowerCase(), () -> (TypeSerializer<?>) Class.forName("org.apache.flink.api.common.typeutils.base." + b + "Serializer").getField("INSTANCE").get(null));
    put("set", () -> ser("org.apache.flink.api.common.typeutils.base.SetSerializer", LongSerializer.INSTANCE));
  }
}
