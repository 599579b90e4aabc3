#!/bin/bash
# What keeps threads together, and what does not: hand-overs alone, unless there is a limit to their drifting
# apart, which then holds at every op. Allocators watch the order from inside.
# timeout: 300
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

# A malloc of 777 bytes does not return before there was one of 888: whoever keeps the recorded order, in
# which the other thread comes later, waits for ever; whoever has only hand-overs to wait for does not.
interposer waits <<'END_C'
#include <unistd.h>
static int seen;
void *malloc(size_t size)
{
    if (size == 888)
        __atomic_store_n(&seen, 1, __ATOMIC_RELEASE);
    while (size == 777 && !__atomic_load_n(&seen, __ATOMIC_ACQUIRE))
        usleep(1000);
    return __libc_malloc(size);
}
END_C
python3 - <<'END'
def pairs(t, first, n):
    return "".join(f"{t}: malloc 0x{first + i:x} 100\n{t}: free 0x{first + i:x}\n" for i in range(n))
# thread A begins with 777, thread B ends with 888; in each the other way round as well
for name, a, b in ("main", 1, 2), ("other", 2, 1):
    with open(f"{name}.txt", "w") as f:
        f.write("1: malloc 0x1 50\n2: malloc 0x2 50\n")  # both are there
        f.write(f"{a}: malloc 0x10 777\n" + pairs(a, 100, 500) + pairs(b, 10000, 500) + f"{b}: malloc 0x20 888\n")
# as "main", but B takes over an object that A makes after its 777: a real hand-over, and so no way out
with open("handover.txt", "w") as f:
    f.write("1: malloc 0x1 50\n2: malloc 0x2 50\n1: malloc 0x10 777\n1: malloc 0x11 60\n2: free 0x11\n2: malloc 0x20 888\n")
# two threads in turns, op by op
with open("turns.txt", "w") as f:
    for i in range(1500):
        f.write(f"1: malloc 0x{2 * i + 1:x} 1001\n2: malloc 0x{2 * i + 2:x} 1002\n")
END
for t in main other handover turns; do
    haktrace import -o $t.zst $t.txt 2>/dev/null
done
status() { python3 -c 'import json; print(*{r["status"] for r in json.load(open("out.json"))["results"]})'; }
for t in main other; do
    hakreplay $t.zst -a "waits=$PWD/waits.so" --passes=time,account,latency --slowest=0 --drift=none -r 1 --no-warm-up --no-control --timeout=60 \
        --no-db --json >out.json || fail "$t: threads wait for each other without a hand-over: $(status)"
    python3 -c '
import json
d = json.load(open("out.json"))
assert d["trace"]["waits"] == 0 and d["trace"]["handed_over"] == 0 and d["results"][0]["blocked_waits"] == 0, d["trace"]' || fail "$t"
done
rc=0 # the recorded order, and a hand-over: both must hang here, or the test above shows nothing
hakreplay main.zst -a "waits=$PWD/waits.so" --passes=time --drift=0 -r 1 --no-warm-up --no-control --timeout=3 --no-db --json >out.json || rc=$?
[ $rc = 1 ] && [ "$(status)" = timeout ] || fail "--drift=0 did not keep the order: $rc, $(status)"
rc=0
hakreplay handover.zst -a "waits=$PWD/waits.so" --passes=time -r 1 --no-warm-up --no-control --timeout=3 --no-db --json >out.json || rc=$?
[ $rc = 1 ] && [ "$(status)" = timeout ] || fail "a hand-over was not waited for: $rc, $(status)"

# No instrument in the time pass: neither a filter nor a tracer; in the account pass there is one.
interposer status <<'END_C'
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
void *malloc(size_t size)
{
    if (size == 888 && getenv("STATUS_COPY") != NULL) {
        static char text[8192];
        int in = open("/proc/self/status", O_RDONLY), out = open(getenv("STATUS_COPY"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        ssize_t n = read(in, text, sizeof text);
        if (write(out, text, n) != n)
            abort();
        close(in);
        close(out);
    }
    return __libc_malloc(size);
}
END_C
for how in time: latency: account:seccomp account:ptrace; do
    hakreplay main.zst -a "status=$PWD/status.so:STATUS_COPY=$PWD/status" --passes=${how%:*} --counting="$([ "${how#*:}" = ptrace ] && echo ptrace || echo seccomp)" \
        -r 1 --no-warm-up --no-control --slowest=0 --rest=0 --no-db >out 2>err || fail "status, $how: $(cat out err)"
    seccomp=$(sed -n 's/^Seccomp:[^0-9]*//p' status) tracer=$(sed -n 's/^TracerPid:[^0-9]*//p' status)
    echo "$how: filter $seccomp, tracer $tracer"
    case $how in
    account:seccomp) [ "$seccomp" = 2 ] && [ "$tracer" = 0 ] || fail "$how: filter $seccomp, tracer $tracer" ;;
    account:ptrace) [ "$tracer" != 0 ] || fail "$how: no tracer" ;;
    *) [ "$seccomp$tracer" = "$(sed -n 's/^Seccomp:[^0-9]*//p' /proc/self/status)0" ] || fail "$how: filter $seccomp, tracer $tracer" ;;
    esac
done

# How far one thread is ahead of the other at most, counted in the allocator itself, while one of them
# oversleeps now and then.
interposer drift <<'END_C'
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
static long n[2], most;
static volatile long *out;
static __attribute__((constructor)) void start(void)
{
    int fd = open(getenv("DRIFT_LOG") ? getenv("DRIFT_LOG") : "/dev/null", O_RDWR);
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    out = p != MAP_FAILED ? p : NULL;
}
void *malloc(size_t size)
{
    if (size == 1001 || size == 1002) {
        int me = size == 1002;
        /* counted when it begins: an op that has not begun has not been done */
        long mine = __atomic_add_fetch(&n[me], 1, __ATOMIC_SEQ_CST);
        long ahead = mine - __atomic_load_n(&n[!me], __ATOMIC_SEQ_CST);
        long was = __atomic_load_n(&most, __ATOMIC_RELAXED);
        while (ahead > was && !__atomic_compare_exchange_n(&most, &was, ahead, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            ;
        if (out)
            *out = most;
        if (mine % 400 == 300 && me == (mine > 800))
            usleep(100000);
    }
    return __libc_malloc(size);
}
END_C
ahead() { # DRIFT PASS: how far at most
    head -c 4096 /dev/zero >log
    hakreplay turns.zst -a "drift=$PWD/drift.so:DRIFT_LOG=$PWD/log" --passes="$2" --drift="$1" -r 1 --no-warm-up --no-control --slowest=0 --rest=0 --no-db \
        --json >out.json 2>err || fail "drift $1: exit code $?: $(cat err)"
    python3 -c 'import struct; print(struct.unpack("l", open("log", "rb").read(8))[0])'
}
for pass in time account latency; do
    free=$(ahead none $pass)
    echo "$pass, no limit: $free"
    [ "$free" -ge 500 ] || fail "$pass: without a limit nobody is ahead: $free" # or there is nothing to limit
    limits=(10 100 1000)
    [ $pass != time ] || limits=(0 1 10 100 1000) # the narrow ones take turns op by op: slow where others run, too
    for limit in "${limits[@]}"; do
        got=$(ahead "$limit" "$pass")
        echo "$pass, --drift=$limit: $got"
        # op k of a thread is the trace's 2k-th: ahead by so many of both threads' ops, and the running one
        [ "$got" -le $((limit / 2 + 2)) ] || fail "$pass, --drift=$limit: $got ops ahead"
    done
done
echo "ok hakreplay-order"
