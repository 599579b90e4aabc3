#!/bin/bash
# Above suspicion: every page of a block is touched, or none as asked; threads keep their drift limit;
# recorded times are kept; memory after the run and in parts; counters or the word that there are none.
# timeout: 600
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

# 64 MiB in one block, and 64 MiB in blocks of 3,000 bytes, which lie across pages as they come
printf '1: malloc 0x1 67108864\n1: free 0x1\n' >large.txt
i=0
while [ $i -lt 22370 ]; do
    i=$((i + 1))
    printf '1: malloc 0x%x 3000\n' $i
done >small.txt
for t in large small; do
    "$BIN/haktrace" import -o $t.zst $t.txt 2>/dev/null
    for pass in time account latency; do
        for touch in first none all; do
            "$BIN/hakreplay" $t.zst -a libc:GLIBC_TUNABLES=glibc.malloc.hugetlb=0 --touch=$touch --passes=$pass \
                -r 1 --no-control --no-warm-up --no-db --json >out.json
            python3 - $t $pass $touch <<'END' || fail "$t $pass $touch"
import json, sys
d = json.load(open("out.json"))
faults = d["runs"][0]["minor_faults"]
print(*sys.argv[1:], faults)
want = 16384
if sys.argv[3] == "none":  # the headers between small blocks touch nearly every page all the same
    assert faults < 200 if sys.argv[1] == "large" else faults <= want + 300
else:
    assert want <= faults <= want + 300, faults
END
        done
    done
done

# a trace of two threads that were alive together: without a limit one may run after the other, with
# one their live bytes add up as they did
python3 - >pair.txt <<'END'
for i in range(20000):
    for t in (1, 2):
        print(f"{t}: malloc 0x{2 * i + t:x} 1000")
for i in range(20000):
    for t in (1, 2):
        print(f"{t}: free 0x{2 * i + t:x}")
END
"$BIN/haktrace" import -o pair.zst pair.txt 2>/dev/null
for drift in 0 2 100; do
    "$BIN/hakreplay" pair.zst -a libc --passes=account --drift=$drift --no-db --json >out.json
    python3 - $drift <<'END' || fail "drift $drift"
import json, sys
d = json.load(open("out.json"))
peak, live = d["results"][0]["peak_live_bytes"], d["trace"]["peak_live_bytes"]
print("drift", sys.argv[1], peak, live)
assert live == 40_000_000 and 0.98 * live <= peak <= live
assert d["trace"]["drift_limit"] == int(sys.argv[1])
END
done
"$BIN/hakreplay" pair.zst -a libc --passes=time -r 1 --drift=none --no-db --json >out.json
grep -q '"drift_limit": *null' out.json || fail "--drift=none: $(head -c 600 out.json)"

# recorded times: three pauses of 0.2 s take their time, or a quarter of it
cat >pauses.c <<'END'
#include <stdlib.h>
#include <unistd.h>
int main(void)
{
    for (int i = 0; i < 4; i++) {
        void *volatile p = malloc(1000);
        free(p);
        if (i < 3)
            usleep(200000);
    }
    return 0;
}
END
gcc -O1 -o pauses pauses.c
"$BIN/haktrace" -q -o pauses.zst -- ./pauses
for speed in recorded:0.6 4x:0.15 max:0; do
    "$BIN/hakreplay" pauses.zst -a libc --passes=time -r 1 --speed=${speed%:*} --db s.db --no-warm-up --json >out.json
    python3 - ${speed#*:} <<'END' || fail "speed $speed: $(cat out.json)"
import json, sys
d = json.load(open("out.json"))
least, r = float(sys.argv[1]), d["results"][0]
print(sys.argv[1], r["wall_ns"], r["waited_share"], r["lag_p50_ns"], r["lag_p99_ns"])
assert r["wall_ns"] >= least * 1e9
if least == 0:
    assert r["waited_share"] is None and r["lag_p99_ns"] is None
else:
    assert 0 < r["waited_share"] <= 1 and 0 <= r["lag_p50_ns"] <= r["lag_p99_ns"]
END
done
[ "$(sqlite3 s.db "SELECT group_concat(DISTINCT mode) FROM run WHERE allocator = 'libc'" 2>/dev/null)" = recorded-times,scaled-times,full-speed ] ||
    ! command -v sqlite3 >/dev/null || fail "modes: $(sqlite3 s.db 'SELECT DISTINCT mode FROM run')"
"$BIN/haktrace" gen -o gen.zst random_mixed 2000 40 1
rc=0
"$BIN/hakreplay" gen.zst -a libc --speed=recorded --no-db >out 2>err || rc=$?
[ $rc = 1 ] && grep -q 'has no times' err || fail "a trace without times: $rc $(cat err)"

# memory after the run: what a release policy gives back while nothing happens
"$BIN/hakreplay" pair.zst -a libc,hakmem --passes=account --rest=1s --counters --db whole.db --json >out.json
python3 - <<'END' || fail "rest: $(cat out.json)"
import json
d = json.load(open("out.json"))
for r in d["memory"]:
    print(r)
    assert r["rest_100ms_resident_bytes"] is not None and r["rest_1s_resident_bytes"] is not None
    assert r["rest_5s_resident_bytes"] is None
    assert r["baseline_resident_bytes"] > 0 and r["peak_lazy_free_bytes"] is not None
for r in d["counters_per_op"]:
    missing = [k for k in r if r[k] is None]
    print(r, missing)
    # the kernel's own are there wherever the others may be missing
    assert r["page_faults"] is None or r["page_faults"] > 0
    assert not missing or any("not available" in n for n in d["notes"])
ops = sum(t["ops"] for t in d["threads"] if t["allocator"] == "libc" and t["pass"] == "account")
assert ops == 80000, ops
calls = sum(t["syscalls"] for t in d["threads"] if t["allocator"] == "libc")
assert calls == d["results"][0]["syscalls"], calls
curve = [s for s in d["samples"] if s["allocator"] == "libc"]
assert len(curve) >= 250
# the database has the same curve, and the threads
import sqlite3
db = sqlite3.connect("whole.db")
of = "run_id = (SELECT id FROM run WHERE allocator = 'libc' AND pass = 'account')"
stored = db.execute("SELECT op, time_ns, recorded_ns, resident_bytes, live_bytes, lazy_free_bytes, huge_bytes"
                    f" FROM sample WHERE {of} ORDER BY seq").fetchall()
want = [(s["op"], s["time_ns"], s["recorded_ns"] or None, s["resident_bytes"], s["live_bytes"], s["lazy_free_bytes"],
         s["huge_bytes"]) for s in curve]
assert stored == want, (stored[:3], want[:3])
assert sum(s[5] is not None and s[6] is not None for s in stored) >= len(stored) // 16
stored = db.execute(f"SELECT thread, ops, minor_faults, major_faults, syscalls, end_ns FROM run_thread WHERE {of}").fetchall()
assert stored == [(t["thread"], t["ops"], t["minor_faults"], t["major_faults"], t["syscalls"], t["end_ns"])
                  for t in d["threads"] if t["allocator"] == "libc" and t["pass"] == "account"], stored
assert db.execute("SELECT count(*) FROM run WHERE mode = 'counters' AND status = 'ok'").fetchone()[0] == 2
END
echo "ok hakreplay-whole"
