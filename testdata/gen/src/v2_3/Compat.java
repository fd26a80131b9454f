import java.time.Duration;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.core.execution.*;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.graph.StreamGraph;
import org.apache.flink.streaming.api.windowing.assigners.*;

/** What differs between Flink releases: 2.x. */
final class Compat {
    private Compat() {}
    static StateTtlConfig ttl(long ms) { return StateTtlConfig.newBuilder(Duration.ofMillis(ms)).build(); }
    static TumblingEventTimeWindows tumbling(long ms) { return TumblingEventTimeWindows.of(Duration.ofMillis(ms)); }
    static EventTimeSessionWindows session(long ms) { return EventTimeSessionWindows.withGap(Duration.ofMillis(ms)); }
    static JobGraph jobGraph(StreamExecutionEnvironment env, JobID id) {
        StreamGraph g = env.getStreamGraph();
        g.setJobId(id);
        return g.getJobGraph(Compat.class.getClassLoader());
    }
    /** The id of the checkpoint, or -1 where a release has no trigger (the driver then waits for a periodic one). */
    static long checkpoint(MiniCluster c, JobID id) throws Exception { return c.triggerCheckpoint(id, CheckpointType.CONFIGURED).get(); }
    static String savepoint(MiniCluster c, JobID id, String dir, boolean nativeFormat) throws Exception {
        return c.triggerSavepoint(id, dir, false, nativeFormat ? SavepointFormatType.NATIVE : SavepointFormatType.CANONICAL).get();
    }
}
