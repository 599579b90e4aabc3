#!/bin/bash
# --why: an allocator whose calls are known op by op; the causes add up to the accounts.
# timeout: 120
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

# maps and unmaps a page in each malloc of 700 to 800 bytes, advises in each free of such a block
cat >calls.c <<'END_C'
#define _GNU_SOURCE
#include <malloc.h>
#include <stddef.h>
#include <sys/mman.h>
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);
static char page[8192];
void *malloc(size_t size)
{
    if (size >= 700 && size < 800)
        munmap(mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 8192);
    return __libc_malloc(size);
}
void *calloc(size_t k, size_t size) { return __libc_calloc(k, size); }
void *realloc(void *p, size_t size) { return __libc_realloc(p, size); }
void *aligned_alloc(size_t a, size_t size) { return __libc_memalign(a, size); }
void free(void *p)
{
    if (p && malloc_usable_size(p) >= 900)
        madvise((void *)((unsigned long)(page + 4095) & -4096ul), 4096, MADV_WILLNEED);
    __libc_free(p);
}
END_C
gcc -O1 -fno-builtin -shared -fPIC -o calls.so calls.c
"$BIN/haktrace" gen -o t.zst random_mixed 40000 400 1
"$BIN/haktrace" gen -o four.zst handover 8000 4 7
for t in t four; do
    "$BIN/haktrace" dump $t.zst >$t.dump
    "$BIN/hakreplay" $t.zst -a "calls=$PWD/calls.so" --passes=account --db $t.db --json --why=1000 >$t.json
    python3 - $t <<'END_P' || fail "$t: see above"
import json, re, sqlite3, sys, collections
d = json.load(open(sys.argv[1] + ".json"))
if d["results"][0]["counting"] is None:
    print("hakreplay could not count system calls here")
    sys.exit(0)
size_of, index, want, first = {}, collections.Counter(), collections.Counter(), {}
for line in open(sys.argv[1] + ".dump"):
    f = line.split()
    if len(f) < 4 or f[3] not in ("malloc", "free"):
        continue
    thread, op = int(f[2]), index[f[2]]
    index[f[2]] += 1
    v = {k: int(x) for k, x in re.findall(r"(\w+)=(\d+)", line)}
    if f[3] == "malloc":
        size_of[v["id"]] = v["size"]
        if 700 <= v["size"] < 800:
            want["mmap"] += 1
            first.setdefault("mmap", set()).add((thread, op))
    else:
        size = size_of[v.get("old", v.get("id"))]
        usable = (size + 8 + 15 & -16) - 8  # or 16 more, where the rest would be too small
        if usable + 16 >= 900:
            want["perhaps"] += usable < 900
            want["madvise"] += usable >= 900
            first.setdefault("madvise", set()).add((thread, op))
got = collections.Counter()
for w in d["why"]:
    for call, op, detail in ("mmap", "malloc", "OTHER"), ("madvise", "free", "MADV_WILLNEED"):
        if (w["call"], w["op"], w["detail"]) == (call, op, detail):
            assert w["size_max_bytes"] == 1024 or call == "madvise", w
            assert (w["first_thread"], w["first_op"]) in first[call], w
            got[call] += w["calls"]
print(want, got)
assert want["mmap"] == got["mmap"] > 10 and got["madvise"] > 10
assert want["madvise"] <= got["madvise"] <= want["madvise"] + want["perhaps"]
why = d["why"]
total = collections.Counter()
for w in why:
    total[(w["call"], w["detail"])] += w["calls"]
counted = {(s["call"], s["detail"]): s["calls"] for s in d["syscalls"]}
assert total == counted, (total, counted)
for key in ("kernel_ns", "bytes", "errors"):
    assert sum(w[key] for w in why) == sum(s[key] for s in d["syscalls"]), key
# the database has the same
def row(w):
    return (w["op"], w["size_max_bytes"] or (0 if w["op"] in ("thread's exit", "own thread") else 2**63 - 1), w["call"],
            w["detail"], w["calls"], w["errors"], w["bytes"], w["kernel_ns"], w["first_thread"], w["first_op"])
stored = sqlite3.connect(sys.argv[1] + ".db").execute("SELECT op, size_max_bytes, call, detail, calls, errors, bytes,"
    " kernel_ns, first_thread, first_op FROM cause").fetchall()
assert sorted(stored, key=str) == sorted(map(row, why), key=str), (stored, why)
END_P
done
"$BIN/hakreplay" t.zst -a libc --passes=account --no-db --why >table
grep -q 'Why: ' table || fail "no table"
rc=0
"$BIN/hakreplay" t.zst -a libc --passes=time --no-db --why >/dev/null 2>err || rc=$?
[ $rc = 2 ] || fail "--why without the account pass: exit code $rc"
echo "ok hakreplay-why"
