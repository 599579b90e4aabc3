#!/bin/bash
# scripts/plot.py: each kind draws what a real database holds, and says what is missing in an empty one.
# timeout: 200
set -eu

fail() {
    echo "$*"
    exit 1
}

/usr/bin/python3 -c 'import matplotlib' 2>/dev/null || {
    echo "python3-matplotlib is not installed"
    exit 77
}
plot=$TOP/scripts/plot.py
haktrace gen -o t.zst handover 20000 2 7
haksim optimise t.zst --db=r.db -p 'partial:n=2..64*2,bounce:n=1..4*2' >/dev/null
hakreplay t.zst --alloc=hakmem,libc --policy=never,eager,partial:n=4 --passes=time,account,latency -r 1 --db=r.db \
    >/dev/null 2>&1
for ws in 100 1000; do
    for a in libc hakmem; do
        printf 'allocator=%s\tmode=random_mixed iterations=1000 ws=%s\tmops_per_s=%s Mops/s\n' $a $ws $ws
    done
done | hakdb -d r.db put bench_random_mixed >/dev/null
hakdb -d empty.db migrate >/dev/null
for kind in memory pareto fidelity latency throughput syscalls; do
    $plot $kind r.db -o $kind.svg >/dev/null || fail $kind
    python3 -c "import xml.etree.ElementTree as e; e.parse('$kind.svg')" || fail "$kind.svg is not whole"
    rc=0
    $plot $kind empty.db -o none.svg >out 2>err || rc=$?
    [ $rc = 1 ] && grep -q '^plot: empty.db' err && [ ! -e none.svg ] || fail "$kind of nothing: $rc $(cat err)"
done
for text in eager never 'knowing the future' impossible; do
    grep -q "$text" pareto.svg || fail "the Pareto front does not show $text"
done
grep -q 'live bytes' memory.svg || fail "no live bytes"
# the same database gives the same picture; another trace is not found
$plot memory r.db -o again.svg >/dev/null
cmp memory.svg again.svg || fail "not the same twice"
! $plot memory r.db --trace=other -o none.svg 2>err || fail "another trace"
grep -q "'other'" err || fail "$(cat err)"
! $plot memory nowhere.db 2>err || fail "no database"
$plot --help | grep -q pareto || fail help
echo "ok plots"
