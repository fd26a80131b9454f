import java.util.Map;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

interface Job {
    void build(StreamExecutionEnvironment env, Map<String, String> args, Truth truth) throws Exception;

    /** Adds what is known of an operator from the plan alone, when `limit` events have been emitted. */
    void extraTruth(String op, long limit, Map<String, Object> o) throws Exception;
}
