#!/bin/bash
# haksim: an interrupt ends it in good order: exit code 1, no half document, nothing broken in the store.
set -eu

fail() {
    echo "$*"
    exit 1
}

haktrace gen -o t.zst random_mixed 8000000 4000 1
haksim t.zst --mode=full -p never --db r.db >out 2>&1

# In the pass over the trace. (SIGTERM: a shell starts background jobs with SIGINT ignored.)
rc=0
haksim t.zst --mode=full -p eager,never,partial:1,partial:2,partial:3,partial:4 --db r.db >out 2>err &
pid=$!
sleep 0.3
kill -TERM $pid
wait $pid || rc=$?
[ $rc = 1 ] || fail "exit code $rc: $(cat err)"
grep -q interrupted err || fail "says: $(cat err)"
python3 - <<'END'
import sqlite3
db = sqlite3.connect("r.db")
assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
assert db.execute("SELECT count(*) FROM run WHERE policy = 'never' AND status = 'ok'").fetchone()[0] >= 1
assert db.execute("SELECT count(*) FROM run WHERE status <> 'ok'").fetchone()[0] == 0
END

# In the very first policy of a full run: nothing to show, and not a success.
rc=0
haksim t.zst --mode=full -p eager --no-db >out 2>err &
pid=$!
sleep 0.2
kill -TERM $pid
wait $pid || rc=$?
[ $rc = 1 ] && grep -q interrupted err || fail "exit code $rc: $(cat out err)"
echo "ok haksim-interrupt"
