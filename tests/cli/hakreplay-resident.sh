#!/bin/bash
# The books of memory, to the page: allocators that hold known pages, for known parts of a run, give some to
# MADV_FREE, have huge pages, give back after the run; page faults of each thread.
# timeout: 180
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

# By the size that is asked for: 777 holds 10000 pages until its free; 779 holds 5000 and lets go of them at
# once; 781 gives 2000 of its 3000 pages to MADV_FREE; 783 takes 8 MiB of huge pages; 785, when it is freed,
# lets a thread give 500 pages back 0.5 s later and 700 more after 3 s.
interposer books -pthread <<'END_C'
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>
static char *held, *later;
static char *pages(size_t n)
{
    char *p = mmap(NULL, n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(p, n * 4096, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < n; i++)
        ((volatile char *)p)[i * 4096] = 1;
    return p;
}
static void *give_back(void *arg)
{
    usleep(500000);
    madvise(later, 500 * 4096, MADV_DONTNEED);
    usleep(2500000);
    madvise(later + 500 * 4096, 700 * 4096, MADV_DONTNEED);
    for (;;)
        pause();
    return arg;
}
static void *last;
void *malloc(size_t size)
{
    void *p = __libc_malloc(size);
    if (size == 777) {
        held = pages(10000);
    } else if (size == 779) {
        munmap(pages(5000), 5000 * 4096);
    } else if (size == 781) {
        madvise(pages(3000), 2000 * 4096, MADV_FREE);
    } else if (size == 783) {
        char *q = mmap(NULL, 10 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        q = (char *)(((uintptr_t)q + (2 << 20) - 1) & -(uintptr_t)(2 << 20));
        madvise(q, 8 << 20, MADV_HUGEPAGE);
        for (size_t i = 0; i < 8 << 20; i += 4096)
            ((volatile char *)q)[i] = 1;
    } else if (size == 785) {
        later = pages(2000);
        last = p;
    }
    return p;
}
void free(void *p)
{
    if (p != NULL && p == last) {
        pthread_t t;
        pthread_create(&t, NULL, give_back, NULL);
    }
    if (held != NULL && p != NULL && *(char *)p == 77) {
        munmap(held, 10000 * 4096);
        held = NULL;
    }
    __libc_free(p);
}
END_C
sed -i 's/        held = pages(10000);/        held = pages(10000), *(char *)p = 77;/' books.c
gcc -O1 -fno-builtin -shared -fPIC -pthread -include ./interposer.h -o books.so books.c interposer.c

filler() { # FROM TO: pairs of ops that hold nothing
    local i
    for ((i = $1; i < $2; i++)); do printf '1: malloc 0x%x 100\n1: free 0x%x\n' $((i + 4096)) $((i + 4096)); done
}
play() { # NAME OPTION...: the account of books.so
    local name=$1
    shift
    haktrace import -o "$name.zst" "$name.txt" 2>/dev/null
    hakreplay "$name.zst" -a "books=$PWD/books.so" --passes=account --touch=none --db="$name.db" --json "$@" >"$name.json" 2>err ||
        fail "$name: exit code $?: $(cat err)"
}
check() { # NAME <PYTHON: with d, r (the row of results), m (that of memory), page
    { echo 'import json, sys
d = json.load(open(sys.argv[1] + ".json")); r, m, page = d["results"][0], d["memory"][0], 4096
def near(got, want, pages): # what else the run needs, libc among it, is a few pages
    assert want - 2 * page <= got <= want + pages * page, f"{got / page:.1f} pages, not {want / page:.1f}"'; cat; } >check.py
    python3 check.py "$1" || fail "$1: see above"
}

# held for a known part of the run: peak, mean by ops, and nothing at the end
{ filler 0 500; echo '1: malloc 0x1 777'; filler 500 1000; echo '1: free 0x1'; filler 1000 2000; } >held.txt
play held
check held <<'END'
print(r["peak_resident_bytes"] / page, r["mean_resident_bytes"] / page, r["end_resident_bytes"] / page)
near(r["peak_resident_bytes"], 10000 * page, 60)
share = 1001 / d["trace"]["ops"]  # of 4002 ops it is there for these
assert abs(r["mean_resident_bytes"] - share * 10000 * page) <= 0.01 * 10000 * page + 60 * page, (r["mean_resident_bytes"] / page, share)
near(r["end_resident_bytes"], 0, 60)
curve = [(s["op"], s["resident_bytes"]) for s in d["samples"]]
assert len(curve) >= 250 and all((b > 9000 * page) == (1001 <= op <= 2002) for op, b in curve if abs(op - 1001) > 1 and abs(op - 2002) > 1), curve
END

# there within one op alone: the peak has it, because it is looked before anything is given back
{ filler 0 500; echo '1: malloc 0x1 779'; filler 500 1000; } >spike.txt
play spike
check spike <<'END'
near(r["peak_resident_bytes"], 5000 * page, 60)
assert r["mean_resident_bytes"] <= 200 * page and r["end_resident_bytes"] <= 60 * page, r
END

# LazyFree is in the resident memory, and told apart; the kernel takes note of some pages late
{ filler 0 100; echo '1: malloc 0x1 781'; filler 100 200; } >lazy.txt
play lazy
check lazy <<'END'
print(r["end_resident_bytes"] / page, r["end_lazy_free_bytes"] / page, m["peak_lazy_free_bytes"] / page)
if r["end_resident_bytes"] < 2900 * page:
    print("the kernel took what was given to MADV_FREE at once")
    sys.exit(0)
near(r["end_resident_bytes"], 3000 * page, 60)
assert 1900 * page <= r["end_lazy_free_bytes"] <= 2000 * page, r["end_lazy_free_bytes"] / page
END

# huge pages, where the system gives them
cat >thp.c <<'END_C'
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
int main(void)
{
    char line[200], *q = mmap(NULL, 10 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    q = (char *)(((uintptr_t)q + (2 << 20) - 1) & -(uintptr_t)(2 << 20));
    madvise(q, 8 << 20, MADV_HUGEPAGE);
    memset(q, 1, 8 << 20);
    long kib = 0;
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        sscanf(line, "AnonHugePages: %ld", &kib);
    return kib == 8 << 10 ? 0 : 1;
}
END_C
gcc -O1 -o thp thp.c
{ filler 0 100; echo '1: malloc 0x1 783'; filler 100 1000; } >huge.txt
play huge
if ./thp; then
    check huge <<'END'
print(m["peak_huge_bytes"] >> 20, "MiB of huge pages")
assert m["peak_huge_bytes"] in (6 << 20, 8 << 20), m  # memory may be short of one since
near(r["peak_resident_bytes"], 8 << 20, 60)
END
    [ "$(sqlite3 huge.db "SELECT max(huge_bytes) FROM sample")" = "$(python3 -c 'import json; print(json.load(open("huge.json"))["memory"][0]["peak_huge_bytes"])')" ] ||
        fail "huge pages in the database"
else
    echo "not checked here: the system gives no huge pages"
fi

# the mean by time: 10000 pages for the recorded 0.3 s of them, although they are there for a third of the ops
cat >hold.c <<'END_C'
#include <stdlib.h>
#include <unistd.h>
static void ops(void)
{
    for (int i = 0; i < 300; i++) {
        void *volatile p = malloc(100);
        free(p);
    }
}
int main(void)
{
    ops();
    usleep(100000);
    char *volatile p = malloc(777);
    *p = 77;
    ops();
    usleep(300000);
    free(p);
    ops();
    usleep(200000);
    ops();
    return 0;
}
END_C
gcc -O1 -fno-builtin -o hold hold.c
haktrace -q --stamps=all -o timed.zst -- ./hold
haktrace dump timed.zst >timed.dump
hakreplay timed.zst -a "books=$PWD/books.so" --passes=account --touch=none --no-db --json >timed.json || fail "by time: $?"
check timed <<'END'
import re
times, id_, start = [], None, None
for line in open("timed.dump"):
    f = line.split()
    if len(f) < 4 or f[3] not in ("malloc", "free", "calloc", "realloc"):
        continue
    at = float(f[1])
    times.append(at)
    v = dict(re.findall(r"(\w+)=(\d+)", line))
    if v.get("size") == "777":
        id_, start = v["id"], at
    elif f[3] == "free" and id_ is not None and v.get("old") == id_:
        share = (at - start) / (times[-1] - times[0])
        id_, end = None, at
share = (end - start) / (times[-1] - times[0])
mean = m["mean_resident_time_bytes"]
print(f"{share:.3f} of the time, {mean / page:.0f} pages by time, {r['mean_resident_bytes'] / page:.0f} by ops")
assert 0.3 < share < 0.9 and abs(mean - share * 10000 * page) < 0.05 * 10000 * page, (mean / page, share)
END

# after the run: what is given back then is seen at 1 s and at 5 s
{ filler 0 100; echo '1: malloc 0x1 785'; filler 100 200; echo '1: free 0x1'; } >rest.txt
play rest --rest=5s --no-warm-up &
{ filler 0 100; echo '1: malloc 0x1 785'; filler 100 200; } >short.txt # meanwhile: at rest for less
(play short --rest=1s --no-warm-up) || fail "rest of 1 s"
wait $! || fail "rest of 5 s"
check rest <<'END'
at = [r["end_resident_bytes"], m["rest_100ms_resident_bytes"], m["rest_1s_resident_bytes"], m["rest_5s_resident_bytes"]]
print([x / page for x in at])
near(at[0], 2000 * page, 80)
near(at[1], 2000 * page, 100)  # and the thread's own
near(at[2], 1500 * page, 100)
near(at[3], 800 * page, 100)
END
check short <<'END'
assert m["rest_100ms_resident_bytes"] is not None and m["rest_1s_resident_bytes"] is not None, m
assert m["rest_5s_resident_bytes"] is None, m
near(m["rest_1s_resident_bytes"], 2000 * page, 80)
END
[ "$(sqlite3 rest.db "SELECT count(*) FROM metric WHERE name IN ('rest_100ms_resident_bytes', 'rest_1s_resident_bytes', 'rest_5s_resident_bytes')")" = 3 ] ||
    fail "rest in the database"

# an allocator that takes nothing: whatever the driver needs is in nobody's books, however long the trace
interposer nothing <<'END_C'
static char block[4096] __attribute__((aligned(4096)));
static int replays;
void *malloc(size_t size)
{
    replays |= size == 777;
    return replays ? block : __libc_malloc(size);
}
void free(void *p)
{
    if (p != block)
        __libc_free(p);
}
END_C
for n in 2000 200000; do
    { echo '1: malloc 0x1 777'; filler 0 $((n / 2)); } >nothing.txt
    haktrace import -o nothing.zst nothing.txt 2>/dev/null
    hakreplay nothing.zst -a "nothing=$PWD/nothing.so" --passes=account --no-db --touch=none --json >nothing.json || fail "nothing: $?"
    check nothing <<'END'
print(d["trace"]["ops"], r["peak_resident_bytes"], m["driver_shared_bytes"], m["baseline_resident_bytes"])
assert r["peak_resident_bytes"] <= 2 * page and r["mean_resident_bytes"] <= 2 * page, r
assert m["driver_shared_bytes"] >= d["trace"]["plan_bytes"] > 0, m
END
done

# page faults and calls of each thread; where they are asked for again, of major ones too
interposer faults <<'END_C'
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
void *malloc(size_t size)
{
    if (size == 777) {
        volatile char *p = mmap(NULL, 400 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise((void *)p, 400 * 4096, MADV_NOHUGEPAGE);
        for (int i = 0; i < 400; i++)
            p[i * 4096] = 1;
    }
    if (size == 779 && getenv("COLD_FILE") != NULL) { /* each page is read from the disk */
        int fd = open(getenv("COLD_FILE"), O_RDONLY);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        volatile char *p = mmap(NULL, 64 * 4096, PROT_READ, MAP_PRIVATE, fd, 0);
        madvise((void *)p, 64 * 4096, MADV_RANDOM);
        for (int i = 0; i < 64; i++)
            (void)p[i * 4096];
        close(fd);
    }
    return __libc_malloc(size);
}
END_C
{
    for t in 1 2 3 4; do printf '%d: malloc 0x%x 64\n' $t $((t + 16)); done
    for t in 1 1 1 2 4 4; do printf '%d: malloc 0x%x 777\n' $t $((i = ${i:-0} + 1)); done
    echo '3: malloc 0x90 779'
} >faults.txt
haktrace import -o faults.zst faults.txt 2>/dev/null
head -c 262144 /dev/urandom >cold
sync cold
hakreplay faults.zst -a "faults=$PWD/faults.so:COLD_FILE=$PWD/cold" -r 1 --no-control --touch=none --db=faults.db --json >faults.json 2>err ||
    fail "faults: exit code $?: $(cat err)"
python3 - <<'END' || fail "faults: see above"
import json, sqlite3
d = json.load(open("faults.json"))
for which in "time", "account":
    got = [(t["minor_faults"], t["major_faults"], t["syscalls"]) for t in d["threads"] if t["pass"] == which]
    print(which, got)
    for (minor, _, calls), times in zip(got, (3, 1, 0, 2)):
        assert 400 * times <= minor <= 400 * times + 60 + (64 if times == 0 else 0), got
        # what libc adds for a first block of a thread is an arena of its own
        assert which == "time" or 2 * times <= calls <= 2 * times + 12, got
    assert all(major == 0 for i, (_, major, _) in enumerate(got) if i != 2), got
    # a file system in memory has nothing to read
    assert got[2][1] in (0, 64) or got[2][1] > 4, got
    if got[2][1] == 0:
        print("not checked here: major faults, the files are in memory")
db = sqlite3.connect("faults.db").execute("SELECT minor_faults, major_faults FROM run_thread t JOIN run r ON r.id = t.run_id"
                                           " WHERE pass = 'account' ORDER BY thread").fetchall()
assert db == [(t["minor_faults"], t["major_faults"]) for t in d["threads"] if t["pass"] == "account"], db
END
echo "ok hakreplay-resident"
