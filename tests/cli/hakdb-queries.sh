#!/bin/bash
# hakdb: runs, experiments, traces, libraries, show, compare, schema; their formats and exit codes.
set -eu
top=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
bin=${BUILD_BIN:-${BIN:-$top/build/bin}}
hakdb=$bin/hakdb
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
unset HAKDB

fail() {
    echo "$*" >&2
    exit 1
}
# expect CODE COMMAND...: its exit code; output in out, messages in err
expect() {
    want=$1
    shift
    got=0
    "$@" >out 2>err || got=$?
    [ "$got" = "$want" ] || { cat out err >&2; fail "exit $got, not $want: $*"; }
}
has() {
    grep -qe "$2" "$1" || { cat "$1" >&2; fail "$1 does not hold: $2"; }
}
lacks() {
    if grep -qe "$2" "$1"; then cat "$1" >&2; fail "$1 holds: $2"; fi
}

fill=$top/tests/cli/hakdb-fill.py
expect 0 "$hakdb" migrate
"$fill" results.db

# lists
expect 0 "$hakdb" runs
[ "$(wc -l <out)" = 31 ] || fail "runs: $(wc -l <out) lines"
has out '^run .*wall \[ms\]  peak \[MiB\]$'
[ ! -s err ] || fail "messages where there is nothing to say"
lacks out '…' # a file gets whole tables
# on a terminal they are as wide as that: long texts are cut
for columns in 92 110 160; do
    script -qec "stty cols $columns; '$hakdb' experiments; '$hakdb' runs --last=5" typescript >/dev/null </dev/null || fail "on a terminal: $?"
    python3 - $columns <<'PY'
import sys
lines = [l.rstrip("\r\n") for l in open("typescript", encoding="utf-8") if not l.startswith("Script ")]
assert any(l.startswith("exp ") for l in lines) and any(l.startswith("run") for l in lines), lines
wide = max(len(l) for l in lines)
assert wide <= int(sys.argv[1]), (wide, lines)
assert any("…" in l for l in lines) == (int(sys.argv[1]) < 100), lines
PY
done
expect 0 "$hakdb" runs --alloc=HAK --last=3
[ "$(wc -l <out)" = 4 ] || fail "runs --alloc --last"
lacks out libc
expect 0 "$hakdb" runs --trace=nothing
has out 'No run matches'
for t in web.zst 'web --f' abc1; do
    expect 0 "$hakdb" --csv runs --trace="$t"
    [ "$(wc -l <out)" = 31 ] || fail "runs --trace=$t"
done
expect 0 "$hakdb" --csv experiments
has out '^1,hakreplay,1,1970-01-01 00:00:01,2000000000,done,30,30,1,box,hakreplay web.zst,1111'
expect 0 "$hakdb" traces
has out '/t/web.zst'
expect 0 "$hakdb" libraries
has out '/lib/mimalloc.so'

# show: a run leads to trace, library, machine
expect 0 "$hakdb" show 4
for word in 'policy  *eager' '1.00 MiB' 'MADV_DONTNEED' '/t/web.zst' '/lib/hakmem.so' 'A CPU' \
    'governor  *–' 'v_memory'; do
    has out "$word"
done
expect 0 "$hakdb" --json show 4
python3 - <<'PY'
import json
d = json.load(open("out"))
assert d["schema_version"] == 1
assert d["run"]["allocator"] == "hakmem" and d["library"]["name"] == "hakmem"
assert d["machine"]["governor"] is None and d["trace"]["sha256"] == "abc123"
assert d["metrics"] == [{"name": "peak_resident_bytes", "value": 1048576, "unit": "bytes"}]
assert d["samples"] == [{"op": 10, "time_ns": 20, "resident_bytes": 4096, "live_bytes": 2048,
                         "recorded_ns": None, "lazy_free_bytes": 0, "huge_bytes": None}]
assert d["syscalls"][0]["kernel_ns"] is None
PY
expect 1 "$hakdb" show 999
[ ! -s out ] || fail "show of nothing prints"
has err 'no run 999'
expect 2 "$hakdb" show x

# compare: medians 1.002 ms and 2.002 ms, 5 against 5 without overlap: p = 2 / C(10,5)
expect 0 "$hakdb" compare libc hakmem
has out 'wall_ns  *1.00 ms  *2.00 ms  *0.500  .*0.008  lower'
has out 'peak_resident_bytes .*1.000 .* ~$'
for variant in eager hakmem/eager; do
    expect 0 "$hakdb" --json compare libc "$variant"
    python3 - <<'PY'
import json
d = json.load(open("out"))
f = {(x["pass"], x["metric"]): x for x in d["figures"]}
w = f["time", "wall_ns"]
assert w["a_median"] == 1002000 and w["b_median"] == 2002000, w
assert abs(w["ratio"] - 1002 / 2002) < 1e-12 and abs(w["p"] - 2 / 252) < 1e-12, w
assert w["verdict"] == "lower" and w["a_n"] == 5 and w["ratio_low"] is None, w
p = f["account", "peak_resident_bytes"]
assert p["ratio"] == 1 and p["verdict"] == "~", p
PY
done
expect 0 "$hakdb" --json --confidence=90 compare hakmem libc
python3 - <<'PY'
import json
w = json.load(open("out"))["figures"][0]
assert w["a_low"] == 2000000 and w["a_high"] == 2004000 and w["verdict"] == "higher", w
PY
expect 0 "$hakdb" compare 1 3
has out 'Single runs show no significance'
expect 1 "$hakdb" compare libc nothing
has err "no experiment"
expect 1 "$hakdb" compare 1 777
# a failed run takes the ratio away
python3 -c "import sqlite3
d = sqlite3.connect('results.db')
d.execute(\"UPDATE run SET status = 'crashed' WHERE id = 1\")
d.commit()"
expect 0 "$hakdb" --json compare libc hakmem
python3 - <<'PY'
import json
for x in json.load(open("out"))["figures"]:
    gone = x["pass"] == "time"
    assert (x["ratio"] is None) == gone and (x["verdict"] == "failed") == gone, x
PY
# a name for two variants is not guessed
python3 -c "import sqlite3
d = sqlite3.connect('results.db')
d.execute(\"UPDATE run SET policy = 'never' WHERE allocator = 'hakmem' AND repeat = 4\")
d.commit()"
expect 2 "$hakdb" compare libc hakmem
has err 'hakmem/eager, hakmem/never'

# schema: what it prints makes an equal database
expect 0 "$hakdb" schema
cp out schema.sql
python3 -c "import sqlite3
d = sqlite3.connect('copy.db')
d.executescript(open('schema.sql').read())"
expect 0 "$hakdb" -d copy.db schema
cmp out schema.sql
expect 0 "$hakdb" -d copy.db runs

# usage
expect 2 "$hakdb"
expect 2 "$hakdb" nonsense
expect 2 "$hakdb" runs extra
expect 2 "$hakdb" show
expect 2 "$hakdb" --json --csv runs
expect 2 "$hakdb" traces --last=3
has err 'does not take --last'
expect 2 "$hakdb" runs --last=0
expect 2 "$hakdb" runs --last=3x
expect 2 "$hakdb" --wait=5 runs
expect 2 "$hakdb" --confidence=100 compare a b
expect 0 "$hakdb" --help
expect 0 "$hakdb" --version
has out '^hakdb [0-9]'

echo "ok hakdb-queries"
