#!/bin/bash
# The slowest ops, with the system calls and page faults inside them: an allocator whose slow ops are
# known, with what it does in them; with one thread and with several, counted by seccomp and by ptrace.
# timeout: 120
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

# Each malloc of 777 bytes sleeps, maps 5 pages, touches 3 of them, advises one, unmaps them.
interposer slow <<'END_C'
#include <sys/mman.h>
#include <unistd.h>
void *malloc(size_t size)
{
    if (size == 777) {
        char *p = mmap(NULL, 20480, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(p, 20480, MADV_NOHUGEPAGE);
        for (int i = 0; i < 3; i++)
            ((volatile char *)p)[i * 4096] = 1;
        madvise(p, 4096, MADV_DONTNEED);
        madvise(p + 1, 4096, MADV_DONTNEED); /* fails: not at a page */
        munmap(p, 20480);
        usleep(50000);
    }
    return __libc_malloc(size);
}
END_C
haktrace gen -o one.zst random_mixed 12000 400 1
haktrace gen -o four.zst handover 4000 4 7
for t in one four; do
    haktrace dump $t.zst >$t.dump
    for how in seccomp ptrace; do
        hakreplay $t.zst -a "slow=$PWD/slow.so,libc" --passes=latency --latency-repeats=2 --slowest=1000 --counting=$how \
            --db $t.$how.db --json >$t.json 2>err || fail "$t, $how: exit code $?: $(cat err)"
        python3 - $t $how <<'END' || fail "$t, $how: see above"
import collections, json, re, sqlite3, sys
trace, how = sys.argv[1:]
d = json.load(open(trace + ".json"))
index, want, total = collections.Counter(), set(), collections.Counter()
for line in open(trace + ".dump"):
    f = line.split()
    if len(f) < 4 or f[3] not in ("malloc", "free"):
        continue
    if f[3] == "malloc" and re.search(r"\bsize=777\b", line):
        want.add((int(f[2]), index[f[2]]))
    index[f[2]] += 1
rows = [r for r in d["slowest"] if r["allocator"] == "slow"]
# known to be slow; a busy machine may take the processor away for as long from any other op
slow = [r for r in rows if (r["thread"], r["index"]) in want]
print(trace, how, len(want), "ops of 777 bytes,", len(slow), "rows of them,", len(rows), "rows")
assert want and {(r["thread"], r["index"]) for r in slow} == want, (want, slow)
assert len(slow) == 2 * len(want) and min(r["ns"] for r in slow) >= 49e6, slow  # two runs
calls = {("mmap", "ANON RW"): (1, 0, 20480), ("madvise", "MADV_NOHUGEPAGE"): (1, 0, 20480),
         ("madvise", "MADV_DONTNEED"): (2, 1, 8192), ("munmap", ""): (1, 0, 20480)}
for r in slow:
    assert (r["op"], r["size_bytes"]) == ("malloc", 777), r
    assert r["syscalls"] == 5 and r["syscall_ns"] > 0 and r["major_faults"] == 0, r
    assert r["calls"] == "mmap, munmap, 2 MADV_DONTNEED, MADV_NOHUGEPAGE", r
    # three pages, and what libc takes for the block itself
    assert 3 <= r["minor_faults"] <= 4, r
    got = {(c["call"], c["detail"]): (c["calls"], c["errors"], c["bytes"]) for c in d["slowest_calls"]
           if c["allocator"] == "slow" and (c["thread"], c["index"]) == (r["thread"], r["index"])}
    assert got == calls, got
quick = [r for r in rows if (r["thread"], r["index"]) not in want]
assert quick and sum(r["syscalls"] == 0 and r["minor_faults"] == 0 for r in quick) > len(quick) / 2, quick
db = sqlite3.connect(f"{trace}.{how}.db")
stored = {(x[0], x[1]): x for x in db.execute("SELECT s.thread, s.op, s.kind, s.size_bytes, s.latency_ns,"
          " s.minor_faults, s.syscalls, s.inside FROM v_slow_op s WHERE allocator = 'slow' AND latency_ns >= 49e6")}
assert stored.keys() >= want, stored
for r in slow:
    x = stored[r["thread"], r["index"]]
    assert x[2:4] == ("malloc", 777) and x[5:7] == (r["minor_faults"], 5), x
    assert set(x[7].split(", ")) == {"1 madvise MADV_NOHUGEPAGE", "2 madvise MADV_DONTNEED", "1 mmap ANON RW",
                                     "1 munmap"}, x
modes = dict(db.execute("SELECT mode, count(*) FROM run WHERE pass = 'latency' GROUP BY 1"))
assert modes == {"full-speed": 4, "inside": 2}, modes
assert db.execute("SELECT count(DISTINCT counting) FROM run WHERE mode = 'inside' AND counting = ?", (how,)).fetchone()[0] == 1
classes = {(x[0], x[1]): x[2] for x in db.execute("SELECT op, size_max_bytes, ops FROM latency JOIN run r ON r.id = run_id"
           " WHERE allocator = 'libc' AND repeat = 0")}
assert classes == {(r["op"], r["size_max_bytes"]): r["ops"] // 2 for r in d["latency_by_size"] if r["allocator"] == "libc"}
assert any("in a run of their own" in n for n in d["notes"]), d["notes"]
END
    done
done

# the table says it too, and none are looked into where none are asked for
hakreplay one.zst -a "slow=$PWD/slow.so" --passes=latency --slowest=3 --no-db >table || fail "table: exit code $?"
grep -q '^slow .* malloc .* 3  .* mmap, munmap, 2 MADV' table || fail "table: $(cat table)"
hakreplay one.zst -a libc --passes=latency --slowest=0 --no-db --json >none.json || fail "--slowest=0: exit code $?"
python3 -c '
import json
d = json.load(open("none.json"))
assert d["slowest"] == [] and {r["pass"] for r in d["runs"]} == {"latency"}, d["runs"]' || fail "--slowest=0"
echo "ok hakreplay-slowest"
