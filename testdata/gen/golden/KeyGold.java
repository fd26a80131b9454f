// Writes a line of JSON for each type of key: its serializer's snapshot, and keys as it writes them beside their JSON,
// their hashCode() and the key groups that Flink puts them into. Formats: testdata/golden/README.md.
// KeyGold <Flink's version> <file>; see make-golden-json.sh
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
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.flink.table.data.*;
import org.apache.flink.table.types.logical.*;
import org.apache.flink.types.*;

public class KeyGold {
  public enum Colour { RED, GREEN, BLUE }
  public static class UserKey { public long id; public String name; public UserKey() {} UserKey(long id, String name) { this.id = id; this.name = name; }
    @Override public int hashCode() { return 31 * Long.hashCode(id) + Objects.hashCode(name); }
    @Override public boolean equals(Object o) { return o instanceof UserKey && ((UserKey) o).id == id && Objects.equals(((UserKey) o).name, name); } }

  /** How a hash comes about: by Flink's and Java's own classes, by the user's, or by where an object lies in memory. */
  enum Hash { BUILT_IN, USER, IDENTITY }

  static PrintStream out;
  static int failed;

  @SuppressWarnings("unchecked")
  static void put(String name, Hash how, Gold.Maker<TypeSerializer<?>> maker, Function<Object, String> json, Gold.Maker<List<?>> keys) {
    try {
      TypeSerializer<Object> s = (TypeSerializer<Object>) maker.make();
      StringJoiner all = new StringJoiner(",", "[", "]");
      for (Object key : keys.make()) {
        byte[] bytes = Gold.bytes(s, key);
        List<String> told = new ArrayList<>(List.of("hex", Gold.string(Gold.hex(bytes))));
        if (json != null) told.addAll(List.of("json", json.apply(key)));
        int hash = key.hashCode();
        if (how != Hash.IDENTITY) {
          if (Gold.back(s, bytes).hashCode() != hash) throw new IllegalStateException("read again, " + key + " has another hash");
          told.addAll(List.of("hash", "" + hash));
          for (int max : new int[] {128, 4096}) told.addAll(List.of("key_group_" + max, "" + KeyGroupRangeAssignment.assignToKeyGroup(key, max))); }
        all.add(Gold.object(told.toArray(new String[0]))); }
      out.println(Gold.object("name", Gold.string(name), "serializer", Gold.string(Gold.hex(Gold.snapshot(s))), "hash_by", Gold.string(how.name().toLowerCase().replace('_', '-')), "keys", all.toString()));
    } catch (Throwable e) {
      if (Gold.missing(e)) System.out.println(name + " is not in this release: " + e);
      else { failed++; System.out.println(name + " FAILED"); e.printStackTrace(System.out); } } }
  static void put(String name, TypeSerializer<?> s, Object... keys) { put(name, Hash.BUILT_IN, () -> s, Gold::json, () -> Arrays.asList(keys)); }
  static void put(String name, TypeInformation<?> t, Object... keys) { put(name, Hash.BUILT_IN, () -> Gold.of(t, new ExecutionConfig()), Gold::json, () -> Arrays.asList(keys)); }
  static void put(String name, Hash how, TypeInformation<?> t, Object... keys) { put(name, how, () -> Gold.of(t, new ExecutionConfig()), Gold::json, () -> Arrays.asList(keys)); }
  @SafeVarargs static <T> ArrayList<T> list(T... all) { return new ArrayList<>(Arrays.asList(all)); }
  static Timestamp timestamp(long ms, int nanos) { Timestamp t = new Timestamp(ms); t.setNanos(nanos); return t; }

  public static void main(String[] a) throws Throwable {
    out = new PrintStream(new FileOutputStream(a[1]), false, "UTF-8");
    Integer[] ints = {0, 1, -1, 42, 65536, Integer.MIN_VALUE, Integer.MAX_VALUE};
    Long[] longs = {0L, 1L, -1L, 1L << 32, (1L << 53) + 1, 1_700_000_000_000L, Long.MIN_VALUE, Long.MAX_VALUE};
    Float[] floats = {0f, -0f, 1f, -1.5f, 0.1f, Float.MIN_VALUE, Float.MAX_VALUE, Float.NaN, Float.NEGATIVE_INFINITY};
    Double[] doubles = {0d, -0d, 1d, -1.5, 0.1, 1e300, Double.MIN_VALUE, Double.MAX_VALUE, Double.NaN, Double.POSITIVE_INFINITY};
    String[] strings = {"", "a", "user-1", "hello, world: more than eight", "\0", "é", "中文", "😀", "😀x", "\ud83d", "x".repeat(127), "x".repeat(1000)};
    put("boolean", BooleanSerializer.INSTANCE, true, false);
    put("byte", ByteSerializer.INSTANCE, (byte) 0, (byte) 1, (byte) -1, Byte.MIN_VALUE, Byte.MAX_VALUE);
    put("short", ShortSerializer.INSTANCE, (short) 0, (short) 1, (short) -1, Short.MIN_VALUE, Short.MAX_VALUE);
    put("int", IntSerializer.INSTANCE, (Object[]) ints);
    put("long", LongSerializer.INSTANCE, (Object[]) longs);
    put("float", FloatSerializer.INSTANCE, (Object[]) floats);
    put("double", DoubleSerializer.INSTANCE, (Object[]) doubles);
    put("char", CharSerializer.INSTANCE, 'x', '\0', '中', '\uffff', '\ud83d');
    put("string", StringSerializer.INSTANCE, (Object[]) strings);
    put("boolean-value", BooleanValueSerializer.INSTANCE, new BooleanValue(true), new BooleanValue(false));
    put("byte-value", ByteValueSerializer.INSTANCE, new ByteValue((byte) 1), new ByteValue((byte) -1));
    put("short-value", ShortValueSerializer.INSTANCE, new ShortValue((short) 1), new ShortValue((short) -1));
    put("int-value", IntValueSerializer.INSTANCE, Arrays.stream(ints).map(IntValue::new).toArray());
    put("long-value", LongValueSerializer.INSTANCE, Arrays.stream(longs).map(LongValue::new).toArray());
    put("float-value", FloatValueSerializer.INSTANCE, Arrays.stream(floats).map(FloatValue::new).toArray());
    put("double-value", DoubleValueSerializer.INSTANCE, Arrays.stream(doubles).map(DoubleValue::new).toArray());
    put("char-value", CharValueSerializer.INSTANCE, new CharValue('x'), new CharValue('中'));
    put("string-value", StringValueSerializer.INSTANCE, Arrays.stream(strings).map(StringValue::new).toArray());
    put("null-value", NullValueSerializer.INSTANCE, NullValue.getInstance());
    put("big-integer", BigIntSerializer.INSTANCE, BigInteger.ZERO, BigInteger.ONE, BigInteger.TWO, BigInteger.TEN, BigInteger.ONE.negate(), BigInteger.valueOf(Long.MIN_VALUE), BigInteger.ONE.shiftLeft(32), BigInteger.ONE.shiftLeft(200).subtract(BigInteger.ONE), BigInteger.TEN.pow(50).negate());
    put("big-decimal", BigDecSerializer.INSTANCE, BigDecimal.ZERO, BigDecimal.ONE, BigDecimal.TEN, new BigDecimal("1.0"), new BigDecimal("1.00"), new BigDecimal("-123.45"), new BigDecimal("1E+100"), new BigDecimal("123456789012345678901234567890.123"), new BigDecimal("-9223372036854775808"), new BigDecimal("9223372036.854775807"));
    put("date", DateSerializer.INSTANCE, new Date(0), new Date(-1), new Date(1_700_000_000_123L));
    put("sql-date", SqlDateSerializer.INSTANCE, new java.sql.Date(0), new java.sql.Date(-Gold.DAY), new java.sql.Date(20_000 * Gold.DAY));
    put("sql-time", SqlTimeSerializer.INSTANCE, new java.sql.Time(0), new java.sql.Time(5), new java.sql.Time(86_399_999));
    put("sql-timestamp", SqlTimestampSerializer.INSTANCE, new Timestamp(0), new Timestamp(-1), timestamp(1_700_000_000_000L, 123_456_789), timestamp(-1000, 1));
    put("instant", InstantSerializer.INSTANCE, Instant.EPOCH, Instant.ofEpochSecond(-1, 999_999_999), Instant.ofEpochSecond(1_700_000_000, 5), Instant.MIN, Instant.MAX);
    put("local-date", LocalDateSerializer.INSTANCE, LocalDate.EPOCH, LocalDate.of(1969, 12, 31), LocalDate.of(2024, 2, 29), LocalDate.of(-5, 3, 4), LocalDate.MIN, LocalDate.MAX);
    put("local-time", LocalTimeSerializer.INSTANCE, LocalTime.MIN, LocalTime.NOON, LocalTime.of(1, 2, 3, 4), LocalTime.MAX);
    put("local-date-time", LocalDateTimeSerializer.INSTANCE, LocalDateTime.of(1970, 1, 1, 0, 0), LocalDateTime.of(2024, 2, 29, 1, 2, 3, 4), LocalDateTime.MIN, LocalDateTime.MAX);
    put("uuid-by-kryo", new GenericTypeInfo<>(UUID.class), new UUID(0, 0), UUID.fromString("00112233-4455-6677-8899-aabbccddeeff"), new UUID(-1, 1));
    put("string-by-kryo", new GenericTypeInfo<>(String.class), "a", "é😀");
    put("long-by-kryo", new GenericTypeInfo<>(Long.class), 5L, -5L);
    put("list-by-kryo", new GenericTypeInfo<>(ArrayList.class), list(), list(1, 2L, "x"), list(list("y"), true));
    put("optional-by-kryo", new GenericTypeInfo<>(Optional.class), Optional.of("x"), Optional.empty());
    put("year-month-by-kryo", new GenericTypeInfo<>(YearMonth.class), YearMonth.of(2024, 7), YearMonth.of(-1, 12));

    put("tuple0", Tuple0Serializer.INSTANCE, Tuple0.INSTANCE);
    put("tuple1", Types.TUPLE(Types.STRING), Tuple1.of("x"), Tuple1.of((String) null));
    put("tuple2", Types.TUPLE(Types.INT, Types.STRING), Tuple2.of(0, ""), Tuple2.of(1, "x"), Tuple2.of(-1, null), Tuple2.of(Integer.MAX_VALUE, "😀"));
    put("tuple3", Types.TUPLE(Types.LONG, Types.STRING, Types.BOOLEAN), Tuple3.of(1L, "x", true), Tuple3.of(-1L, null, false));
    put("tuple-nested", Types.TUPLE(Types.TUPLE(Types.LONG, Types.DOUBLE), Types.LOCAL_DATE), Tuple2.of(Tuple2.of(1L, -0d), LocalDate.EPOCH), Tuple2.of(Tuple2.of(2L, 1.5), null));
    put("tuple-with-list", Types.TUPLE(Types.LIST(Types.STRING), Types.INT), Tuple2.of(list("a", null, "b"), 1), Tuple2.of(list(), 2));
    put("tuple-with-enum", Hash.IDENTITY, Types.TUPLE(Types.INT, Types.ENUM(Colour.class)), Tuple2.of(1, Colour.RED));
    put("tuple-with-bytes", Hash.IDENTITY, Types.TUPLE(Types.INT, Types.PRIMITIVE_ARRAY(Types.BYTE)), Tuple2.of(1, new byte[] {1, 2}));
    TypeInformation<Row> row = Types.ROW(Types.INT, Types.STRING, Types.LONG);
    put("row", row, Row.of(1, "x", 2L), Row.of(null, "x", null), new Row(3), Row.ofKind(RowKind.UPDATE_AFTER, 1, "x", 2L), Row.ofKind(RowKind.DELETE, 1, "x", 2L));
    put("row-nested", Types.ROW(Types.ROW(Types.INT), Types.LIST(Types.INT), Types.MAP(Types.STRING, Types.INT)), Row.of(Row.of(1), list(1, 2), Gold.map("a", 1, "b", null)), Row.of(Row.of((Object) null), list(), Gold.map()));
    // A Row looks into arrays, and into lists and maps of them.
    put("row-with-arrays", Types.ROW(Types.PRIMITIVE_ARRAY(Types.BYTE), Types.PRIMITIVE_ARRAY(Types.INT), Types.OBJECT_ARRAY(Types.STRING)), Row.of(new byte[] {1, -2}, new int[] {3}, new String[] {"a", null}), Row.of(new byte[0], null, new String[0]));
    put("row-with-list-of-arrays", Types.ROW(Types.LIST(Types.PRIMITIVE_ARRAY(Types.BYTE))), Row.of(list(new byte[] {1}, new byte[0])), Row.of(list()));
    put("row-with-enum", Hash.IDENTITY, Types.ROW(Types.INT, Types.ENUM(Colour.class)), Row.of(1, Colour.RED));
    put("either", new EitherTypeInfo<>(Types.LONG, Types.STRING), Either.Left(5L), Either.Right("r"), Either.Right(""));
    put("list", Types.LIST(Types.STRING), list(), list("a", "b"), list("a", null), list(""));
    put("list-of-lists", Types.LIST(Types.LIST(Types.LONG)), list(list(1L), list()), list());
    put("map", Types.MAP(Types.STRING, Types.LONG), Gold.map(), Gold.map("a", 1L, "b", -1L), Gold.map("b", -1L, "a", 1L), Gold.map("n", null));
    put("enum", Hash.IDENTITY, Types.ENUM(Colour.class), Colour.RED, Colour.BLUE);
    put("bytes", Hash.IDENTITY, Types.PRIMITIVE_ARRAY(Types.BYTE), new byte[0], new byte[] {1, 2});
    put("ints", Hash.IDENTITY, Types.PRIMITIVE_ARRAY(Types.INT), new int[0], new int[] {1, 2});
    put("strings", Hash.IDENTITY, Types.OBJECT_ARRAY(Types.STRING), (Object) new String[] {"a"});
    put("pojo", Hash.USER, TypeInformation.of(UserKey.class), new UserKey(1, "x"), new UserKey(-1, null));
    put("time-window", new org.apache.flink.streaming.api.windowing.windows.TimeWindow.Serializer(), new org.apache.flink.streaming.api.windowing.windows.TimeWindow(0, 60_000), new org.apache.flink.streaming.api.windowing.windows.TimeWindow(1_700_000_000_000L, 1_700_000_060_000L));

    // SQL's own data hash their bytes. Keys of SQL's operators are BinaryRowData.
    VarCharType varchar = new VarCharType(VarCharType.MAX_LENGTH);
    LogicalType[] every = {new IntType(), new BigIntType(), varchar, new BooleanType(), new DoubleType(), new DecimalType(10, 2), new DecimalType(30, 5), new TimestampType(3), new TimestampType(9), new DateType(), new VarBinaryType(VarBinaryType.MAX_LENGTH), new ArrayType(new IntType()), RowType.of(new LogicalType[] {new IntType(), varchar}, new String[] {"n", "s"})};
    rows("sql-row-int", new LogicalType[] {new IntType()}, GenericRowData.of(0), GenericRowData.of(1), GenericRowData.of(-1), GenericRowData.of((Object) null));
    rows("sql-row-bigint", new LogicalType[] {new BigIntType()}, GenericRowData.of(0L), GenericRowData.of(1L), GenericRowData.of(Long.MIN_VALUE));
    rows("sql-row-varchar", new LogicalType[] {varchar}, GenericRowData.of(StringData.fromString("")), GenericRowData.of(StringData.fromString("1234567")), GenericRowData.of(StringData.fromString("longer than seven bytes")), GenericRowData.of(StringData.fromString("😀")), GenericRowData.of((Object) null));
    rows("sql-row", every, GenericRowData.of(1, 2L, StringData.fromString("a longer text"), true, 0.5, DecimalData.fromBigDecimal(new BigDecimal("1.5"), 10, 2), DecimalData.fromBigDecimal(new BigDecimal("-1.5"), 30, 5), TimestampData.fromEpochMillis(5), TimestampData.fromEpochMillis(-1, 999_999), 19_000, new byte[] {1, 2}, new GenericArrayData(new Object[] {1, null}), GenericRowData.of(5, StringData.fromString("x"))), new GenericRowData(every.length));
    rows("sql-row-empty", new LogicalType[0], new GenericRowData(0));
    rows("sql-row-kinds", new LogicalType[] {new IntType()}, GenericRowData.ofKind(RowKind.INSERT, 1), GenericRowData.ofKind(RowKind.UPDATE_BEFORE, 1), GenericRowData.ofKind(RowKind.UPDATE_AFTER, 1), GenericRowData.ofKind(RowKind.DELETE, 1));
    put("sql-binary-row", Hash.BUILT_IN, () -> Gold.ser(T + "BinaryRowDataSerializer", 2), null, () -> List.of((Object) binary(new LogicalType[] {new IntType(), varchar}, GenericRowData.of(5, StringData.fromString("a longer text")))));
    put("sql-string", Hash.BUILT_IN, () -> Gold.instance(T + "StringDataSerializer"), Gold::json, () -> { List<Object> all = list(); for (String s : strings) if (!s.equals("\ud83d")) all.add(StringData.fromString(s)); return all; });
    for (int[] p : new int[][] {{10, 2}, {30, 5}}) {
      DecimalType t = new DecimalType(p[0], p[1]);
      put("sql-decimal-" + p[0] + "-" + p[1], Hash.BUILT_IN, () -> Gold.ser(T + "DecimalDataSerializer", p[0], p[1]), v -> Gold.sql(t, v), () -> { List<Object> all = list(); for (String d : new String[] {"0", "1.5", "-1.5", "99999999.99"}) all.add(DecimalData.fromBigDecimal(new BigDecimal(d), p[0], p[1])); return all; }); }
    for (int p : new int[] {3, 9})
      put("sql-timestamp-" + p, Hash.BUILT_IN, () -> Gold.ser(T + "TimestampDataSerializer", p), v -> Gold.sql(new TimestampType(p), v), () -> List.of(TimestampData.fromEpochMillis(0), TimestampData.fromEpochMillis(-1, p == 3 ? 0 : 999_999), TimestampData.fromEpochMillis(1_700_000_000_123L, p == 3 ? 0 : 1)));
    out.close();
    if (out.checkError() || failed > 0) { System.out.println(failed + " failed"); System.exit(1); }
  }

  static final String T = "org.apache.flink.table.runtime.typeutils.";
  static RowData binary(LogicalType[] types, RowData row) throws Throwable { return Gold.<RowData>call(Gold.<RowData>call(Gold.ser(T + "RowDataSerializer", (Object) RowType.of(types)), "toBinaryRow", row), "copy"); }
  static void rows(String name, LogicalType[] types, RowData... rows) {
    put(name, Hash.BUILT_IN, () -> Gold.ser(T + "RowDataSerializer", (Object) RowType.of(types)), v -> Gold.row(Arrays.asList(types), null, (RowData) v), () -> { List<Object> all = list(); for (RowData r : rows) all.add(binary(types, r)); return all; }); }
}
