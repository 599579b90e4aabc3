#!/bin/bash
# hakdb and files: missing, damaged, foreign, newer, locked, read-only; names that look like something else.
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

expect 1 "$hakdb" runs
has err 'results.db: there is no such database'
[ ! -e results.db ] || fail "reading made a file"
HAKDB=env.db expect 1 "$hakdb" runs
has err 'env.db'

# damaged, foreign, empty
head -c 20000 /dev/urandom >junk.db
expect 4 "$hakdb" -d junk.db runs
: >empty.db
expect 1 "$hakdb" -d empty.db runs
has err 'empty'
python3 -c "import sqlite3
d = sqlite3.connect('foreign.db')
d.execute('CREATE TABLE x (y)')"
expect 4 "$hakdb" -d foreign.db runs
has err 'not one of HAKMEM'
expect 1 "$hakdb" -d . runs

expect 0 "$hakdb" -d r.db migrate
"$top/tests/cli/hakdb-fill.py" r.db
expect 0 "$hakdb" -d r.db check
has out 'is whole'
cp r.db cut.db
truncate -s 20480 cut.db
expect 4 "$hakdb" -d cut.db check
# pages of the middle overwritten
cp r.db hurt.db
size=$(stat -c %s hurt.db)
dd if=/dev/urandom of=hurt.db bs=4096 seek=2 count=$((size / 4096 - 3)) conv=notrunc status=none
expect 4 "$hakdb" -d hurt.db check
# rows whose parents are gone
cp r.db orphan.db
python3 -c "import sqlite3
d = sqlite3.connect('orphan.db')
d.execute('DELETE FROM run WHERE id = 2')
d.execute('DELETE FROM experiment')
d.commit()"
expect 4 "$hakdb" -d orphan.db check
has out 'metrics of run 2'
has out 'experiment 1, which is not there'
has err 'problems'

# newer
cp r.db newer.db
python3 -c "import sqlite3
d = sqlite3.connect('newer.db')
d.execute('PRAGMA user_version = 999')"
for c in runs migrate; do
    expect 1 "$hakdb" -d newer.db $c
    has err 'newer.db: .*999.*newer build'
done

# locked: readers read on, a writer waits as long as it is told and says what is wrong
cat >hold.py <<'PY'
import sqlite3, sys
d = sqlite3.connect(sys.argv[1], isolation_level=None)
d.execute("BEGIN EXCLUSIVE" if len(sys.argv) > 2 else "BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
PY
expect 0 "$hakdb" -d o.db migrate
mkfifo go
python3 hold.py r.db <go >held &
holder=$!
exec 3>go
until grep -q held held; do sleep 0.05; done
expect 0 "$hakdb" -d r.db runs
expect 1 "$hakdb" -d r.db --wait=50ms merge o.db
has err 'r.db: .*locked by another process'
exec 3>&-
wait $holder
expect 0 "$hakdb" -d r.db merge o.db

# read-only: file and folder (root is let through, so become nobody)
mkdir ro
cp r.db ro/r.db
chmod 444 ro/r.db
chmod 555 ro
if [ "$(id -u)" = 0 ]; then
    # nobody has to reach the program, too
    cp "$hakdb" ./hakdb.copy
    chmod 755 . hakdb.copy
    as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    tool=./hakdb.copy
else
    as_nobody() { "$@"; }
    tool=$hakdb
fi
expect 0 as_nobody "$tool" -d ro/r.db runs
expect 1 as_nobody "$tool" -d ro/r.db merge "$PWD/o.db"
has err 'read-only; check'
if [ "$(id -u)" = 0 ] || [ ! -w ro ]; then
    expect 1 as_nobody "$tool" -d ro/new.db migrate
    has err 'cannot make the database in the folder ro/: Permission denied'
fi
chmod 755 ro

# pipes get whole tables: no cell is cut
expect 0 "$hakdb" -d r.db experiments
lacks out '…'

# names that mean something to SQL, printf, URIs or a shell
i=0
for name in "a'b" 'a"b.db' '%s%n' 'file:x?mode=memory' 'x#y%20z' '-dash' "'; DROP TABLE run; --"; do
    cp r.db "./$name"
    expect 0 "$hakdb" --db="$name" --csv runs
    [ "$(wc -l <out)" = 31 ] || fail "runs of $name"
    i=$((i + 1))
    expect 0 "$hakdb" -d "into$i.db" merge -- "$name"
    expect 0 "$hakdb" --db="$name" runs --alloc="'; DROP TABLE run; --" --trace="%' OR 1"
    has out 'No run matches'
    expect 0 "$hakdb" -d "into$i.db" --csv runs
    [ "$(wc -l <out)" = 31 ] || fail "merged $name"
done

echo "ok hakdb-files"
