#!/usr/bin/env python3
"""Makes rocksdb.json of a fixture with RocksDB's own tools, and checks flink.json and rocksdb.json against truth.json.

  oracle.py FIXTURE_DIR RECORDED_ROOT INLINED_FILES_DIR
  oracle.py --lost …       # the same, where handles name files that are not there: such handles are left out, and there must be some
  oracle.py --count DIR RECORDED_ROOT INLINED_FILES_DIR   # of a large one: RocksDB itself counts the rows; prints them, makes no rocksdb.json

Only ldb and sst_dump read RocksDB files here; the one thing worked out in this script is which rows are live
(newest record per key over all files, in the handle's key-group range, not a delete).
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile


def run(*cmd):
    r = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return r.stdout.decode("latin-1")


def dump(value, depth, level=0):
    """JSON with one line per item down to `depth` levels."""
    pad, end = "\n" + " " * (level + 1), "\n" + " " * level
    if level < depth and isinstance(value, dict) and value:
        return "{" + ",".join(f"{pad}{json.dumps(k)}: {dump(v, depth, level + 1)}" for k, v in value.items()) + end + "}"
    if level < depth and isinstance(value, list) and value:
        return "[" + ",".join(pad + dump(v, depth, level + 1) for v in value) + end + "]"
    return json.dumps(value)


class Fixture:
    def __init__(self, base, recorded, inlined):
        self.base, self.recorded, self.inlined = base, recorded, inlined
        self.flink = json.load(open(f"{base}/flink.json"))
        self.truth = json.load(open(f"{base}/truth.json"))
        self.errors, self.lost = [], []

    def locate(self, snapshot, f):
        """(local file or None, offset, size, how it is named in rocksdb.json)"""
        if f["where"] == "inline":
            name = f["name"].rsplit("/", 1)[-1]
            return f"{self.inlined}/{name}", 0, f["size"], f"inline:{name}"
        if f["where"] == "relative":
            rel = f"{snapshot}/{f['path']}"
        else:
            p = re.sub("^file:/*", "/", f["path"])
            if not p.startswith(self.recorded + "/"):
                raise SystemExit(f"{self.base}: {p} is outside {self.recorded}")
            rel = "data" + p[len(self.recorded):]
        if f["where"] == "segment":
            return f"{self.base}/{rel}", f["start"], f["size"], f"{rel}@{f['start']}+{f['size']}"
        return f"{self.base}/{rel}", 0, f["size"], rel


NUMBERS = {
    "# entries": "entries", "# deletions": "deletions", "# merge operands": "merge_operands", "# range deletions": "range_deletions",
    "raw key size": "raw_key_size", "raw value size": "raw_value_size", "data block size": "data_size", "# data blocks": "data_blocks",
    "filter block size": "filter_size", "column family ID": "column_family_id", "creation time": "creation_time",
    "time stamp of earliest key": "oldest_key_time",
    "file creation time": "file_creation_time",
}
TEXTS = {"column family name": "column_family", "SST file compression algo": "compression"}
RECORD = re.compile(r"^'([0-9A-Fa-f]*)' seq:(\d+), type:(\d+) =>")
LIVE = re.compile(r"^\s*(\d+):(\d+)\[(\d+) \.\. (\d+)\]\['([0-9A-F]*)' seq:(\d+), type:(\d+) \.\. '([0-9A-F]*)' seq:(\d+), type:(\d+)\]")


def internal(key, seq, kind):
    """The internal key as in the file: user key, then seq and type in 8 little-endian bytes."""
    return key + ((int(seq) << 8) | int(kind)).to_bytes(8, "little").hex().upper()


def sst_dump(db, command="scan"):
    """By file: its properties and, of a scan, its records (user key, seq, type)."""
    props, records, cur, seen = {}, {}, None, set()
    for line in run("sst_dump", f"--file={db}", f"--command={command}", "--output_hex", "--show_properties").splitlines():
        m = re.match(r"^Process .*/(\d+\.sst)$", line.strip())
        if m:
            cur = m.group(1)
            props[cur], records[cur] = {}, []
            continue
        if cur is None:
            continue
        m = RECORD.match(line)
        if m:
            records[cur].append((m.group(1).upper(), int(m.group(2)), int(m.group(3))))
            continue
        m = re.match(r"^  (\S.*?): (.*)$", line)
        if not m:
            continue
        k, v = m.groups()
        if k in NUMBERS:
            props[cur][NUMBERS[k]] = int(v)
        elif k in TEXTS:
            props[cur][TEXTS[k]] = v
        elif k.startswith("index block size"):
            props[cur]["index_size"] = int(v)
    return props, records


def manifest(db):
    path = [f for f in os.listdir(db) if f.startswith("MANIFEST-")]
    text = run("ldb", "manifest_dump", f"--path={db}/{path[0]}", "--hex")
    cfs, cf, level, tail = [], None, 0, {}
    for line in text.splitlines():
        m = re.match(r'^-+ Column family "(.*)"  \(ID (\d+)\) -+$', line)
        if m:
            cf = {"name": m.group(1), "id": int(m.group(2)), "files": []}
            cfs.append(cf)
            continue
        m = re.match(r"^--- level (\d+) ---", line)
        if m:
            level = int(m.group(1))
            continue
        m = LIVE.match(line)
        if m:
            g = m.groups()
            cf["files"].append({"number": int(g[0]), "level": level, "size": int(g[1]), "seq": [int(g[2]), int(g[3])],
                                "smallest": internal(*g[4:7]), "largest": internal(*g[7:10])})
            continue
        m = re.match(r"^next_file_number (\d+) last_sequence (\d+)", line)
        if m:
            tail = {"next_file_number": int(m.group(1)), "last_sequence": int(m.group(2))}
    if not cfs or not tail:
        raise SystemExit(f"ldb could not read the manifest:\n{text[:500]}")
    return cfs, tail


def incremental(handles):
    for h in handles:
        if "private" in h:
            yield h
        yield from incremental(h.get("materialized", []))


def databases(fx):
    """Every incremental handle put together as a database: snapshot, operator, subtask, handle, directory, what each file is called."""
    for s in fx.flink["snapshots"]:
        for op in s["operators"]:
            for sub in op["subtasks"]:
                for h in incremental(sub["managed_keyed"]):
                    places = [(f, *fx.locate(s["snapshot"], f)) for f in h["shared"] + h["private"]]
                    lost = [name for _, path, _, _, name in places if not os.path.exists(path)]
                    if lost:
                        fx.lost += lost
                        continue
                    with tempfile.TemporaryDirectory() as db:
                        names = {}
                        for f, path, off, size, name in places:
                            place = f"{db}/{f['local_path']}"
                            if off == 0 and size == os.path.getsize(path):
                                os.symlink(os.path.abspath(path), place)
                            else:
                                data = open(path, "rb").read()[off:off + size]
                                if len(data) != size:
                                    fx.errors.append(f"{name}: {len(data)} bytes, recorded {size}")
                                open(place, "wb").write(data)
                            names[f["local_path"]] = name
                        yield s, op, sub, h, db, names


def count(fx):
    """Live rows by (snapshot, operator, column family), as RocksDB's iterator yields them; prints them, and the records in the files."""
    live, ssts = {}, set()
    for s, op, sub, h, db, names in databases(fx):
        ssts |= {v for k, v in names.items() if k.endswith(".sst")}
        props, _ = sst_dump(db, "none")
        for c in manifest(db)[0]:
            if c["name"] == "default":
                continue
            text = run("ldb", f"--db={db}", f"--column_family={c['name']}", "--ignore_unknown_options", "dump", "--count_only")
            m = re.search(r"^Keys in range: (\d+)$", text, re.M)
            if not m:
                raise SystemExit(f"ldb could not count {c['name']}:\n{text[:500]}")
            where = (s["snapshot"], op["id"], c["name"])
            live[where] = live.get(where, 0) + int(m.group(1))
            mine = [props[f"{f['number']:06d}.sst"] for f in c["files"]]
            total = {k: sum(p[k] for p in mine) for k in ("entries", "deletions", "merge_operands", "raw_key_size", "raw_value_size")}
            levels = {}
            for f in c["files"]:
                levels.setdefault(f["level"], []).append(f["size"])
            print(f"{op['id'][:8]}/{sub['subtask']} {c['name']}: live rows {m.group(1)}, "
                  + ", ".join(f"{k} {v}" for k, v in total.items())
                  + "".join(f", L{n}: {len(x)} files of {sum(x)}" for n, x in sorted(levels.items())))
    return live, ssts


def rocksdb(fx):
    out, ssts, live = [], {}, {}
    for s, op, sub, h, db, names in databases(fx):
        props, records = sst_dump(db)
        cfs, tail = manifest(db)
        files = {f"{f['number']:06d}.sst" for c in cfs for f in c["files"]}
        have = {n for n in names if n.endswith(".sst")}
        if files != have:
            fx.errors.append(f"{s['snapshot']} {op['id']}: manifest and handle name different files: {sorted(files ^ have)}")
        width = 1 if op["max_parallelism"] <= 128 else 2
        for c in cfs:
            newest, physical = {}, 0
            for f in c["files"]:
                n = f"{f['number']:06d}.sst"
                f["sst"] = names.get(n)
                ssts[names[n]] = props[n]
                if len(records[n]) != props[n]["entries"] - props[n]["range_deletions"]:
                    fx.errors.append(f"{names[n]}: {len(records[n])} records, {props[n]['entries']} said")
                physical += len(records[n])
                for key, seq, kind in records[n]:
                    if kind == 15:
                        continue
                    if key not in newest or seq > newest[key][0]:
                        newest[key] = (seq, kind)
            rows = [k for k, (_, t) in newest.items() if t in (1, 2) and h["start"] <= int(k[:2 * width], 16) <= h["end"]]
            c["records"] = physical
            c["live_rows"] = len(rows)
            where = (s["snapshot"], op["id"], c["name"])
            live[where] = live.get(where, 0) + len(rows)
        out.append({"snapshot": s["snapshot"], "operator": op["id"], "subtask": sub["subtask"], "start": h["start"], "end": h["end"],
                    "backend_id": h["backend_id"], "checkpoint_id": h["checkpoint_id"], **tail, "column_families": cfs})
    return out, ssts, live


def uid_hash(uid):
    """murmur3_x64_128, seed 0, as Flink makes an operator id of a uid."""
    m = (1 << 64) - 1

    def rotl(x, r):
        return ((x << r) | (x >> (64 - r))) & m

    def fmix(k):
        k = (k ^ (k >> 33)) * 0xFF51AFD7ED558CCD & m
        k = (k ^ (k >> 33)) * 0xC4CEB9FE1A85EC53 & m
        return k ^ (k >> 33)

    data, h1, h2, c1, c2 = uid.encode(), 0, 0, 0x87C37B91114253D5, 0x4CF5AD432745937F
    for i in range(0, len(data), 16):
        block = data[i:i + 16]
        full = len(block) == 16
        k1, k2 = (int.from_bytes(block[j:j + 8], "little") for j in (0, 8))
        h1 ^= rotl(k1 * c1 & m, 31) * c2 & m
        if full:
            h1 = ((rotl(h1, 27) + h2) * 5 + 0x52DCE729) & m
        h2 ^= rotl(k2 * c2 & m, 33) * c1 & m
        if full:
            h2 = ((rotl(h2, 31) + h1) * 5 + 0x38495AB5) & m
    h1 ^= len(data)
    h2 ^= len(data)
    h1 = (h1 + h2) & m
    h2 = (h2 + h1) & m
    h1, h2 = fmix(h1), fmix(h2)
    h1 = (h1 + h2) & m
    h2 = (h2 + h1) & m
    return h1.to_bytes(8, "little").hex() + h2.to_bytes(8, "little").hex()


def check(fx, live):
    say = fx.errors.append
    flink = {s["snapshot"]: s for s in fx.flink["snapshots"]}
    for t in fx.truth["snapshots"]:
        s = flink.get(t["path"])
        if s is None:
            say(f"{t['path']} is in truth.json only")
            continue
        if s["checkpoint_id"] != t["checkpoint_id"]:
            say(f"{t['path']}: checkpoint id {s['checkpoint_id']}, truth {t['checkpoint_id']}")
        ops = {o["id"]: o for o in s["operators"]}
        tops = {o["id"]: o for o in t["operators"]}
        if set(ops) != set(tops):
            say(f"{t['path']}: operators differ: {set(ops) ^ set(tops)}")
        for i, o in tops.items():
            f = ops.get(i)
            if f is None:
                continue
            at = f"{t['path']} {o['name']}"
            if o["uid"] and uid_hash(o["uid"]) != i:
                say(f"{at}: the hash of its uid is {uid_hash(o['uid'])}, not {i}")
            for k in ("parallelism", "max_parallelism"):
                if f[k] != o[k]:
                    say(f"{at}: {k} {f[k]}, truth {o[k]}")
            for k in ("name", "uid"):
                # Flink 2.x records no name for an operator without uid in some places: only what it says is compared.
                if f[k] and o[k] and f[k] != o[k]:
                    say(f"{at}: {k} {f[k]!r}, truth {o[k]!r}")
            finished = [f["fully_finished"]] + [sub["finished"] for sub in f["subtasks"]]
            if t is fx.truth["snapshots"][-1] and (f["fully_finished"], any(finished)) != (o.get("ends") == "full", "ends" in o):
                say(f"{at}: ends {o.get('ends')}, but fully finished {f['fully_finished']}, subtasks {finished}")
            if not f["fully_finished"] and bool(f["coordinator"]) != o.get("coordinator_state", False):
                say(f"{at}: coordinator state {f['coordinator']}")
            got = {}
            for sub in f["subtasks"]:
                for h in sub["managed_operator"]:
                    for st in h["states"]:
                        got.setdefault((st["name"], st["mode"]), []).append(len(st["offsets"]))
            want = {(x["name"], x["mode"]): x["elements"] for x in o["operator_states"]}
            for b in o["broadcast_states"]:
                want[(b["name"], "BROADCAST")] = None
            if not f["fully_finished"] and not o.get("partly_known"):
                for k in set(got) | set(want):
                    n = sum(got.get(k, []))
                    if k not in want or (want[k] is not None and n != want[k]) or (want[k] is None and set(got.get(k, [])) != {1}):
                        say(f"{at}: operator state {k}: {n} elements, truth {want.get(k)}")
            kv = {x["name"]: x["rows"] for x in o["keyed_states"]}
            kv.update({x["name"]: x["count"] for x in o["timers"]})
            if kv and not f["fully_finished"] and not any(sub["managed_keyed"] for sub in f["subtasks"]):
                say(f"{at}: no keyed handle")
            mine = {c: n for (sn, op, c), n in live.items() if sn == t["path"] and op == i and c != "default"}
            if mine:
                for c in set(kv) | (set() if o.get("partly_known") else set(mine)):
                    heap_timer = c.startswith("_timer_state/") and c not in mine
                    if mine.get(c) != kv.get(c) and not heap_timer:
                        say(f"{at}: {c}: {mine.get(c)} live rows, truth {kv.get(c)}")


def finish(fx, said):
    print(f"{os.path.basename(fx.base)}: {said}, {len(fx.errors)} errors")
    for e in fx.errors[:30]:
        print("  WRONG", e)
    if fx.errors:
        sys.exit(1)


def main():
    if sys.argv[1] == "--count":
        fx = Fixture(*sys.argv[2:5])
        live, ssts = count(fx)
        check(fx, live)
        return finish(fx, f"{sum(live.values())} live rows, {len(ssts)} SSTs")
    may_lose = sys.argv[1] == "--lost"
    base, recorded, inlined = sys.argv[1 + may_lose:4 + may_lose]
    fx = Fixture(base, recorded, inlined)
    handles, ssts, live = rocksdb(fx)
    if bool(fx.lost) != may_lose:
        fx.errors.append(f"files that are not where a handle says: {fx.lost}")
    for p in ssts.values():
        for k in [k for k, v in p.items() if v == 0]:
            del p[k]
    if handles:
        with open(f"{base}/rocksdb.json", "w") as f:
            f.write(dump({"handles": handles, "ssts": dict(sorted(ssts.items()))}, 5) + "\n")
    elif os.path.exists(f"{base}/rocksdb.json"):
        os.remove(f"{base}/rocksdb.json")
    # With a changelog the files hold the last materialization: the rest is in the deltas.
    check(fx, {} if fx.truth["settings"].get("state.backend.changelog.enabled") == "true" else live)
    for d, _, names in os.walk(base):
        for n in names:
            data = open(f"{d}/{n}", "rb").read().replace(os.path.dirname(recorded).encode() + b"/tmp/", b"")
            for bad in (f"/{top}/".encode() for top in ("root", "work", "home", "tmp")):
                if bad in data:
                    fx.errors.append(f"{d}/{n} holds a machine's path: {bad!r}")
    size = sum(os.path.getsize(f"{d}/{n}") for d, _, ns in os.walk(base) for n in ns)
    finish(fx, f"{size} bytes, {len(fx.truth['snapshots'])} snapshots, {len(handles)} RocksDB handles, {len(ssts)} SSTs, {len(fx.lost)} lost, "
           f"{max([f['level'] for h in handles for c in h['column_families'] for f in c['files']], default=0)} deepest level")


if __name__ == "__main__":
    main()
