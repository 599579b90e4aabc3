#!/bin/bash
# Allocators that crash, hang, hide SIGSYS or are not there: told apart, the others go on, nothing
# is made up. Ctrl-C keeps what is finished.
# timeout: 300
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

cat >bad.c <<'END'
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);
static long n;
void *malloc(size_t size)
{
    if (size >= 16 && size < 1040 && __atomic_add_fetch(&n, 1, __ATOMIC_RELAXED) == 5000) {
#if defined CRASH
        *(volatile int *)16 = 1;
#elif defined HANG
        for (;;)
            pause();
#elif defined ABORT
        abort();
#elif defined MASK
        unsigned long all = -1ul, none = 0;
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
        munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
#elif defined BLOCK
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
        sigemptyset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
#elif defined EMPTY
        return NULL;
#endif
    }
    return __libc_malloc(size);
}
void *calloc(size_t k, size_t size) { return __libc_calloc(k, size); }
void *realloc(void *p, size_t size) { return __libc_realloc(p, size); }
void *aligned_alloc(size_t a, size_t size) { return __libc_memalign(a, size); }
void free(void *p) { __libc_free(p); }
END
for kind in CRASH HANG ABORT MASK BLOCK EMPTY; do
    gcc -O1 -fno-builtin -shared -fPIC -D$kind -o $kind.so bad.c
done
echo 'int hakreplay_test_nothing;' >none.c
gcc -shared -fPIC -o none.so none.c
"$BIN/haktrace" gen -o t.zst random_mixed 40000 400 1

# one bad allocator among good ones: exit code 1, its reason, no ratio; the others have theirs
try() { # NAME LIB STATUS PATTERN [OPTION...]
    name=$1 lib=$2 status=$3 pattern=$4
    shift 4
    rc=0
    "$BIN/hakreplay" t.zst -a "libc,$name=$PWD/$lib,libc:X=1" -r 2 --db fail.db --json "$@" >out.json 2>err || rc=$?
    [ $rc = 1 ] || fail "$name: exit code $rc: $(cat err)"
    python3 - "$name" "$status" "$pattern" <<'END' || fail "$name: see above"
import json, re, sys
name, status, pattern = sys.argv[1:]
d = json.load(open("out.json"))
rows = {r["allocator"]: r for r in d["results"]}
bad = rows[name]
print(bad["status"], "|", bad["error"])
assert bad["status"] == status, bad
assert re.search(pattern, bad["error"]), bad
if status != "failed":
    assert bad["ratio"] is None and bad["ns_per_op"] is None, bad
    assert bad["peak_resident_bytes"] is None and bad["syscalls"] is None, bad
assert rows["libc"]["ratio"] == 1 and rows["libc:X=1"]["ratio"] > 0, rows
assert any(name in x for x in d["notes"]), d["notes"]
END
}
# the 5,000th allocation of the stream is known from the generator's rule
op=$(python3 -c '
x, full, m, k = 1, set(), 0, 0
while True:
    x ^= x << 13 & 0xFFFFFFFF; x ^= x >> 17; x ^= x << 5 & 0xFFFFFFFF
    s = x % 400
    if s in full: full.remove(s)
    else:
        full.add(s); m += 1
        if m == 5000: break
    k += 1
print(k)')
# some mallocs of the program itself come before: the op lies a little earlier
try crash CRASH.so crashed "signal 11 .*address 0x10 in thread 0 at op [0-9]+ of .*malloc"
got=$(python3 -c '
import json, re
for r in json.load(open("out.json"))["results"]:
    if r["allocator"] == "crash": print(re.search("at op ([0-9]+)", r["error"])[1])')
[ "$got" -le "$op" ] && [ "$got" -gt $((op - 400)) ] || fail "crash at op $op, told: $got"
try abort ABORT.so crashed "signal 6 .*thread 0 at op"
try hang HANG.so timeout "not done after 5 s: thread 0 at op [0-9]+ of" --timeout 5
try none none.so wrong-library "malloc resolves into .*libc.*asked for: .*none.so"
try mask MASK.so failed "SIGSYS" --counting=seccomp

# left to itself it is counted by ptrace instead, the others are not, and that is said
"$BIN/hakreplay" t.zst -a "libc,mask=$PWD/MASK.so" --passes=account --no-db --json >out.json || fail "mask by ptrace: $?"
python3 -c '
import json
d = json.load(open("out.json"))
assert [(r["status"], r["counting"]) for r in d["results"]] == [("ok", "seccomp"), ("ok", "ptrace")], d["results"]
assert [s["calls"] for s in d["syscalls"] if (s["allocator"], s["call"]) == ("mask", "munmap")] == [1], d["syscalls"]
assert any("of mask were counted by ptrace, because one of its threads" in n for n in d["notes"]), d["notes"]' ||
    fail "mask by ptrace: see above"

# who blocks all signals by the C library's functions is accounted all the same
"$BIN/hakreplay" t.zst -a "block=$PWD/BLOCK.so" --passes=account --no-db --json >out.json || fail "block: $?"
python3 -c '
import json
d = json.load(open("out.json"))
assert d["results"][0]["status"] == "ok", d
assert [s["calls"] for s in d["syscalls"] if s["call"] == "munmap"] == [1], d["syscalls"]'

# a failed allocation is counted, not fatal
"$BIN/hakreplay" t.zst -a "empty=$PWD/EMPTY.so" -r 2 --no-db --json >out.json || fail "empty: $?"
python3 -c '
import json
r = json.load(open("out.json"))["results"][0]
assert r["status"] == "ok" and r["failed_allocations"] == 1, r'

# a library of the four basic functions is enough for a trace that asks for no more; what it cannot do is refused
cat >four.c <<'END'
#include <stddef.h>
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);
void *malloc(size_t size) { return __libc_malloc(size); }
void *calloc(size_t n, size_t size) { return __libc_calloc(n, size); }
void *realloc(void *p, size_t size) { return __libc_realloc(p, size); }
void free(void *p) { __libc_free(p); }
END
gcc -O1 -fno-builtin -shared -fPIC -o four.so four.c
printf '1: malloc 0x1 50\n1: memalign 0x2 64 100\n1: free 0x1\n' >aligned.txt
"$BIN/haktrace" import -o aligned.zst aligned.txt 2>/dev/null
for t in t:0 aligned:1; do
    "$BIN/hakreplay" ${t%:*}.zst -a "libc,four=$PWD/four.so" -r 1 --no-control --no-db --json >out.json || fail "four functions, ${t%:*}: $?: $(cat out.json)"
    python3 -c '
import json, sys
d = json.load(open("out.json"))
r = d["results"][1]
assert r["status"] == "ok" and r["failed_allocations"] == int(sys.argv[1]) and (r["ratio"] is None) == (sys.argv[1] == "1"), r
assert any("four has no memalign" in n and "aligned allocations are refused" in n for n in d["notes"]), d["notes"]' "${t#*:}" || fail "four functions, ${t%:*}"
done

python3 - <<'END' || fail "rows of failed runs"
import sqlite3
db = sqlite3.connect("fail.db")
got = dict(db.execute("select allocator, group_concat(distinct status) from run where status<>'ok' group by 1"))
want = {"crash": "crashed", "abort": "crashed", "hang": "timeout", "none": "wrong-library", "mask": "failed"}
assert got == want, got
assert db.execute("select count(*) from metric where run_id in (select id from run where status<>'ok')").fetchone()[0] == 0
assert db.execute("select count(*) from run where error is null and status<>'ok'").fetchone()[0] == 0
END

# Ctrl-C: what is finished is stored, and the rest is not
"$BIN/hakreplay" t.zst -a "libc,hang=$PWD/HANG.so" -r 3 --seed 1 --no-warm-up --no-control --db stop.db >table 2>err &
pid=$!
i=0
while [ $i -lt 100 ] && ! { sleep 0.1; python3 - <<'END'
import sqlite3, sys
try: n = sqlite3.connect("stop.db").execute("select count(*) from run").fetchone()[0]
except sqlite3.Error: n = 0
sys.exit(n == 0)
END
}; do
    i=$((i + 1))
    [ $i -lt 40 ] || break # the hanging one may have come first
done
sleep 0.5
kill -INT $pid
rc=0
wait $pid || rc=$?
[ $rc = 1 ] || fail "Ctrl-C: exit code $rc: $(cat err)"
grep -q Interrupted table || fail "Ctrl-C: $(cat table)"
python3 - <<'END' || fail "Ctrl-C: rows"
import sqlite3
db = sqlite3.connect("stop.db")
assert db.execute("select state from experiment").fetchone()[0] == "interrupted"
assert db.execute("select count(*) from run where status not in ('ok')").fetchone()[0] == 0
assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
END
echo "ok hakreplay-failures"
