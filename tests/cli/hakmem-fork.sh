#!/bin/bash
# Fork among threads and in signal handlers, cancelled threads, and a quarantine that fills: nothing
# hangs, at the safety levels and under the policies that have locks of their own.
# timeout: 600
set -eu
run() { # SETTING... CASE
    echo "$*"
    env LD_PRELOAD="$LIB/libhakmem.so" "${@:1:$#-1}" "$BIN/stress/alloc_fork" "${!#}"
}
for level in 0 3; do
    for case in threads late; do
        run HAKMEM_SAFE=$level $case
    done
done
run HAKMEM_SAFE=3 quarantine
for level in 0 1 2 3; do
    run HAKMEM_SAFE=$level signal
    run HAKMEM_SAFE=$level lock
    run HAKMEM_SAFE=$level HAKMEM_BACKGROUND=1 HAKMEM_POLICY=decay:ms=10 lock
done
run HAKMEM_POLICY=eager signal
run HAKMEM_BACKGROUND=1 stacks
run HAKMEM_POLICY=pressure:pct=80,ms=1us cancel
run HAKMEM_STATS=1 stderr 2>kept
