#!/bin/bash
# The malloc family edge by edge, and threads with forks, under each policy and way of release.
# timeout: 600
set -eu
for policy in "" never eager eager:how=unmap partial:n=3,how=free decay:1ms delay:1ms,how=unmap \
    report-2025; do
    HAKMEM_POLICY=$policy LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_api" >out
    grep -q "^ok .* 0 failed, malloc from .*libhakmem.so$" out || { cat out; exit 1; }
    HAKMEM_POLICY=$policy LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_threads" 8 16000
done
# the same program without a preload checks the test itself against libc
"$BIN/stress/alloc_api"
"$BIN/stress/alloc_threads" 4 8000
# a process with little address space
(ulimit -v 204800 && LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_threads" 4 8000)
# limits that come in the middle, and fork handlers of others
for case in fork move maps data trim; do
    LD_PRELOAD=$LIB/libhakmem.so timeout 60 "$BIN/stress/alloc_limits" $case
done
# glibc's other names for the same functions
LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_names"
# hakmem_ctl, and a policy string that is wrong: the default is in force
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_POLICY=eager:how=unmap "$BIN/stress/alloc_ctl" eager:how=unmap
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_POLICY=partial:7 "$BIN/stress/alloc_ctl" partial:n=7
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_POLICY=nonsense "$BIN/stress/alloc_ctl" decay:ms=1000,max=64MiB
