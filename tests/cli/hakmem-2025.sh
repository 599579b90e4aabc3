#!/bin/bash
# The two bugs of 2025: the shared pool ran dry at 10M iterations (ws 400), a thread-local list was
# corrupted at a working set of 40,000. All with a limit on address space, so that slabs that are never
# reusable end in a failure and not in swap: what all iterations take is 20 times the limit. Under
# report-2025 slabs come and go as in the first HAKMEM, 11,000 times; at safety level 2 each link of
# a list is checked.
# timeout: 240
set -eu
ulimit -v 524288
for policy in eager never partial:100; do
    export HAKMEM_POLICY=$policy
    LD_PRELOAD=$LIB/libhakmem.so "$BIN/bench_random_mixed" 10000000 400 1
    LD_PRELOAD=$LIB/libhakmem.so "$BIN/bench_random_mixed" 1000000 40000 1
    LD_PRELOAD=$LIB/libhakmem.so "$BIN/bench_random_mixed" 1000000 40000 1 2
done
HAKMEM_POLICY=report-2025:populate=0 LD_PRELOAD=$LIB/libhakmem.so "$BIN/bench_random_mixed" 10000000 400 1
for policy in budget report-2025; do
    HAKMEM_POLICY=$policy HAKMEM_SAFE=2 LD_PRELOAD=$LIB/libhakmem.so "$BIN/bench_random_mixed" 1000000 40000 1 2
done
# the pattern of every block, its neighbours' too
HAKMEM_POLICY=eager LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_soak" 2000000 1 8
