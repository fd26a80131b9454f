#!/usr/bin/env bash
# Makes testdata/golden/ha with real Flink: what high availability keeps of one completed checkpoint, for releases and kinds of state that
# the fixtures of make-fixtures.sh do not have it for. All of them, or those named as arguments.
#
#   testdata/gen/make-ha.sh [name…]
#
# Leaves of each the node of ZooKeeper (NAME.pointer), the file in the HA storage (NAME.checkpoint), and what Flink reads in both (NAME.json).
# Needs what make-fixtures.sh needs, but for RocksDB's tools. The ZooKeeper of 1.13 and 1.14 does not run on Java 17: golden/HaOldGold.java.
set -euo pipefail

common='profile=mini incremental=true retained=1 phase=100 parallelism=1 ha=zookeeper'
changelog='-Dstate.backend.changelog.enabled=true -Dstate.backend.changelog.storage=filesystem -Dstate.backend.changelog.periodic-materialize.interval=3s'
unaligned='-Dexecution.checkpointing.unaligned=true -Dexecution.checkpointing.unaligned.enabled=true -Dtaskmanager.memory.segment-size=4kb -Dtaskmanager.network.memory.floating-buffers-per-gate=1'
# name | flink | job | arguments of Driver
TABLE="
plain-1.15      | 1.15.4 | StateZoo | $common interval=1500ms steps=p,c,kill
plain-1.17      | 1.17.2 | StateZoo | $common interval=1500ms steps=p,c,kill
plain-1.19      | 1.19.3 | StateZoo | $common interval=1500ms steps=p,c,kill
plain-2.0       | 2.0.2  | StateZoo | $common steps=p,c,kill
heap-1.20       | 1.20.5 | StateZoo | $common backend=hashmap incremental=false steps=p,c,kill
inline-1.20     | 1.20.5 | StateZoo | $common inline=20kb steps=p,c,kill
jobmanager-1.20 | 1.20.5 | StateZoo | $common backend=hashmap incremental=false inline=1mb steps=p,c,kill -Dexecution.checkpointing.storage=jobmanager -Dstate.checkpoint-storage=jobmanager
canonical-1.20  | 1.20.5 | StateZoo | $common retained=3 steps=p,sc,x,claim:1,p,c,kill
finished-1.20   | 1.20.5 | StateZoo | $common finishing=yes parallelism=2 steps=p,sleep:1000,c,finish,p,c,kill
merging-1.20    | 1.20.5 | StateZoo | $common steps=p,c,kill -Dexecution.checkpointing.file-merging.enabled=true
merging-2.3     | 2.3.0  | StateZoo | $common steps=p,c,kill -Dexecution.checkpointing.file-merging.enabled=true
changelog-1.15  | 1.15.4 | StateZoo | $common interval=1500ms steps=p,sleep:4000,p,c,kill $changelog -Ddstl.dfs.base-path=file:/data/flink/changelog-1.15/dstl
changelog-2.3   | 2.3.0  | StateZoo | $common steps=p,sleep:4000,p,c,kill $changelog -Ddstl.dfs.base-path=file:/data/flink/changelog-2.3/dstl
memory-1.20     | 1.20.5 | StateZoo | $common steps=p,c,kill -Dstate.backend.changelog.enabled=true -Dstate.backend.changelog.storage=memory
unaligned-1.20  | 1.20.5 | SlowJob  | ha=zookeeper steps=p,c,kill phase=4000 $unaligned
unaligned-2.3   | 2.3.0  | SlowJob  | ha=zookeeper steps=p,c,kill phase=4000 $unaligned
forst-2.3       | 2.3.0  | AsyncJob | backend=forst incremental=true ha=zookeeper steps=p,c,kill
"

here=$(cd "$(dirname "$0")" && pwd)
root=${STATESCOPE_FLINK_ROOT:-/data/flink}
source "$here/flink.sh"
needs java javac python3
out=$here/../golden/ha
mkdir -p "$root/tmp" "$out"
dir=$(mktemp -d)
trap 'rm -rf "$dir" "${root:?}/tmp"' EXIT

while IFS='|' read -r name version job args; do
  read -r name version job <<<"$name $version $job"
  [ -n "$name" ] || continue
  [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
  echo "== $name"
  read -ra argv <<<"$args"
  rm -rf "${dir:?}"/*
  run_job "$dir" "$name" "$version" "$job" "${argv[@]}" </dev/null
  python3 - "$dir" "$out/$name" <<'PY'
import json, shutil, sys
at, to = sys.argv[1:]
newest = json.load(open(f"{at}/truth.json"))["ha"]["pointers"][-1]
shutil.copyfile(f"{at}/{newest['node']}", f"{to}.pointer")
shutil.copyfile(f"{at}/{newest['file']}", f"{to}.checkpoint")
with open(f"{to}.json", "w") as f:
    f.write(json.dumps(newest, indent=1) + "\n")
PY
done <<<"$TABLE"
