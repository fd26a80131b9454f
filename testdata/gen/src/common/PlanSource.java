import java.io.*;
import java.util.*;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.connector.source.*;
import org.apache.flink.core.io.InputStatus;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** A FLIP-27 source that emits a fixed plan up to Board.LIMIT, then waits there for the next phase. */
public final class PlanSource implements Source<Zoo.Evt, PlanSource.Split, Integer> {
    final String name;
    final int splits;
    final boolean bounded;
    final long stride;

    PlanSource(String name, int splits, boolean bounded, long stride) {
        this.name = name; this.splits = splits; this.bounded = bounded; this.stride = stride;
    }

    public static final class Split implements SourceSplit, Serializable {
        final String id;
        long pos;
        Split(String id, long pos) { this.id = id; this.pos = pos; }
        public String splitId() { return id; }
    }

    public Boundedness getBoundedness() { return bounded ? Boundedness.BOUNDED : Boundedness.CONTINUOUS_UNBOUNDED; }

    public SourceReader<Zoo.Evt, Split> createReader(SourceReaderContext c) { return new Reader(); }

    public SplitEnumerator<Split, Integer> createEnumerator(SplitEnumeratorContext<Split> c) { return new Enumerator(c, 0); }

    public SplitEnumerator<Split, Integer> restoreEnumerator(SplitEnumeratorContext<Split> c, Integer assigned) { return new Enumerator(c, assigned); }

    public SimpleVersionedSerializer<Split> getSplitSerializer() {
        return new SimpleVersionedSerializer<Split>() {
            public int getVersion() { return 3; }
            public byte[] serialize(Split s) throws IOException {
                ByteArrayOutputStream b = new ByteArrayOutputStream();
                DataOutputStream o = new DataOutputStream(b);
                o.writeUTF(s.id);
                o.writeLong(s.pos);
                return b.toByteArray();
            }
            public Split deserialize(int v, byte[] x) throws IOException {
                DataInputStream i = new DataInputStream(new ByteArrayInputStream(x));
                return new Split(i.readUTF(), i.readLong());
            }
        };
    }

    public SimpleVersionedSerializer<Integer> getEnumeratorCheckpointSerializer() {
        return new SimpleVersionedSerializer<Integer>() {
            public int getVersion() { return 2; }
            public byte[] serialize(Integer n) { return ("assigned=" + n).getBytes(); }
            public Integer deserialize(int v, byte[] x) { return Integer.parseInt(new String(x).substring(9)); }
        };
    }

    final class Enumerator implements SplitEnumerator<Split, Integer> {
        final SplitEnumeratorContext<Split> c;
        final Map<Integer, List<Split>> back = new HashMap<>();
        int assigned;
        Enumerator(SplitEnumeratorContext<Split> c, int assigned) { this.c = c; this.assigned = assigned; }
        public void start() {}
        public void handleSplitRequest(int subtask, String host) {}
        public void addSplitsBack(List<Split> s, int subtask) { back.computeIfAbsent(subtask, k -> new ArrayList<>()).addAll(s); }
        public void addReader(int subtask) {
            List<Split> b = back.remove(subtask);
            if (b != null) for (Split s : b) c.assignSplit(s, subtask);
            if (c.registeredReaders().size() == c.currentParallelism())
                for (; assigned < splits; assigned++) c.assignSplit(new Split(name + "-split-" + assigned, 0), assigned % c.currentParallelism());
        }
        public Integer snapshotState(long id) { return assigned; }
        public void close() {}
    }

    final class Reader implements SourceReader<Zoo.Evt, Split> {
        final List<Split> mine = new ArrayList<>();
        public void start() {}
        public InputStatus pollNext(ReaderOutput<Zoo.Evt> out) throws Exception {
            for (Split s : mine) {
                long end = Board.LIMIT / stride;
                if (s.pos < end) {
                    out.collect(new Zoo.Evt(s.pos, Zoo.BASE_TS + s.pos * 1000), Zoo.BASE_TS + s.pos * 1000);
                    s.pos++;
                    return InputStatus.MORE_AVAILABLE;
                }
                Board.EMITTED.put(s.id, s.pos * stride);
                if (bounded && s.pos > 0 && !s.id.equals("half-split-1")) return InputStatus.END_OF_INPUT;
            }
            Thread.sleep(2);
            return InputStatus.MORE_AVAILABLE;
        }
        public List<Split> snapshotState(long id) {
            List<Split> l = new ArrayList<>();
            for (Split s : mine) l.add(new Split(s.id, s.pos));
            return l;
        }
        public CompletableFuture<Void> isAvailable() { return CompletableFuture.completedFuture(null); }
        public void addSplits(List<Split> s) { mine.addAll(s); }
        public void notifyNoMoreSplits() {}
        public void close() {}
    }
}
