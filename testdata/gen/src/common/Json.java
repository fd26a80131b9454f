import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.*;
import org.apache.flink.api.java.tuple.Tuple;
import org.apache.flink.types.Row;

/** A small JSON writer: objects of maps, lists and scalars; POJOs by their public fields. */
final class Json {
    private Json() {}

    static Map<String, Object> obj(Object... kv) {
        Map<String, Object> m = new LinkedHashMap<>();
        for (int i = 0; i < kv.length; i += 2) m.put((String) kv[i], kv[i + 1]);
        return m;
    }

    /** A user value as plain maps, lists and scalars (deterministic order). */
    static Object plain(Object o) {
        if (o == null || o instanceof Boolean || o instanceof String) return o;
        if (o instanceof Number && !(o instanceof java.math.BigDecimal) && !(o instanceof java.math.BigInteger)) return o;
        if (o instanceof Enum) return ((Enum<?>) o).name();
        if (o instanceof Zoo.KryoThing || o instanceof Zoo.KryoKey) return o.toString();
        if (o instanceof Tuple) {
            List<Object> l = new ArrayList<>();
            Tuple t = (Tuple) o;
            for (int i = 0; i < t.getArity(); i++) l.add(plain(t.getField(i)));
            return l;
        }
        if (o instanceof Row) {
            List<Object> l = new ArrayList<>();
            for (int i = 0; i < ((Row) o).getArity(); i++) l.add(plain(((Row) o).getField(i)));
            return l;
        }
        if (o instanceof Map) {
            TreeMap<String, Object> m = new TreeMap<>();
            for (Map.Entry<?, ?> e : ((Map<?, ?>) o).entrySet()) m.put(String.valueOf(plain(e.getKey())), plain(e.getValue()));
            return m;
        }
        if (o instanceof Set) {
            TreeSet<String> s = new TreeSet<>();
            for (Object e : (Set<?>) o) s.add(String.valueOf(plain(e)));
            return new ArrayList<>(s);
        }
        if (o instanceof Collection) {
            List<Object> l = new ArrayList<>();
            for (Object e : (Collection<?>) o) l.add(plain(e));
            return l;
        }
        if (o.getClass().isArray()) {
            List<Object> l = new ArrayList<>();
            for (int i = 0; i < Array.getLength(o); i++) l.add(plain(Array.get(o, i)));
            return l;
        }
        if (o instanceof Zoo.Pojo) {
            TreeMap<String, Object> m = new TreeMap<>();
            try {
                for (Field f : o.getClass().getFields())
                    if (!Modifier.isStatic(f.getModifiers())) m.put(f.getName(), plain(f.get(o)));
            } catch (IllegalAccessException e) {
                throw new RuntimeException(e);
            }
            return m;
        }
        return o.toString();
    }

    /** Lines are broken down to `depth` levels; deeper values stay on one line. */
    static String write(Object o, int depth) {
        StringBuilder sb = new StringBuilder();
        write(sb, o, depth, 0);
        return sb.append('\n').toString();
    }

    private static void nl(StringBuilder sb, int depth, int level) {
        if (level <= depth) {
            sb.append('\n');
            for (int i = 0; i < level; i++) sb.append(' ');
        }
    }

    private static void write(StringBuilder sb, Object o, int depth, int level) {
        if (o == null) sb.append("null");
        else if (o instanceof Map) {
            Map<?, ?> m = (Map<?, ?>) o;
            sb.append('{');
            boolean first = true;
            for (Map.Entry<?, ?> e : m.entrySet()) {
                if (!first) sb.append(level < depth ? "," : ", ");
                first = false;
                nl(sb, depth, level + 1);
                str(sb, String.valueOf(e.getKey()));
                sb.append(": ");
                write(sb, e.getValue(), depth, level + 1);
            }
            if (!m.isEmpty()) nl(sb, depth, level < depth ? level : Integer.MAX_VALUE);
            sb.append('}');
        } else if (o instanceof Collection) {
            sb.append('[');
            boolean first = true;
            for (Object e : (Collection<?>) o) {
                if (!first) sb.append(level < depth ? "," : ", ");
                first = false;
                nl(sb, depth, level + 1);
                write(sb, e, depth, level + 1);
            }
            if (!((Collection<?>) o).isEmpty()) nl(sb, depth, level < depth ? level : Integer.MAX_VALUE);
            sb.append(']');
        } else if (o instanceof Number || o instanceof Boolean) sb.append(o);
        else str(sb, o.toString());
    }

    private static void str(StringBuilder sb, String s) {
        sb.append('"');
        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);
            if (c == '"' || c == '\\') sb.append('\\').append(c);
            else if (c < 32 || c > 126) sb.append(String.format("\\u%04x", (int) c));
            else sb.append(c);
        }
        sb.append('"');
    }
}
