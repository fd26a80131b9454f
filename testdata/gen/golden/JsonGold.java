// Writes a line of JSON for each serializer: its snapshot, and values as it writes them beside the JSON that they are.
// The JSON is made of the Java values alone. Formats and conventions: testdata/golden/README.md.
// JsonGold <Flink's version> <file>; see make-golden-json.sh
import java.io.*;
import java.math.*;
import java.sql.Timestamp;
import java.time.*;
import java.util.*;
import java.util.function.Function;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.typeinfo.*;
import org.apache.flink.api.common.typeutils.*;
import org.apache.flink.api.common.typeutils.base.*;
import org.apache.flink.api.common.typeutils.base.array.*;
import org.apache.flink.api.java.tuple.*;
import org.apache.flink.api.java.typeutils.*;
import org.apache.flink.api.java.typeutils.runtime.*;
import org.apache.flink.table.data.*;
import org.apache.flink.table.types.logical.*;
import org.apache.flink.types.*;

public class JsonGold {
  public enum Colour { RED, GREEN, BLUE { @Override public String toString() { return "not the name"; } } }
  public static class Item { public long id; public String name; public Colour colour; public int[] counts; public Integer boxed; public Item() {}
    Item(long id, String name) { this.id = id; this.name = name; colour = Colour.GREEN; counts = new int[] {1, -2}; } }
  public static class SubItem extends Item { public double price; public String above; public SubItem() {} SubItem(double p) { super(9, "sub"); price = p; above = "a"; } }
  public static class OtherItem extends Item { public String note; public OtherItem() {} OtherItem(String n) { super(8, null); note = n; } }
  public static class Order { public Item item; public Item[] items; public Tuple2<Long, String> pair; public Colour colour; public Boolean flag; public byte[] raw; public Instant at; public Order parent_; public Order() {} }
  public static class Everything { public boolean z; public byte b; public short s; public char c; public int i; public long l; public float f; public double d; public String text; public BigDecimal exact; public Date date; public Everything() {} }
  public static class Collections_ { public List<String> list; public Map<String, Long> map; public Set<Integer> set; public String last; public Collections_() {} }
  public static class WithKryo { public long id; public TreeMap<String, Long> tree; public String last; public WithKryo() {} WithKryo(TreeMap<String, Long> t) { tree = t; last = "z"; } }
  public static class Pair<A, B> { public A left; public B right; public int n; public Pair() {} Pair(A l, B r) { left = l; right = r; n = 3; } }
  public record Point(int y, int x, String label) {}
  /** No POJO: Kryo writes its fields. */
  public static class Thing { private final int number; private final String text; public Thing(int n, String t) { number = n; text = t; } }
  public static class Registered { private final long number; public Registered(long n) { number = n; } }

  // ---- what is written ----------------------------------------------------------------------------

  /** A value whose JSON is not told by its class. */
  record As(Object value, String json) {}
  /** A value that bytes alone do not tell: what the class is called, and what it would be if they did. */
  record Opaque(Object value, String cls, String json) {}
  /** A value whose bytes are a head and `times` times a unit. */
  record Repeated(Object value, int head, int times, String unit) {}

  static PrintStream out;
  static int failed;

  @SuppressWarnings("unchecked")
  static void put(String name, Gold.Maker<TypeSerializer<?>> maker, Function<Object, String> json, Gold.Maker<List<?>> values) {
    try {
      TypeSerializer<Object> s = (TypeSerializer<Object>) maker.make();
      StringJoiner all = new StringJoiner(",", "[", "]");
      for (Object v : values.make()) all.add(value(name, s, json, v));
      // After the values: what is met while writing is in some snapshots.
      out.println(Gold.object("name", Gold.string(name), "serializer", Gold.string(Gold.hex(Gold.snapshot(s))), "values", all.toString()));
    } catch (Throwable e) {
      if (Gold.missing(e)) System.out.println(name + " is not in this release: " + e);
      else { failed++; System.out.println(name + " FAILED"); e.printStackTrace(System.out); } } }

  static String value(String name, TypeSerializer<Object> s, Function<Object, String> json, Object v) throws Exception {
    if (v instanceof Opaque) {
      Opaque o = (Opaque) v;
      String[] told = {"hex", Gold.string(Gold.hex(Gold.bytes(s, o.value))), "opaque", Gold.string(o.cls)};
      return o.json == null ? Gold.object(told) : Gold.object(told[0], told[1], told[2], told[3], "json", o.json); }
    if (v instanceof As) return Gold.object("hex", Gold.string(Gold.hex(Gold.bytes(s, ((As) v).value))), "json", ((As) v).json);
    if (v instanceof Repeated) {
      Repeated r = (Repeated) v;
      byte[] bytes = Gold.bytes(s, r.value);
      int n = (bytes.length - r.head) / r.times;
      for (int i = r.head; i < bytes.length; i++)
        if ((bytes.length - r.head) % r.times != 0 || bytes[i] != bytes[r.head + (i - r.head) % n]) throw new IllegalStateException("byte " + i + " is no repetition");
      String whole = json.apply(r.value), unit = r.unit.substring(1, r.unit.length() - 1), between = r.unit.startsWith("[") ? "," : "";
      if (!whole.equals(r.unit.charAt(0) + String.join(between, Collections.nCopies(r.times, unit)) + r.unit.charAt(r.unit.length() - 1))) throw new IllegalStateException("the JSON is no repetition");
      return Gold.object("head", Gold.string(Gold.hex(Arrays.copyOf(bytes, r.head))), "unit", Gold.string(Gold.hex(Arrays.copyOfRange(bytes, r.head, r.head + n))), "times", "" + r.times, "json_unit", r.unit); }
    String text = json.apply(v);
    byte[] bytes = Gold.bytes(s, v);
    String[] told = {"hex", Gold.string(Gold.hex(bytes)), "json", text};
    String not = null;
    try {
      String back = json.apply(Gold.back(s, bytes));
      // What a HashMap or HashSet is read into has an order of its own.
      if (!Arrays.equals(back.chars().sorted().toArray(), text.chars().sorted().toArray())) not = back;
    } catch (Throwable e) { not = e.toString(); }
    if (not == null) return Gold.object(told);
    System.out.println(name + ": Flink itself reads " + not + " where it wrote " + text);
    // Kryo writes what it cannot read; of the others one is known.
    if (!name.startsWith("kryo-") && !name.equals("sql-timestamp")) failed++;
    return Gold.object(told[0], told[1], told[2], told[3], "flink_reads", Gold.string(not)); }

  static void put(String name, Gold.Maker<TypeSerializer<?>> maker, Gold.Maker<List<?>> values) { put(name, maker, Gold::json, values); }
  static void put(String name, TypeSerializer<?> s, Object... values) { put(name, () -> s, () -> Arrays.asList(values)); }
  static void put(String name, TypeInformation<?> t, ExecutionConfig c, Object... values) { put(name, () -> Gold.of(t, c), () -> Arrays.asList(values)); }

  static Timestamp timestamp(long ms, int nanos) { Timestamp t = new Timestamp(ms); t.setNanos(nanos); return t; }
  @SafeVarargs static <T> ArrayList<T> list(T... all) { return new ArrayList<>(Arrays.asList(all)); }
  static <T> ArrayList<T> times(int n, List<T> unit) { ArrayList<T> all = new ArrayList<>(n * unit.size()); for (int i = 0; i < n; i++) all.addAll(unit); return all; }

  public static void main(String[] a) throws Throwable {
    boolean two = a[0].startsWith("2.");
    out = new PrintStream(new FileOutputStream(a[1]), false, "UTF-8");
    ExecutionConfig c = new ExecutionConfig();
    Gold.register(c, "registerPojoType", SubItem.class);
    basic(c);
    arrays();
    times();
    composite(c, a[0]);
    runtime();
    sql();
    views();
    python();
    kryo(two);
    scala();
    out.close();
    if (out.checkError() || failed > 0) { System.out.println(failed + " failed"); System.exit(1); }
  }

  static void basic(ExecutionConfig c) {
    Boolean[] booleans = {true, false};
    Byte[] bytes = {0, 1, -1, Byte.MIN_VALUE, Byte.MAX_VALUE};
    Short[] shorts = {0, 1, -1, 255, 256, Short.MIN_VALUE, Short.MAX_VALUE};
    Integer[] ints = {0, 1, -1, 65536, Integer.MIN_VALUE, Integer.MAX_VALUE};
    Long[] longs = {0L, 1L, -1L, 1L << 53, (1L << 53) + 1, -(1L << 53) - 1, Long.MIN_VALUE, Long.MAX_VALUE};
    Float[] floats = {0f, -0f, 1f, -1.5f, 0.1f, 1e-4f, 1.17549435e-38f, 16777217f, 1e10f, 3.4e38f, Float.MIN_VALUE, Float.MAX_VALUE, -Float.MAX_VALUE, Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
    Double[] doubles = {0d, -0d, 1d, -1.5, 0.1, 0.1 + 0.2, 1e-5, 1e15, 1e16, 1e21, 2e23, 1e300, 9007199254740993d, 5e-324, 2.2250738585072014E-308, Double.MIN_VALUE, Double.MAX_VALUE, -Double.MAX_VALUE, Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY};
    Character[] chars = {'x', '\0', '"', '\\', '\n', 'é', '中', '\uffff', '\ud83d', '\ude00'};
    String[] strings = {null, "", "a", "\0", "\"\\/\b\f\n\r\t\u001f\u007f\u0080", "hello, world: more than eight", "é", "\u07ff\u0800", "中文", "\uffff", "\u2028\u2029\ufeff", "😀x", "\ud83d", "\ude00", "x\ud83d", "\ude00\ud83d", "a\ud83dz\ude00",
      "x".repeat(126), "x".repeat(127), "x".repeat(128), "é".repeat(127), "中".repeat(128), "x".repeat(16382), "😀".repeat(100), "0", "null", "{\"a\":1}"};
    put("boolean", BooleanSerializer.INSTANCE, (Object[]) booleans);
    put("byte", ByteSerializer.INSTANCE, (Object[]) bytes);
    put("short", ShortSerializer.INSTANCE, (Object[]) shorts);
    put("int", IntSerializer.INSTANCE, (Object[]) ints);
    put("long", LongSerializer.INSTANCE, (Object[]) longs);
    put("float", FloatSerializer.INSTANCE, (Object[]) floats);
    put("double", DoubleSerializer.INSTANCE, (Object[]) doubles);
    put("char", CharSerializer.INSTANCE, (Object[]) chars);
    put("string", StringSerializer.INSTANCE, (Object[]) strings);
    put("string-long", StringSerializer.INSTANCE, new Repeated("x".repeat(100_000), 3, 100_000, "\"x\""), new Repeated("aé中😀".repeat(20_000), 3, 20_000, "\"aé中😀\""));
    put("boolean-value", BooleanValueSerializer.INSTANCE, Arrays.stream(booleans).map(BooleanValue::new).toArray());
    put("byte-value", ByteValueSerializer.INSTANCE, Arrays.stream(bytes).map(ByteValue::new).toArray());
    put("short-value", ShortValueSerializer.INSTANCE, Arrays.stream(shorts).map(ShortValue::new).toArray());
    put("int-value", IntValueSerializer.INSTANCE, Arrays.stream(ints).map(IntValue::new).toArray());
    put("long-value", LongValueSerializer.INSTANCE, Arrays.stream(longs).map(LongValue::new).toArray());
    put("float-value", FloatValueSerializer.INSTANCE, Arrays.stream(floats).map(FloatValue::new).toArray());
    put("double-value", DoubleValueSerializer.INSTANCE, Arrays.stream(doubles).map(DoubleValue::new).toArray());
    put("char-value", CharValueSerializer.INSTANCE, Arrays.stream(chars).map(CharValue::new).toArray());
    put("string-value", StringValueSerializer.INSTANCE, Arrays.stream(strings).filter(s -> s != null && s.length() < 1000).map(StringValue::new).toArray());
    put("null-value", NullValueSerializer.INSTANCE, NullValue.getInstance());
    put("void", VoidSerializer.INSTANCE, (Object) null);
    put("big-integer", BigIntSerializer.INSTANCE, null, BigInteger.ZERO, BigInteger.ONE, BigInteger.TWO, BigInteger.TEN, BigInteger.ONE.negate(), BigInteger.valueOf(127), BigInteger.valueOf(128), BigInteger.valueOf(-128), BigInteger.valueOf(-129),
        BigInteger.valueOf(Long.MIN_VALUE), BigInteger.valueOf(Long.MAX_VALUE).add(BigInteger.ONE), BigInteger.ONE.shiftLeft(2000), BigInteger.TEN.pow(300).negate());
    put("big-decimal", BigDecSerializer.INSTANCE, null, BigDecimal.ZERO, BigDecimal.ONE, BigDecimal.TEN, new BigDecimal("2"), new BigDecimal("123.45"), new BigDecimal("-123.4500"), new BigDecimal("0.00"), new BigDecimal("0E+3"), new BigDecimal("-1E+100"), new BigDecimal("123E+7"),
        new BigDecimal("1E-7"), new BigDecimal("1E-1000"), new BigDecimal("1E-1001"), new BigDecimal("-0.000001"), new BigDecimal(BigInteger.TEN, Integer.MAX_VALUE), new BigDecimal(BigInteger.TEN, Integer.MIN_VALUE + 1),
        new BigDecimal(BigInteger.TEN.pow(200).add(BigInteger.ONE), 100), new BigDecimal("99999999999999999999999999999999999999"));
    put("enum", new EnumSerializer<>(Colour.class), (Object[]) Colour.values());
  }

  static void arrays() {
    String hundred = "abcdefghij".repeat(10);
    put("booleans", BooleanPrimitiveArraySerializer.INSTANCE, new boolean[0], new boolean[] {true, false, true}, new Repeated(new boolean[100_000], 4, 100_000, "[false]"));
    byte[] every = new byte[256];
    for (int i = 0; i < 256; i++) every[i] = (byte) i;
    put("bytes", BytePrimitiveArraySerializer.INSTANCE, new byte[0], new byte[] {0, -1, 127, -128}, every, new Repeated(new byte[100_000], 4, 100_000, "\"00\""));
    put("chars", CharPrimitiveArraySerializer.INSTANCE, new char[0], new char[] {'a', '中', '\ud83d', '\0'});
    put("shorts", ShortPrimitiveArraySerializer.INSTANCE, new short[0], new short[] {0, -1, Short.MIN_VALUE, Short.MAX_VALUE});
    put("ints", IntPrimitiveArraySerializer.INSTANCE, new int[0], new int[] {0, -1, Integer.MIN_VALUE, Integer.MAX_VALUE}, new Repeated(new int[100_000], 4, 100_000, "[0]"));
    put("longs", LongPrimitiveArraySerializer.INSTANCE, new long[0], new long[] {0, -1, Long.MIN_VALUE, Long.MAX_VALUE});
    put("floats", FloatPrimitiveArraySerializer.INSTANCE, new float[0], new float[] {-0f, Float.NaN, Float.MIN_VALUE, Float.NEGATIVE_INFINITY, 0.1f});
    put("doubles", DoublePrimitiveArraySerializer.INSTANCE, new double[0], new double[] {-0d, Double.NaN, Double.MIN_VALUE, Double.POSITIVE_INFINITY, 0.1});
    put("strings", StringArraySerializer.INSTANCE, new String[0], new String[] {"a", null, "", "😀", "\ud83d", hundred}, new Repeated(times(20_000, Arrays.asList("ab", null, "中", "", "z")).toArray(new String[0]), 4, 20_000, "[\"ab\",null,\"中\",\"\",\"z\"]"));
    ExecutionConfig c = new ExecutionConfig();
    put("boxed-booleans", BasicArrayTypeInfo.BOOLEAN_ARRAY_TYPE_INFO, c, new Boolean[0], new Boolean[] {true, null, false});
    put("boxed-bytes", BasicArrayTypeInfo.BYTE_ARRAY_TYPE_INFO, c, new Byte[0], new Byte[] {1, null, -1});
    put("boxed-chars", BasicArrayTypeInfo.CHAR_ARRAY_TYPE_INFO, c, new Character[0], new Character[] {'a', null, '中'});
    put("boxed-shorts", BasicArrayTypeInfo.SHORT_ARRAY_TYPE_INFO, c, new Short[0], new Short[] {1, null, -1});
    put("boxed-ints", BasicArrayTypeInfo.INT_ARRAY_TYPE_INFO, c, new Integer[0], new Integer[] {1, null, -1});
    put("boxed-longs", BasicArrayTypeInfo.LONG_ARRAY_TYPE_INFO, c, new Long[0], new Long[] {1L, null, -1L});
    put("boxed-floats", BasicArrayTypeInfo.FLOAT_ARRAY_TYPE_INFO, c, new Float[0], new Float[] {1f, null, -0f});
    put("boxed-doubles", BasicArrayTypeInfo.DOUBLE_ARRAY_TYPE_INFO, c, new Double[0], new Double[] {1d, null, Double.NaN});
    put("object-array", Types.OBJECT_ARRAY(Types.SQL_TIME), c, new java.sql.Time[0], new java.sql.Time[] {null, new java.sql.Time(4)});
    put("array-of-arrays", Types.OBJECT_ARRAY(Types.PRIMITIVE_ARRAY(Types.LONG)), c, new long[0][], new long[][] {{1, 2}, null, {}});
    put("array-of-pojos", Types.OBJECT_ARRAY(TypeInformation.of(Item.class)), c, new Item[0], new Item[] {null, new Item(1, "x")});
  }

  static void times() {
    long day = Gold.DAY, far = 253_402_300_800_000L; // 10000-01-01
    put("date", DateSerializer.INSTANCE, null, new Date(0), new Date(5), new Date(-1), new Date(day - 1), new Date(-day), new Date(1_769_817_600_000L), new Date(far - 1), new Date(far), new Date(-62_135_596_800_001L), new Date(-62_167_219_200_001L), new Date(Long.MAX_VALUE), new Date(Long.MIN_VALUE + 1));
    put("sql-date", SqlDateSerializer.INSTANCE, null, new java.sql.Date(0), new java.sql.Date(5), new java.sql.Date(-1), new java.sql.Date(-day), new java.sql.Date(20_000 * day), new java.sql.Date(far), new java.sql.Date(Long.MAX_VALUE));
    put("sql-time", SqlTimeSerializer.INSTANCE, null, new java.sql.Time(0), new java.sql.Time(5), new java.sql.Time(day - 1), new java.sql.Time(day), new java.sql.Time(-1));
    put("sql-timestamp", SqlTimestampSerializer.INSTANCE, null, new Timestamp(0), new Timestamp(5), new Timestamp(-1), timestamp(0, 1), timestamp(0, 999_999_999), timestamp(-1000, 999_999_999), timestamp(-1, 1000), timestamp(1_769_817_600_000L, 123_456_000), new Timestamp(far), timestamp(-62_135_596_800_000L, 7));
    put("instant", InstantSerializer.INSTANCE, null, Instant.EPOCH, Instant.ofEpochMilli(5), Instant.ofEpochSecond(-1), Instant.ofEpochSecond(0, -1), Instant.ofEpochSecond(1, 1000), Instant.ofEpochSecond(1, 100_000_000), Instant.ofEpochSecond(far / 1000), Instant.parse("0000-01-01T00:00:00Z"), Instant.parse("-0001-12-31T23:59:59Z"), Instant.MIN, Instant.MAX);
    put("local-date", LocalDateSerializer.INSTANCE, null, LocalDate.EPOCH, LocalDate.of(1969, 12, 31), LocalDate.of(2024, 2, 29), LocalDate.of(9999, 12, 31), LocalDate.of(10_000, 1, 1), LocalDate.of(1, 1, 1), LocalDate.of(0, 1, 1), LocalDate.of(-1, 12, 31), LocalDate.MIN, LocalDate.MAX);
    put("local-time", LocalTimeSerializer.INSTANCE, null, LocalTime.MIN, LocalTime.NOON, LocalTime.of(1, 2), LocalTime.of(1, 2, 3), LocalTime.of(1, 2, 3, 4_000_000), LocalTime.of(1, 2, 3, 4_000), LocalTime.of(1, 2, 3, 4), LocalTime.MAX);
    put("local-date-time", LocalDateTimeSerializer.INSTANCE, null, LocalDateTime.of(LocalDate.EPOCH, LocalTime.MIDNIGHT), LocalDateTime.of(1969, 12, 31, 23, 59, 59, 999_999_999), LocalDateTime.of(2024, 2, 29, 12, 0, 0, 500_000_000), LocalDateTime.of(12345, 6, 7, 8, 9), LocalDateTime.MIN, LocalDateTime.MAX);
  }

  static void composite(ExecutionConfig c, String version) throws Throwable {
    put("tuple0", Tuple0Serializer.INSTANCE, Tuple0.INSTANCE);
    put("tuple1", Types.TUPLE(Types.STRING), c, Tuple1.of("x"), Tuple1.of((String) null));
    put("tuple2", Types.TUPLE(Types.INT, Types.LONG), c, Tuple2.of(1, 2L));
    put("tuple3", Types.TUPLE(Types.LONG, Types.STRING, Types.ENUM(Colour.class)), c, Tuple3.of(1L, null, Colour.RED), Tuple3.of(-1L, "x", Colour.BLUE));
    Tuple25<Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object, Object> wide = new Tuple25<>();
    TypeInformation<?>[] fields = new TypeInformation<?>[25];
    for (int i = 0; i < 25; i++) { fields[i] = i % 2 == 0 ? Types.INT : Types.STRING; wide.setField(i % 2 == 0 ? (Object) i : "s" + i, i); }
    put("tuple25", new TupleTypeInfo<>(fields), c, wide);
    put("tuple-nested", Types.TUPLE(Types.TUPLE(Types.INT, Types.TUPLE(Types.STRING)), Types.LIST(Types.TUPLE(Types.BOOLEAN, Types.BIG_DEC))), c, Tuple2.of(Tuple2.of(1, Tuple1.of("x")), list(Tuple2.of(true, null), Tuple2.of(false, BigDecimal.TEN))));
    put("tuple-with-nothing", new TupleSerializer<>((Class<Tuple2<Integer, NullValue>>) (Class<?>) Tuple2.class, new TypeSerializer[] {IntSerializer.INSTANCE, NullValueSerializer.INSTANCE}), Tuple2.of(1, NullValue.getInstance()));

    TypeInformation<?>[] eight = {Types.INT, Types.STRING, Types.LONG, Types.INT, Types.INT, Types.INT, Types.STRING, Types.INT};
    Row full = Row.of(1, "x", 2L, 3, 4, 5, "y", 6), holes = Row.of(null, "x", null, null, 4, null, "y", null);
    List<Object> rows = list(full, holes, new Row(8));
    for (RowKind k : RowKind.values()) { Row r = Row.copy(full); r.setKind(k); rows.add(r); r = Row.copy(holes); r.setKind(k); rows.add(r); }
    put("row", new RowTypeInfo(eight, new String[] {"a", "b", "c", "d", "e", "f", "g", "h"}), c, rows.toArray());
    Row named = Row.withNames();
    named.setField("b", "y"); named.setField("a", 7);
    put("row-by-name", () -> Gold.of(new RowTypeInfo(new TypeInformation<?>[] {Types.INT, Types.STRING}, new String[] {"a", "b"}), c), () -> List.of(new As(named, "{\"f0\":7,\"f1\":\"y\"}"), Row.of(null, null)));
    put("row-empty", new RowTypeInfo(new TypeInformation<?>[0], new String[0]), c, new Row(0), Row.ofKind(RowKind.DELETE));
    for (int n : new int[] {5, 6, 7, 14, 15, 20}) {
      TypeInformation<?>[] types = new TypeInformation<?>[n];
      Arrays.fill(types, Types.INT);
      Row some = new Row(RowKind.UPDATE_AFTER, n);
      for (int i = 0; i < n; i += 3) some.setField(i, i);
      Row last = new Row(n);
      last.setField(n - 1, -1);
      put("row-of-" + n, new RowTypeInfo(types), c, some, last, new Row(n)); }
    put("row-nested", new RowTypeInfo(Types.ROW(Types.INT, Types.ROW(Types.STRING, Types.PRIMITIVE_ARRAY(Types.BYTE))), Types.LIST(Types.ROW(Types.LONG)), Types.MAP(Types.STRING, Types.ROW(Types.INT))), c,
        Row.of(Row.of(1, Row.ofKind(RowKind.DELETE, "x", new byte[] {1, 2})), list(Row.of(1L), Row.of((Object) null)), Gold.map("k", Row.of(5), "n", null)), Row.of(Row.of(1, null), null, null));

    Everything every = new Everything(), zero = new Everything();
    every.z = true; every.b = -1; every.s = -2; every.c = 'ß'; every.i = -3; every.l = Long.MIN_VALUE; every.f = 0.1f; every.d = -0d; every.text = "text"; every.exact = new BigDecimal("1.10"); every.date = new Date(-1);
    put("pojo-of-everything", TypeInformation.of(Everything.class), c, zero, every, (Object) null);
    put("pojo", () -> Gold.of(TypeInformation.of(Item.class), c), () -> Arrays.asList(null, new Item(1, "one"), new Item(2, null), new SubItem(1.5), new OtherItem("n"), new OtherItem(null)));
    Order order = new Order(), parent = new Order();
    parent.item = new SubItem(2); parent.items = new Item[] {null, new Item(3, "three"), new SubItem(-1)}; parent.pair = Tuple2.of(1L, "p"); parent.colour = Colour.BLUE; parent.flag = false; parent.raw = new byte[] {1}; parent.at = Instant.ofEpochSecond(1, 1);
    order.item = new OtherItem("deep");
    put("pojo-nested", () -> Gold.of(TypeInformation.of(Order.class), c), () -> Arrays.asList(new Order(), parent, order));
    Collections_ some = new Collections_(), empty = new Collections_();
    some.list = list("a", "b"); some.map = Gold.map("k", 1L, "l", -1L); some.set = new LinkedHashSet<>(List.of(3, 1)); some.last = "end";
    empty.list = list(); empty.map = Gold.map(); empty.set = new HashSet<>();
    put("pojo-with-collections", TypeInformation.of(Collections_.class), c, new Collections_(), empty, some);
    put("pojo-kryo", TypeInformation.of(WithKryo.class), c, new WithKryo(null), new WithKryo(new TreeMap<>(Map.of("k", 1L))));
    put("pojo-generic", TypeInformation.of(new TypeHint<Pair<String, Tuple2<Integer, Pair<Long, Boolean>>>>() {}), c, new Pair<String, Object>("l", Tuple2.of(1, new Pair<>(2L, true))), new Pair<>("only", null));
    if (!version.startsWith("1.1") || version.startsWith("1.19")) put("record", TypeInformation.of(Point.class), c, new Point(1, 2, "p"), new Point(-1, 0, null));

    put("list", new ListSerializer<>(StringSerializer.INSTANCE), list(), list("a", null, "bc"), new Repeated(times(20_000, list("ab", null, "中", "", "z")), 4, 20_000, "[\"ab\",null,\"中\",\"\",\"z\"]"));
    put("list-of-booleans", new ListSerializer<>(BooleanSerializer.INSTANCE), list(true, false), new Repeated(times(50_000, list(true, false)), 4, 50_000, "[true,false]"));
    put("list-of-bytes", new ListSerializer<>(ByteSerializer.INSTANCE), new Repeated(times(10_000, list((byte) 0, (byte) 1, (byte) 2, (byte) 3, (byte) 4, (byte) 5, (byte) 6, (byte) 7, (byte) -1, (byte) -128)), 4, 10_000, "[0,1,2,3,4,5,6,7,-1,-128]"));
    put("list-of-nothing", new ListSerializer<>(NullValueSerializer.INSTANCE), list(NullValue.getInstance(), NullValue.getInstance()), new Repeated(Collections.nCopies(1000, NullValue.getInstance()), 4, 1000, "[null]"));
    TypeSerializer<?> deep = StringSerializer.INSTANCE;
    Object bottom = null;
    for (int i = 0; i < 30; i++) { deep = new ListSerializer<>(deep); bottom = list(bottom); }
    put("list-30-deep", deep, bottom);
    put("lists", new ListSerializer<>(new ListSerializer<>(LongSerializer.INSTANCE)), list(list(1L, 2L), list(), list(3L)));
    put("array-list", () -> Gold.ser("org.apache.flink.runtime.state.ArrayListSerializer", LongSerializer.INSTANCE), () -> List.of(list(), list(1L, -2L)));
    put("map", new MapSerializer<>(StringSerializer.INSTANCE, new ListSerializer<>(LongSerializer.INSTANCE)), Gold.map(), Gold.map("b", list(1L), "a", null, "", list()));
    put("map-of-maps", new MapSerializer<>(LongSerializer.INSTANCE, new MapSerializer<>(StringSerializer.INSTANCE, StringSerializer.INSTANCE)), Gold.map(1L, Gold.map("x", null, "y", "z"), -1L, null, 0L, Gold.map()));
    put("map-by-tuple", new MapSerializer<>(Gold.of(Types.TUPLE(Types.INT, Types.STRING), c), DoubleSerializer.INSTANCE), Gold.map(Tuple2.of(1, "x"), 1.5, Tuple2.of(2, "y"), null));
    put("set", () -> Gold.ser("org.apache.flink.api.common.typeutils.base.SetSerializer", LongSerializer.INSTANCE), () -> List.of(Set.of(), new LinkedHashSet<>(Arrays.asList(2L, null, 1L))));
    put("either", new EitherTypeInfo<>(Types.LONG, Types.STRING), c, Either.Left(5L), Either.Right("r"));
    put("nullable", NullableSerializer.wrap(LongSerializer.INSTANCE, false), null, 5L);
    put("nullable-padded", NullableSerializer.wrap(LongSerializer.INSTANCE, true), null, 5L);
    put("nullable-string", NullableSerializer.wrap(StringSerializer.INSTANCE, true), null, "x");
    put("nullable-in-tuple", new TupleSerializer<>((Class<Tuple3<Long, Integer, String>>) (Class<?>) Tuple3.class, new TypeSerializer[] {NullableSerializer.wrap(LongSerializer.INSTANCE, true), NullableSerializer.wrap(IntSerializer.INSTANCE, false), StringSerializer.INSTANCE}),
        Tuple3.of(null, null, "after"), Tuple3.of(1L, 2, "x"));
    put("nullable-list", NullableSerializer.wrap(new ListSerializer<>(NullableSerializer.wrap(ShortSerializer.INSTANCE, true)), false), null, list((short) 1, null, (short) -1));
    // Not one of the built-in ones that have serializers of their own.
    put("copyable-value", () -> new CopyableValueSerializer<>(LongValue.class), () -> List.of(new Opaque(new LongValue(4), LongValue.class.getName(), null)));
  }

  static void runtime() throws Throwable {
    Object nowhere = Gold.constant("org.apache.flink.runtime.state.VoidNamespace", "INSTANCE");
    TypeSerializer<?> nowheres = Gold.instance("org.apache.flink.runtime.state.VoidNamespaceSerializer");
    put("void-namespace", nowheres, nowhere);
    String s = "org.apache.flink.streaming.api.windowing.windows.";
    long[][] spans = {{1, 2}, {-5, 5}, {Long.MIN_VALUE, Long.MAX_VALUE}, {1_700_000_000_000L, 1_700_000_060_000L}};
    put("time-window", () -> Gold.ser(s + "TimeWindow$Serializer"), () -> { List<Object> all = list(); for (long[] w : spans) all.add(Gold.make(s + "TimeWindow", w[0], w[1])); return all; });
    put("global-window", () -> Gold.ser(s + "GlobalWindow$Serializer"), () -> List.of(Class.forName(s + "GlobalWindow").getMethod("get").invoke(null)));
    String w = "org.apache.flink.table.runtime.operators.window.";
    put("table-time-window", () -> Gold.ser(w + "TimeWindow$Serializer"), () -> { List<Object> all = list(); for (long[] x : spans) all.add(Gold.make(w + "TimeWindow", x[0], x[1])); return all; });
    put("table-count-window", () -> Gold.ser(w + "CountWindow$Serializer"), () -> List.of(Gold.make(w + "CountWindow", 0L), Gold.make(w + "CountWindow", -7L)));
    put("table-global-window", () -> Gold.ser(w + "GlobalWindow$Serializer"), () -> List.of(Class.forName(w + "GlobalWindow").getMethod("get").invoke(null)));
    String timer = "org.apache.flink.streaming.api.operators.TimerSerializer", heap = "org.apache.flink.streaming.api.operators.TimerHeapInternalTimer";
    put("timer", () -> Gold.ser(timer, StringSerializer.INSTANCE, nowheres), () -> List.of(Gold.make(heap, -5L, "key", nowhere), Gold.make(heap, 0L, "", nowhere), Gold.make(heap, Long.MIN_VALUE, "x", nowhere), Gold.make(heap, Long.MAX_VALUE, "😀", nowhere)));
    put("timer-in-window", () -> Gold.ser(timer, new TupleSerializer<>(Tuple2.class, new TypeSerializer[] {LongSerializer.INSTANCE, StringSerializer.INSTANCE}), Gold.ser(s + "TimeWindow$Serializer")), () -> List.of(Gold.make(heap, 1_700_000_059_999L, Tuple2.of(1L, "k"), Gold.make(s + "TimeWindow", 1_700_000_000_000L, 1_700_000_060_000L))));
    String ttl = "org.apache.flink.runtime.state.ttl.", ts = ttl + "TtlStateFactory$TtlSerializer", tv = ttl + "TtlValue";
    put("ttl", () -> Gold.ser(ts, LongSerializer.INSTANCE, StringSerializer.INSTANCE), () -> List.of(Gold.make(tv, "x", 77L), Gold.make(tv, "", 0L), Gold.make(tv, "y", Long.MIN_VALUE), Gold.make(tv, "z", Long.MAX_VALUE)));
    put("ttl-fixed", () -> Gold.ser(ts, LongSerializer.INSTANCE, IntSerializer.INSTANCE), () -> List.of(Gold.make(tv, 1, 77L)));
    put("ttl-list", () -> new ListSerializer<>(Gold.ser(ts, LongSerializer.INSTANCE, StringSerializer.INSTANCE)), () -> List.of(list(Gold.make(tv, "x", 77L), Gold.make(tv, "y", 78L)), list()));
    put("ttl-map", () -> new MapSerializer<>(LongSerializer.INSTANCE, Gold.ser(ts, LongSerializer.INSTANCE, NullableSerializer.wrap(LongSerializer.INSTANCE, false))), () -> List.of(Gold.map(1L, Gold.make(tv, 5L, 77L), 2L, Gold.make(tv, null, 78L), 3L, null)));
    put("ttl-aware", () -> Gold.ser(ttl + "TtlAwareSerializer", Gold.ser(ts, LongSerializer.INSTANCE, StringSerializer.INSTANCE)), () -> List.of(Gold.make(tv, "x", 77L)));
    put("ttl-aware-off", () -> Gold.ser(ttl + "TtlAwareSerializer", StringSerializer.INSTANCE), () -> List.of("x"));
    put("ttl-async", () -> Gold.ser("org.apache.flink.runtime.state.v2.ttl.TtlStateFactory$TtlSerializer", LongSerializer.INSTANCE, StringSerializer.INSTANCE), () -> List.of(Gold.make(tv, "x", 77L)));
    String co = "org.apache.flink.streaming.api.";
    put("co-group-union", () -> Gold.ser(co + "datastream.CoGroupedStreams$UnionSerializer", StringSerializer.INSTANCE, LongSerializer.INSTANCE), () -> {
      String u = Gold.first("org.apache.flink.util.TaggedUnion", co + "datastream.CoGroupedStreams$TaggedUnion").getName();
      return List.of(new As(Gold.make(u, "x", null), "{\"left\":\"x\"}"), new As(Gold.make(u, null, 5L), "{\"right\":5}")); });
    put("interval-join-buffer", () -> new ListSerializer<>(Gold.ser(co + "operators.co.IntervalJoinOperator$BufferEntrySerializer", StringSerializer.INSTANCE)), () -> {
      String b = co + "operators.co.IntervalJoinOperator$BufferEntry";
      return List.of(new As(list(Gold.make(b, "x", true), Gold.make(b, null, false)), "[{\"element\":\"x\",\"hasBeenJoined\":true},{\"element\":null,\"hasBeenJoined\":false}]")); });
    String se = "org.apache.flink.streaming.runtime.streamrecord.";
    put("stream-element", () -> Gold.ser(se + "StreamElementSerializer", StringSerializer.INSTANCE), () -> List.of(Gold.make(se + "StreamRecord", "x"), Gold.make(se + "StreamRecord", "x", 7L), Gold.make(se + "StreamRecord", "", Long.MIN_VALUE), new org.apache.flink.streaming.api.watermark.Watermark(5), new org.apache.flink.streaming.api.watermark.Watermark(Long.MAX_VALUE)));
  }

  // ---- SQL ----------------------------------------------------------------------------------------

  static final String T = "org.apache.flink.table.runtime.typeutils.";
  static final TimestampType TIMESTAMP = new TimestampType(9);
  static StringData text(String s) { return StringData.fromString(s); }
  static DecimalData decimal(String s, int precision, int scale) { return DecimalData.fromBigDecimal(new BigDecimal(s), precision, scale); }
  static TimestampData time(long ms, int nanos) { return TimestampData.fromEpochMillis(ms, nanos); }
  static ArrayData array(Object... all) { return new GenericArrayData(all); }
  static MapData mapping(Object... kv) { return new GenericMapData(Gold.map(kv)); }

  static void rows(String name, LogicalType[] types, RowData... rows) {
    put(name, () -> Gold.ser(T + "RowDataSerializer", (Object) RowType.of(types)), v -> Gold.row(Arrays.asList(types), null, (RowData) v), () -> Arrays.asList((Object[]) rows)); }
  /** A column of one type: its values, each a row. */
  static void column(String name, LogicalType type, Object... values) {
    LogicalType[] types = {new IntType(), type, new VarCharType(VarCharType.MAX_LENGTH)};
    List<RowData> rows = new ArrayList<>();
    for (Object v : values) rows.add(GenericRowData.of(rows.size(), v, text("the column after it")));
    rows.add(GenericRowData.of(null, null, null));
    rows("sql-row-" + name, types, rows.toArray(new RowData[0]));
    List<Object> all = list(values);
    all.add(1, null);
    put("sql-array-" + name, () -> Gold.ser(T + "ArrayDataSerializer", type), v -> Gold.elements(type, (ArrayData) v), () -> List.of(new GenericArrayData(all.toArray()), new GenericArrayData(new Object[0]), new GenericArrayData(new Object[] {null, null}))); }

  static void sql() throws Throwable {
    VarCharType varchar = new VarCharType(VarCharType.MAX_LENGTH);
    int day = (int) Gold.DAY;
    long far = 253_402_300_800_000L;
    column("boolean", new BooleanType(), true, false);
    column("tinyint", new TinyIntType(), (byte) 1, Byte.MIN_VALUE, Byte.MAX_VALUE);
    column("smallint", new SmallIntType(), (short) 1, Short.MIN_VALUE, Short.MAX_VALUE);
    column("int", new IntType(), 1, Integer.MIN_VALUE, Integer.MAX_VALUE);
    column("bigint", new BigIntType(), 1L, Long.MIN_VALUE, Long.MAX_VALUE);
    column("float", new FloatType(), 0.1f, -0f, Float.NaN, Float.MIN_VALUE, Float.NEGATIVE_INFINITY);
    column("double", new DoubleType(), 0.1, -0d, Double.NaN, Double.MIN_VALUE, Double.POSITIVE_INFINITY);
    column("char", new CharType(3), text("abc"), text("é "));
    column("varchar", varchar, text(""), text("a"), text("1234567"), text("12345678"), text("123456789 and more"), text("ééé"), text("éééé"), text("😀"), text("😀中a"), text("\0\"\\"), text("x".repeat(127)), text("x".repeat(300)));
    column("binary", new BinaryType(4), new byte[] {0, 1, -1, 127}, new byte[4]);
    column("varbinary", new VarBinaryType(VarBinaryType.MAX_LENGTH), new byte[0], new byte[] {-1}, new byte[7], new byte[] {1, 2, 3, 4, 5, 6, 7, -128}, new byte[100]);
    column("decimal-compact", new DecimalType(10, 2), decimal("1.5", 10, 2), decimal("0", 10, 2), decimal("-99999999.99", 10, 2), decimal("99999999.99", 10, 2));
    column("decimal-18", new DecimalType(18, 18), decimal("0.000000000000000001", 18, 18), decimal("-0.999999999999999999", 18, 18));
    column("decimal-19", new DecimalType(19, 0), decimal("0", 19, 0), decimal("1", 19, 0), decimal("-1", 19, 0), decimal("9999999999999999999", 19, 0));
    column("decimal-38", new DecimalType(38, 10), decimal("1.5", 38, 10), decimal("9999999999999999999999999999.9999999999", 38, 10), decimal("-9999999999999999999999999999.9999999999", 38, 10));
    column("date", new DateType(), 0, -1, 19_000, (int) LocalDate.of(9999, 12, 31).toEpochDay(), (int) LocalDate.of(10_000, 1, 1).toEpochDay(), (int) LocalDate.of(1, 1, 1).toEpochDay(), (int) LocalDate.of(-1, 1, 1).toEpochDay(), Integer.MIN_VALUE, Integer.MAX_VALUE);
    column("time", new TimeType(3), 0, 1, 1000, day - 1, 12 * 3_600_000);
    for (int p : new int[] {0, 3, 4, 6, 9}) {
      List<Object> all = list(time(0, 0), time(-1, 0), time(1_700_000_000_000L, 0), time(far, 0), time(-62_135_596_800_001L, 0));
      if (p == 0) all = list(time(0, 0), time(-1000, 0), time(1_700_000_000_000L, 0));
      if (p > 3) { all.add(time(5, 100_000)); all.add(time(-1, 999_900)); }
      if (p > 4) { all.add(time(0, 1000)); all.add(time(-1, 999_000)); }
      if (p == 9) { all.add(time(0, 1)); all.add(time(-1, 999_999)); }
      if (p != 4 && p != 0) { all.add(time(Long.MAX_VALUE, 0)); all.add(time(Long.MIN_VALUE, 0)); }
      column("timestamp-" + p, new TimestampType(p), all.toArray());
      column("timestamp-ltz-" + p, new LocalZonedTimestampType(p), all.toArray()); }
    column("interval-year-month", new YearMonthIntervalType(YearMonthIntervalType.YearMonthResolution.YEAR_TO_MONTH), 0, 14, -14, Integer.MAX_VALUE);
    column("interval-day-time", new DayTimeIntervalType(DayTimeIntervalType.DayTimeResolution.DAY_TO_SECOND), 0L, 86_400_001L, -1L, Long.MAX_VALUE);
    column("array-of-ints", new ArrayType(new IntType()), array(), array(1, null, -3), new GenericArrayData(new int[] {1, 2, 3}));
    Object[] many = new Object[70];
    for (int i = 0; i < 70; i++) many[i] = i % 5 == 0 ? null : (Object) (long) i;
    column("array-of-bigints", new ArrayType(new BigIntType()), array(many));
    column("array-of-strings", new ArrayType(varchar), array(text("a"), null, text("longer than seven bytes"), text("")));
    column("array-of-arrays", new ArrayType(new ArrayType(new SmallIntType())), array(array((short) 1), null, array(), array((short) 2, null)));
    column("array-of-rows", new ArrayType(RowType.of(new LogicalType[] {new IntType(), varchar}, new String[] {"n", "we`ird \"name\""})), array(GenericRowData.of(1, text("x")), null, GenericRowData.of(null, null)));
    column("map", new MapType(varchar, new BigIntType()), mapping(), mapping(text("k"), 1L, text("a longer key"), null));
    column("map-of-maps", new MapType(new IntType(), new MapType(new IntType(), new DecimalType(20, 2))), mapping(1, mapping(2, decimal("3.25", 20, 2), 3, null), 4, null));
    column("multiset", new MultisetType(varchar), mapping(text("x"), 3, text("something longer"), 1));
    RowType nested = RowType.of(new LogicalType[] {new BooleanType(), new DoubleType(), RowType.of(new LogicalType[] {new TimestampType(9), new DecimalType(30, 5)}, new String[] {"at", "exact"})}, new String[] {"flag", "size", "inner"});
    GenericRowData changed = GenericRowData.ofKind(RowKind.UPDATE_BEFORE, false, null, null);
    column("row", nested, GenericRowData.of(true, 2.5, GenericRowData.of(time(1, 2), decimal("1.5", 30, 5))), GenericRowData.of(null, null, null), changed);
    // Of a RAW column's type there is only a Java object in the snapshot.
    RawType<Long> raw = new RawType<>(Long.class, LongSerializer.INSTANCE);
    put("sql-row-raw", () -> Gold.ser(T + "RowDataSerializer", (Object) RowType.of(raw, new IntType())), () -> List.of(
        new Opaque(GenericRowData.of(RawValueData.fromObject(7L), 1), "java.lang.Long", "{\"f0\":7,\"f1\":1}"), new As(GenericRowData.of(null, 2), "{\"f0\":null,\"f1\":2}")));
    put("sql-array-raw", () -> Gold.ser(T + "ArrayDataSerializer", raw), () -> List.of(new Opaque(array(RawValueData.fromObject(7L), null, RawValueData.fromObject(-1L)), "java.lang.Long", "[7,null,-1]"), new As(array((Object) null), "[null]")));

    // Null bits: 8 for the kind, then one a field; the first word is full at 56.
    for (int n : new int[] {56, 57}) {
      LogicalType[] types = new LogicalType[n];
      Arrays.fill(types, new TinyIntType());
      GenericRowData third = new GenericRowData(RowKind.DELETE, n), last = new GenericRowData(n);
      for (int i = 0; i < n; i += 3) third.setField(i, (byte) i);
      last.setField(n - 1, (byte) -1);
      rows("sql-row-of-" + n, types, third, last, new GenericRowData(n)); }
    LogicalType[] types = {new IntType(), varchar};
    List<RowData> kinds = new ArrayList<>();
    for (RowKind k : RowKind.values()) kinds.add(GenericRowData.ofKind(k, 1, text("x")));
    rows("sql-row-kinds", types, kinds.toArray(new RowData[0]));
    rows("sql-row-empty", new LogicalType[0], new GenericRowData(0), new GenericRowData(RowKind.DELETE, 0));
    GenericRowData big = GenericRowData.of(1, text("ab".repeat(2000)));
    rows("sql-row-large", types, big);
    Object binary = Gold.call(Gold.ser(T + "RowDataSerializer", (Object) RowType.of(types)), "toBinaryRow", GenericRowData.of(5, text("a longer text")));
    put("sql-binary-row", () -> Gold.ser(T + "BinaryRowDataSerializer", 2), () -> List.of(new Opaque(binary, "org.apache.flink.table.data.binary.BinaryRowData", null)));
    put("sql-window-key", () -> Gold.ser(T + "WindowKeySerializer", Gold.ser(T + "RowDataSerializer", (Object) RowType.of(types))), () -> {
      Class<?> key = Gold.first("org.apache.flink.table.runtime.util.WindowKey", "org.apache.flink.table.runtime.operators.aggregate.window.buffers.WindowKey");
      return List.of(new As(Gold.make(key.getName(), 5L, binary), "{\"window\":5,\"key\":{\"f0\":5,\"f1\":\"a longer text\"}}"), new As(Gold.make(key.getName(), Long.MIN_VALUE, binary), "{\"window\":-9223372036854775808,\"key\":{\"f0\":5,\"f1\":\"a longer text\"}}")); });
    put("sql-window-key-binary", () -> Gold.ser(T + "WindowKeySerializer", Gold.ser(T + "BinaryRowDataSerializer", 2)), () -> {
      Class<?> key = Gold.first("org.apache.flink.table.runtime.util.WindowKey", "org.apache.flink.table.runtime.operators.aggregate.window.buffers.WindowKey");
      return List.of(new Opaque(Gold.make(key.getName(), 5L, binary), "org.apache.flink.table.data.binary.BinaryRowData", null)); });

    put("sql-string", () -> Gold.instance(T + "StringDataSerializer"), () -> List.of(text(""), text("xyz"), text("12345678"), text("é中😀"), text("x".repeat(300))));
    for (int[] p : new int[][] {{10, 2}, {18, 0}, {19, 0}, {38, 37}}) {
      DecimalType t = new DecimalType(p[0], p[1]);
      String most = new BigDecimal(BigInteger.TEN.pow(p[0]).subtract(BigInteger.ONE), p[1]).toPlainString();
      put("sql-decimal-" + p[0] + "-" + p[1], () -> Gold.ser(T + "DecimalDataSerializer", p[0], p[1]), v -> Gold.sql(t, v), () -> List.of(decimal("0", p[0], p[1]), decimal("1", p[0], p[1]), decimal("-1", p[0], p[1]), decimal(most, p[0], p[1]), decimal("-" + most, p[0], p[1]))); }
    put("sql-timestamp-3", () -> Gold.ser(T + "TimestampDataSerializer", 3), v -> Gold.sql(TIMESTAMP, v), () -> List.of(time(0, 0), time(5, 0), time(-1, 0), time(far, 0), time(Long.MIN_VALUE, 0), time(Long.MAX_VALUE, 0)));
    put("sql-timestamp-9", () -> Gold.ser(T + "TimestampDataSerializer", 9), v -> Gold.sql(TIMESTAMP, v), () -> List.of(time(0, 0), time(5, 6), time(-1, 999_999), time(far, 1000), time(Long.MIN_VALUE, 1), time(Long.MAX_VALUE, 999_999)));
    put("sql-map-data", () -> Gold.ser(T + "MapDataSerializer", new IntType(), varchar), v -> Gold.map((MapData) v, new IntType(), varchar), () -> List.of(mapping(), mapping(2, text("x"), 1, null, -1, text("longer than seven"))));
    put("sql-raw-value", () -> Gold.ser(T + "RawValueDataSerializer", LongSerializer.INSTANCE), v -> Gold.json(((RawValueData<?>) v).toObject(Gold.<TypeSerializer>unchecked(LongSerializer.INSTANCE))), () -> List.of(RawValueData.fromObject(7L), RawValueData.fromObject(Long.MIN_VALUE)));
    put("sql-external", () -> (TypeSerializer<?>) Class.forName(T + "ExternalSerializer").getMethod("of", org.apache.flink.table.types.DataType.class).invoke(null, org.apache.flink.table.api.DataTypes.ROW(org.apache.flink.table.api.DataTypes.FIELD("a", org.apache.flink.table.api.DataTypes.INT()), org.apache.flink.table.api.DataTypes.FIELD("b", org.apache.flink.table.api.DataTypes.STRING()))),
        v -> { Row r = (Row) v; return Gold.object("f0", Gold.json(r.getField(0)), "f1", Gold.json(r.getField(1))); }, () -> List.of(Row.of(5, "x"), Row.of(null, null)));
  }

  static void python() throws Throwable {
    String p = T + "serializers.python.";
    put("python-string", () -> Gold.instance(p + "StringSerializer"), () -> List.of("", "x", "é中😀"));
    put("python-big-decimal", () -> Gold.instance(p + "BigDecSerializer"), () -> List.of(BigDecimal.ZERO, new BigDecimal("1.5"), new BigDecimal("-123.450")));
    put("python-date", () -> Gold.instance(p + "DateSerializer"), () -> List.of(new java.sql.Date(0), new java.sql.Date(20_000 * Gold.DAY), new java.sql.Date(-Gold.DAY)));
    put("python-time", () -> Gold.instance(p + "TimeSerializer"), () -> List.of(new java.sql.Time(0), new java.sql.Time(5), new java.sql.Time(86_399_999)));
    for (int n : new int[] {3, 6})
      put("python-timestamp-" + n, () -> Gold.ser(p + "TimestampSerializer", n), () -> List.of(new Timestamp(0), new Timestamp(5), new Timestamp(-1), new Timestamp(1_700_000_000_123L)));
    put("python-decimal", () -> Gold.ser(p + "DecimalDataSerializer", 10, 2), v -> Gold.sql(new DecimalType(10, 2), v), () -> List.of(decimal("1.5", 10, 2), decimal("-99999999.99", 10, 2)));
    put("python-byte-array-wrapper", () -> Gold.instance("org.apache.flink.streaming.api.utils.ByteArrayWrapperSerializer"), () -> List.of(Gold.make("org.apache.flink.streaming.api.utils.ByteArrayWrapper", (Object) new byte[] {1, 2, 3}), Gold.make("org.apache.flink.streaming.api.utils.ByteArrayWrapper", (Object) new byte[0])));
  }

  static void views() {
    put("linked-list", () -> Gold.ser(T + "LinkedListSerializer", LongSerializer.INSTANCE), () -> List.of(new LinkedList<>(), new LinkedList<>(Arrays.asList(1L, null, 2L, 3L, null, null, null, 4L, 5L, null)), new LinkedList<>(times(20, Arrays.asList(1L, null, 3L)))));
    put("sorted-map", () -> Gold.ser(T + "SortedMapSerializer", (Comparator<Long> & Serializable) (x, y) -> Long.compare(y, x), LongSerializer.INSTANCE, StringSerializer.INSTANCE), () -> {
      TreeMap<Long, String> m = new TreeMap<>(Comparator.reverseOrder());
      m.put(1L, "x"); m.put(2L, null); m.put(-1L, "");
      return List.of(new TreeMap<Long, String>(Comparator.reverseOrder()), m); });
    String d = "org.apache.flink.table.dataview.";
    put("null-aware-map", () -> Gold.ser(d + "NullAwareMapSerializer", StringSerializer.INSTANCE, LongSerializer.INSTANCE), () -> List.of(Gold.map(), Gold.map("y", 2L, null, 1L, "x", null), Gold.map(null, null)));
    put("list-view", () -> Gold.ser(d + "ListViewSerializer", new ListSerializer<>(LongSerializer.INSTANCE)), () -> {
      var v = new org.apache.flink.table.api.dataview.ListView<Long>();
      v.add(4L); v.add(-4L);
      return List.of(new org.apache.flink.table.api.dataview.ListView<Long>(), v); });
    put("map-view", () -> Gold.ser(d + "MapViewSerializer", Gold.ser(d + "NullAwareMapSerializer", StringSerializer.INSTANCE, LongSerializer.INSTANCE)), () -> {
      var v = new org.apache.flink.table.api.dataview.MapView<String, Long>();
      v.put("x", 4L); v.put(null, 5L); v.put("y", null);
      return List.of(new org.apache.flink.table.api.dataview.MapView<String, Long>(), v); });
    put("map-view-plain", () -> Gold.ser(d + "MapViewSerializer", new MapSerializer<>(StringSerializer.INSTANCE, LongSerializer.INSTANCE)), () -> {
      var v = new org.apache.flink.table.api.dataview.MapView<String, Long>();
      v.put("x", 4L); v.put("y", null);
      return List.of(v); });
    put("null-serializer", () -> Gold.instance(d + "NullSerializer"), () -> Arrays.asList((Object) null));
    put("sorted-long", () -> Gold.instance("org.apache.flink.table.runtime.operators.sink.SortedLongSerializer"), () -> List.of(5L, 0L, -1L, Long.MIN_VALUE, Long.MAX_VALUE));
  }

  // ---- Kryo ---------------------------------------------------------------------------------------

  static void kryo(boolean two) throws Throwable {
    ExecutionConfig c = new ExecutionConfig();
    Gold.register(c, "registerKryoType", Registered.class);
    String day = "java.time.DayOfWeek", unit = "java.util.concurrent.TimeUnit";
    GenericTypeInfo<Object> any = new GenericTypeInfo<>(Object.class);
    put("kryo-basic", any, c, true, false, (byte) -1, (short) -300, 'x', '\ud83d', 0, 1, -1, 63, 64, -65, 8191, 8192, Integer.MIN_VALUE, Integer.MAX_VALUE, 0L, -1L, 64L, Long.MIN_VALUE, Long.MAX_VALUE, 1.5f, -0f, Float.NaN, 0.1, Double.NEGATIVE_INFINITY,
        "", "a", "ab", "ascii only, and somewhat longer than sixty-three characters, so that lengths differ", "é", "中文", "😀", "a\ud83d", "x".repeat(200), "é".repeat(100), (Object) null);
    put("kryo-arrays", any, c, new byte[] {1, -1}, new byte[0], new boolean[] {true, false}, new char[] {'a', '中'}, new short[] {1, -1}, new int[] {1, -1, Integer.MAX_VALUE}, new long[] {1, Long.MIN_VALUE}, new float[] {0.5f}, new double[] {0.1}, new String[] {"a", null, "é"}, new Object[] {1, "x", null, 2L},
        new Integer[] {1, null, 2}, new int[][] {{1}, {}, null}, new Long[] {1L, 1L});
    put("kryo-numbers", any, c, BigInteger.ZERO, BigInteger.TWO, BigInteger.ONE.shiftLeft(100).negate(), BigDecimal.ZERO, BigDecimal.ONE, new BigDecimal("-123.450"), new BigDecimal("1E+20"));
    UUID uuid = UUID.fromString("00112233-4455-6677-8899-aabbccddeeff");
    BitSet bits = new BitSet();
    bits.set(0); bits.set(63); bits.set(64); bits.set(200);
    put("kryo-util", any, c, uuid, new Date(-1), new Date(1_700_000_000_123L), new java.sql.Date(Gold.DAY), new java.sql.Time(5), timestamp(-1, 123_456_789), Optional.empty(), Optional.of("x"), Optional.of(7L), bits, new BitSet(), Locale.GERMANY, Locale.ROOT, Currency.getInstance("EUR"), TimeZone.getTimeZone("UTC"), new StringBuilder("built"), new StringBuffer("buffered"),
        java.net.URI.create("s3://bucket/key?x=1"), java.util.regex.Pattern.compile("a+b"));
    // Kryo 5 leaves out the offset: which one a region has stands in the time zone database only.
    ZonedDateTime berlin = ZonedDateTime.of(2024, 7, 1, 12, 0, 0, 0, ZoneId.of("Europe/Berlin"));
    put("kryo-time", any, c, LocalDate.of(2024, 2, 29), LocalDate.of(-5, 1, 1), LocalTime.of(1, 2), LocalTime.of(1, 2, 3, 4), LocalTime.MIDNIGHT, LocalDateTime.of(2024, 2, 29, 1, 2, 3, 500_000_000), Instant.EPOCH, Instant.ofEpochSecond(-1, 999_999_999), Duration.ZERO, Duration.ofSeconds(-1, 500), Duration.ofDays(1000),
        Period.of(1, -2, 3), Period.ZERO, ZoneOffset.UTC, ZoneOffset.ofHoursMinutes(5, 30), ZoneId.of("Europe/Berlin"), two ? new As(berlin, "\"2024-07-01T12:00:00[Europe/Berlin]\"") : berlin, ZonedDateTime.of(2024, 7, 1, 12, 0, 0, 0, ZoneOffset.UTC), OffsetDateTime.of(2024, 7, 1, 12, 0, 0, 1000, ZoneOffset.ofHours(-3)), OffsetTime.of(1, 2, 3, 0, ZoneOffset.UTC), Year.of(2024), YearMonth.of(2024, 7), MonthDay.of(2, 29));
    LinkedHashMap<Object, Object> linked = Gold.map("b", 1, "a", null, "c", list(1L, "x"));
    TreeMap<String, Long> tree = new TreeMap<>(Map.of("k", 1L, "j", 2L));
    TreeMap<Integer, String> reversed = new TreeMap<>(Comparator.reverseOrder());
    reversed.put(1, "x"); reversed.put(2, "y");
    HashMap<Object, Object> hash = new HashMap<>(Map.of(1, "one", 2, "two"));
    put("kryo-collections", any, c, list(), list(1, 2L, "x", null, 'c', 1.5, true, uuid), new LinkedList<>(List.of(1, 2)), new ArrayDeque<>(List.of("a", "b")), new Vector<>(List.of(1)), new Stack<>(), hash, linked, new HashMap<>(), tree, reversed, new HashSet<>(List.of("one")), new LinkedHashSet<>(List.of(3, 1, 2)), new TreeSet<>(List.of("b", "a")),
        Arrays.asList(1, null, "x"), Arrays.asList("a", "b"), Collections.singletonList("only"), Collections.emptyList(), Collections.emptySet(), Collections.emptyMap(), Collections.singleton(5L), Collections.singletonMap("k", "v"),
        new java.util.concurrent.ConcurrentHashMap<>(Map.of("k", 1)), new java.util.concurrent.CopyOnWriteArrayList<>(List.of(1, 2)), new PriorityQueue<>(List.of(2, 1)));
    put("kryo-immutable", any, c, Collections.unmodifiableList(list(1, 2)), Collections.unmodifiableMap(Gold.map("k", 1)), Collections.unmodifiableSet(new LinkedHashSet<>(List.of(2, 1))), Collections.synchronizedList(list("x")), List.of(), List.of(1), List.of(1, 2), List.of(1, 2, 3), Set.of("x"), Map.of(), Map.of("k", "v"));
    String shared = new String("the same string");
    List<Object> inner = list("i");
    Long boxed = 1000L;
    put("kryo-references", any, c, list(shared, shared, "other"), list(inner, inner, list("i")), list(boxed, boxed, new Long[] {boxed}), Gold.map("a", inner, "b", inner), list(uuid, uuid), new Object[] {shared, list(shared)}, Gold.map(shared, shared));
    put("kryo-nested", any, c, Gold.map("x", list(1, 2), "y", list(), "z", null), list(Gold.map(1, Gold.map(2, list(3))), Optional.of(list(Optional.empty()))), Gold.map(list(1), new long[] {1}));
    put("kryo-long-list", any, c, times(200, list(1, 1000, -1)), times(100, list("ab", null, "é")));
    put("kryo-user", any, c, new Opaque(new Thing(5, "text"), Thing.class.getName(), null), new Opaque(new Registered(5), Registered.class.getName(), null), new Opaque(Colour.GREEN, Colour.class.getName(), Gold.json(Colour.GREEN)),
        new Opaque(DayOfWeek.MONDAY, day, "\"MONDAY\""), new Opaque(java.util.concurrent.TimeUnit.SECONDS, unit, "\"SECONDS\""), new Opaque(list(1, new Thing(5, "text"), 2), Thing.class.getName(), null), new Opaque(Gold.map("k", new Registered(7)), Registered.class.getName(), null));
    put("kryo-tree-map", new GenericTypeInfo<>(TreeMap.class), new ExecutionConfig(), new TreeMap<>(), tree);
    put("kryo-hash-map", new GenericTypeInfo<>(HashMap.class), new ExecutionConfig(), new HashMap<>(), hash, linked);
    put("kryo-uuid", new GenericTypeInfo<>(UUID.class), new ExecutionConfig(), uuid);
    put("kryo-in-tuple", Types.TUPLE(Types.LONG, new GenericTypeInfo<>(UUID.class), Types.STRING, any), c, Tuple4.of(1L, uuid, "after", list(1, "x")));
    put("kryo-in-list", new ListTypeInfo<>(new GenericTypeInfo<>(List.class)), c, list(list(1, 2), list(), list("x")));
  }

  static void scala() {
    String s = "org.apache.flink.api.scala.typeutils.";
    put("scala-option", () -> Gold.ser(s + "OptionSerializer", LongSerializer.INSTANCE), () -> List.of(Gold.make("scala.Some", 5L), Class.forName("scala.Option").getMethod("empty").invoke(null)));
    put("scala-either", () -> Gold.ser(s + "EitherSerializer", LongSerializer.INSTANCE, StringSerializer.INSTANCE), () -> List.of(Gold.make("scala.util.Left", 5L), Gold.make("scala.util.Right", "x")));
    put("scala-try", () -> Gold.ser(s + "TrySerializer", LongSerializer.INSTANCE, StringSerializer.INSTANCE), () -> List.of(Gold.make("scala.util.Success", 5L)));
    put("scala-unit", () -> Gold.ser(s + "UnitSerializer"), () -> List.of(Gold.constant("scala.runtime.BoxedUnit", "UNIT")));
    put("scala-tuple", () -> Gold.ser(s + "ScalaCaseClassSerializer", Class.forName("scala.Tuple3"), new TypeSerializer<?>[] {LongSerializer.INSTANCE, StringSerializer.INSTANCE, Gold.ser(s + "OptionSerializer", IntSerializer.INSTANCE)}),
        () -> List.of(Gold.make("scala.Tuple3", 5L, "x", Gold.make("scala.Some", 7)), Gold.make("scala.Tuple3", -5L, null, Class.forName("scala.Option").getMethod("empty").invoke(null))));
  }
}
