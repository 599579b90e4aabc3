#!/bin/bash
# Recording a replay gives back the trace: the same ops by thread in the same order, the same objects
# handed over, and in the recorded order the same curve of live bytes. Of traces recorded, imported and
# generated, with 1 to 400 threads.
# timeout: 400
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

# All stamps: ops of two threads that hand nothing to each other have an order by their times alone.
same() { # NAME [COMPARE-OPTION] -- HAKREPLAY-OPTION...
    name=$1 how=
    shift
    [ "$1" = -- ] || { how=$1; shift; }
    shift
    "$BIN/haktrace" -q --stamps=all --max-threads=500 -o again.zst -- "$BIN/hakreplay" "$name.zst" --alloc=libc --no-db "$@" \
        >out 2>err || fail "$name $*: exit code $?: $(cat err)"
    # shellcheck disable=SC2086
    python3 "$TOP/tests/cli/hakreplay-recorded.py" "$name.zst" again.zst $how >compared 2>&1 ||
        fail "$name $*: $(tail -n 3 compared)"
    echo "$name $*: $(tr '\n' ' ' <compared)"
}

"$BIN/haktrace" gen -o mixed.zst random_mixed 20000 400 1
"$BIN/haktrace" gen -o four.zst handover 4000 4 1
"$BIN/haktrace" gen -o many.zst handover 4000 400 1
"$BIN/haktrace" -q -o known.zst -- "$BIN/stress/trace_known" 8 300 >/dev/null
"$BIN/haktrace" -q -o threads.zst -- "$BIN/stress/trace_threads" 40 8 >/dev/null
PYTHONMALLOC=malloc "$BIN/haktrace" -q -o python.zst -- /usr/bin/python3 -c 'import json; json.dumps([{}] * 99)'
cat >import.txt <<'END'
1: malloc 0x10 100
1: calloc 0x20 3 40
2: free 0x10
2: malloc 0x10 5000
1: realloc 0x30 0x20 700
2: memalign 0x40 64 128
3: free 0x40
3: realloc 0x50 0x30 100000
1: free 0x0
1: free 0x50
3: thread_done 0x0
2: free 0x10
END
"$BIN/haktrace" import -o import.zst import.txt

# 300 threads recorded, and 400 imported, each handing on what it makes
"$BIN/haktrace" -q --max-threads=500 -o many-recorded.zst -- "$BIN/stress/trace_threads" 300 2 >/dev/null
for i in $(seq 1200); do
    printf '%d: malloc 0x%x %d\n' $((i % 400 + 1)) "$i" $((i % 900 + 1))
    [ "$i" -le 7 ] || printf '%d: free 0x%x\n' $((i % 397 + 1)) $((i - 7))
done >many-imported.txt
"$BIN/haktrace" import -o many-imported.zst many-imported.txt 2>/dev/null

for name in mixed four known threads python import; do
    same "$name" --
    same "$name" --in-order -- --drift=0
    same "$name" -- --drift=100
done
for m in many:400 many-recorded:30 many-imported:400; do
    same "${m%:*}" --
    same "${m%:*}" --in-order -- --drift=0
    [ "$(grep -c . compared)" -ge 3 ] && grep -q "^${m#*:}[0-9]* threads" compared || fail "not ${m#*:} threads: $(cat compared)"
done
same many --in-order -- --drift=0

# the comparison can fail: an op more, another order, another size
"$BIN/haktrace" gen -o other.zst handover 4000 400 2
python3 "$TOP/tests/cli/hakreplay-recorded.py" other.zst again.zst >compared 2>&1 && fail "another trace is taken for the same"

# only libc is replayed like this, as it is
for which in --alloc=hakmem "--alloc=libc --knob=libc:MALLOC_ARENA_MAX=1|2"; do
    rc=0
    # shellcheck disable=SC2086
    "$BIN/haktrace" -q -o no.zst -- "$BIN/hakreplay" mixed.zst $which --no-db >out 2>err || rc=$?
    [ $rc = 2 ] && grep -q 'alloc=libc' err || fail "$which under haktrace: exit code $rc: $(cat err)"
done
echo "ok hakreplay-recorded"
