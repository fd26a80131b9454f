// What JsonGold and KeyGold share: serializers by name, their snapshots and bytes, and the text of JSON.
import java.io.*;
import java.lang.reflect.*;
import java.math.*;
import java.nio.charset.StandardCharsets;
import java.time.*;
import java.util.*;
import java.util.function.Function;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.typeinfo.*;
import org.apache.flink.api.common.typeutils.*;
import org.apache.flink.api.java.tuple.*;
import org.apache.flink.api.java.typeutils.*;
import org.apache.flink.core.memory.*;
import org.apache.flink.table.data.*;
import org.apache.flink.table.types.logical.*;
import org.apache.flink.types.*;

final class Gold {
  interface Maker<T> { T make() throws Throwable; }

  // ---- Flink --------------------------------------------------------------------------------------

  /** Left out where this release does not have the serializer. */
  static boolean missing(Throwable e) {
    for (; e != null; e = e.getCause()) if (e instanceof ClassNotFoundException || e instanceof NoSuchMethodException) return true;
    return false; }
  static Object make(String cls, Object... args) throws Throwable {
    for (Constructor<?> c : Class.forName(cls).getDeclaredConstructors()) {
      if (c.getParameterCount() != args.length) continue;
      c.setAccessible(true);
      try { return c.newInstance(args); } catch (IllegalArgumentException e) { } }
    throw new NoSuchMethodException(cls); }
  static TypeSerializer<?> ser(String cls, Object... args) throws Throwable { return (TypeSerializer<?>) make(cls, args); }
  static Object constant(String cls, String field) throws Throwable { return Class.forName(cls).getField(field).get(null); }
  static TypeSerializer<?> instance(String cls) throws Throwable { return (TypeSerializer<?>) constant(cls, "INSTANCE"); }
  static Class<?> first(String... classes) throws ClassNotFoundException {
    for (String c : classes) try { return Class.forName(c); } catch (ClassNotFoundException e) { }
    throw new ClassNotFoundException(classes[0]); }
  @SuppressWarnings("unchecked") static <T> T call(Object target, String method, Object... args) {
    for (Class<?> c = target.getClass(); c != null; c = c.getSuperclass())
      for (Method m : c.getDeclaredMethods()) if (m.getName().equals(method) && m.getParameterCount() == args.length) {
        m.setAccessible(true);
        try { return (T) m.invoke(target, args); } catch (IllegalArgumentException e) { } catch (ReflectiveOperationException e) { throw new IllegalStateException(e); } }
    throw new IllegalStateException(target.getClass() + " has no " + method); }
  static void register(ExecutionConfig c, String how, Class<?> what) throws Exception {
    try { ExecutionConfig.class.getMethod(how, Class.class).invoke(c, what); }
    catch (NoSuchMethodException e) { Object sc = ExecutionConfig.class.getMethod("getSerializerConfig").invoke(c);
      Class.forName("org.apache.flink.api.common.serialization.SerializerConfigImpl").getMethod(how, Class.class).invoke(sc, what); } }
  @SuppressWarnings("unchecked") static <T> TypeSerializer<T> of(TypeInformation<T> t, ExecutionConfig c) throws Exception {
    try { return (TypeSerializer<T>) TypeInformation.class.getMethod("createSerializer", ExecutionConfig.class).invoke(t, c); }
    catch (NoSuchMethodException e) { Object sc = ExecutionConfig.class.getMethod("getSerializerConfig").invoke(c);
      return (TypeSerializer<T>) TypeInformation.class.getMethod("createSerializer", Class.forName("org.apache.flink.api.common.serialization.SerializerConfig")).invoke(t, sc); } }
  /** As TypeSerializerSnapshotSerializationUtil frames it. */
  static byte[] snapshot(TypeSerializer<?> s) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputViewStreamWrapper out = new DataOutputViewStreamWrapper(bytes);
    TypeSerializerSnapshot<?> snapshot = s.snapshotConfiguration();
    for (Method m : TypeSerializerSnapshotSerializationUtil.class.getMethods())
      if (m.getName().equals("writeSerializerSnapshot")) {
        if (m.getParameterCount() == 3) m.invoke(null, out, snapshot, s); else m.invoke(null, out, snapshot); }
    return bytes.toByteArray(); }
  static byte[] bytes(TypeSerializer<Object> s, Object value) throws IOException {
    DataOutputSerializer out = new DataOutputSerializer(64);
    s.serialize(value, out);
    return out.getCopyOfBuffer(); }
  static Object back(TypeSerializer<Object> s, byte[] bytes) throws IOException {
    DataInputDeserializer in = new DataInputDeserializer(bytes);
    Object value = s.deserialize(in);
    if (in.available() != 0) throw new IOException(in.available() + " bytes are left");
    return value; }
  static String hex(byte[] bytes) { return HexFormat.of().formatHex(bytes); }
  @SuppressWarnings("unchecked") static <T> T unchecked(Object o) { return (T) o; }
  static <K, V> LinkedHashMap<K, V> map(Object... kv) {
    LinkedHashMap<K, V> m = new LinkedHashMap<>();
    for (int i = 0; i < kv.length; i += 2) put(m, kv[i], kv[i + 1]);
    return m; }
  @SuppressWarnings("unchecked") private static <K, V> void put(Map<K, V> m, Object k, Object v) { m.put((K) k, (V) v); }

  // ---- JSON ---------------------------------------------------------------------------------------

  /** A line's members, in order; values are JSON already. */
  static String object(String... members) {
    StringJoiner j = new StringJoiner(",", "{", "}");
    for (int i = 0; i < members.length; i += 2) j.add(string(members[i]) + ":" + members[i + 1]);
    return j.toString(); }
  static String array(Iterable<?> values, Function<Object, String> json) {
    StringJoiner j = new StringJoiner(",", "[", "]");
    for (Object v : values) j.add(json.apply(v));
    return j.toString(); }
  static String entries(Map<?, ?> map, Function<Object, String> key, Function<Object, String> value) {
    StringJoiner j = new StringJoiner(",", "[", "]");
    map.forEach((k, v) -> j.add(object("key", key.apply(k), "value", value.apply(v))));
    return j.toString(); }
  static String string(String s) {
    if (!StandardCharsets.UTF_16BE.newEncoder().canEncode(s)) {
      StringBuilder units = new StringBuilder();
      s.chars().forEach(c -> units.append(String.format("%04x", c)));
      return "{\"$utf16\":\"" + units + "\"}"; }
    StringBuilder b = new StringBuilder("\"");
    for (char c : s.toCharArray())
      if (c == '"' || c == '\\') b.append('\\').append(c);
      else if (c < ' ' || c == 0x7f || c == 0x2028 || c == 0x2029) b.append(String.format("\\u%04x", (int) c));
      else b.append(c);
    return b.append('"').toString(); }
  private static String quoted(Object o) { return string(o.toString()); }

  /** The shortest decimal that is read as the same float or double. */
  private static String number(double d, int digits, Function<String, Boolean> same) {
    if (Double.isNaN(d) || Double.isInfinite(d)) return quoted(d);
    if (d == 0) return 1 / d < 0 ? "-0.0" : "0.0";
    BigDecimal exact = new BigDecimal(d);
    for (int p = 1; p <= digits; p++) {
      BigDecimal r = exact.round(new MathContext(p));
      if (!same.apply(r.toString())) continue;
      double size = Math.abs(d);
      if (size >= 1e-4 && size < 1e16) { String plain = r.toPlainString(); return plain.contains(".") ? plain : plain + ".0"; }
      String u = r.unscaledValue().abs().toString().replaceAll("(?<=.)0+$", "");
      int e = r.precision() - r.scale() - 1;
      return (d < 0 ? "-" : "") + u.charAt(0) + (u.length() > 1 ? "." + u.substring(1) : "") + "e" + e; }
    throw new IllegalStateException("" + d); }
  static String number(double d) { return number(d, 17, s -> Double.parseDouble(s) == d); }
  static String number(float f) { return number(f, 9, s -> Float.parseFloat(s) == f); }

  static String decimal(BigDecimal d) { return string(d.scale() >= 0 && d.scale() <= 1000 ? d.toPlainString() : d.toString()); }

  private static String fraction(int nanos, int least) {
    String all = String.format("%09d", nanos);
    int n = nanos % 1000 != 0 ? 9 : nanos % 1_000_000 != 0 ? 6 : nanos != 0 ? 3 : 0;
    n = Math.max(n, least);
    return n == 0 ? "" : "." + all.substring(0, n); }
  static String time(LocalTime t, int least) { return String.format("%02d:%02d:%02d", t.getHour(), t.getMinute(), t.getSecond()) + fraction(t.getNano(), least); }
  static String dateTime(LocalDateTime t, int least) { return t.toLocalDate() + "T" + time(t.toLocalTime(), least); }
  /** Instant's years reach further than LocalDateTime's, by one. */
  static String instant(Instant t, int least) {
    String text = t.toString();
    return text.replaceAll("(\\.[0-9]+)?Z$", "") + fraction(t.getNano(), least) + "Z"; }

  static final long DAY = 86_400_000;

  /** Of what tells its type by its class. Objects of the user's classes are POJOs. */
  static String json(Object v) {
    if (v == null || v instanceof NullValue) return "null";
    if (v instanceof Boolean || v instanceof Byte || v instanceof Short || v instanceof Integer || v instanceof Long) return v.toString();
    if (v instanceof Float) return number((Float) v);
    if (v instanceof Double) return number((Double) v);
    if (v instanceof BigDecimal) return decimal((BigDecimal) v);
    if (v instanceof CharSequence || v instanceof Character || v instanceof BigInteger || v instanceof UUID) return quoted(v);
    if (v instanceof Enum) return string(((Enum<?>) v).name());
    if (v instanceof java.sql.Date) {
      long ms = ((java.sql.Date) v).getTime();
      return string(Math.floorMod(ms, DAY) == 0 ? LocalDate.ofEpochDay(ms / DAY).toString() : instant(Instant.ofEpochMilli(ms), 3)); }
    if (v instanceof java.sql.Time) {
      long ms = ((java.sql.Time) v).getTime();
      return string(ms >= 0 && ms < DAY ? time(LocalTime.ofNanoOfDay(ms * 1_000_000), 3) : instant(Instant.ofEpochMilli(ms), 3)); }
    if (v instanceof java.sql.Timestamp) return string(instant(((java.sql.Timestamp) v).toInstant(), 3));
    if (v instanceof Date) return string(instant(Instant.ofEpochMilli(((Date) v).getTime()), 3));
    if (v instanceof Instant) return string(instant((Instant) v, 0));
    if (v instanceof LocalTime) return string(time((LocalTime) v, 0));
    if (v instanceof LocalDateTime) return string(dateTime((LocalDateTime) v, 0));
    if (v instanceof OffsetTime) return string(time(((OffsetTime) v).toLocalTime(), 0) + ((OffsetTime) v).getOffset());
    if (v instanceof OffsetDateTime) return string(dateTime(((OffsetDateTime) v).toLocalDateTime(), 0) + ((OffsetDateTime) v).getOffset());
    if (v instanceof ZonedDateTime) {
      ZonedDateTime z = (ZonedDateTime) v;
      return string(dateTime(z.toLocalDateTime(), 0) + z.getOffset() + (z.getZone() instanceof ZoneOffset ? "" : "[" + z.getZone() + "]")); }
    if (v instanceof Year) return Integer.toString(((Year) v).getValue());
    if (v instanceof LocalDate || v instanceof Duration || v instanceof Period || v instanceof ZoneId || v instanceof YearMonth || v instanceof MonthDay) return quoted(v);
    if (v instanceof Locale || v instanceof Currency || v instanceof java.net.URI || v instanceof java.util.regex.Pattern) return quoted(v);
    if (v instanceof TimeZone) return string(((TimeZone) v).getID());
    if (v instanceof byte[]) return string(hex((byte[]) v));
    if (v.getClass().isArray()) {
      List<Object> all = new ArrayList<>();
      for (int i = 0; i < Array.getLength(v); i++) all.add(Array.get(v, i));
      return array(all, Gold::json); }
    if (v instanceof BitSet) return array(((BitSet) v).stream().boxed().collect(java.util.stream.Collectors.toList()), Gold::json);
    if (v instanceof Collection) return array((Collection<?>) v, Gold::json);
    if (v instanceof Map) return entries((Map<?, ?>) v, Gold::json, Gold::json);
    if (v instanceof Optional) return json(((Optional<?>) v).orElse(null));
    if (v instanceof Tuple) {
      String[] members = new String[2 * ((Tuple) v).getArity()];
      for (int i = 0; i < members.length; i += 2) { members[i] = "f" + i / 2; members[i + 1] = json(((Tuple) v).getField(i / 2)); }
      return object(members); }
    if (v instanceof Row) {
      Row row = (Row) v;
      List<String> members = kind(row.getKind());
      for (int i = 0; i < row.getArity(); i++) { members.add("f" + i); members.add(json(row.getField(i))); }
      return object(members.toArray(new String[0])); }
    if (v instanceof Either) return ((Either<?, ?>) v).isLeft() ? object("left", json(((Either<?, ?>) v).left())) : object("right", json(((Either<?, ?>) v).right()));
    if (v instanceof StringData) return quoted(v);
    if (v instanceof Value) return v instanceof StringValue ? string(((StringValue) v).getValue()) : json(Gold.<Object>call(v, "getValue"));
    return special(v); }

  private static List<String> kind(RowKind k) { return k == RowKind.INSERT ? new ArrayList<>() : new ArrayList<>(List.of("$kind", string(k.shortString()))); }

  private static String special(Object v) {
    switch (v.getClass().getSimpleName()) {
      case "TimeWindow": return object("start", json(call(v, "getStart")), "end", json(call(v, "getEnd")));
      case "CountWindow": return object("id", json(call(v, "getId")));
      case "GlobalWindow": return "{}";
      case "VoidNamespace": case "BoxedUnit": return "null";
      case "TtlValue": return object("$ttl", json(call(v, "getLastAccessTimestamp")), "value", json(call(v, "getUserValue")));
      case "TimerHeapInternalTimer": return object("timestamp", json(call(v, "getTimestamp")), "key", json(call(v, "getKey")), "namespace", json(call(v, "getNamespace")));
      case "StreamRecord":
        return Gold.<Boolean>call(v, "hasTimestamp") ? object("record", json(call(v, "getValue")), "timestamp", json(call(v, "getTimestamp"))) : object("record", json(call(v, "getValue")));
      case "Watermark": return object("watermark", json(call(v, "getTimestamp")));
      case "ListView": return json(call(v, "getList"));
      case "MapView": return json(call(v, "getMap"));
      case "ByteArrayWrapper": return json(call(v, "getData"));
      case "Some": return json(call(v, "get"));
      case "None$": return "null";
      case "Left": return object("left", json(call(v, "value")));
      case "Right": return object("right", json(call(v, "value")));
      case "Success": return object("success", json(call(v, "get"))); }
    if (v.getClass().getName().startsWith("scala.Tuple")) {
      int n = Gold.<Integer>call(v, "productArity");
      String[] members = new String[2 * n];
      for (int i = 0; i < n; i++) { members[2 * i] = "_" + (i + 1); members[2 * i + 1] = json(call(v, "productElement", i)); }
      return object(members); }
    if (v.getClass().getName().contains("Gold$")) return pojo(v);
    throw new IllegalStateException("no JSON for " + v.getClass()); }

  /** The fields by name, as PojoTypeInfo sorts them; a class below one that is marked as the base says its name first. */
  private static String pojo(Object v) {
    TreeMap<String, String> fields = new TreeMap<>();
    Class<?> base = v.getClass();
    for (Class<?> c = v.getClass(); c != Object.class && c != java.lang.Record.class; c = c.getSuperclass()) {
      base = c;
      for (Field f : c.getDeclaredFields()) {
        if (Modifier.isStatic(f.getModifiers()) || Modifier.isTransient(f.getModifiers())) continue;
        f.setAccessible(true);
        try { fields.put(f.getName(), json(f.get(v))); } catch (IllegalAccessException e) { throw new IllegalStateException(e); } } }
    List<String> members = new ArrayList<>();
    if (base != v.getClass()) { members.add("$class"); members.add(string(v.getClass().getName())); }
    fields.forEach((k, f) -> { members.add(k); members.add(f); });
    return object(members.toArray(new String[0])); }

  /** TimestampData's own conversions overflow far from 1970. */
  private static Instant at(TimestampData t) { return Instant.ofEpochMilli(t.getMillisecond()).plusNanos(t.getNanoOfMillisecond()); }
  /** Of the internal data of SQL, by its type. */
  static String sql(LogicalType t, Object v) {
    if (v == null) return "null";
    switch (t.getTypeRoot()) {
      case DECIMAL: return string(((DecimalData) v).toBigDecimal().setScale(((DecimalType) t).getScale()).toPlainString());
      case DATE: return string(LocalDate.ofEpochDay((Integer) v).toString());
      case TIME_WITHOUT_TIME_ZONE: {
        int ms = (Integer) v;
        return ms >= 0 && ms < DAY ? string(time(LocalTime.ofNanoOfDay(ms * 1_000_000L), 0)) : "" + ms; }
      case TIMESTAMP_WITHOUT_TIME_ZONE: return string(dateTime(LocalDateTime.ofInstant(at((TimestampData) v), ZoneOffset.UTC), 0));
      case TIMESTAMP_WITH_LOCAL_TIME_ZONE: return string(instant(at((TimestampData) v), 0));
      case ARRAY: return elements(((ArrayType) t).getElementType(), (ArrayData) v);
      case MAP: return map((MapData) v, ((MapType) t).getKeyType(), ((MapType) t).getValueType());
      case MULTISET: return map((MapData) v, ((MultisetType) t).getElementType(), new IntType());
      case ROW: {
        RowType row = (RowType) t;
        return row(row.getChildren(), row.getFieldNames(), (RowData) v); }
      case RAW: return json(((RawValueData<?>) v).toObject(typeSerializer(t)));
      default: return json(v); } }
  @SuppressWarnings({"unchecked", "rawtypes"}) private static TypeSerializer typeSerializer(LogicalType t) { return ((RawType) t).getTypeSerializer(); }
  /** Without names the fields are f0, f1, …. */
  static String row(List<LogicalType> types, List<String> names, RowData row) {
    List<String> members = kind(row.getRowKind());
    for (int i = 0; i < types.size(); i++) {
      members.add(names == null ? "f" + i : names.get(i));
      members.add(sql(types.get(i), RowData.createFieldGetter(types.get(i), i).getFieldOrNull(row))); }
    return object(members.toArray(new String[0])); }
  static String elements(LogicalType type, ArrayData data) {
    List<Object> all = new ArrayList<>();
    for (int i = 0; i < data.size(); i++) all.add(ArrayData.createElementGetter(type).getElementOrNull(data, i));
    return array(all, v -> sql(type, v)); }
  static String map(MapData data, LogicalType key, LogicalType value) {
    StringJoiner j = new StringJoiner(",", "[", "]");
    for (int i = 0; i < data.size(); i++)
      j.add(object("key", sql(key, ArrayData.createElementGetter(key).getElementOrNull(data.keyArray(), i)),
          "value", sql(value, ArrayData.createElementGetter(value).getElementOrNull(data.valueArray(), i))));
    return j.toString(); }

  private Gold() {}
}
