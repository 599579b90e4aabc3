#!/bin/bash
# The two bugs of 2025: the shared pool ran dry at 10M iterations (ws 400), a thread-local list was
# corrupted at a working set of 40,000. Both with a limit on address space, so that slabs that
# are never reusable end in a failure and not in swap.
# timeout: 120
set -eu
ulimit -v 524288
for policy in eager never partial:100; do
    export HAKMEM_POLICY=$policy
    LD_PRELOAD=$LIB/libhakmem.so "$BIN/bench_random_mixed" 10000000 400 1
    LD_PRELOAD=$LIB/libhakmem.so "$BIN/bench_random_mixed" 1000000 40000 1
    LD_PRELOAD=$LIB/libhakmem.so "$BIN/bench_random_mixed" 1000000 40000 1 2
done
