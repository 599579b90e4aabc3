# A program killed by SIGKILL at a random moment: all that had been published is in the trace, and the
# trace can be replayed.
# timeout: 180
# KILLS=200 SEED=N for more.
set -eu
# shellcheck source=tests/cli/haktrace-record.lib
. "$TOP/tests/cli/haktrace-record.lib"

RANDOM=${SEED:-7}
for i in $(seq 1 "${KILLS:-10}"); do
    threads=$((i % 2 == 0 ? 8 : 1))
    rm -f board
    haktrace -q -o t.zst -- "$STRESS/trace_kill" $threads "$PWD/board" 2>err &
    tracer=$!
    pid=0
    while [ "$pid" = 0 ]; do
        sleep 0.01
        [ ! -s board ] || pid=$(od -An -t u8 -N 8 board | tr -d ' ')
    done
    sleep "0.0$((RANDOM % 90 + 10))"
    kill -9 "$pid"
    rc=0
    wait $tracer || rc=$?
    [ $rc = 137 ] || fail "run $i: exit code $rc, not 137: $(cat err)"
    "$STRESS/trace_kill" "$PWD/board" >counts
    "$STRESS/trace_check" t.zst >check || fail "run $i: the trace does not verify"
    grep -qx 'end 2' check || fail "run $i: the trace does not say that the program was killed"
    for none in dropped foreign implied; do
        grep -qx "total $none 0" check || fail "run $i: $(grep "total $none" check)"
    done
    # THREAD BEGUN DONE against the trace's count by thread
    awk 'FNR == NR { if ($1 ~ /^[0-9]+$/) have[$1] += $4; next }
         { if (have[$1] + 0 < $3 || have[$1] + 0 > $2) { print "thread", $1, "begun", $2, "done", $3, "recorded", have[$1]; bad = 1 } }
         END { exit bad }' check counts || fail "run $i: ops missing or too many"
    [ "$(wc -l <counts)" = $threads ] || fail "run $i: no counts"
    # All of it, and what was alive at the end, goes through a real allocator.
    hakreplay t.zst -a libc --passes=time -r 1 --no-warm-up --no-control --no-db --json >replay.json 2>err ||
        fail "run $i: the trace cannot be replayed: $(cat err)"
    recorded=$(haktrace info --json t.zst | sed -n 's/^ *"ops": \([0-9]*\).*/\1/p' | head -n 1)
    replayed=$(sed -n '/"pass": "time"/s/.*"thread": [0-9]*, "ops": \([0-9]*\).*/\1/p' replay.json |
        awk '{ n += $1 } END { print n }')
    [ "$replayed" = "$recorded" ] || fail "run $i: replayed $replayed ops of $recorded"
done
echo ok
