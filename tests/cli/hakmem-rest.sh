#!/bin/bash
# What is resident while a program rests: the default, the background thread, the policy of pressure.
# timeout: 120
set -eu
export LD_PRELOAD=$LIB/libhakmem.so
HAKMEM_BACKGROUND=1 HAKMEM_POLICY=decay:ms=500 timeout 60 "$BIN/stress/alloc_rest" background
HAKMEM_POLICY=pressure:pct=50,stall=0,ms=10 "$BIN/stress/alloc_rest" limit
(ulimit -v 1024000 && HAKMEM_POLICY=pressure:pct=20,stall=0,ms=10 "$BIN/stress/alloc_rest" limited)
# a real group of version 1 or 2, where we may make one
for at in /sys/fs/cgroup/memory /sys/fs/cgroup; do
    group=$at/hakmem-rest.$$
    limit=memory.max
    [ $at = /sys/fs/cgroup ] || limit=memory.limit_in_bytes
    mkdir "$group" 2>mkdir.err || continue
    if [ -w "$group/$limit" ] && echo $((400 << 20)) >"$group/$limit"; then
        (echo "$BASHPID" >"$group/cgroup.procs" &&
            HAKMEM_POLICY=pressure:pct=50,stall=0,ms=10 exec "$BIN/stress/alloc_rest" limited) || failed=1
    fi
    rmdir "$group"
    [ -z "${failed:-}" ] || exit 1
done
HAKMEM_POLICY=pressure:rss=32MiB,stall=0 "$BIN/stress/alloc_rest" rss
"$BIN/stress/alloc_rest" bursts
if HAKMEM_POLICY=never "$BIN/stress/alloc_rest" bursts >out; then
    echo "never gave back"
    exit 1
fi
# without the thread, a policy by time keeps what it has while the program rests
if HAKMEM_POLICY=decay:ms=50 "$BIN/stress/alloc_rest" background >out; then
    echo "fell without a background thread"
    exit 1
fi
# and threads, forks and exits with it
HAKMEM_BACKGROUND=1 HAKMEM_POLICY=decay:ms=1 "$BIN/stress/alloc_threads" 6 8000
