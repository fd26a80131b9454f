import java.io.Serializable;
import java.util.*;

/** The types the jobs keep in state. */
public final class Zoo {
    private Zoo() {}

    /** Marks what Json.plain writes by its public fields. */
    public interface Pojo {}

    public enum Color { RED, GREEN, BLUE }

    /** What flows: everything else is derived from `n`. */
    public static class Evt implements Pojo {
        public long n;
        public long ts;
        public Evt() {}
        public Evt(long n, long ts) { this.n = n; this.ts = ts; }
    }

    public static class Address implements Pojo {
        public String street;
        public int zip;
        public Address() {}
        public Address(String street, int zip) { this.street = street; this.zip = zip; }
    }

    /** No generic types anywhere. */
    public static class AccountPojo implements Pojo {
        public String owner;
        public int level;
        public Integer maybe;
        public Address address;
        public Color color;
        public double[] rates;
        public AccountPojo() {}
    }

    /** Collections as fields: Kryo in Flink 1.x, built-in serializers in 2.x; `extra` is Kryo in both. */
    public static class OrderPojo implements Pojo {
        public long id;
        public String customer;
        public Double amount;
        public Color color;
        public Address address;
        public List<String> tags;
        public Map<String, Integer> counts;
        public int[] arr;
        public KryoThing extra;
        public OrderPojo() {}
    }

    public static class SubAddress extends Address {
        public String floor;
        public SubAddress() {}
    }

    /** No default constructor, final fields: a generic type for Flink, so Kryo. */
    public static class KryoThing implements Serializable {
        private final String label;
        private final long number;
        private final ArrayList<String> list;
        public KryoThing(String label, long number, ArrayList<String> list) { this.label = label; this.number = number; this.list = list; }
        public long number() { return number; }
        @Override public String toString() { return "KryoThing(" + label + "," + number + "," + list + ")"; }
    }

    public static class KeyPojo implements Pojo {
        public int region;
        public String name;
        public KeyPojo() {}
        public KeyPojo(int region, String name) { this.region = region; this.name = name; }
        @Override public int hashCode() { return 31 * region + name.hashCode(); }
        @Override public boolean equals(Object o) { return o instanceof KeyPojo && ((KeyPojo) o).region == region && ((KeyPojo) o).name.equals(name); }
    }

    public static class KryoKey implements Serializable, Comparable<KryoKey> {
        private final String a;
        private final int b;
        public KryoKey(String a, int b) { this.a = a; this.b = b; }
        @Override public int hashCode() { return 17 * b + a.hashCode(); }
        @Override public boolean equals(Object o) { return o instanceof KryoKey && ((KryoKey) o).a.equals(a) && ((KryoKey) o).b == b; }
        @Override public int compareTo(KryoKey o) { return a.equals(o.a) ? Integer.compare(b, o.b) : a.compareTo(o.a); }
        @Override public String toString() { return "KryoKey(" + a + "," + b + ")"; }
    }

    // ---- deterministic generators --------------------------------------------------------------

    static final long BASE_TS = 1_700_000_000_000L;

    static long mix(long x) {
        x += 0x9E3779B97F4A7C15L;
        x = (x ^ (x >>> 30)) * 0xBF58476D1CE4E5B9L;
        x = (x ^ (x >>> 27)) * 0x94D049BB133111EBL;
        return (x ^ (x >>> 31)) >>> 1;
    }

    static int keyIndex(long n, int keys) { return n % 4 == 0 ? 0 : (int) (mix(n) % keys); }

    static String strKey(int i) {
        switch (i) {
            case 5: return "";
            case 6: return "us\u00e9r-\u65e5\u672c";
            case 7: return "user-\ud83d\ude00";
            default: return "user-" + i;
        }
    }

    static long longKey(int i) { return i % 5 == 4 ? -1_000_003L * i : i; }

    static Address address(long n) {
        if (n % 7 == 0) return null;
        if (n % 7 == 1) {
            SubAddress s = new SubAddress();
            s.street = "Sub " + n % 10;
            s.zip = 90_000;
            s.floor = "f" + n % 4;
            return s;
        }
        return new Address(n % 5 == 0 ? null : "Street " + n % 100, (int) (10_000 + n % 1000));
    }

    static AccountPojo account(long n) {
        AccountPojo a = new AccountPojo();
        a.owner = n % 11 == 0 ? null : "owner-" + n % 50;
        a.level = (int) (n % 9) - 3;
        a.maybe = n % 3 == 0 ? null : (int) n;
        a.address = address(n);
        a.color = Color.values()[(int) (n % 3)];
        a.rates = new double[] {n / 2.0, -1.5};
        return a;
    }

    static OrderPojo order(long n) {
        OrderPojo o = new OrderPojo();
        o.id = n;
        o.customer = "c" + mix(n) % 1000;
        o.amount = n % 4 == 0 ? null : n * 1.25;
        o.color = Color.values()[(int) (n % 3)];
        o.address = address(n);
        o.tags = n % 6 == 0 ? null : new ArrayList<>(Arrays.asList("t" + n % 5, "x"));
        if (n % 5 != 0) {
            o.counts = new HashMap<>();
            o.counts.put("k" + n % 3, (int) n);
        }
        o.arr = new int[] {(int) n, 1, 2};
        o.extra = n % 2 == 0 ? null : thing(n);
        return o;
    }

    static KryoThing thing(long n) { return new KryoThing("thing-" + n % 20, n, new ArrayList<>(Arrays.asList("a", "b" + n % 3))); }
}
