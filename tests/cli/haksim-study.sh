#!/bin/bash
# haksim --study: what is held is not evaluated again, also after a kill; equal figures; --shard and its errors.
# timeout: 200
set -eu

fail() {
    echo "$*"
    exit 1
}

expect_usage() { # pattern, arguments: usage error that says it
    local pattern=$1 rc=0
    shift
    haksim "$@" >out 2>err || rc=$?
    [ $rc = 2 ] || fail "$*: exit code $rc"
    grep -Eq -- "$pattern" err || fail "$*: $(cat err)"
}

count() { sqlite3 "$1" "$2"; }

haktrace gen -o t.zst random_mixed 300000 4000 1
list='decay:ms=1..1000*1.1,never,eager,report-2025'

haksim t.zst --db=a.db --study=s -p "$list" --csv >first.csv
n=$(($(wc -l <first.csv) - 1))
[ "$n" -gt 50 ] || fail "only $n policies"
haksim t.zst --db=a.db --study=s -p "$list" --csv >second.csv
cmp first.csv second.csv || fail "found figures differ from those evaluated"
[ "$(count a.db 'SELECT count(*) FROM run')" = "$n" ] || fail "evaluated again"
haksim t.zst --db=a.db --study=s -p "$list,partial:7" >out
grep -q "^$n of $((n + 1)) policies were in the study" out || fail "$(tail -n 2 out)"
[ "$(count a.db "SELECT experiments || ' ' || policies FROM v_study WHERE name = 's'")" = "3 $((n + 1))" ] ||
    fail "$(hakdb -d a.db studies)"
# full runs are found as well; another study, and another trace, hold nothing of it
haksim t.zst --db=a.db --study=s -p report-2025,never --mode=full >out
grep -q '^1 of 2 policies were in the study' out || fail "full: $(tail -n 2 out)"
haksim t.zst --db=a.db --study=other -p never >out
! grep -q 'in the study already' out || fail "of another study"
haktrace gen -o u.zst random_mixed 1000 10 1
haksim u.zst --db=a.db --study=s -p never >out
! grep -q 'in the study already' out || fail "of another trace"
# under this machine's prices too, where the cost depends on what the caches hold
haksim calibrate -r 1 --db c.db >/dev/null
haksim t.zst --db=c.db --study=s -p eager,never >/dev/null
haksim t.zst --db=c.db --study=s -p eager,never >out
grep -q '^2 of 2 policies were in the study' out || fail "calibrated: $(tail -n 2 out)"
# at other prices nothing is found: the cost is another one
sqlite3 a.db "UPDATE metric SET value = value + 1 WHERE name = 'predicted_cost_ns'"
haksim t.zst --db=a.db --study=s -p never >out
! grep -q 'in the study already' out || fail "at other prices"

# Killed: what was stored stays, and is found.
haktrace gen -o big.zst handover 400000 4 7
big='decay:ms=1..100000000*1.001'
haksim big.zst --db=k.db --study=k -j1 -p "$big" >/dev/null 2>&1 &
pid=$!
for _ in $(seq 300); do
    [ "$(sqlite3 -cmd '.timeout 5000' k.db 'SELECT count(*) FROM run' 2>/dev/null || echo 0)" = 0 ] || break
    sleep 0.1
done
kill -KILL $pid 2>/dev/null || fail "it ended before it could be killed"
wait $pid 2>/dev/null || true
held=$(count k.db 'SELECT count(*) FROM run')
[ "$held" -gt 0 ] || fail "nothing was stored before the end"
haksim big.zst --db=k.db --study=k -p 'decay:ms=1..2*1.001' --csv >k.csv
# (no --study: evaluated)
haksim big.zst --no-db -p 'decay:ms=1..2*1.001' --csv >plain.csv
cmp <(cut -d, -f1-17 k.csv) <(cut -d, -f1-17 plain.csv) || fail "figures after a kill differ"
[ "$(count k.db 'SELECT count(*) FROM run')" -le $((held + 2)) ] || fail "evaluated again after a kill"
hakdb -d k.db check >/dev/null || fail "$(hakdb -d k.db check)"

expect_usage 'I/N' t.zst --study=s --shard=3
expect_usage 'I/N' t.zst --study=s --shard=0/3
expect_usage 'I/N' t.zst --study=s --shard=4/3
expect_usage 'I/N' t.zst --study=s --shard=1/x
expect_usage 'needs --study' t.zst --shard=1/3
expect_usage 'no-db' t.zst --study=s --no-db
expect_usage 'needs a name' t.zst --study=
expect_usage 'below its start' t.zst -p 'decay:ms=9..1*2'
haksim t.zst --db=p.db --study=p --shard=3/3 -p never,eager >out # a shard with nothing to do is no failure
[ "$(count p.db "SELECT state FROM experiment")" = "done" ] || fail "an empty shard"
echo "ok haksim-study"
