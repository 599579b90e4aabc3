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
# the real allocator and the kernel's books follow the curve of a policy by time to within 5 %
for ms in 100 10000; do
    HAKMEM_POLICY=decay:ms=$ms "$BIN/stress/alloc_curve" decay $ms
    HAKMEM_POLICY=delay:ms=$ms "$BIN/stress/alloc_curve" delay $ms
done
if HAKMEM_POLICY=delay:ms=100 "$BIN/stress/alloc_curve" decay 100 >out; then
    echo "the curve test cannot fail"
    exit 1
fi
# tasks wait for memory, as a file says that stands in the place of the kernel's, where that may be
# done: nothing goes back before, all does then, far from any limit
psi() { # SHARE
    printf '%s avg10=%s avg60=0.00 avg300=0.00 total=1\n' some "$1" full 0.00 >psi
}
in_place() { # COMMAND...
    unshare -m sh -c 'mount --bind psi /proc/pressure/memory && exec "$@"' sh env LD_PRELOAD="$library" "$@"
}
library=$LD_PRELOAD
unset LD_PRELOAD
psi 0.00
if in_place true 2>unshare.err; then
    export HAKMEM_POLICY=pressure:pct=80,stall=10,ms=10
    rc=0
    in_place timeout 3 "$BIN/stress/alloc_rest" stall || rc=$?
    [ $rc -eq 124 ]
    psi 35.00
    in_place "$BIN/stress/alloc_rest" stall
    unset HAKMEM_POLICY
fi
export LD_PRELOAD=$library
# and threads, forks and exits with it
HAKMEM_BACKGROUND=1 HAKMEM_POLICY=decay:ms=1 "$BIN/stress/alloc_threads" 6 8000
