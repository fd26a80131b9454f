#!/usr/bin/env bash
# Makes the fixtures in ../fixtures with real Flink: all of them, or those named as arguments.
#
#   testdata/gen/make-fixtures.sh [--list] [--oracles-only] [fixture…]
#   testdata/gen/make-fixtures.sh --show fixture         # its line of the table: release, job, arguments
#
# Needs: bash, Java 17 (javac too), python3 with venv, ldb and sst_dump (RocksDB's tools), and a writable /data/flink:
# that is the place the snapshots remember, and they are moved away from it afterwards.
#
#   STATESCOPE_FLINK_CACHE  where the Flink distributions are installed (flink-<version>/) and the classes compiled
#                           [$HOME/.cache/statescope-flink]
#   STATESCOPE_FLINK_HOME   an existing directory of flink-<version>/pyflink/lib to use instead
#   STATESCOPE_FLINK_ROOT   the recorded root of the snapshots [/data/flink]
#   STATESCOPE_FIXTURES     where the results go [testdata/fixtures; those with where=roots: testdata/roots]
set -euo pipefail

# ---- the table -----------------------------------------------------------------------------------
# name | flink | job | arguments of Driver (steps: p phase, c checkpoint, sc/sn canonical/native savepoint, x cancel,
#                      claim:N / noclaim:N restore the latest snapshot with parallelism N) and -Dflink.setting=value
FIXTURES='
inc-1.20                      | 1.20.5 | StateZoo | profile=zoo incremental=true phase=150 steps=p,c,p,c,p,c,p,c
inc-2.3                       | 2.3.0  | StateZoo | profile=zoo incremental=true phase=150 steps=p,c,p,c,p,c
inc-2.0                       | 2.0.2  | StateZoo | profile=mini incremental=true steps=p,c
inc-1.13                      | 1.13.6 | StateZoo | profile=mini incremental=true interval=1500ms steps=p,c,p,c,p,c
inc-inline-1.20               | 1.20.5 | StateZoo | profile=mid incremental=true inline=20kb retained=1 phase=150 steps=p,p,c
full-rocksdb-1.20             | 1.20.5 | StateZoo | profile=mini steps=p,p,c
full-rocksdb-1.13             | 1.13.6 | StateZoo | profile=mid interval=1500ms retained=1 steps=p,p,c
hashmap-2.3                   | 2.3.0  | StateZoo | profile=zoo backend=hashmap steps=p,p,c
hashmap-compressed-1.20       | 1.20.5 | StateZoo | profile=mid backend=hashmap steps=p,p,c -Dexecution.checkpointing.snapshot-compression=true
savepoint-canonical-1.20      | 1.20.5 | StateZoo | profile=zoo steps=p,p,sc
savepoint-native-1.20         | 1.20.5 | StateZoo | profile=mini incremental=true steps=p,p,sn
savepoint-canonical-2.3       | 2.3.0  | StateZoo | profile=zoo steps=p,p,sc
savepoint-native-2.3          | 2.3.0  | StateZoo | profile=mini incremental=true steps=p,p,sn
savepoint-canonical-hashmap-1.20 | 1.20.5 | StateZoo | profile=mid backend=hashmap steps=p,p,sc
maxpar-512-2.3                | 2.3.0  | StateZoo | profile=mini incremental=true maxpar=512 steps=p,c
sql-2.3                       | 2.3.0  | SqlJob   | incremental=true phase=150 parallelism=1 retained=1 steps=p,c,p,c
sql-1.20                      | 1.20.5 | SqlJob   | incremental=true phase=150 retained=1 ttl=7d parallelism=1 steps=p,c,p,c
claimed-1.20                  | 1.20.5 | StateZoo | profile=mini incremental=true steps=p,c,x,claim:2,p,c
rescaled-1.20                 | 1.20.5 | StateZoo | profile=mini incremental=true steps=p,p,c,x,claim:3,p,c
heap-timers-1.20              | 1.20.5 | StateZoo | profile=mini incremental=true steps=p,c -Dstate.backend.rocksdb.timer-service.factory=HEAP
file-merging-2.3              | 2.3.0  | StateZoo | profile=mini incremental=true steps=p,c -Dexecution.checkpointing.file-merging.enabled=true
file-merging-1.20             | 1.20.5 | StateZoo | profile=mini incremental=true retained=1 steps=p,c,p,c -Dexecution.checkpointing.file-merging.enabled=true
changelog-1.20                | 1.20.5 | StateZoo | profile=mini incremental=true steps=p,c,sleep:5000,p,c -Dstate.backend.changelog.enabled=true -Dstate.backend.changelog.storage=filesystem -Dstate.backend.changelog.periodic-materialize.interval=3s -Ddstl.dfs.base-path=file:/data/flink/changelog-1.20/dstl
changelog-1.15                | 1.15.4 | StateZoo | profile=mini incremental=true retained=1 interval=1500ms steps=p,c,sleep:5000,p,c -Dstate.backend.changelog.enabled=true -Dstate.backend.changelog.storage=filesystem -Dstate.backend.changelog.periodic-materialize.interval=3s -Ddstl.dfs.base-path=file:/data/flink/changelog-1.15/dstl
changelog-memory-1.20         | 1.20.5 | StateZoo | profile=mini incremental=true steps=p,c -Dstate.backend.changelog.enabled=true -Dstate.backend.changelog.storage=memory
unaligned-2.3                 | 2.3.0  | SlowJob  | steps=p,c phase=4000 -Dexecution.checkpointing.unaligned=true -Dexecution.checkpointing.unaligned.enabled=true -Dtaskmanager.memory.segment-size=4kb -Dtaskmanager.network.memory.floating-buffers-per-gate=1
unaligned-1.20                | 1.20.5 | SlowJob  | steps=p,c phase=4000 -Dexecution.checkpointing.unaligned=true -Dexecution.checkpointing.unaligned.enabled=true -Dtaskmanager.memory.segment-size=4kb -Dtaskmanager.network.memory.floating-buffers-per-gate=1
forst-async-2.3               | 2.3.0  | AsyncJob | backend=forst incremental=true steps=p,c,p,c
forst-2.3                     | 2.3.0  | StateZoo | profile=mini backend=forst incremental=true steps=p,c
finished-1.20                 | 1.20.5 | StateZoo | profile=mini incremental=true finishing=yes retained=1 steps=p,sleep:1000,c,finish,p,c
nosubdir-1.20                 | 1.20.5 | StateZoo | profile=mini incremental=true steps=p,c -Dstate.checkpoints.create-subdir=false -Dexecution.checkpointing.create-subdir=false
odd-1.20                      | 1.20.5 | OddJob   | incremental=true steps=p,c
noclaim-2.3                   | 2.3.0  | StateZoo | profile=mini incremental=true retained=1 steps=p,sc,x,noclaim:2,p,c
levels-2.3                    | 2.3.0  | StateZoo | profile=mini incremental=true retained=1 phase=3000 steps=p,c,p,c,p,c,p,c,p,c -Dstate.backend.rocksdb.memory.managed=false -Dstate.backend.rocksdb.writebuffer.size=64kb -Dstate.backend.rocksdb.compaction.level.target-file-size-base=8kb -Dstate.backend.rocksdb.compaction.level.max-size-level-base=8kb
lz4-bloom-1.20                | 1.20.5 | StateZoo | profile=mini incremental=true retained=1 phase=1000 steps=p,c -Dstate.backend.rocksdb.compression.per.level=LZ4_COMPRESSION -Dstate.backend.rocksdb.use-bloom-filter=true
ha-1.20                       | 1.20.5 | StateZoo | profile=mini incremental=true retained=2 ha=zookeeper parallelism=1 history=yes steps=p,c,p,c,p,c,kill
ha-2.3                        | 2.3.0  | StateZoo | profile=mini incremental=true retained=2 ha=zookeeper parallelism=1 history=yes steps=p,c,x,claim:1,p,c,p,c,kill -Djob-result-store.delete-on-commit=false
prune-claim-chain-1.20        | 1.20.5 | StateZoo | profile=mini incremental=true retained=2 phase=100 parallelism=1 history=yes steps=p,c,x,claim:1,p,c,p,c,x,claim:1,p,c
prune-noclaim-2.3             | 2.3.0  | StateZoo | profile=mini incremental=true retained=1 phase=100 parallelism=1 history=yes steps=p,c,x,noclaim:1,p,c
prune-claimed-savepoint-1.20  | 1.20.5 | StateZoo | where=roots profile=mini incremental=true retained=1 phase=100 ha=zookeeper parallelism=1 history=yes steps=p,sn,x,claim:1,p,c,p,c,kill
prune-claimed-savepoint-2.3   | 2.3.0  | StateZoo | where=roots profile=mini incremental=true retained=1 phase=100 ha=zookeeper parallelism=1 history=yes steps=p,sn,x,claim:1,p,c,p,c,kill
prune-crashed-1.20            | 1.20.5 | StateZoo | profile=mini incremental=true retained=1 phase=100 parallelism=1 history=yes steps=p,c,p,c,p,stall,kill
prune-crashed-changelog-1.20  | 1.20.5 | StateZoo | profile=mini incremental=true retained=1 phase=100 parallelism=1 history=yes steps=p,c,p,sleep:5000,kill -Dstate.backend.changelog.enabled=true -Dstate.backend.changelog.storage=filesystem -Dstate.backend.changelog.periodic-materialize.interval=3s -Ddstl.dfs.base-path=file:/data/flink/prune-crashed-changelog-1.20/dstl
prune-crashed-merging-2.3     | 2.3.0  | StateZoo | profile=mini incremental=true retained=1 phase=100 parallelism=1 history=yes steps=p,c,p,stall,kill -Dexecution.checkpointing.file-merging.enabled=true
prune-crashed-forst-2.3       | 2.3.0  | AsyncJob | backend=forst incremental=true retained=1 phase=100 parallelism=1 history=yes steps=p,c,p,c,kill
prune-torn-2.3                | 2.3.0  | StateZoo | profile=mini incremental=true retained=1 phase=100 parallelism=1 history=yes steps=p,c,p,torn
connectors-1.20               | 1.20.5 | ConnectorJob | parallelism=1 retained=1 steps=sleep:1500,c,sleep:500,c
connectors-2.3                | 2.3.0  | ConnectorJob | parallelism=1 retained=1 steps=sleep:1500,c,sleep:500,c
zstd-partitioned-2.3          | 2.3.0  | StateZoo | profile=mini incremental=true retained=1 phase=1000 steps=p,c -Dstate.backend.rocksdb.compression.per.level=ZSTD_COMPRESSION -Dstate.backend.rocksdb.memory.partitioned-index-filters=true -Dstate.backend.rocksdb.use-bloom-filter=true
'

here=$(cd "$(dirname "$0")" && pwd)
root=${STATESCOPE_FLINK_ROOT:-/data/flink}
out=${STATESCOPE_FIXTURES:-$here/../fixtures}
oracles_only=
source "$here/flink.sh"

trim() { local s=$1; s=${s#"${s%%[![:space:]]*}"}; printf %s "${s%"${s##*[![:space:]]}"}"; }
names() { while IFS='|' read -r n _; do n=$(trim "$n"); [ -z "$n" ] || echo "$n"; done <<<"$FIXTURES"; }

wanted=()
if [ "${1:-}" = --show ]; then
  while IFS='|' read -r n rest; do [ "$(trim "$n")" != "${2:-}" ] || { trim "${rest//|/ }"; echo; exit; }; done <<<"$FIXTURES"
  echo "no such fixture: ${2:-}" >&2
  exit 2
fi
for a in "$@"; do
  case $a in
    --list) names; exit ;;
    --oracles-only) oracles_only=1 ;;
    -*) echo "unknown option $a" >&2; exit 2 ;;
    *) grep -qxF -- "$a" <<<"$(names)" || { echo "no such fixture: $a" >&2; exit 2; }; wanted+=("$a") ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || mapfile -t wanted < <(names)
needs java javac python3 ldb sst_dump
mkdir -p "$root/tmp" "$out"
out=$(cd "$out" && pwd)
roots=$out
[ -n "${STATESCOPE_FIXTURES:-}" ] || roots=$(dirname "$out")/roots

# ---- one fixture -------------------------------------------------------------------------------------
make_one() { # name version job args
  local n=$1 v=$2 job=$3; shift 3
  local dir=$out/$n lost=()
  case " $* " in *' where=roots '*) dir=$roots/$n; lost=(--lost) ;; esac
  if [ -z "$oracles_only" ]; then
    rm -rf "$dir"; mkdir -p "$dir"
    run_job "$dir" "$n" "$v" "$job" "$@"
  fi
  oracles "$dir" "$n" "$v" "${lost[@]}"
}

while IFS='|' read -r n v job args; do
  n=$(trim "$n")
  [ -n "$n" ] || continue
  for w in "${wanted[@]}"; do
    if [ "$w" = "$n" ]; then
      echo "== $n"
      read -ra argv <<<"$args"
      make_one "$n" "$(trim "$v")" "$(trim "$job")" "${argv[@]}" </dev/null
    fi
  done
done <<<"$FIXTURES"
[ -n "$oracles_only" ] || rm -rf "${root:?}/tmp"
