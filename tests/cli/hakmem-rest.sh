#!/bin/bash
# What is resident while a program rests: the background thread, and the policy of pressure.
# timeout: 120
set -eu
export LD_PRELOAD=$LIB/libhakmem.so
HAKMEM_BACKGROUND=1 HAKMEM_POLICY=decay:ms=500 timeout 60 "$BIN/stress/alloc_rest" background
HAKMEM_POLICY=pressure:pct=50,stall=0,ms=10 "$BIN/stress/alloc_rest" limit
HAKMEM_POLICY=pressure:rss=32MiB,stall=0 "$BIN/stress/alloc_rest" rss
# without it, a program that rests keeps what it has
if HAKMEM_POLICY=decay:ms=50 "$BIN/stress/alloc_rest" background >out; then
    echo "fell without a background thread"
    exit 1
fi
# and threads, forks and exits with it
HAKMEM_BACKGROUND=1 HAKMEM_POLICY=decay:ms=1 "$BIN/stress/alloc_threads" 6 8000
