import java.util.*;
import java.util.concurrent.ConcurrentHashMap;

/** What the job itself knows about its state: shadows kept beside each state call. One per JVM, shared by all subtasks. */
final class Board {
    private Board() {}

    static final class StateShadow {
        Slot slot;
        final Map<Object, Object> byKey = new ConcurrentHashMap<>();
    }

    static final class Op {
        final Map<String, StateShadow> states = new TreeMap<>();
        final Set<List<Object>> eventTimers = ConcurrentHashMap.newKeySet();
        final Set<List<Object>> procTimers = ConcurrentHashMap.newKeySet();
        final Map<String, String> opModes = new TreeMap<>();
        final Map<String, Integer> opElements = new TreeMap<>();
        final Map<String, Map<Object, Object>> broadcast = new TreeMap<>();
        String keyType;
        boolean keyKryo;
    }

    static final Map<String, Op> OPS = new ConcurrentHashMap<>();

    static Op op(String name) { return OPS.computeIfAbsent(name, k -> new Op()); }

    static StateShadow shadow(String opName, Slot slot) {
        Op op = op(opName);
        synchronized (op) {
            StateShadow s = op.states.computeIfAbsent(slot.name, k -> new StateShadow());
            s.slot = slot;
            return s;
        }
    }

    /** Sources: the plan is cut in phases; a source may emit up to `LIMIT` of its own units. */
    static volatile long LIMIT = 0;
    /** Whether "op-lists" keeps every checkpoint waiting for ever. */
    static volatile boolean STALL = false;
    static final Map<String, Long> EMITTED = new ConcurrentHashMap<>();
}
