package org.apache.flink.kubernetes.highavailability;

import java.nio.file.*;
import org.apache.flink.core.fs.Path;
import org.apache.flink.runtime.state.*;
import org.apache.flink.runtime.state.filesystem.FileStateHandle;
import org.apache.flink.runtime.state.memory.ByteStreamStateHandle;
import org.apache.flink.util.InstantiationUtil;

/** Pointers of high availability, written by Flink's classes: arguments are the output directory. */
class HaGold {
    public static void main(String[] a) throws Exception {
        RetrievableStreamStateHandle<?> plain = new RetrievableStreamStateHandle<>(new Path("s3://bucket/ha/completedCheckpoint0123456789ab"), 4711);
        write(a[0], "configmap", new KubernetesStateHandleStore.StateHandleWithDeleteMarker<>(plain, false));
        write(a[0], "configmap-marked", new KubernetesStateHandleStore.StateHandleWithDeleteMarker<>(plain, true));
        write(a[0], "odd-path", new RetrievableStreamStateHandle<>(new FileStateHandle(new Path("hdfs://host:8020/50% off?/\u00fc#%20"), 1)));
        write(a[0], "inline", new RetrievableStreamStateHandle<>(new ByteStreamStateHandle("name", new byte[] {1, 2, 3})));
    }

    static void write(String dir, String name, Object o) throws Exception {
        Files.write(Paths.get(dir, name + ".pointer"), InstantiationUtil.serializeObject(o));
    }
}

/** The distribution on PyPI lacks flink-kubernetes: its class has this name and these fields. */
class KubernetesStateHandleStore {
    static class StateHandleWithDeleteMarker<T extends java.io.Serializable> implements StateObject {
        private final RetrievableStateHandle<T> inner;
        private final boolean markedForDeletion;

        StateHandleWithDeleteMarker(RetrievableStateHandle<T> inner, boolean marked) {
            this.inner = inner;
            markedForDeletion = marked;
        }

        public void discardState() {}
        public long getStateSize() { return 0; }
    }
}
