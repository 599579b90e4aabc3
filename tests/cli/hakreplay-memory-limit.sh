#!/bin/bash
# --memory-limit: allocations fail, are counted, and the first is named; the run goes on to its end.
# timeout: 120
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"
"$BIN/haktrace" gen -o t.zst random_mixed 100000 40000 3
"$BIN/hakreplay" t.zst -a libc -r 1 --no-db --json --memory-limit=4MiB >low.json || fail "4 MiB: exit code $?"
"$BIN/hakreplay" t.zst -a libc -r 1 --no-db --json --memory-limit=1GiB >high.json || fail "1 GiB: exit code $?"
python3 - <<'END_P' || fail "see above"
import json, re
low, high = json.load(open("low.json")), json.load(open("high.json"))
runs = [r for r in low["runs"] if r["pass"] in ("time", "account")]
assert len(runs) == 2, runs
for r in runs:
    print(r["pass"], r["failed_allocations"], r["first_failed"])
    assert r["status"] == "ok" and r["failed_allocations"] > 100, r
    m = re.fullmatch(r"thread 0 at op (\d+) of (\d+) \(malloc, \d+ bytes\)", r["first_failed"])
    assert m and 1000 < int(m[1]) < int(m[2]), r
account = [r for r in low["results"] if r["allocator"] == "libc"][0]
assert account["peak_resident_bytes"] < 6 << 20, account
assert account["peak_live_bytes"] <= account["peak_resident_bytes"] * 1.1, account
assert any("allocations failed in the" in n for n in low["notes"]), low["notes"]
for r in high["runs"]:
    assert r["failed_allocations"] == 0 and r["first_failed"] is None, r
END_P
rc=0
"$BIN/hakreplay" t.zst -a libc --no-db --memory-limit=lots >/dev/null 2>&1 || rc=$?
[ $rc = 2 ] || fail "lots: exit code $rc"
# by a cgroup, as containers are limited: what exceeds the limit is killed, named with its op, and leaves
# no figure; the others go on
rc=0
"$BIN/hakreplay" t.zst -a libc -r 1 --no-db --memory-limit=1GiB --limit-by=cgroup >/dev/null 2>err || rc=$?
if [ $rc = 1 ] && grep -q 'no cgroup with a memory limit can be made here' err; then
    echo "not checked here: $(cat err)"
else
    [ $rc = 0 ] || fail "cgroup, 1 GiB: exit code $rc: $(cat err)"
    "$BIN/haktrace" gen -o small.zst random_mixed 20000 400 3
    # twice the pages for whoever asks for them: dies where libc lives
    printf '#include <string.h>\nvoid *malloc(size_t n) { return memset(__libc_malloc(20 * n), 1, 20 * n); }' | interposer fat
    "$BIN/hakreplay" small.zst -a "fat=$PWD/fat.so,libc" -r 2 --db c.db --memory-limit=2MiB --limit-by=cgroup --json >out.json 2>err || rc=$?
    [ $rc = 1 ] || fail "cgroup, 2 MiB: exit code $rc: $(cat err)"
    python3 - <<'END_P' || fail "see above"
import json, re, sqlite3
d = json.load(open("out.json"))
r = {x["allocator"]: x for x in d["results"]}
print(r["fat"]["status"], r["fat"]["error"])
assert r["fat"]["status"] == "crashed" and r["fat"]["ns_per_op"] is None and r["fat"]["ratio"] is None, r
m = re.search(r"signal 9 .*out of memory beyond the limit of 2.00 MiB: thread 0 at op (\d+) of (\d+) ", r["fat"]["error"])
assert m and 0 < int(m[1]) < int(m[2]), r
assert r["libc"]["status"] == "ok" and r["libc"]["ns_per_op"] > 0 and r["libc"]["peak_resident_bytes"] < 2 << 20, r
assert sqlite3.connect("c.db").execute("PRAGMA integrity_check").fetchone()[0] == "ok"
END_P
    [ -z "$(find /sys/fs/cgroup -name "hakreplay-*" -type d 2>/dev/null)" ] || fail "a cgroup is left behind"
    # one that is killed cannot remove its group: the next one does
    printf '#include <unistd.h>\nvoid *malloc(size_t n) { if (n == 4000) for (;;) sleep(1); return __libc_malloc(n); }' | interposer sleeps
    echo 'void *p; int main(void) { p = malloc(4000); free(p); return 0; }' >one.c
    sed -i '1i #include <stdlib.h>' one.c
    cc -O0 -o one one.c
    "$BIN/haktrace" -q -o one.zst ./one
    "$BIN/hakreplay" one.zst -a "sleeps=$PWD/sleeps.so" -r 1 --no-db --memory-limit=1GiB --limit-by=cgroup >/dev/null 2>&1 &
    killed=$!
    group() { find /sys/fs/cgroup -name "hakreplay-*-$killed-*" -type d 2>/dev/null; }
    for _ in $(seq 1200); do
        [ -n "$(group)" ] && [ -n "$(cat "$(group)/cgroup.procs")" ] && break
        sleep 0.05
    done
    [ -n "$(group)" ] || fail "no group of process $killed"
    kill -9 "$killed"
    wait "$killed" || true
    [ -n "$(group)" ] || fail "the group went by itself: nothing is tested"
    for _ in $(seq 1200); do
        [ -z "$(cat "$(group)/cgroup.procs")" ] && break
        sleep 0.05
    done
    "$BIN/hakreplay" small.zst -a libc -r 1 --no-db --memory-limit=1GiB --limit-by=cgroup >/dev/null 2>err || fail "after one was killed: $(cat err)"
    [ -z "$(group)" ] || fail "the group of a killed hakreplay is left behind: $(group)"
fi
rc=0
"$BIN/hakreplay" t.zst -a libc --no-db --limit-by=cgroup >/dev/null 2>&1 || rc=$?
[ $rc = 2 ] || fail "--limit-by without a limit: exit code $rc"
echo "ok hakreplay-memory-limit"
