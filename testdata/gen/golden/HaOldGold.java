import java.io.*;
import java.nio.file.*;
import java.util.*;
import org.apache.flink.api.common.JobID;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.fs.local.LocalFileSystem;
import org.apache.flink.runtime.checkpoint.*;
import org.apache.flink.runtime.checkpoint.metadata.CheckpointMetadata;
import org.apache.flink.runtime.jobgraph.OperatorID;
import org.apache.flink.runtime.state.RetrievableStreamStateHandle;
import org.apache.flink.runtime.state.filesystem.*;
import org.apache.flink.util.InstantiationUtil;

/**
 * What high availability of Flink 1.13 would keep of a fixture's checkpoint, whose ZooKeeper does not run on Java 17: the same classes, filled from its _metadata.
 * Arguments: a checkpoint's directory, at its recorded place (/data/flink/inc-1.13/…/chk-3), and the output without its extension.
 */
class HaOldGold {
    public static void main(String[] a) throws Exception {
        String dir = "file:" + a[0];
        File file = new File(a[0], "_metadata");
        CheckpointMetadata m;
        try (DataInputStream in = new DataInputStream(new FileInputStream(file))) {
            m = Checkpoints.loadCheckpointMetadata(in, HaOldGold.class.getClassLoader(), dir);
        }
        Map<OperatorID, OperatorState> operators = new HashMap<>();
        for (OperatorState o : m.getOperatorStates()) operators.put(o.getOperatorID(), o);
        FileStateHandle meta = new FileStateHandle(new Path(dir, "_metadata"), file.length());
        JobID job = JobID.fromHexString(Paths.get(a[0]).getParent().getFileName().toString());
        CompletedCheckpoint c = new CompletedCheckpoint(job, m.getCheckpointId(), 1_600_000_000_000L, 1_600_000_000_100L, operators, m.getMasterStates(),
                CheckpointProperties.forCheckpoint(CheckpointRetentionPolicy.RETAIN_ON_CANCELLATION),
                new FsCompletedCheckpointStorageLocation(LocalFileSystem.getSharedInstance(), new Path(dir), meta, dir));
        byte[] bytes = InstantiationUtil.serializeObject(c);
        String place = "/ha/" + Paths.get(a[1]).getFileName() + "/completedCheckpoint0123456789ab";
        Files.write(Paths.get(a[1] + ".checkpoint"), bytes);
        Files.write(Paths.get(a[1] + ".pointer"), InstantiationUtil.serializeObject(
                new RetrievableStreamStateHandle<CompletedCheckpoint>(new Path("file:/data/flink" + place), bytes.length)));
        Map<String, Object> json = Json.obj("file", "data" + place, "file_size", bytes.length, "job_id", job.toString(), "checkpoint_id", m.getCheckpointId(),
                "timestamp_ms", 1_600_000_000_000L, "external_pointer", dir, "metadata_size", file.length(), "paths", Ha.paths(c));
        Files.write(Paths.get(a[1] + ".json"), Json.write(json, 2).getBytes("UTF-8"));
    }
}
