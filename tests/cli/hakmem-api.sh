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
# and with little memory
for kib in 3000 2400 2000 1600; do
    (ulimit -d $kib && LD_PRELOAD=$LIB/libhakmem.so ls / >/dev/null)
    (ulimit -d $kib && LD_PRELOAD=$LIB/libhakmem.so sort /etc/passwd >/dev/null)
done
# limits that come in the middle, and fork handlers of others
for case in fork move maps data tight trim; do
    LD_PRELOAD=$LIB/libhakmem.so timeout 60 "$BIN/stress/alloc_limits" $case
done
# glibc's other names for the same functions
LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_names"
# glibc's windows into malloc; the threshold that a program sets is a policy unless the operator set one
"$BIN/stress/alloc_info" 2>/dev/null
LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_info" 2>err
sed 's/= [0-9]*$/= N/' err | tr '\n' '|' | tr -s ' ' | grep -qxF \
    'Arena 0:|system bytes = N|in use bytes = N|Total (incl. mmap):|system bytes = N|in use bytes = N|max mmap regions = N|max mmap bytes = N|'
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_STATS=stats.json "$BIN/stress/alloc_info" 2>/dev/null
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_STATS=given.json HAKMEM_POLICY=never "$BIN/stress/alloc_info" 2>/dev/null
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_STATS=wrong.json HAKMEM_POLICY='part"ial' /bin/true
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_STATS=old.json HAKMEM_NO_MADVISE=1 PARTIAL_RELEASE_MIN_SLABS=9 /bin/true
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_STATS=old2.json HAKMEM_NO_MADVISE=0 PARTIAL_RELEASE_MIN_SLABS=9 /bin/true
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_STATS=1 /bin/true 2>stderr.json
# sort closes standard error before the last exit handler; its fd 500 may be somebody else's by then
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_STATS=1 sort /dev/null 2>sort.json
bash -c "exec env LD_PRELOAD=$LIB/libhakmem.so HAKMEM_STATS=1 bash -c 'exec 500>taken 2>&-'" 2>lost
[ ! -s taken ]
# a daemon: who reads the pipe that was its standard error sees the end while the daemon lives
mkfifo fifo
for keep in 'bytearray(70000 + 5000 * i) for i in range(200)' 'bytes(600 + i % 2000) for i in range(20000)'; do
    rm -f seen
    (exec env LD_PRELOAD="$LIB/libhakmem.so" HAKMEM_STATS=1 python3 -c "
import os, sys, time
null = os.open('/dev/null', os.O_RDWR)
os.dup2(null, 2)
keep = [$keep]
while not os.path.exists('seen'):
    time.sleep(0.02)
    if os.getppid() == 1:
        sys.exit()
") 2>fifo >/dev/null &
    daemon=$!
    timeout 60 cat fifo
    : >seen
    wait $daemon
done
for _ in $(seq 40); do
    LD_PRELOAD=$LIB/libhakmem.so HAKMEM_STATS=many.json sort /dev/null &
done
wait
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_STATS=0 HAKMEM_POLICY=nonsense /bin/true 2>nothing
[ ! -s nothing ]
python3 - <<'END'
import json
def load(name):
    d = json.load(open(name + ".json"))
    assert d["schema_version"] == 2, d
    assert d["used_bytes"] <= d["active_bytes"] <= d["committed_bytes"], d
    assert sum(c["slab_bytes"] for c in d["classes"]) == d["slab_bytes"], d
    assert sum(t["slabs"] for t in d["threads"]) == d["slab_spans"], d
    return d["policy"], d["policy_problem"]
assert load("stats") == ("decay:ms=1000,max=64KiB", ""), load("stats")
assert load("given") == ("never", "")
policy, problem = load("wrong")
assert policy.startswith("budget") and problem.startswith('HAKMEM_POLICY="part"ial": unknown policy'), problem
assert load("old") == ("never", "") and load("old2") == ("partial:n=9", "")
load("stderr")
load("sort")
text, many = open("many.json").read(), []
while text.strip():
    d, end = json.JSONDecoder().raw_decode(text.lstrip())
    many.append(d["pid"])
    text = text.lstrip()[end:]
    assert d["program"] == "sort", d
assert len(set(many)) == 40, many
END
# hakmem_ctl, and a policy string that is wrong: the default is in force
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_POLICY=eager:how=unmap "$BIN/stress/alloc_ctl" eager:how=unmap
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_POLICY=partial:7 "$BIN/stress/alloc_ctl" partial:n=7
LD_PRELOAD=$LIB/libhakmem.so HAKMEM_POLICY=nonsense "$BIN/stress/alloc_ctl" budget:pct=2,huge=16MiB
