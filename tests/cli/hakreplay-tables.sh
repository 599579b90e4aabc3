#!/bin/bash
# Every table that a run can print is at most 100 columns wide, with long names, many threads and large
# figures, and each of its columns says its unit.
# timeout: 200
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

haktrace gen -o a-trace-with-a-rather-long-name-that-somebody-gave-it-for-reasons-of-their-own-in-2026.zst handover 30000 40 7
mv a-trace*.zst "$PWD/a-trace-with-a-rather-long-name-that-somebody-gave-it.zst"
trace=$PWD/a-trace-with-a-rather-long-name-that-somebody-gave-it.zst
cat >huge.txt <<'END'
1: malloc 0x1 90000000000
1: free 0x1
1: malloc 0x2 3000000
1: realloc 0x3 0x2 700000000
1: free 0x3
END
haktrace import -o huge.zst huge.txt 2>/dev/null
PYTHONMALLOC=malloc haktrace -q -o times.zst -- /usr/bin/python3 -c 'import time; time.sleep(0.05); [bytes(300) for i in range(999)]'
long=an_allocator_with_a_name_that_is_longer_than_any_table_wants_it_to_be
interposer $long </dev/null
list="$long=$PWD/$long.so,$long=$PWD/$long.so:A_VARIABLE=that_has_a_long_value_too_and_makes_it_longer,libc,hakmem"
policy='--policy=decay:ms=1000,max=256MiB,huge=16MiB,partial:n=100,how=free'

wide() { # FILE: every line of a table is at most 100 columns; sentences below it are not its lines
    python3 - "$1" <<'END'
import re, sys, unicodedata
text = open(sys.argv[1], encoding="utf-8").read().rstrip("\n")
blocks = text.split("\n\n")
titled = 0
for block in blocks:
    lines = block.split("\n")
    if all(re.search(r"[.!?)]$", l) for l in lines):  # notes
        continue
    titled += any(l.startswith("allocator ") for l in lines)
    for l in lines:
        assert len(l) <= 100, f"{len(l)} columns: {l}"
    head = next((l for l in lines if l.startswith("allocator ")), None)
    if head is None:
        continue
    # columns of bytes and times name their unit in the head
    for word in "peak", "mean", "bytes", "in calls", "took", "p50", "p99.9", "at end", "0.1 s on", "lazy", "huge":
        for m in re.finditer(rf"(?<![\w.]){re.escape(word)}(?![\w.])", head):
            assert re.match(r" \[(B|KiB|MiB|GiB|TiB|ns|us|ms|s)\]", head[m.end():]), f"no unit at '{word}': {head}"
print(sys.argv[1], titled, "tables")
assert titled >= int(sys.argv[2]) if len(sys.argv) > 2 else titled >= 1
END
}
run() { # NAME OPTION...
    local name=$1
    shift
    hakreplay "$@" --no-db >"$name" 2>err || fail "$name: exit code $?: $(cat err)"
    wide "$name" || fail "$name: see above"
}
run usual "$trace" -a "$list" "$policy" -r 2
run all "$trace" -a "$list" "$policy" -r 2 --passes=time,account,latency --why=40 --counters --check --rest=1s --drift=1000
run huge huge.zst -a libc,hakmem --touch=none -r 2 --passes=time,account,latency --why
run paced times.zst -a "$list" -r 2 --speed=recorded --passes=time,account,latency
run ptrace huge.zst -a libc --touch=none --counting=ptrace --passes=account --why
run limit "$trace" -a libc --memory-limit=2MiB --passes=time,account -r 2
rc=0
interposer falls <<'END_C'
void *malloc(size_t size)
{
    static long n;
    if (size >= 16 && size < 1040 && __atomic_add_fetch(&n, 1, __ATOMIC_RELAXED) == 5000)
        *(volatile int *)16 = 1;
    return __libc_malloc(size);
}
END_C
hakreplay "$trace" -a "libc,falls=$PWD/falls.so" -r 4 --fail-if slower=3% --no-db >failed 2>err || rc=$?
[ $rc = 1 ] || fail "falls: exit code $rc"
wide failed || fail "failed: see above"
grep -q 'in calls \[' all && grep -q 'Slowest ops' all && grep -q 'Why: ' all && grep -q 'counters' all || fail "a table is missing: $(cat all)"

# progress with the time that is left, on a terminal alone
script -qec "hakreplay '$trace' -a libc -r 30 --no-db" typescript >/dev/null </dev/null || fail "on a terminal: $?"
tr '\r' '\n' <typescript | grep -q 'replaying.*left' || fail "no progress: $(tr '\r' '\n' <typescript | head -n 5)"
script -qec "TERM=dumb hakreplay '$trace' -a libc -r 3 --no-db" typescript >/dev/null </dev/null || fail "on a dumb terminal: $?"
grep -q replaying typescript && fail "progress on a dumb terminal"
hakreplay "$trace" -a libc -r 3 --no-db >/dev/null 2>err
[ ! -s err ] || fail "progress without a terminal: $(cat err)"
echo "ok hakreplay-tables"
