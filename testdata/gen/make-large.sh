#!/usr/bin/env bash
# Makes one large incremental RocksDB checkpoint with real Flink (LargeJob): data/, truth.json and flink.json, as of a fixture.
# RocksDB's tools then count its rows, and print them; where they differ from the truth, that is an error.
#
#   testdata/gen/make-large.sh [--size SIZE | --entries N] [--settle SECONDS] [--flink VERSION] -o DIR
#
#   --size SIZE      about how large the SST files shall be: 200m, 2g [1g]
#   --entries N      how many entries the maps are written, those written twice counted twice; instead of --size
#   --settle SECONDS when nine tenths are written, wait until RocksDB has compacted, that is, written nothing for so long;
#                    with 0 much lies in level 0 [10]
#   --flink VERSION  1.20 or later: older ones take no checkpoint on command [1.20.5]
#   -o DIR           where to; it must not exist, or be empty. Twice the size is needed there while it runs.
#
# Needs what make-fixtures.sh needs, but no place of its own: flink.sh says where it looks for Flink.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# What an entry written comes to in the files, with all that lies around it.
bytes_per_entry=26
per_event=64
phases=20

usage() { sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2; }
whole() { # a whole number with k, m or g behind it
  [[ $1 =~ ^([0-9]{1,12})([kKmMgG]?)$ ]] || { echo "not a size: $1" >&2; exit 2; }
  local unit=1
  case ${BASH_REMATCH[2]} in [kK]) unit=1000 ;; [mM]) unit=1000000 ;; [gG]) unit=1000000000 ;; esac
  echo $((10#${BASH_REMATCH[1]} * unit))
}

size=1g entries= settle=10 version=1.20.5 out=
while [ $# -gt 0 ]; do
  [ $# -gt 1 ] || usage
  case $1 in
    --size) size=$2 entries= ;;
    --entries) entries=$2 ;;
    --settle) settle=$2 ;;
    --flink) version=$2 ;;
    -o) out=$2 ;;
    *) usage ;;
  esac
  shift 2
done
[ -n "$out" ] || usage
size=$(whole "$size")
entries=$(whole "${entries:-$((size / bytes_per_entry))}")
phase=$((entries / per_event / phases))
[[ $settle =~ ^[0-9]{1,4}$ ]] || { echo "not a number of seconds: $settle" >&2; exit 2; }
[ "$phase" -gt 0 ] || { echo "at least $((per_event * phases)) entries, please" >&2; exit 2; }
mkdir -p "$out"
[ -z "$(ls -A "$out")" ] || { echo "$out is not empty" >&2; exit 1; }
out=$(cd "$out" && pwd)
root=$out/run
time_limit=3600
source "$here/flink.sh"
needs java javac python3 ldb sst_dump
mkdir -p "$root/tmp"

# A checkpoint flushes: after the third there is nothing left to do but to compact. What comes then is a few files in level 0.
third=p,p,p,p,p,p,c
steps=$third,$third,$third
[ "$settle" = 0 ] || steps+=,quiet:${settle}000
steps+=,p,c,p,c
# The memory RocksDB has for a slot is a task manager's default: 512 MB. So are write buffers, files and levels.
run_job "$out" large "$version" LargeJob incremental=true retained=1 phase=$phase steps=$steps patience=1800000 \
  -Dtaskmanager.memory.managed.size=2g -Dexecution.checkpointing.timeout=30min
oracles "$out" large "$version" --count
rm -rf "$root"
