import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.flink.api.common.JobID;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.checkpoint.CompletedCheckpoint;
import org.apache.flink.runtime.state.*;
import org.apache.flink.runtime.state.filesystem.FileStateHandle;
import org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer;
import org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.ZooKeeper;
import org.apache.flink.util.InstantiationUtil;

/** High availability with a ZooKeeper in this JVM: what Flink keeps of completed checkpoints there and in its HA storage. */
final class Ha {
    final String root, fixture;
    final int port;

    Ha(String root, String tmp, String fixture) throws Exception {
        this.root = root;
        this.fixture = fixture;
        try (java.net.ServerSocket s = new java.net.ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress())) {
            port = s.getLocalPort();
        }
        Path data = Files.createTempDirectory(Paths.get(tmp), "zookeeper"), conf = data.resolve("zoo.cfg");
        Files.write(conf, ("tickTime=500\ninitLimit=10\nsyncLimit=5\ndataDir=" + data + "\nclientPort=" + port
                + "\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n").getBytes(StandardCharsets.UTF_8));
        Thread t = new Thread(() -> {
            try {
                FlinkZooKeeperQuorumPeer.runFlinkZkQuorumPeer(conf.toString(), 1);
            } catch (Exception e) {
                e.printStackTrace();
            }
        });
        t.setDaemon(true);
        t.start();
    }

    void configure(Configuration c) {
        String[][] kv = {
            {"high-availability", "zookeeper"}, {"high-availability.type", "zookeeper"}, {"high-availability.storageDir", "file:" + root + "/ha"},
            {"high-availability.cluster-id", fixture}, {"high-availability.zookeeper.quorum", "127.0.0.1:" + port},
            {"high-availability.zookeeper.path.root", "/flink"},
        };
        for (String[] e : kv) c.setString(e[0], e[1]);
    }

    /** Writes the nodes of completed checkpoints to `dir`/zookeeper; the result says what Flink reads in each, and in the file that it names. */
    Map<String, Object> dump(Path dir, Collection<JobID> jobs) throws Exception {
        List<Object> pointers = new ArrayList<>();
        ZooKeeper zk = new ZooKeeper("127.0.0.1:" + port, 10_000, e -> {});
        try {
            for (JobID job : jobs) {
                String under = null;
                // Up to 1.14 the first, since 1.15 the second.
                for (String p : new String[] {"/flink/" + fixture + "/checkpoints/" + job, "/flink/" + fixture + "/jobs/" + job + "/checkpoints"})
                    if (zk.exists(p, false) != null) under = p;
                if (under == null) continue;
                for (String node : new TreeSet<>(zk.getChildren(under, false))) {
                    byte[] bytes = zk.getData(under + "/" + node, false, null);
                    Path to = dir.resolve("zookeeper").resolve(job.toString()).resolve(node);
                    Files.createDirectories(to.getParent());
                    Files.write(to, bytes);
                    RetrievableStreamStateHandle<CompletedCheckpoint> handle = InstantiationUtil.deserializeObject(bytes, getClass().getClassLoader());
                    FileStateHandle file = (FileStateHandle) field(handle, "wrappedStreamStateHandle");
                    CompletedCheckpoint cp = handle.retrieveState();
                    StreamStateHandle meta = cp.getMetadataHandle();
                    String at = meta instanceof FileStateHandle ? place((FileStateHandle) meta).replace("/_metadata", "") : null;
                    pointers.add(Json.obj("node", dir.relativize(to).toString(), "file", place(file), "file_size", file.getStateSize(), "job_id", cp.getJobId().toString(),
                            "checkpoint_id", cp.getCheckpointID(), "timestamp_ms", cp.getTimestamp(), "external_pointer", cp.getExternalPointer(),
                            "snapshot", at, "metadata_size", meta.getStateSize(),
                            "type", String.valueOf(Dump.call(Dump.call(cp.getProperties(), "getCheckpointType"), "getName")), "paths", paths(cp)));
                }
            }
        } finally {
            zk.close();
        }
        return Json.obj("type", "zookeeper", "storage", "data/ha", "cluster_id", fixture, "pointers", pointers);
    }

    /** Every Path that hangs on an object, but for the one that stands for an empty segment. */
    static Set<String> paths(Object root) throws Exception {
        Set<String> found = new TreeSet<>();
        Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        Deque<Object> open = new ArrayDeque<>();
        open.add(root);
        while (!open.isEmpty()) {
            Object o = open.pop();
            if (!seen.add(o)) continue;
            List<Object> next = new ArrayList<>();
            if (o instanceof org.apache.flink.core.fs.Path) found.add(o.toString());
            else if (o instanceof Map) ((Map<?, ?>) o).forEach((k, v) -> next.addAll(Arrays.asList(k, v)));
            else if (o instanceof Iterable) ((Iterable<?>) o).forEach(next::add);
            else if (o instanceof Object[]) next.addAll(Arrays.asList((Object[]) o));
            else if (!o.getClass().getSimpleName().startsWith("EmptySegment"))
                for (Class<?> c = o.getClass(); c.getName().startsWith("org.apache.flink."); c = c.getSuperclass())
                    for (java.lang.reflect.Field f : c.getDeclaredFields())
                        if (!f.getType().isPrimitive() && (f.getModifiers() & (java.lang.reflect.Modifier.STATIC | java.lang.reflect.Modifier.TRANSIENT)) == 0) {
                            f.setAccessible(true);
                            next.add(f.get(o));
                        }
            for (Object n : next) if (n != null) open.push(n);
        }
        return found;
    }

    String place(FileStateHandle h) {
        return "data" + h.getFilePath().getPath().substring(root.length());
    }

    static Object field(Object o, String name) throws Exception {
        java.lang.reflect.Field f = o.getClass().getDeclaredField(name);
        f.setAccessible(true);
        return f.get(o);
    }
}
