#!/usr/bin/env bash
# Builds and runs the fuzz targets, with the stable toolchain and nothing but cargo.
#
#   formats/fuzz/run.sh [SECONDS [TARGET…]]
#
# Every file of fuzz_targets/ is a target; all are run for SECONDS (20) each, as many at a time as there are cores.
# Seeds come from testdata/ and stay in corpus/TARGET, cut down to what reaches new code. An input that crashes is left
# in artifacts/TARGET, and ends the run with status 1; it is tried again in every later run until it is removed.
# With STATESCOPE_FUZZ_SEED set, what is tried does not change from run to run; without, each run tries other inputs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=${1:-20}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for source in fuzz_targets/*.rs; do
        targets+=("$(basename "$source" .rs)")
    done
fi
testdata=$(cd ../../testdata && pwd)
host=$(rustc -vV | sed -n 's/^host: //p')
out=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
jobs=$(nproc 2>/dev/null || echo 1)

# What `cargo fuzz run --sanitizer none` passes; unlike its other flags, these need no nightly compiler. `--target` keeps
# them from build scripts.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-trace-compares \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
CARGO_TARGET_DIR=$out cargo build --release --locked --target "$host" --bins
binaries=$out/$host/release
pieces=$out/pieces
rm -rf "$pieces"
rustc --edition 2024 -O -o "$out/cut_seeds" cut_seeds.rs
"$out/cut_seeds" "$testdata" "$pieces"

replay() {
    local target=$1 artifacts
    shift
    mapfile -t artifacts < <(find "artifacts/$target" -type f)
    [ ${#artifacts[@]} -eq 0 ] || "$binaries/$target" "$@" "${artifacts[@]}"
}

fuzz() {
    local target=$1 log=$out/$1.log
    mkdir -p "corpus/$target" "artifacts/$target"
    : >"$log"
    # -merge keeps of the seeds those that reach something new, and steps over those that crash: these are left as
    # artifacts, and tried again together with those of earlier runs.
    local options=(-max_len=65536 -timeout=10 -rss_limit_mb=2048 "-artifact_prefix=artifacts/$target/")
    [ -z "${STATESCOPE_FUZZ_SEED:-}" ] || options+=("-seed=$STATESCOPE_FUZZ_SEED")
    if "$binaries/$target" -merge=1 "${options[@]}" "corpus/$target" "$testdata" "$pieces" >>"$log" 2>&1 &&
        replay "$target" "${options[@]}" >>"$log" 2>&1 &&
        "$binaries/$target" -max_total_time="$seconds" "${options[@]}" "corpus/$target" >>"$log" 2>&1; then
        printf '%-20s ok    %s\n' "$target" "$(sed -n 's/^#[0-9]*[[:space:]]*DONE[[:space:]]*//p;s/^Done /Done /p' "$log" | tr '\n' ' ')"
    else
        printf '%-20s FAILED, see artifacts/%s\n' "$target" "$target"
        tail -n 40 "$log"
        return 1
    fi
}
export -f fuzz replay
export seconds testdata out binaries pieces
printf '%s\n' "${targets[@]}" | xargs -P "$jobs" -I{} bash -euo pipefail -c 'fuzz {}' || exit 1
