// What Flink before 1.8 wrote, by the legacy writers that Flink 1.13 still has.
// javac/java -cp "<flink 1.13>/lib/*:." LegacyGold <directory>
import java.io.*;
import java.nio.file.*;
import java.util.*;
import org.apache.flink.api.common.typeutils.*;
import org.apache.flink.api.common.typeutils.base.*;
import org.apache.flink.api.java.tuple.*;
import org.apache.flink.api.java.typeutils.runtime.*;
import org.apache.flink.api.java.typeutils.runtime.kryo.*;
import org.apache.flink.core.memory.*;
import org.apache.flink.runtime.state.*;

public class LegacyGold {
  public enum Colour { RED, GREEN }
  public static class P { public long id; public String name; }
  interface W { void write(DataOutputViewStreamWrapper out) throws Exception; }
  static Path dir;
  static void put(String name, W w) { try {
      ByteArrayOutputStream b = new ByteArrayOutputStream(); DataOutputViewStreamWrapper out = new DataOutputViewStreamWrapper(b);
      w.write(out); Files.write(dir.resolve(name), b.toByteArray()); System.out.println(name + " " + b.size());
    } catch (Throwable e) { System.out.println(name + " FAILED " + e); } }
  static Tuple2<TypeSerializer<?>, TypeSerializerSnapshot<?>> pair(TypeSerializer<?> s) { return Tuple2.of(s, s.snapshotConfiguration()); }
  static Tuple2<TypeSerializer<?>, TypeSerializerSnapshot<?>> pair(TypeSerializer s, TypeSerializerConfigSnapshot c) { c.setPriorSerializer(s); return Tuple2.of(s, c); }
  @SuppressWarnings({"unchecked", "rawtypes"})
  public static void main(String[] a) throws Exception {
    dir = Paths.get(a[0]); Files.createDirectories(dir);
    TypeSerializer<?> tuple = new TupleSerializer(Tuple2.class, new TypeSerializer<?>[] {LongSerializer.INSTANCE, StringSerializer.INSTANCE});
    TypeSerializer<?> list = new ListSerializer<>(LongSerializer.INSTANCE);
    put("keyed-v2", o -> { o.writeInt(2); TypeSerializerSerializationUtil.writeSerializer(o, StringSerializer.INSTANCE);
      o.writeShort(1); o.writeInt(1); o.writeUTF("v"); TypeSerializerSerializationUtil.writeSerializer(o, VoidNamespaceSerializer.INSTANCE); TypeSerializerSerializationUtil.writeSerializer(o, tuple); });
    put("keyed-v4", o -> { o.writeInt(4); o.writeBoolean(true); TypeSerializerSerializationUtil.writeSerializersAndConfigsWithResilience(o, List.of(pair(StringSerializer.INSTANCE)));
      o.writeShort(1); o.writeInt(2); o.writeUTF("l"); TypeSerializerSerializationUtil.writeSerializersAndConfigsWithResilience(o, List.of(pair(VoidNamespaceSerializer.INSTANCE), pair(list))); });
    put("keyed-v5", o -> { o.writeInt(5); o.writeBoolean(false); TypeSerializerSerializationUtil.writeSerializersAndConfigsWithResilience(o, List.of(pair(StringSerializer.INSTANCE)));
      o.writeShort(1); o.writeUTF("v5"); o.writeInt(0); o.writeInt(1); o.writeUTF("KEYED_STATE_TYPE"); o.writeUTF("LIST"); o.writeInt(2); o.writeUTF("NAMESPACE_SERIALIZER"); o.writeUTF("VALUE_SERIALIZER");
      TypeSerializerSerializationUtil.writeSerializersAndConfigsWithResilience(o, List.of(pair(VoidNamespaceSerializer.INSTANCE), pair(list, new CollectionSerializerConfigSnapshot(LongSerializer.INSTANCE)))); });
    put("operator-v3", o -> { o.writeInt(3); o.writeShort(1); o.writeUTF("ops"); o.writeByte(1); TypeSerializerSerializationUtil.writeSerializersAndConfigsWithResilience(o, List.of(pair(LongSerializer.INSTANCE)));
      o.writeShort(1); o.writeUTF("bc"); o.writeByte(2); TypeSerializerSerializationUtil.writeSerializersAndConfigsWithResilience(o, List.of(pair(StringSerializer.INSTANCE), pair(LongSerializer.INSTANCE))); });
    put("snapshot-kryo", o -> { KryoSerializer k = new KryoSerializer(TreeMap.class, new org.apache.flink.api.common.ExecutionConfig());
      TypeSerializerConfigSnapshot c = new KryoSerializer.KryoSerializerConfigSnapshot(TreeMap.class, new LinkedHashMap(Map.of("java.util.UUID", new org.apache.flink.api.java.typeutils.runtime.KryoRegistration(UUID.class))));
      c.setPriorSerializer(k); TypeSerializerSnapshotSerializationUtil.writeSerializerSnapshot(o, c, k); });
    put("snapshot-tuple", o -> { TypeSerializerConfigSnapshot c = new TupleSerializerConfigSnapshot(Tuple2.class, new TypeSerializer[] {LongSerializer.INSTANCE, StringSerializer.INSTANCE});
      c.setPriorSerializer(tuple); TypeSerializerSnapshotSerializationUtil.writeSerializerSnapshot(o, c, (TypeSerializer) tuple); });
    put("snapshot-enum", o -> { EnumSerializer e = new EnumSerializer(Colour.class);
      java.lang.reflect.Constructor k = Class.forName("org.apache.flink.api.common.typeutils.base.EnumSerializer$EnumSerializerConfigSnapshot").getDeclaredConstructors()[0];
      for (java.lang.reflect.Constructor x : Class.forName("org.apache.flink.api.common.typeutils.base.EnumSerializer$EnumSerializerConfigSnapshot").getDeclaredConstructors()) if (x.getParameterCount() == 2) k = x;
      k.setAccessible(true); TypeSerializerConfigSnapshot c = (TypeSerializerConfigSnapshot) k.newInstance(Colour.class, Colour.values());
      c.setPriorSerializer(e); TypeSerializerSnapshotSerializationUtil.writeSerializerSnapshot(o, c, e); });
    put("snapshot-pojo", o -> { LinkedHashMap f = new LinkedHashMap(), r = new LinkedHashMap(); HashMap n = new HashMap();
      f.put("id", pair(LongSerializer.INSTANCE)); f.put("name", pair(StringSerializer.INSTANCE)); n.put(TreeMap.class, pair(LongSerializer.INSTANCE));
      TypeSerializerConfigSnapshot c = new PojoSerializer.PojoSerializerConfigSnapshot(P.class, f, r, n); c.setPriorSerializer(LongSerializer.INSTANCE);
      TypeSerializerSnapshotSerializationUtil.writeSerializerSnapshot(o, c, (TypeSerializer) LongSerializer.INSTANCE); });
  }
}
