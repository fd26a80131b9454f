import java.util.*;
import org.apache.flink.api.common.typeutils.base.*;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.functions.sink.TwoPhaseCommitSinkFunction;

/** A sink whose transactions are texts; it tells which were open and which pending when a checkpoint was taken. */
final class TwoPhase extends TwoPhaseCommitSinkFunction<String, String, Void> {
    static Map<String, Object> told;
    static int begun;
    static final List<String> PENDING = Collections.synchronizedList(new ArrayList<>());

    TwoPhase(Map<String, Object> told) {
        super(StringSerializer.INSTANCE, VoidSerializer.INSTANCE);
        TwoPhase.told = told;
    }

    @Override protected void invoke(String transaction, String value, Context context) {}

    @Override protected String beginTransaction() { return "transaction-" + begun++; }

    @Override protected void preCommit(String transaction) { PENDING.add(transaction); }

    @Override protected void commit(String transaction) { PENDING.remove(transaction); }

    @Override protected void abort(String transaction) {}

    @Override public void snapshotState(FunctionSnapshotContext c) throws Exception {
        super.snapshotState(c);
        told.put("pending_commit", new ArrayList<>(PENDING));
        told.put("open", currentTransaction());
    }
}
