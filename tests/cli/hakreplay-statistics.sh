#!/bin/bash
# Statistics that can be relied on: order, warm-up, --until, ~, outliers kept, neighbours named; a run that is
# killed or fails once voids the variant's figures.
# timeout: 240
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

haktrace gen -o t.zst random_mixed 40000 400 1
play() { # NAME OPTION...
    local name=$1
    shift
    hakreplay t.zst --passes=time --no-db --json "$@" >"$name.json" 2>err
}

# order: by rounds, each variant once a round; ABBA turns every second round round
play abba -a libc,libc:A=1,libc:A=2 -r 4 --order=abba --no-control || fail "abba: $?: $(cat err)"
play random -a libc,libc:A=1,libc:A=2 -r 40 --seed=3 --no-control || fail "random: $?: $(cat err)"
play warm -a libc,libc:A=1 -r 2 --no-control || fail "warm-up: $?: $(cat err)"
play cold -a libc,libc:A=1 -r 2 --no-control --no-warm-up || fail "no warm-up: $?: $(cat err)"
python3 - <<'END' || fail "order: see above"
import collections, json
def runs(name):
    return sorted((r["position"], r["allocator"], r["repeat"]) for r in json.load(open(name + ".json"))["runs"])
a = ["libc", "libc:A=1", "libc:A=2"]
got = [x[1] for x in runs("abba")]
assert got == a + a[::-1] + a + a[::-1], got
got = [x[1] for x in runs("random")]
rounds = [tuple(got[i:i + 3]) for i in range(0, len(got), 3)]
assert all(sorted(r) == a for r in rounds) and len(rounds) == 40, rounds
print(collections.Counter(rounds))
assert len(set(rounds)) == 6, "not all orders were drawn"
assert [x[0] for x in runs("warm")] == [2, 3, 4, 5], runs("warm")  # the first two places were warm-up
assert [x[0] for x in runs("cold")] == [0, 1, 2, 3], runs("cold")
END

# --until: stops where the intervals are narrow, or at the limit, and says so
play wide -a libc,libc:A=1 -r 2 --until=90% --max-repeats=40 || fail "--until=90%: $?: $(cat err)"
play narrow -a libc,libc:A=1 -r 2 --until=0.0001% --max-repeats=9 || fail "--until=0.0001%: $?: $(cat err)"
python3 - <<'END' || fail "--until: see above"
import json
wide, narrow = json.load(open("wide.json")), json.load(open("narrow.json"))
for r in wide["results"]:
    print(r["allocator"], r["repeats"], r["ns_per_op_low"], r["ns_per_op"], r["ns_per_op_high"], r["interval_coverage"])
    # with fewer than 6 runs there is no 95 % interval of a median at all
    assert 6 <= r["repeats"] <= 40 and r["interval_coverage"] >= 0.95, r
    assert r["ns_per_op"] * 0.1 <= r["ns_per_op_low"] <= r["ns_per_op"] <= r["ns_per_op_high"], r
    assert r["ns_per_op_high"] <= 1.9 * r["ns_per_op"] or r["repeats"] == 40, r
assert len({r["repeats"] for r in wide["results"]}) == 1
assert all(r["repeats"] == 9 for r in narrow["results"]), narrow["results"]
assert any("not reached after 9 runs" in n for n in narrow["notes"]), narrow["notes"]
assert not any("not reached" in n for n in wide["notes"]) or wide["results"][0]["repeats"] == 40
END

# ~ where the rank test cannot tell apart, none where it can
interposer slow <<'END_C'
static volatile unsigned sink;
void *malloc(size_t size)
{
    for (int i = 0; i < 2000; i++)
        sink += i;
    return __libc_malloc(size);
}
END_C
hakreplay t.zst --passes=time --no-db --no-control -a "libc,libc:A=1,slow=$PWD/slow.so" -r 3 >table
grep -q '^libc:A=1 .* ~[0-9]' table && grep -q '^slow .* ~[0-9]' table || fail "3 runs tell nothing apart: $(cat table)"
hakreplay t.zst --passes=time --no-db --no-control -a "libc,slow=$PWD/slow.so" -r 6 >table
grep -q '^slow ' table && ! grep -q '^slow .* ~[0-9]' table || fail "6 runs tell the slow one apart: $(cat table)"

# a run that is slow once is kept, named, and does not move the median; one that is killed once, at its
# third run, leaves no figure, here and in the database
interposer once <<'END_C'
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static int turn(void) /* how often it was asked, over all runs */
{
    int fd = open(getenv("TURNS"), O_RDWR | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1)
        abort();
    int n = (int)lseek(fd, 0, SEEK_END);
    close(fd);
    return n;
}
void *malloc(size_t size)
{
    static long n;
    if (size >= 16 && size < 1040 && __atomic_add_fetch(&n, 1, __ATOMIC_RELAXED) == 5000 && turn() == 3) {
        if (getenv("KILL"))
            kill(getpid(), SIGKILL);
        usleep(300000);
    }
    return __libc_malloc(size);
}
END_C
play outlier -a "once=$PWD/once.so:TURNS=$PWD/outlier,libc" -r 5 --no-warm-up || fail "outlier: $?: $(cat err)"
rc=0
hakreplay t.zst --passes=time -a "libc,once=$PWD/once.so:TURNS=$PWD/killed;KILL=1" -r 5 --no-warm-up --db killed.db \
    --json >killed.json 2>err || rc=$?
[ $rc = 1 ] || fail "killed: exit code $rc: $(cat err)"
python3 - <<'END' || fail "outliers: see above"
import json, sqlite3
d = json.load(open("outlier.json"))
runs = sorted(r["ns_per_op"] for r in d["runs"] if r["allocator"].startswith("once"))
row = [r for r in d["results"] if r["allocator"].startswith("once")][0]
print(runs, row["ns_per_op"], d["notes"])
assert len(runs) == 5 and runs[4] * 40000 >= 290e6 and row["ns_per_op"] == runs[2] < runs[4] / 2, runs
assert any("the slowest of 5 runs of once" in n and "it is kept" in n for n in d["notes"])
d = json.load(open("killed.json"))
bad, libc = [[r for r in d["results"] if r["allocator"].startswith(a)][0] for a in ("once", "libc")]
print(bad["status"], bad["error"])
assert bad["status"] == "crashed" and "signal 9" in bad["error"] and "thread 0 at op" in bad["error"], bad
assert bad["ratio"] is None and bad["ns_per_op"] is None and bad["p_value"] is None and bad["repeats"] == 0, bad
assert libc["ratio"] == 1
done = [r["status"] for r in d["runs"] if r["allocator"].startswith("once")]
assert done == ["ok", "ok", "crashed"], done  # the raw figures stay, the runs after it are left out
db = sqlite3.connect("killed.db")
assert db.execute("SELECT time_to_libc, failed_runs FROM v_compare WHERE allocator LIKE 'once%'").fetchone() == (None, 1)
END
hakdb -d killed.db --json compare libc "once:TURNS=$PWD/killed;KILL=1" >compare.json 2>err || fail "hakdb compare: $?: $(cat err)"
python3 -c '
import json
for f in json.load(open("compare.json"))["figures"]:
    assert f["verdict"] == "failed" and f["ratio"] is None and f["p"] is None, f' || fail "hakdb compare: a ratio from a killed run"

# neighbours on the processors are told of, with the share that /proc/stat shows while the runs go on
neighbours=()
for _ in $(seq "$(nproc)"); do
    while :; do :; done &
    neighbours+=($!)
done
used() { awk '/^cpu / { print $2 + $3 + $4 }' /proc/stat; } # ticks
before=$(used) begin=$(date +%s%N)
rc=0
play noisy -a libc --passes=account --rest=1s || rc=$? # for 1 s, however quick the machine is
ticks=$(($(used) - before)) ns=$(($(date +%s%N) - begin))
kill "${neighbours[@]}"
wait "${neighbours[@]}" 2>/dev/null || true
[ $rc = 0 ] || fail "noisy: $rc: $(cat err)"
share=$((ticks * 100 * (1000000000 / $(getconf CLK_TCK)) / (ns * $(getconf _NPROCESSORS_ONLN))))
python3 - $share <<'END' || fail "the neighbours are not told of"
import json, re, sys
d, share = json.load(open("noisy.json")), int(sys.argv[1])
told = [n for n in d["notes"] if "other programs used" in n]
print(share, "% by /proc/stat;", told, d["noise"])
if share < 20:  # a quota keeps them from the processors
    sys.exit(0)
got = int(re.search(r"used (\d+) %", told[0])[1])
assert abs(got - share) <= 20, (got, share)
assert abs(100 * d["noise"]["neighbours_share"] - got) <= 1, d["noise"]
END
echo "ok hakreplay-statistics"
