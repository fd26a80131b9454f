import java.io.*;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.flink.core.fs.Path;
import org.apache.flink.runtime.checkpoint.*;
import org.apache.flink.runtime.checkpoint.metadata.CheckpointMetadata;
import org.apache.flink.runtime.state.*;
import org.apache.flink.runtime.state.filesystem.*;
import org.apache.flink.runtime.state.memory.ByteStreamStateHandle;

/**
 * What Flink's own reader sees in each _metadata: args are output, fixture dir, then snapshot dirs relative to it.
 * Inlined streams are also written out, under the last part of their names, with -Dfiles=DIR (for rocksdb.json).
 */
public final class Dump {
    static java.nio.file.Path files;

    public static void main(String[] a) throws Exception {
        files = System.getProperty("files") == null ? null : Paths.get(System.getProperty("files"));
        List<Object> snaps = new ArrayList<>();
        for (int i = 2; i < a.length; i++) {
            String dir = Paths.get(a[1], a[i]).toAbsolutePath().toString();
            int version;
            try (DataInputStream in = new DataInputStream(new FileInputStream(dir + "/_metadata"))) {
                in.readInt();
                version = in.readInt();
            }
            CheckpointMetadata m;
            try (DataInputStream in = new DataInputStream(new BufferedInputStream(new FileInputStream(dir + "/_metadata")))) {
                m = Checkpoints.loadCheckpointMetadata(in, Dump.class.getClassLoader(), "file:" + dir);
            }
            snaps.add(snapshot(a[i], version, m));
        }
        Files.write(Paths.get(a[0]), Json.write(Json.obj("snapshots", snaps), Integer.getInteger("depth", 8)).getBytes(StandardCharsets.UTF_8));
    }

    /** Calls a method that some releases lack. */
    static Object call(Object o, String m) {
        try {
            Method x = o.getClass().getMethod(m);
            x.setAccessible(true);
            Object r = x.invoke(o);
            return r instanceof Optional ? ((Optional<?>) r).orElse(null) : r;
        } catch (NoSuchMethodException e) {
            return null;
        } catch (ReflectiveOperationException e) {
            throw new RuntimeException(e);
        }
    }

    static Map<String, Object> snapshot(String dir, int version, CheckpointMetadata m) throws Exception {
        List<OperatorState> ops = new ArrayList<>(m.getOperatorStates());
        ops.sort(Comparator.comparing(o -> o.getOperatorID().toString()));
        List<Object> out = new ArrayList<>();
        long total = 0;
        for (OperatorState o : ops) {
            Map<String, Object> x = Json.obj("id", o.getOperatorID().toString(), "name", call(o, "getOperatorName"), "uid", call(o, "getOperatorUid"),
                    "parallelism", o.getParallelism(), "max_parallelism", o.getMaxParallelism(),
                    "fully_finished", Boolean.TRUE.equals(call(o, "isFullyFinished")), "state_size", o.getStateSize());
            total += o.getStateSize();
            ByteStreamStateHandle c = o.getCoordinatorState();
            x.put("coordinator", c == null ? null : Json.obj("name", c.getHandleName(), "size", c.getStateSize()));
            List<Object> subs = new ArrayList<>();
            for (Map.Entry<Integer, OperatorSubtaskState> e : new TreeMap<>(o.getSubtaskStates()).entrySet()) {
                OperatorSubtaskState s = e.getValue();
                subs.add(Json.obj("subtask", e.getKey(), "finished", Boolean.TRUE.equals(call(s, "isFinished")), "state_size", s.getStateSize(),
                        "checkpointed_size", call(s, "getCheckpointedSize"), "managed_operator", ops(s.getManagedOperatorState()), "raw_operator", ops(s.getRawOperatorState()),
                        "managed_keyed", keyed(s.getManagedKeyedState()), "raw_keyed", keyed(s.getRawKeyedState()),
                        "input_channels", channels(s.getInputChannelState()), "result_subpartitions", channels(s.getResultSubpartitionState())));
            }
            x.put("subtasks", subs);
            out.add(x);
        }
        Object props = call(m, "getCheckpointProperties");
        Map<String, Object> pr = null;
        if (props != null) {
            Object t = call(props, "getCheckpointType");
            pr = Json.obj("type", call(t, "getName"), "savepoint", call(props, "isSavepoint"), "unclaimed", call(props, "isUnclaimed"),
                    "sharing", String.valueOf(call(t, "getSharingFilesStrategy")), "format", call(t, "getFormatType") == null ? null : call(t, "getFormatType").toString(),
                    "forced", call(props, "forceCheckpoint"));
        }
        return Json.obj("snapshot", dir, "metadata_version", version, "checkpoint_id", m.getCheckpointId(), "master_states", m.getMasterStates().size(),
                "properties", pr, "state_size", total, "operators", out);
    }

    static List<Object> ops(Iterable<OperatorStateHandle> hs) throws Exception {
        List<Object> l = new ArrayList<>();
        for (OperatorStateHandle h : hs) {
            List<Object> states = new ArrayList<>();
            for (Map.Entry<String, OperatorStateHandle.StateMetaInfo> e : new TreeMap<>(h.getStateNameToPartitionOffsets()).entrySet())
                states.add(Json.obj("name", e.getKey(), "mode", e.getValue().getDistributionMode().name(), "offsets", arr(e.getValue().getOffsets())));
            l.add(Json.obj("class", cls(h), "states", states, "stream", stream(h.getDelegateStateHandle())));
        }
        return l;
    }

    static List<Object> channels(Iterable<?> hs) throws Exception {
        List<Object> l = new ArrayList<>();
        for (Object h : hs) {
            Object d = call(h, "getDelegate");
            Map<String, Object> x = Json.obj("class", cls(h), "subtask", call(h, "getSubtaskIndex"));
            Object info = call(h, "getInfo");
            if (info != null) {
                x.put("info", info.toString());
                x.put("offsets", call(h, "getOffsets"));
            }
            if (call(h, "getInfos") != null) {
                x.put("infos", call(h, "getInfos").toString());
                x.put("serialized_offsets", hex((byte[]) call(h, "getSerializedChannelOffsets")));
            }
            x.put("state_size", call(h, "getStateSize"));
            x.put("stream", stream((StreamStateHandle) d));
            l.add(x);
        }
        return l;
    }

    static List<Object> keyed(Iterable<KeyedStateHandle> hs) throws Exception {
        List<Object> l = new ArrayList<>();
        for (KeyedStateHandle h : hs) l.add(keyed(h));
        return l;
    }

    static Map<String, Object> keyed(KeyedStateHandle h) throws Exception {
        Map<String, Object> x = Json.obj("class", cls(h), "start", h.getKeyGroupRange().getStartKeyGroup(), "end", h.getKeyGroupRange().getEndKeyGroup(),
                "state_size", h.getStateSize(), "checkpointed_size", call(h, "getCheckpointedSize"));
        Object id = call(h, "getStateHandleId");
        if (id != null) x.put("handle_id", call(id, "getKeyString") == null ? id.toString() : call(id, "getKeyString"));
        if (h instanceof IncrementalRemoteKeyedStateHandle) {
            IncrementalRemoteKeyedStateHandle r = (IncrementalRemoteKeyedStateHandle) h;
            x.put("checkpoint_id", r.getCheckpointId());
            x.put("backend_id", r.getBackendIdentifier().toString());
            x.put("meta", stream((StreamStateHandle) (call(r, "getMetaDataStateHandle") != null ? call(r, "getMetaDataStateHandle") : call(r, "getMetaStateHandle"))));
            x.put("shared", list(call(r, "getSharedState")));
            x.put("private", list(call(r, "getPrivateState")));
        } else if (h instanceof KeyGroupsStateHandle) {
            KeyGroupsStateHandle k = (KeyGroupsStateHandle) h;
            List<Object> off = new ArrayList<>();
            for (int g : k.getKeyGroupRange()) off.add(k.getGroupRangeOffsets().getKeyGroupOffset(g));
            x.put("offsets", off);
            x.put("stream", stream(k.getDelegateStateHandle()));
        } else {
            for (String m : new String[] {"getMaterializedStateHandles", "getNonMaterializedStateHandles"}) {
                Object s = call(h, m);
                if (s == null) continue;
                List<Object> l = new ArrayList<>();
                for (Object e : (Iterable<?>) s) l.add(keyed((KeyedStateHandle) e));
                x.put(m.startsWith("getM") ? "materialized" : "deltas", l);
            }
            for (String m : new String[] {"getMaterializationID", "getCheckpointId", "getFrom", "getTo", "getStorageIdentifier"}) {
                Object s = call(h, m);
                if (s != null) x.put(m.substring(3).toLowerCase(), s instanceof Number ? s : s.toString());
            }
            Object hso = call(h, "getHandlesAndOffsets");
            if (hso != null) {
                List<Object> l = new ArrayList<>();
                for (Object e : (Iterable<?>) hso) {
                    org.apache.flink.api.java.tuple.Tuple2<?, ?> t = (org.apache.flink.api.java.tuple.Tuple2<?, ?>) e;
                    l.add(Json.obj("stream", stream((StreamStateHandle) t.f0), "offset", t.f1));
                }
                x.put("streams", l);
            }
        }
        return x;
    }

    static List<Object> list(Object o) throws Exception {
        TreeMap<String, StreamStateHandle> m = new TreeMap<>();
        if (o instanceof Map) {
            for (Map.Entry<?, ?> e : ((Map<?, ?>) o).entrySet()) m.put((String) call(e.getKey(), "getKeyString"), (StreamStateHandle) e.getValue());
        } else {
            for (Object e : (Iterable<?>) o) m.put((String) call(e, "getLocalPath"), (StreamStateHandle) call(e, "getHandle"));
        }
        List<Object> l = new ArrayList<>();
        for (Map.Entry<String, StreamStateHandle> e : m.entrySet()) {
            Map<String, Object> x = Json.obj("local_path", e.getKey());
            x.putAll(stream(e.getValue()));
            l.add(x);
        }
        return l;
    }

    static Map<String, Object> stream(StreamStateHandle h) throws Exception {
        if (h == null) return null;
        Map<String, Object> x = Json.obj("class", cls(h), "size", h.getStateSize());
        if (h instanceof ByteStreamStateHandle) {
            x.put("where", "inline");
            x.put("name", ((ByteStreamStateHandle) h).getHandleName());
            if (files != null) {
                Files.createDirectories(files);
                String f = ((ByteStreamStateHandle) h).getHandleName();
                Files.write(files.resolve(f.substring(f.lastIndexOf('/') + 1)), ((ByteStreamStateHandle) h).getData());
            }
        } else if (h instanceof RelativeFileStateHandle) {
            x.put("where", "relative");
            x.put("path", ((RelativeFileStateHandle) h).getRelativePath());
        } else if (h instanceof FileStateHandle) {
            x.put("where", "absolute");
            x.put("path", ((FileStateHandle) h).getFilePath().toString());
        }
        if (call(h, "getStartPos") != null) {
            x.put("where", "segment");
            x.put("path", call(h, "getFilePath").toString());
            x.put("start", call(h, "getStartPos"));
            x.put("scope", call(h, "getScope").toString());
            Object lid = call(h, "getLogicalFileId");
            x.put("logical_id", call(lid, "getKeyString") == null ? lid.toString() : call(lid, "getKeyString"));
        }
        if (h instanceof KeyGroupsStateHandle) x.put("key_groups", keyed((KeyedStateHandle) h));
        return x;
    }

    static String hex(byte[] b) {
        StringBuilder s = new StringBuilder();
        for (byte x : b) s.append(String.format("%02x", x));
        return s.toString();
    }

    static String cls(Object o) { return o.getClass().getSimpleName(); }

    static List<Object> arr(long[] a) {
        List<Object> l = new ArrayList<>();
        for (long v : a) l.add(v);
        return l;
    }
}
