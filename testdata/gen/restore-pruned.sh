#!/usr/bin/env bash
# Prunes fixtures as hard as their evidence allows, and has real Flink restore every snapshot that is left.
#
#   testdata/gen/restore-pruned.sh [FIXTURE…]      [all storage roots that have something to prune]
#
# Each tree is copied to its recorded place, /data/flink/FIXTURE, made ten days old, pruned with all of its jobs said to have ended
# (`prune --keep 1`, then `prune --apply`), and given to restore.sh; the copy is removed. STATESCOPE_BIN is the program [built now].
#
# Exit 0: all are restored; or nothing was tried, since something is not installed, which is said. 1: not all were.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=${STATESCOPE_FLINK_ROOT:-/data/flink}
program=${STATESCOPE_BIN:-}
fixtures=("$@")
[ $# -gt 0 ] || fixtures=(prune-claim-chain-1.20 prune-noclaim-2.3 prune-crashed-1.20 prune-crashed-merging-2.3 prune-crashed-forst-2.3 inc-1.20 inc-2.3 changelog-1.20 file-merging-1.20)

if [ -z "$program" ]; then
    (cd "$here/../.." && cargo build --quiet --locked)
    program=${CARGO_TARGET_DIR:-$here/../../target}/debug/statescope
fi

wrong=0
for fixture in "${fixtures[@]}"; do
    place=$root/$fixture
    [ ! -e "$place" ] || { echo "$place is there already: remove it" >&2; exit 2; }
    mkdir -p "$root" 2>/dev/null || { echo "nothing was restored: $root cannot be made, and snapshots can only be restored where they were recorded"; exit 0; }
    plan=$(mktemp)
    trap 'rm -rf "${place:?}" "$plan" "$plan.journal"' EXIT
    cp -a "$here/../fixtures/$fixture/data" "$place"
    find "$place" -type f -exec touch -d '10 days ago' {} +
    arguments=(prune "$place" --roots-complete --restores-done --keep 1 --max-share 100)
    [ ! -d "$place/ha" ] || arguments+=(--ha "$place/ha")
    # Directories of jobs: ROOT/ID, and those of their state changes.
    while IFS= read -r job; do arguments+=(--job-stopped "$job"); done < <(find "$place" -type d -regextype posix-extended -regex '.*/[0-9a-f]{32}')
    "$program" "${arguments[@]}" --plan "$plan" >/dev/null
    "$program" prune --apply "$plan" | head -n 1 | sed "s|^|$fixture: |"
    "$here/restore.sh" "$fixture" --tree "$place" || wrong=$((wrong + 1))
    rm -rf "${place:?}" "$plan" "$plan.journal"
done
rmdir "$root" 2>/dev/null || true
[ $wrong = 0 ]
