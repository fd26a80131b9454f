import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.windowing.assigners.*;
import org.apache.flink.streaming.api.windowing.time.Time;

/** What differs between Flink releases: 1.16 to 1.19. */
final class Compat {
    private Compat() {}
    static StateTtlConfig ttl(long ms) { return StateTtlConfig.newBuilder(org.apache.flink.api.common.time.Time.milliseconds(ms)).build(); }
    static TumblingEventTimeWindows tumbling(long ms) { return TumblingEventTimeWindows.of(Time.milliseconds(ms)); }
    static EventTimeSessionWindows session(long ms) { return EventTimeSessionWindows.withGap(Time.milliseconds(ms)); }
    static JobGraph jobGraph(StreamExecutionEnvironment env, JobID id) { return env.getStreamGraph().getJobGraph(Compat.class.getClassLoader(), id); }
    static long checkpoint(MiniCluster c, JobID id) { return -1; }
    static String savepoint(MiniCluster c, JobID id, String dir, boolean nativeFormat) throws Exception {
        return c.triggerSavepoint(id, dir, false, nativeFormat ? org.apache.flink.core.execution.SavepointFormatType.NATIVE : org.apache.flink.core.execution.SavepointFormatType.CANONICAL).get();
    }
}
