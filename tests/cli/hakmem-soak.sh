#!/bin/bash
# A short slice of the soak: pattern-checked blocks of all sizes and entry points, three threads, two
# policies; no block is corrupted and resident memory does not grow. (10^10 operations: by hand,
# alloc_soak 10000000000 2 200.)
# timeout: 240
set -eu
for policy in "" eager:how=unmap; do
    HAKMEM_POLICY=$policy LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_soak" 15000000 3 30
done
