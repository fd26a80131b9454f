#!/usr/bin/env bash
# Makes golden/json and golden/keys: values and keys as real Flink writes them, beside their JSON and hashes.
#   make-golden-json.sh [VERSION…]      Flink's versions, newest first [2.3.0 1.20.5 1.13.6]
# Needs javac and java 17. See flink.sh for where Flink comes from.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir "$root/tmp"
source "$here/flink.sh"
needs javac java python3
golden=$here/../golden
[ $# -gt 0 ] || set -- 2.3.0 1.20.5 1.13.6
keep() { # what was made, directory, Flink's line: of an older line those that newer ones do not write the same way
  python3 - "$@" <<'END'
import pathlib, sys
made, golden, line = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
order = lambda name: [int(n) for n in name.split('.')]
newer = [f for f in golden.glob('*.jsonl') if order(f.stem) > order(line)]
known = {l for f in newer for l in f.read_text('utf-8').split('\n')}
kept = [l for l in made.read_text('utf-8').split('\n') if l and l not in known]
golden.mkdir(exist_ok=True)
(golden / f'{line}.jsonl').write_text(''.join(l + '\n' for l in kept), 'utf-8')
print(golden.name, line, len(kept))
END
}

for v in "$@"; do
  classes=$root/classes-$v
  jars="$(flink "$v"):$home/flink-$v/pyflink/opt/*"
  javac -nowarn -Xlint:none -encoding UTF-8 -cp "$jars" -d "$classes" "$here"/golden/{Gold,JsonGold,KeyGold}.java 2>&1 | { grep -v '^Note:' || true; }
  for what in json:JsonGold keys:KeyGold; do
    java -Xmx1g -Duser.timezone=UTC -Dfile.encoding=UTF-8 "${opens[@]}" -cp "$classes:$jars" "${what#*:}" "$v" "$root/made"
    keep "$root/made" "$golden/${what%:*}" "${v%.*}"
  done
done
