#!/bin/bash
# hakdb merge: by identity, twice is once, all or nothing.
set -eu
top=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
bin=${BUILD_BIN:-${BIN:-$top/build/bin}}
hakdb=$bin/hakdb
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
unset HAKDB

fail() {
    echo "$*" >&2
    exit 1
}
# expect CODE COMMAND...: its exit code; output in out, messages in err
expect() {
    want=$1
    shift
    got=0
    "$@" >out 2>err || got=$?
    [ "$got" = "$want" ] || { cat out err >&2; fail "exit $got, not $want: $*"; }
}
has() {
    grep -qe "$2" "$1" || { cat "$1" >&2; fail "$1 does not hold: $2"; }
}
lacks() {
    if grep -qe "$2" "$1"; then cat "$1" >&2; fail "$1 holds: $2"; fi
}

fill=$top/tests/cli/hakdb-fill.py
for f in a b c; do
    expect 0 "$hakdb" -d $f.db migrate
done
"$fill" a.db 11111111-0000-4000-8000-00000000000a
"$fill" b.db 11111111-0000-4000-8000-00000000000b libc jemalloc
"$fill" c.db 11111111-0000-4000-8000-00000000000c
content() { # all but the row ids
    "$hakdb" -d "$1" --csv sql "SELECT e.uuid, r.position, r.allocator, t.sha256, l.name, m.identity, k.name, k.value, s.calls, p.resident_bytes FROM run r JOIN experiment e ON e.id = r.experiment_id JOIN machine m ON m.id = e.machine_id JOIN trace t ON t.id = r.trace_id JOIN library l ON l.id = r.library_id LEFT JOIN metric k ON k.run_id = r.id LEFT JOIN syscall s ON s.run_id = r.id LEFT JOIN sample p ON p.run_id = r.id ORDER BY 1, 2, 7"
}
cp b.db b.before
expect 0 "$hakdb" --json -d all.db merge a.db b.db c.db
python3 - <<'PY'
import json
m = json.load(open("out"))["merged"]
assert [(x["experiments"], x["runs"], x["traces"], x["libraries"], x["machines"]) for x in m] == [
    (1, 30, 1, 3, 1), (1, 20, 0, 1, 0), (1, 30, 0, 0, 0)], m
PY
cmp b.db b.before || fail "the merged file has changed"
content all.db >once
[ "$(wc -l <once)" = 81 ] || fail "merged: $(wc -l <once) lines"
expect 0 "$hakdb" -d all.db merge c.db a.db b.db
content all.db >twice
cmp once twice || fail "merging twice differs from once"
expect 0 "$hakdb" -d other.db merge c.db b.db a.db
content other.db >reversed
cmp once reversed || fail "the order of merging matters"
expect 0 "$hakdb" -d all.db check

# Merged while its tool is at work: that says its end in its own file, so here it runs until merged again.
sleep 600 &
writer="$(cat /proc/sys/kernel/random/boot_id) $(readlink /proc/$!/ns/pid) $! $(sed 's/.*) //' /proc/$!/stat | cut -d' ' -f20)"
cp b.db work.db
sqlite3 work.db "UPDATE experiment SET state = 'running', finished_unix_ns = NULL, writer = '$writer'"
state() { "$hakdb" -d part.db --csv experiments | tail -n +2 | head -1 | grep -Eow 'running|done|interrupted'; }
expect 0 "$hakdb" -d part.db merge work.db
[ "$(state)" = running ] || fail "merged at work: $(state)"
kill $!
wait $! || true
sqlite3 work.db "UPDATE experiment SET state = 'done', finished_unix_ns = started_unix_ns + 1"
[ "$(state)" = running ] || fail "its tool is over, its file was not merged again: $(state)"
printf 'allocator=x\twall_ns=8\n' >figures
expect 0 "$hakdb" -d part.db put x <figures # the next experiment stores whose tools are gone
expect 0 "$hakdb" -d part.db merge work.db
[ "$(state)" = "done" ] || fail "merged again: $(state)"
# Of one that was killed the merge says so.
sqlite3 work.db "UPDATE experiment SET uuid = uuid || 'x', state = 'running', writer = '$writer'"
expect 0 "$hakdb" -d killed.db merge work.db
has <(sqlite3 killed.db 'SELECT state FROM experiment') interrupted

# refusals change nothing
echo "not a database, but long enough to be read as one page of something" >junk.db
for bad in junk.db missing.db all.db; do
    if "$hakdb" -d all.db merge "$bad" >out 2>err; then fail "merged $bad"; fi
    has err 'hakdb: '
done
content all.db >after
cmp once after
expect 0 "$hakdb" -d newer.db migrate
python3 -c "import sqlite3
d = sqlite3.connect('newer.db')
d.execute('PRAGMA user_version = 999')"
expect 1 "$hakdb" -d all.db merge newer.db
has err 'newer.db: .*newer build'

# What fails prints no half document; what was merged before it is told.
expect 1 "$hakdb" -d all.db --json merge missing.db
[ ! -s out ] || fail "a failed merge prints: $(cat out)"
expect 1 "$hakdb" -d all.db --json merge b.db missing.db
python3 -c "import json; assert [m['from'] for m in json.load(open('out'))['merged']] == ['b.db']"

echo "ok hakdb-merge"
