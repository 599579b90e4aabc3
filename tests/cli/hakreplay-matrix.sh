#!/bin/bash
# hakreplay from end to end: traces of 1 to 8 threads through several allocators; table, JSON, CSV and rows.
# timeout: 300
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

"$BIN/haktrace" gen -o one.zst random_mixed 60000 400 1
allocs=libc,hakmem
for a in mimalloc jemalloc tcmalloc; do
    if "$BIN/hakreplay" one.zst -a $a -r 1 --passes=time --no-db >/dev/null 2>err; then
        allocs=$allocs,$a
    else
        grep -q 'apt-get install' err || fail "$a: no advice: $(cat err)"
    fi
done

for n in 2 3 8; do
    "$BIN/haktrace" gen -o t$n.zst handover 20000 $n 7
done
for t in one t2 t3 t8; do
    "$BIN/hakreplay" $t.zst -a "$allocs" --policy=eager,never,partial:8 -r 2 --json --db all.db >$t.json ||
        fail "$t: exit code $?: $(cat $t.json)"
    python3 - $t.json <<'END' || fail "$t"
import json, sys
d = json.load(open(sys.argv[1]))
assert d["schema_version"] == 1 and not d["interrupted"], d
rows = {(r["allocator"], r["policy"]): r for r in d["results"]}
assert {p for a, p in rows if a == "hakmem"} == {"eager", "never", "partial:n=8"} or \
    len([1 for a, p in rows if a == "hakmem"]) == 3, rows.keys()
for (name, policy), r in rows.items():
    assert r["status"] == "ok" and r["repeats"] == 2, r
    assert r["ns_per_op"] > 0 and r["failed_allocations"] == 0, r
    assert name in r["library"], r
    if r["role"] == "control":
        assert r["ratio"] is None, r
        continue
    assert r["counting"] == "seccomp", r
    # what is live must be resident: the blocks are touched
    assert r["peak_resident_bytes"] > 0.5 * r["peak_live_bytes"] > 0, r
    assert r["mean_live_bytes"] <= d["trace"]["peak_live_bytes"], r
assert d["driver_ns_per_op"] > 0
assert sum(r["pass"] == "account" for r in d["runs"]) == len(rows) - 1
assert sum(r["pass"] == "time" for r in d["runs"]) == 2 * (len(rows) - 1)
END
done

# many short threads: each takes its share of the samples
"$BIN/haktrace" gen -o many.zst handover 20000 200 7
"$BIN/hakreplay" many.zst -a libc --passes=account --no-db --json |
    python3 -c '
import json, sys
r = json.load(sys.stdin)["results"][0]
assert r["mean_live_bytes"] > 0 and r["overhead"] > 0, r'

# every object of the hand-over trace is consumed by another thread
python3 -c '
import json
t = json.load(open("t3.json"))["trace"]
assert t["threads"] == 3 and t["handed_over"] >= 20000, t'

# the same seed gives the same order, another one another
order() {
    "$BIN/hakreplay" one.zst -a libc,hakmem --policy=eager,never --repeats 3 --seed "$1" --no-db --json |
        python3 -c 'import json, sys
print([(r["allocator"], r["policy"], r["pass"], r["repeat"]) for r in json.load(sys.stdin)["runs"]])'
}
[ "$(order 5)" = "$(order 5)" ] || fail "the seed does not fix the order"
[ "$(order 5)" != "$(order 6)" ] || fail "the seed does not change the order"

# the database
python3 - "$allocs" <<'END' || fail "rows"
import sqlite3, sys
db = sqlite3.connect("all.db")
def n(q): return db.execute(q).fetchone()[0]
variants = len(sys.argv[1].split(",")) + 2
assert n("select count(*) from experiment") == 4
assert n("select count(*) from run where pass='time'") == 4 * 2 * variants
assert n("select count(*) from run where pass='account'") == 4 * variants
assert n("select count(*) from run where pass='control'") == 4 * 2
assert n("select count(*) from run where status<>'ok'") == 0
assert n("select count(distinct trace_id) from run") == 4
assert n("select count(*) from run where library_id is null") == 0
assert n("select count(*) from metric where name='ns_per_op'") == 4 * 2 * (variants + 1)
assert n("select count(*) from metric where name='peak_resident_bytes'") == 4 * variants
assert n("select count(*) from sample") > 4 * variants * 100
assert n("select count(*) from library where sha256 is null") == 0
END

# the table fits, and is alone on stdout
"$BIN/hakreplay" t3.zst -a "$allocs" --policy=eager,partial:n=100,how=free -r 2 --no-db >table 2>err
[ ! -s err ] || fail "on stderr: $(cat err)"
grep -q 'mprotect\|mmap' table || fail "no system calls: $(cat table)"
grep -q 'The driver itself costs' table || fail "no driver cost"
python3 -c '
for line in open("table", encoding="utf-8"): # notes are sentences
    assert len(line) <= 101 or line.endswith(".\n"), "too wide: " + line' || fail "width"
"$BIN/hakreplay" one.zst -a libc -r 1 --no-db --csv >csv
head -1 csv | grep -q '^allocator,' || fail "csv: $(head -1 csv)"

# touching changes what is resident
res() {
    "$BIN/hakreplay" one.zst -a libc --passes=account --no-db --json --touch="$1" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["results"][0]["peak_resident_bytes"])'
}
[ "$(res all)" -ge "$(res first)" ] || fail "--touch=all keeps less resident than first"
echo "ok hakreplay-matrix"
