#!/usr/bin/env bash
# Restores a fixture's job in real Flink from the snapshots that are left in a tree, and checks that it has the state that it should have.
#
#   testdata/gen/restore.sh FIXTURE [--tree DIR] [SNAPSHOT…]
#
# FIXTURE is a name of make-fixtures.sh; its truth.json says what each snapshot holds. DIR is the tree as it is now, such as after
# `prune --apply` [the fixture's own data]. SNAPSHOTs are paths as in truth.json [all of those whose _metadata is in the tree].
#
# Snapshots name their files where they were written, so the tree must be at its recorded place, /data/flink/FIXTURE: it is used there if
# DIR is that place, and otherwise copied to it, if nothing is there yet, and removed afterwards.
#
# From each snapshot the job is restored (NO_CLAIM), takes a checkpoint of all that it has, and goes on for some events.
# oracle.py then has Flink and RocksDB read the checkpoint: operators, elements of operator states and, with RocksDB, the rows of each keyed state and timer
# service must be those of truth.json. The tree must be afterwards what it was before.
#
# Exit 0: all restored; or nothing was tried, since Java, RocksDB's tools or the release of Flink are not installed, which is said. 1: not all were.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=${STATESCOPE_FLINK_ROOT:-/data/flink}
skip() { echo "nothing was restored: $*"; exit 0; }
for tool in java javac python3 ldb sst_dump; do command -v "$tool" >/dev/null || skip "$tool is not on PATH"; done

fixture=${1:?usage: restore.sh FIXTURE [--tree DIR] [SNAPSHOT…]}
shift
line=$("$here/make-fixtures.sh" --show "$fixture")
read -r version job args <<<"$line"
for base in "$here/../fixtures/$fixture" "$here/../roots/$fixture" "${STATESCOPE_MORE_FIXTURES:-/nowhere}/$fixture"; do [ ! -d "$base" ] || break; done
tree=$base/data
if [ "${1:-}" = --tree ]; then tree=${2:?--tree needs a directory}; shift 2; fi
[ -f "$base/truth.json" ] && [ -d "$tree" ] || { echo "no such directory: $base or $tree" >&2; exit 2; }

source "$here/flink.sh"
[ -d "$home/flink-$version/pyflink/lib" ] || skip "Flink $version is not in $home; make-fixtures.sh installs it there"
case $version,$args in
  1.13.*) skip "Flink $version has no restore mode that leaves a snapshot alone" ;;
  1.15.*changelog.enabled=true*) skip "Flink $version cannot restore a changelog without changelog" ;;
esac

# ---- the tree at its place ---------------------------------------------------------------------------
place=$root/$fixture copied=
results=$(mktemp -d)
cleanup() { rm -rf "$results" "${root:?}/restored" "${root:?}/tmp"; [ -z "$copied" ] || rm -rf "${place:?}"; }
mkdir -p "$root/tmp" 2>/dev/null || { echo "$root cannot be made: the snapshots can only be restored at their recorded place, $place" >&2; exit 2; }
if [ "$(realpath "$tree")" != "$(realpath -m "$place")" ]; then
  [ ! -e "$place" ] || { echo "$place is there already: remove it, or name it with --tree" >&2; exit 2; }
  copied=yes
fi
trap cleanup EXIT
[ -z "$copied" ] || cp -a "$tree" "$place"
listing() { (cd "$place" && find . -type f -printf '%p %s %T@\n' | sort); }
before=$(listing)

snapshots=("$@")
if [ ${#snapshots[@]} -eq 0 ]; then
  mapfile -t snapshots < <(python3 -c 'import json, sys
for s in json.load(open(sys.argv[1]))["snapshots"]: print(s["path"])' "$base/truth.json")
  kept=()
  for s in "${snapshots[@]}"; do [ ! -f "$place/${s#data/}/_metadata" ] || kept+=("$s"); done
  snapshots=("${kept[@]}")
fi
[ ${#snapshots[@]} -gt 0 ] || { echo "no snapshot is left in $tree" >&2; exit 1; }

# ---- one snapshot --------------------------------------------------------------------------------------
# Without what is only for making the fixture, and where the job is to write now. The changelog backend cannot be restored with NO_CLAIM; the one
# that it is around can, and applies the changes.
argv=()
for a in $args; do case $a in where=* | ha=* | history=* | retained=* | steps=* | parallelism=* | -Dstate.backend.changelog.enabled=*) ;; *) argv+=("${a//"$place"/"$root/restored"}") ;; esac; done
restore_one() ( # snapshot, its parallelism and its events: Flink's own check
  set -e
  rm -rf "${results:?}"/*
  run_job "$results" restored "$version" "$job" "${argv[@]}" restore="$place/${1#data/}" parallelism="$2" limit="$3" steps=c,p
  # The job knows only what it did itself; what it was restored to is the truth of its first checkpoint.
  python3 - "$base/truth.json" "$1" "$results/truth.json" <<'PY'
import json, sys
truth, path, ours = sys.argv[1:]
old = next(s for s in json.load(open(truth))["snapshots"] if s["path"] == path)
new = json.load(open(ours))
assert len(new["snapshots"]) == 1, "a checkpoint was to be taken"
new["snapshots"][0]["operators"] = old["operators"]
json.dump(new, open(ours, "w"))
PY
  oracles "$results" restored "$version"
)

wrong=0
for s in "${snapshots[@]}"; do
  echo "== $fixture: $s"
  figures=$(python3 -c 'import json, sys
s = next(s for s in json.load(open(sys.argv[1]))["snapshots"] if s["path"] == sys.argv[2])
print(max(o["parallelism"] for o in s["operators"]), s["events"])' "$base/truth.json" "$s")
  read -r parallelism events <<<"$figures"
  # Not in a condition, which would switch off set -e inside.
  set +e
  restore_one "$s" "$parallelism" "$events" >"$results.log" 2>&1
  code=$?
  set -e
  if [ $code = 0 ]; then
    grep -v SLF4J "$results.log" | tail -n 1 | sed "s|^[^:]*|restored, and checkpointed again|"
  else
    wrong=$((wrong + 1))
    echo "NOT RESTORED: $s"
    grep -E 'WRONG|Caused by|Error' "$results.log" | tail -n 12 || true
  fi
  rm -f "$results.log"
done
[ "$(listing)" = "$before" ] || { echo "restoring changed the tree $place" >&2; wrong=$((wrong + 1)); }
echo "$fixture: ${#snapshots[@]} snapshots, $wrong wrong"
[ $wrong = 0 ]
