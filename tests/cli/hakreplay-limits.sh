#!/bin/bash
# --baseline and --fail-if: exit code 3 for a difference that is there, 0 for one that is within the
# limit, below significance or in the other direction; 1 where a run failed.
# timeout: 240
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

# SLOW: hundreds of times slower in malloc; BIG: four times the memory; FALL: crashes
cat >bad.c <<'END_C'
#include <stddef.h>
#include <string.h>
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);
static volatile unsigned sink;
static long n;
void *malloc(size_t size)
{
#if defined SLOW
    for (int i = 0; i < 5000; i++)
        sink += i;
#elif defined BIG
    if (size >= 16 && size < 1040) {
        void *p = __libc_malloc(size * 4);
        memset(p, 1, size * 4);
        return p;
    }
#elif defined FALL
    if (n++ == 5000)
        *(volatile int *)16 = 1;
#endif
    return __libc_malloc(size);
}
void *calloc(size_t k, size_t size) { return __libc_calloc(k, size); }
void *realloc(void *p, size_t size) { return __libc_realloc(p, size); }
void *aligned_alloc(size_t a, size_t size) { return __libc_memalign(a, size); }
void free(void *p) { __libc_free(p); }
END_C
for kind in SLOW BIG FALL; do
    gcc -O1 -fno-builtin -shared -fPIC -D$kind -o $kind.so bad.c
done
"$BIN/haktrace" gen -o t.zst random_mixed 20000 4000 1

try() { # CODE PATTERN OPTION...
    code=$1 pattern=$2
    shift 2
    rc=0
    "$BIN/hakreplay" t.zst --no-db --no-control "$@" >out 2>err || rc=$?
    [ $rc = "$code" ] || fail "$*: exit code $rc, not $code: $(cat out err)"
    grep -q -- "$pattern" out err || fail "$*: no '$pattern': $(cat out err)"
}
time=(--passes=time -r 6)
try 3 'slower=3%: FAILED: slow is at' -a "libc,slow=$PWD/SLOW.so" "${time[@]}" --fail-if slower=3%
try 0 'slower=3%: held: libc is at' -a "libc,slow=$PWD/SLOW.so" "${time[@]}" --fail-if slower=3% --baseline slow
try 0 'slower=100000%: held' -a "libc,slow=$PWD/SLOW.so" "${time[@]}" --fail-if slower=100000%
try 3 'bigger=5%: FAILED: big is at' -a "libc,big=$PWD/BIG.so" --passes=account --fail-if bigger=5%
try 3 'peak=50%: FAILED: big is at' -a "big=$PWD/BIG.so,libc" --passes=account --fail-if peak=50% --baseline libc
# the same allocator twice: never 1 % apart, whatever the machine does
try 0 'bigger=1%: held: libc:A=1 is at' -a "libc,libc:A=1" --passes=account --fail-if bigger=1%
try 0 'bigger=900%: held' -a "libc,big=$PWD/BIG.so" --passes=account --fail-if bigger=900% --fail-if peak=900%
try 3 'FAILED' -a "libc,big=$PWD/BIG.so" --passes=account --fail-if bigger=900% --fail-if peak=5%
try 1 'could not be compared' -a "libc,fall=$PWD/FALL.so" "${time[@]}" --fail-if slower=3%
# and as fields, for a program to read
rc=0
"$BIN/hakreplay" t.zst --no-db --no-control -a "libc,big=$PWD/BIG.so,libc:A=1" --passes=account --fail-if bigger=5% \
    --fail-if peak=900% --json >out.json 2>err || rc=$?
[ $rc = 3 ] || fail "limits as fields: exit code $rc"
python3 - <<'END_P' || fail "limits as fields: $(cat out.json)"
import json
d = json.load(open("out.json"))
got = {(x["allocator"], x["limit"]): x for x in d["limits"]}
assert {k: x["verdict"] for k, x in got.items()} == {("big", "bigger"): "failed", ("libc:A=1", "bigger"): "held",
    ("big", "peak"): "held", ("libc:A=1", "peak"): "held"}, got
x = got["big", "bigger"]
assert x["baseline"] == "libc" and x["percent"] == 5 and x["ratio"] > 2 and x["p_value"] < 0.05, x
END_P
"$BIN/hakreplay" t.zst --no-db --no-control -a "libc,fall=$PWD/FALL.so" "${time[@]}" --fail-if slower=3% --json >out.json 2>err || true
python3 -c '
import json
x = json.load(open("out.json"))["limits"][0]
assert x["verdict"] == "not-compared" and x["ratio"] is None and x["p_value"] is None, x' || fail "not compared: $(cat out.json)"
# what refused more of its allocations did less work: no ratio, and the gate does not open
interposer refuses <<'END_C'
void *malloc(size_t size)
{
    static long n;
    return size >= 16 && size < 1040 && __atomic_add_fetch(&n, 1, __ATOMIC_RELAXED) > 5000 ? NULL : __libc_malloc(size);
}
END_C
try 3 'FAILED: refuses and libc refused different numbers' -a "libc,refuses=$PWD/refuses.so" --passes=account --fail-if bigger=900%
# nothing in the baseline: no ratio, and the gate does not open for one that takes something
{ printf '1\n400\n800\n1\n' && for i in $(seq 0 399); do printf 'a %d 24\nf %d\n' "$i" "$i"; done; } >none.rep
"$BIN/haktrace" import -q -o none.zst none.rep
rc=0
"$BIN/hakreplay" none.zst --no-db --no-control -a libc,hakmem --passes=account --fail-if bigger=900% >out 2>err || rc=$?
[ $rc = 3 ] || fail "nothing in the baseline: exit code $rc: $(cat out err)"
grep -q 'FAILED: hakmem takes something where libc takes nothing' out err || fail "nothing in the baseline: $(cat out err)"
# a control that may not have its memory gives no cost of the driver
(ulimit -v 500000 && "$BIN/hakreplay" t.zst -a libc --passes=time -r 1 --no-db >out 2>err) || fail "ulimit -v: $(cat err)"
grep -q 'The driver itself costs' out && fail "a cost of driving from a control without memory: $(cat out)"
# ratios are to the baseline, and it has none but 1
"$BIN/hakreplay" t.zst --no-db -a "libc,slow=$PWD/SLOW.so" "${time[@]}" --baseline slow --json >out.json
python3 - <<'END_P' || fail "ratios"
import json
r = {x["allocator"]: x for x in json.load(open("out.json"))["results"]}
assert r["slow"]["ratio"] == 1 and r["libc"]["ratio"] < 0.5 and r["libc"]["p_value"] < 0.05, r
END_P
try 2 'no variant is called so' -a libc --baseline mimalloc
try 2 'is not slower' -a libc --fail-if slower
try 2 'is not slower' -a libc --fail-if slower=-3%
try 2 'is not slower' -a libc --fail-if slower=3
try 2 'fewer than 4 runs' -a libc -r 3 --fail-if slower=3%
try 2 'needs the account pass' -a libc --passes=time --fail-if bigger=3%
echo "ok hakreplay-limits"
