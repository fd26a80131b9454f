# Sourced by the scripts beside it, which set `here` and `root`: runs the jobs of src/ in real Flink.
#
#   STATESCOPE_FLINK_CACHE  where the Flink distributions are installed (flink-<version>/) and the classes compiled
#                           [$HOME/.cache/statescope-flink]
#   STATESCOPE_FLINK_HOME   an existing directory of flink-<version>/pyflink/lib to use instead
cache=${STATESCOPE_FLINK_CACHE:-$HOME/.cache/statescope-flink}
home=${STATESCOPE_FLINK_HOME:-$cache}
mkdir -p "$cache"

needs() { local t; for t in "$@"; do command -v "$t" >/dev/null || { echo "$t is not on PATH" >&2; exit 1; }; done; }

flink() { # version: its jars, installed if need be
  local d=$home/flink-$1
  if [ ! -d "$d/pyflink/lib" ]; then
    [ -x "$cache/venv/bin/pip" ] || { python3 -m venv "$cache/venv"; "$cache/venv/bin/pip" install -q setuptools wheel; }
    "$cache/venv/bin/pip" install -q --no-deps --no-build-isolation --target "$d" "apache-flink-libraries==$1"
  fi
  echo "$d/pyflink/lib/*"
}

compiled=' '
compile() { # version
  case $compiled in *" $1 "*) return ;; esac
  local shim
  case $1 in
    1.13.*) shim=v1_13 ;;
    1.15.*) shim=v1_15 ;;
    1.16.* | 1.17.* | 1.18.* | 1.19.*) shim=v1_17 ;;
    1.20.*) shim=v1_20 ;;
    2.*) shim=v2_3 ;;
    *) echo "no shim for Flink $1: add a directory beside src/v1_20" >&2; exit 1 ;;
  esac
  rm -rf "$cache/classes-$1"; mkdir -p "$cache/classes-$1"
  local src=("$here"/src/common/*.java "$here/src/$shim"/*.java)
  [ ! -d "$here/src/table" ] || [ "$1" = 1.13.6 ] || src+=("$here"/src/table/*.java)
  case $1 in 1.20.* | 2.*) src+=("$here"/src/connectors/*.java) ;; esac
  javac -nowarn -Xlint:none -encoding UTF-8 -cp "$(flink "$1")" -d "$cache/classes-$1" "${src[@]}" 2>&1 | { grep -v '^Note:' || true; }
  cp "$here/log4j2.properties" "$cache/classes-$1/"
  compiled+="$1 "
}

opens=()
for p in lang lang.reflect lang.invoke util util.concurrent util.concurrent.atomic util.concurrent.locks net io nio math text time; do
  opens+=("--add-opens=java.base/java.$p=ALL-UNNAMED")
done
flink_java() { # version, then java's arguments
  local v=$1; shift
  # RocksDB writes the host's name in every SST: as root, give it a neutral one.
  local pre=()
  if [ "$(id -u)" = 0 ] && unshare -u true 2>/dev/null; then pre=(unshare -u sh -c 'hostname localhost; exec "$@"' sh); fi
  timeout "${time_limit:-300}" "${pre[@]}" java -Xmx1g -Duser.timezone=UTC "${opens[@]}" -Djava.io.tmpdir="$root/tmp" -cp "$cache/classes-$v:$(flink "$v")" "$@"
}

run_job() { # result's directory, fixture, version, job, Driver's arguments: leaves data/ and truth.json there
  local dir=$1 n=$2 v=$3 job=$4; shift 4
  compile "$v"
  rm -rf "${root:?}/$n"; mkdir -p "$root/$n"
  # Jobs that end by being killed write their truth just before.
  flink_java "$v" Driver fixture="$n" version="$v" job="$job" root="$root" truth="$dir/truth.json" "$@" || [ $? = 137 -a -f "$dir/truth.json" ]
  mv "$root/$n" "$dir/data"
  find "$dir/data" -type d -empty -delete
}

oracles() { # result's directory, fixture, version, oracle.py's option if any: flink.json, and what oracle.py makes and checks
  local dir=$1 n=$2 v=$3; shift 3
  compile "$v"
  local files; files=$(mktemp -d)
  local snaps; mapfile -t snaps < <(cd "$dir" && find data -name _metadata -printf '%h\n' | sort -V)
  flink_java "$v" -Dfiles="$files" Dump "$dir/flink.json" "$dir" "${snaps[@]}"
  python3 "$here/oracle.py" "$@" "$dir" "$root/$n" "$files"
  rm -rf "$files"
}
