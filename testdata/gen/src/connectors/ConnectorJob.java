import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.serialization.SimpleStringEncoder;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.connector.file.sink.FileSink;
import org.apache.flink.connector.file.src.FileSource;
import org.apache.flink.connector.file.src.reader.TextLineInputFormat;
import org.apache.flink.core.fs.Path;
import org.apache.flink.runtime.state.*;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.filesystem.rollingpolicies.*;

/** Flink's own connectors: where sources are is told by what follows them, which sees all records before a checkpoint's barrier. Parallelism 1. */
final class ConnectorJob implements Job {
    /** By operator: what was seen last before the last checkpoint. */
    static final Map<String, String> SEEN = new ConcurrentHashMap<>();
    static final Map<String, Object> SINKS = new ConcurrentHashMap<>();
    static final int LINES = 30_000;

    public void build(StreamExecutionEnvironment env, Map<String, String> args, Truth truth) throws Exception {
        String tmp = args.get("root") + "/tmp/" + args.get("fixture");
        File in = new File(tmp, "in");
        in.mkdirs();
        for (char file : new char[] {'a', 'b', 'c'}) {
            StringBuilder lines = new StringBuilder();
            for (int i = 0; i < LINES; i++) lines.append(file).append(' ').append(i).append('\n');
            Files.write(new File(in, file + ".txt").toPath(), lines.toString().getBytes(StandardCharsets.UTF_8));
        }
        GeneratorFunction<Long, String> text = n -> "" + n;
        DataStream<String> numbers = seen(from(env, truth, new NumberSequenceSource(1, 1_000_000), "numbers").map(n -> "" + n).name("to-text").uid("to-text-uid"), "numbers", truth);
        DataStream<String> generated = seen(from(env, truth, new DataGeneratorSource<>(text, 500_000, RateLimiterStrategy.perSecond(200), Types.STRING), "generated"), "generated", truth);
        DataStream<String> lines = seen(from(env, truth, FileSource.forRecordStreamFormat(new TextLineInputFormat(), new Path("file:" + in)).build(), "lines"), "lines", truth);
        truth.op("to-text", "to-text-uid");
        numbers.sinkTo(FileSink.forRowFormat(new Path("file:" + tmp + "/rolled"), new SimpleStringEncoder<String>()).withRollingPolicy(OnCheckpointRollingPolicy.build()).build())
                .name("rolled").uid("rolled-uid");
        generated.sinkTo(FileSink.forRowFormat(new Path("file:" + tmp + "/open"), new SimpleStringEncoder<String>()).withRollingPolicy(DefaultRollingPolicy.builder().build()).build())
                .name("open").uid("open-uid");
        lines.addSink(new TwoPhase(SINKS)).name("two-phase").uid("two-phase-uid");
        truth.op("rolled: Writer", "rolled-uid");
        truth.op("open: Writer", "open-uid");
        // Flink makes these of the sinks' uids.
        truth.op("rolled: Committer", "Sink Committer: rolled-uid");
        truth.op("open: Committer", "Sink Committer: open-uid");
        truth.op("Sink: two-phase", "two-phase-uid");
        Legacy.attach(lines, truth);
    }

    private static <T> DataStream<T> from(StreamExecutionEnvironment env, Truth truth, Source<T, ?, ?> source, String name) {
        truth.op("Source: " + name, name + "-uid");
        return env.fromSource(source, WatermarkStrategy.noWatermarks(), name).uid(name + "-uid");
    }

    private static DataStream<String> seen(DataStream<String> in, String name, Truth truth) {
        truth.op("see-" + name, "see-" + name + "-uid");
        return in.map(new See(name)).name("see-" + name).uid("see-" + name + "-uid");
    }

    public void extraTruth(String op, long limit, Map<String, Object> o) {
        o.put("partly_known", true);
        if (op.startsWith("Source: ")) {
            o.put("coordinator_state", true);
            o.put("last_seen", SEEN.get(op.substring(8)));
        }
        if (op.equals("Sink: two-phase")) o.put("transactions", new TreeMap<>(SINKS));
    }

    static final class See extends RichMapFunction<String, String> implements CheckpointedFunction {
        final String name;
        transient String last;

        See(String name) { this.name = name; }

        public String map(String s) throws Exception {
            Thread.sleep(1);
            return last = s;
        }

        public void snapshotState(FunctionSnapshotContext c) { if (last != null) SEEN.put(name, last); }

        public void initializeState(FunctionInitializationContext c) {}
    }
}
