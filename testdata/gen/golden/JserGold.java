import java.io.*;
import java.util.*;
public class JserGold {
  enum Colour { RED, GREEN { } }
  static class Base implements Serializable { private static final long serialVersionUID = 1; int same = 1; String baseName = "base"; }
  static class Thing extends Base { private static final long serialVersionUID = 2;
    int same = 2; boolean z = true; byte b = -3; char c = 'é'; short s = -4; long j = Long.MIN_VALUE; float f = 1.5f; double d = -0.25;
    String name = "th\0ing😀"; String again = name; Object nul = null; Thing self = this;
    int[] ints = {1,2,3}; byte[] bytes = {1,2}; String[][] strings = {{"a"},null,{"base", "b"}}; boolean[] flags={true,false};
    Colour red = Colour.RED, green = Colour.GREEN; Class<?> cls = Colour.class; Class<?> prim = int.class;
    List<Object> list = new ArrayList<>(List.of("x", 7)); Map<Object,Object> map = new LinkedHashMap<>();
    Object unmod = Collections.unmodifiableList(new ArrayList<>(List.of("u1","u2"))), of = List.of("o1","o2","o3"), arr = Arrays.asList("q"), set = new HashSet<>(List.of(5)), tree = new TreeMap<>(Map.of("k","v")), mapOf = Map.of("mk","mv");
    Object empty = Collections.emptyList(), single = Collections.singletonList("one"), linked = new LinkedList<>(List.of("l1","l2")), dq = new ArrayDeque<>(List.of("d1")), vec = new Vector<>(List.of("v1")), tset = new TreeSet<>(List.of("t1","t2"));
    Ext ext = new Ext(); Custom custom = new Custom(); String longS = "y".repeat(70000); Comparator<?> proxy;
    java.util.function.Function<String,Integer> lam = (java.util.function.Function<String,Integer> & Serializable) String::length;
    java.time.LocalDate date = java.time.LocalDate.of(2020,1,2); java.math.BigDecimal bd = new java.math.BigDecimal("12.50"); Date dt = new Date(5);
  }
  public static class Ext implements Externalizable { public Ext(){} public void writeExternal(ObjectOutput o) throws IOException { o.writeInt(9); o.writeObject("ext"); o.write(new byte[300]); } public void readExternal(ObjectInput i){} }
  static class Custom implements Serializable { private static final long serialVersionUID = 3; int x = 5; private void writeObject(ObjectOutputStream o) throws IOException { o.defaultWriteObject(); o.writeUTF("hi"); o.writeObject(Colour.RED); o.writeLong(1);} }
  static class H implements java.lang.reflect.InvocationHandler, Serializable { private static final long serialVersionUID = 4; int h = 6; public Object invoke(Object p, java.lang.reflect.Method m, Object[] a){ return null; } }
  public static void main(String[] a) throws Exception {
    Thing t = new Thing(); t.map.put("k1", 1L); t.map.put(null, t);
    t.longS = "y".repeat(66000).substring(0, 65540);
    t.proxy = (Comparator<?>) java.lang.reflect.Proxy.newProxyInstance(JserGold.class.getClassLoader(), new Class<?>[]{Comparator.class, Serializable.class}, new H());
    ByteArrayOutputStream bo = new ByteArrayOutputStream(); ObjectOutputStream o = new ObjectOutputStream(bo); o.reset(); t.longS = a.length>1? t.longS : "z"; o.writeObject(t); o.flush();
    try (FileOutputStream f = new FileOutputStream(a[0])) { f.write(bo.toByteArray()); }
  }
}
