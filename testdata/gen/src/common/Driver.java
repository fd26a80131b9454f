import java.io.File;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.stream.Stream;
import org.apache.flink.api.common.*;
import org.apache.flink.configuration.*;
import org.apache.flink.runtime.checkpoint.*;
import org.apache.flink.runtime.executiongraph.AccessExecutionGraph;
import org.apache.flink.runtime.executiongraph.AccessExecutionVertex;
import org.apache.flink.runtime.executiongraph.AccessExecutionJobVertex;
import org.apache.flink.runtime.execution.ExecutionState;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.minicluster.*;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * Runs one fixture: a job in an embedded cluster, steps of phases and snapshots, then truth.json.
 * Steps: p = next phase, c = checkpoint, sc / sn = canonical / native savepoint, x = cancel,
 * claim:N / noclaim:N = restore the latest snapshot as a new job with parallelism N, finish = wait until the ending tasks have ended,
 * sleep:MS, quiet:MS = wait until RocksDB has written nothing for so long (its compactions have ended),
 * stall = begin a checkpoint that one operator never answers, and wait until the others have written their files.
 * With restore=DIR the first job goes on from that snapshot, which the sources took after limit=N events.
 * Last step, if any: kill = end the process as it is, torn = begin a checkpoint and end the process while _metadata is being written.
 */
public final class Driver {
    public static void main(String[] argv) throws Exception {
        Map<String, String> a = new HashMap<>();
        Map<String, String> set = new LinkedHashMap<>();
        for (String s : argv) {
            int i = s.indexOf('=');
            if (s.startsWith("-D")) set.put(s.substring(2, i), s.substring(i + 1));
            else a.put(s.substring(0, i), s.substring(i + 1));
        }
        try {
            new Driver(a, set).run();
            System.exit(0);
        } catch (Throwable t) {
            t.printStackTrace();
            System.exit(1);
        }
    }

    final Map<String, String> a, set;
    final String fixture, root;
    final List<Object> snapshots = new ArrayList<>();
    MiniCluster cluster;
    Job job;
    Truth truth;
    JobGraph graph;
    JobID jobId;
    int jobs = 0;
    String latest;
    long phase;

    final List<Object> history = new ArrayList<>();
    final List<JobID> ids = new ArrayList<>();
    final Ha ha;
    long started;

    Driver(Map<String, String> a, Map<String, String> set) throws Exception {
        this.a = a;
        this.set = set;
        fixture = a.get("fixture");
        root = a.get("root") + "/" + fixture;
        phase = Long.parseLong(a.getOrDefault("phase", "200"));
        ha = a.containsKey("ha") ? new Ha(root, a.get("root") + "/tmp", fixture) : null;
    }

    Configuration conf() {
        Configuration c = new Configuration();
        String backend = a.getOrDefault("backend", "rocksdb"), tmp = a.get("root") + "/tmp";
        String inc = a.getOrDefault("incremental", "false"), inline = a.getOrDefault("inline", "1b"), dir = "file:" + root;
        String[][] kv = {
            {"state.backend", backend}, {"state.backend.type", backend},
            {"state.backend.incremental", inc}, {"execution.checkpointing.incremental", inc},
            {"state.checkpoints.dir", dir}, {"execution.checkpointing.dir", dir},
            {"state.savepoints.dir", dir}, {"execution.checkpointing.savepoint-dir", dir},
            {"state.checkpoints.num-retained", a.getOrDefault("retained", "3")}, {"execution.checkpointing.num-retained", a.getOrDefault("retained", "3")},
            {"state.storage.fs.memory-threshold", inline}, {"execution.checkpointing.data-inline-threshold", inline},
            {"state.backend.fs.memory-threshold", inline},
            {"execution.checkpointing.interval", a.getOrDefault("interval", "10 h")}, {"execution.checkpointing.min-pause", a.getOrDefault("interval", "10 h")},
            {"execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION"},
            {"execution.checkpointing.checkpoints-after-tasks-finish.enabled", "true"}, {"execution.checkpointing.checkpoints-after-tasks-finish", "true"},
            {"state.backend.rocksdb.localdir", tmp + "/rocksdb"}, {"state.backend.forst.local-dir", tmp + "/forst"},
            {"io.tmp.dirs", tmp}, {"web.tmpdir", tmp}, {"taskmanager.memory.managed.size", "256m"}, {"taskmanager.memory.network.min", "64m"},
            {"taskmanager.memory.network.max", "64m"}, {"rest.bind-port", "0"}, {"rest.port", "0"}, {"execution.buffer-timeout", "5 ms"},
            {"restart-strategy", "none"}, {"restart-strategy.type", "none"}, {"taskmanager.numberOfTaskSlots", "4"},
            {"pipeline.operator-chaining", "false"}, {"pipeline.operator-chaining.enabled", "false"},
            {"parallelism.default", a.getOrDefault("parallelism", "2")},
        };
        for (String[] e : kv) c.setString(e[0], e[1]);
        if (ha != null) ha.configure(c);
        for (Map.Entry<String, String> e : set.entrySet()) c.setString(e.getKey(), e.getValue());
        return c;
    }

    void run() throws Exception {
        MiniClusterConfiguration.Builder b = new MiniClusterConfiguration.Builder().setConfiguration(conf()).setNumTaskManagers(1).setNumSlotsPerTaskManager(4);
        if (ha != null) b.setHaServices(MiniCluster.HaServices.CONFIGURED);
        cluster = new MiniCluster(b.build());
        cluster.start();
        started = System.currentTimeMillis();
        Board.LIMIT = Long.parseLong(a.getOrDefault("limit", "0"));
        submit(a.get("restore"), a.containsKey("restore") ? "NO_CLAIM" : null, Integer.parseInt(a.getOrDefault("parallelism", "2")));
        for (String s : a.get("steps").trim().split("[ ,]+")) {
            System.out.println("step " + s);
            if (s.equals("p")) {
                Board.LIMIT += phase;
                await("the sources", () -> truth.emitted());
            } else if (s.equals("c")) {
                checkpoint();
            } else if (s.equals("sc") || s.equals("sn")) {
                long t0 = System.currentTimeMillis();
                String path = Compat.savepoint(cluster, jobId, "file:" + root, s.equals("sn")).replaceFirst("^file:/*", "/");
                snapshot(path, "savepoint", s.equals("sn") ? "native" : "canonical", metaId(path), t0);
            } else if (s.equals("x")) {
                cancel();
            } else if (s.startsWith("claim:") || s.startsWith("noclaim:")) {
                submit(latest, s.startsWith("claim") ? "CLAIM" : "NO_CLAIM", Integer.parseInt(s.substring(s.indexOf(':') + 1)));
            } else if (s.equals("finish")) {
                await("finished tasks", this::someFinished);
            } else if (s.startsWith("sleep:")) {
                Thread.sleep(Long.parseLong(s.substring(6)));
            } else if (s.startsWith("quiet:")) {
                quiet(Paths.get(a.get("root"), "tmp", "rocksdb"), Long.parseLong(s.substring(6)), now -> true);
            } else if (s.equals("stall")) {
                stall();
            } else if (s.equals("kill") || s.equals("torn")) {
                // Flink deletes what is subsumed in the background.
                quiet(Paths.get(root), 1000, now -> true);
                history("killed");
                truth();
                if (s.equals("torn")) tear();
                else die();
            } else throw new IllegalArgumentException(s);
        }
        if (jobId != null) cancel();
        cluster.close();
        truth();
    }

    void truth() throws Exception {
        for (Iterator<Object> i = snapshots.iterator(); i.hasNext(); )
            if (!Files.exists(Paths.get(root, ((Map<?, ?>) i.next()).get("path").toString().substring(5), "_metadata"))) i.remove();
        boolean inc = Boolean.parseBoolean(a.getOrDefault("incremental", "false"));
        Map<String, Object> t = Json.obj("fixture", fixture, "flink_version", a.get("version"), "job_class", a.get("job"),
                "job_id", jobs == 0 ? null : id(1).toString(), "state_backend", a.getOrDefault("backend", "rocksdb"), "incremental", inc,
                "settings", new TreeMap<>(set), "started_ms", started, "snapshots", snapshots);
        if (a.containsKey("history")) t.put("jobs", history);
        if (ha != null) t.put("ha", ha.dump(Paths.get(a.get("truth")).getParent(), ids));
        Files.write(Paths.get(a.get("truth")), Json.write(t, 7).getBytes(StandardCharsets.UTF_8));
    }

    interface Check { boolean ok() throws Exception; }

    void await(String what, Check c) throws Exception {
        long end = System.currentTimeMillis() + Long.parseLong(a.getOrDefault("patience", "90000"));
        while (!c.ok()) {
            if (System.currentTimeMillis() > end) throw new IllegalStateException("timed out waiting for " + what + " " + Board.EMITTED + " limit " + Board.LIMIT);
            JobStatus st = cluster.getJobStatus(jobId).get();
            if (st.isGloballyTerminalState()) {
                cluster.requestJobResult(jobId).get().toJobExecutionResult(getClass().getClassLoader());
                throw new IllegalStateException("the job ended: " + st);
            }
            Thread.sleep(20);
        }
    }

    /** Fixed ids, told apart by fixture and by restart. */
    JobID id(int n) { return new JobID(Zoo.mix(fixture.hashCode() * 1000L), Zoo.mix(fixture.hashCode() * 1000L + n)); }

    void submit(String from, String claim, int parallelism) throws Exception {
        Configuration c = conf();
        c.setString("parallelism.default", "" + parallelism);
        if (from != null) {
            for (String k : new String[] {"execution.savepoint.path", "execution.state-recovery.path"}) c.setString(k, "file:" + from);
            for (String k : new String[] {"execution.savepoint-restore-mode", "execution.state-recovery.claim-mode"}) c.setString(k, claim);
        }
        jobId = id(++jobs);
        ids.add(jobId);
        history.add(Json.obj("job_id", jobId.toString(), "restored_from", from == null || !from.startsWith(root) ? from : "data" + from.substring(root.length()), "mode", claim,
                "ended", null, "snapshots", new ArrayList<Object>()));
        StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(parallelism, c);
        env.disableOperatorChaining();
        if (a.containsKey("maxpar")) env.setMaxParallelism(Integer.parseInt(a.get("maxpar")));
        job = (Job) Class.forName(a.get("job")).getDeclaredConstructor().newInstance();
        truth = new Truth();
        Board.OPS.values().forEach(o -> o.opElements.remove("union-owner"));
        Map<String, String> args = new HashMap<>(a);
        args.put("parallelism", "" + parallelism);
        job.build(env, args, truth);
        graph = Compat.jobGraph(env, jobId);
        cluster.submitJob(graph).get();
        await("running tasks", () -> cluster.getJobStatus(jobId).get() == JobStatus.RUNNING && allRunning());
    }

    boolean allRunning() throws Exception {
        AccessExecutionGraph g = cluster.getExecutionGraph(jobId).get();
        for (AccessExecutionVertex v : g.getAllExecutionVertices())
            if (v.getExecutionState() != ExecutionState.RUNNING && v.getExecutionState() != ExecutionState.FINISHED) return false;
        return true;
    }

    boolean someFinished() throws Exception {
        for (AccessExecutionVertex v : cluster.getExecutionGraph(jobId).get().getAllExecutionVertices())
            if (v.getExecutionState() != ExecutionState.FINISHED && v.getTaskNameWithSubtaskIndex().contains("ending")) return false;
        int half = 0;
        for (AccessExecutionVertex v : cluster.getExecutionGraph(jobId).get().getAllExecutionVertices())
            if (v.getExecutionState() == ExecutionState.FINISHED && v.getTaskNameWithSubtaskIndex().contains("half")) half++;
        return half == 2;
    }

    void checkpoint() throws Exception {
        long t0 = System.currentTimeMillis();
        long cp;
        try {
            cp = Compat.checkpoint(cluster, jobId);
        } catch (java.util.concurrent.ExecutionException e) {
            // Why the job failed says more than that its checkpoint did.
            Thread.sleep(1000);
            if (cluster.getJobStatus(jobId).get().isGloballyTerminalState())
                cluster.requestJobResult(jobId).get().toJobExecutionResult(getClass().getClassLoader());
            throw e;
        }
        if (cp < 0) {
            long[] found = {-1};
            await("a checkpoint", () -> {
                CheckpointStatsSnapshot st = cluster.getExecutionGraph(jobId).get().getCheckpointStatsSnapshot();
                for (AbstractCheckpointStats s : st.getHistory().getCheckpoints())
                    if (s.getStatus().isCompleted() && s.getTriggerTimestamp() > t0 && (found[0] < 0 || s.getCheckpointId() < found[0])) found[0] = s.getCheckpointId();
                return found[0] >= 0;
            });
            cp = found[0];
        }
        String path = root + "/" + jobId + "/chk-" + cp;
        if (!Files.exists(Paths.get(path))) path = root + "/chk-" + cp;
        snapshot(path, "checkpoint", Boolean.parseBoolean(a.getOrDefault("incremental", "false")) ? "incremental" : "full", cp, t0);
    }

    void quiet(Path dir, long ms, java.util.function.Predicate<Map<String, Long>> also) throws Exception {
        Object[] seen = {null};
        long[] since = {0};
        await("quiet in " + dir, () -> {
            Map<String, Long> now = sizes(dir);
            if (now == null) return false;
            if (!now.equals(seen[0])) since[0] = System.currentTimeMillis();
            seen[0] = now;
            return also.test(now) && System.currentTimeMillis() - since[0] >= ms;
        });
    }

    static long metaId(String path) throws Exception {
        try (java.io.DataInputStream in = new java.io.DataInputStream(Files.newInputStream(Paths.get(path, "_metadata")))) {
            in.readInt();
            in.readInt();
            return in.readLong();
        }
    }

    @SuppressWarnings("unchecked")
    Map<String, Object> current() { return (Map<String, Object>) history.get(history.size() - 1); }

    void history(String how) { current().put("ended", how); }

    /** Begins a checkpoint whose end is not waited for. */
    void begin() {
        Thread t = new Thread(() -> {
            try {
                Compat.checkpoint(cluster, jobId);
            } catch (Exception e) {
                e.printStackTrace();
            }
        });
        t.setDaemon(true);
        t.start();
    }

    static Map<String, Long> sizes(Path dir) {
        Map<String, Long> now = new TreeMap<>();
        try (Stream<Path> files = Files.walk(dir)) {
            files.map(Path::toFile).filter(File::isFile).forEach(f -> now.put(f.getPath(), f.length()));
            return now;
        } catch (UncheckedIOException | java.io.IOException e) {
            return null; // a file went away in between
        }
    }

    void stall() throws Exception {
        Path dir = Paths.get(root);
        Map<String, Long> before = sizes(dir);
        Board.STALL = true;
        begin();
        quiet(dir, 1500, now -> !now.equals(before));
    }

    /** SIGKILL, for Java's own ways to end wait for native threads. */
    static void die() throws Exception {
        new ProcessBuilder("kill", "-KILL", "" + ProcessHandle.current().pid()).start().waitFor();
    }

    void tear() throws Exception {
        begin();
        File dir = new File(root, jobId.toString());
        for (;;) {
            File[] chks = dir.listFiles((d, n) -> n.startsWith("chk-"));
            for (File chk : chks == null ? new File[0] : chks) {
                String[] names = chk.list();
                if (names == null) continue;
                for (String n : names) if (n.startsWith("._metadata.inprogress.")) die();
            }
        }
    }

    @SuppressWarnings("unchecked")
    void snapshot(String path, String kind, String format, long cp, long t0) throws Exception {
        latest = path;
        ((List<Object>) current().get("snapshots")).add("data" + path.substring(root.length()));
        snapshots.add(Json.obj("path", "data" + path.substring(root.length()), "kind", kind, "format", format, "checkpoint_id", cp, "job_id", jobId.toString(),
                "triggered_ms", t0, "completed_ms", System.currentTimeMillis(), "events", Board.LIMIT, "operators", truth.operators(graph, job)));
    }

    void cancel() throws Exception {
        cluster.cancelJob(jobId).get();
        await2(() -> cluster.getJobStatus(jobId).get().isGloballyTerminalState());
        Thread.sleep(200);
        history("cancelled");
        jobId = null;
    }

    void await2(Check c) throws Exception {
        for (int i = 0; i < 1000 && !c.ok(); i++) Thread.sleep(20);
    }
}
