#!/bin/bash
# hakdb sql: the formats, and that nothing can be written through it.
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

expect 0 "$hakdb" -d r.db migrate
"$top/tests/cli/hakdb-fill.py" r.db
export HAKDB=r.db
cp r.db before.db

expect 0 "$hakdb" sql "SELECT 1 AS a, NULL AS b, 0.5 AS c, 'x,y' AS d, x'00ff' AS e, 2 AS a"
has out '^a  b    c  d    e     a_2$'
has out '^1  –  0.5  x,y  00ff    2$'
expect 0 "$hakdb" --csv sql "SELECT NULL AS b, 'x,\"y' AS d"
[ "$(cat out)" = 'b,d
,"x,""y"' ] || fail "csv: $(cat out)"
expect 0 "$hakdb" --json sql "SELECT id, policy, 9223372036854775807 AS big FROM run LIMIT 2"
python3 - <<'PY'
import json
d = json.load(open("out"))
assert d["rows"] == [{"id": i, "policy": None, "big": 2**63 - 1} for i in (1, 2)], d
PY
expect 0 "$hakdb" sql "SELECT * FROM v_compare; -- a comment may follow"
expect 0 "$hakdb" --json sql "SELECT allocator, time_to_libc FROM v_compare WHERE allocator = 'hakmem'"
python3 -c "import json
assert abs(json.load(open('out'))['rows'][0]['time_to_libc'] - 2002 / 1002) < 1e-12"
for view in v_run v_figures v_median v_compare v_syscall v_memory v_fidelity v_experiment; do
    expect 0 "$hakdb" sql "SELECT * FROM $view"
done
printf 'SELECT 42 AS answer' >query
"$hakdb" sql - <query >out
has out '^ *42$'
expect 0 "$hakdb" sql "PRAGMA table_info(run)"
expect 0 "$hakdb" sql "SELECT 1 WHERE 0"

# refused, and the file stays as it is
while read -r statement; do
    expect 2 "$hakdb" sql "$statement"
    [ ! -s out ] || fail "output of: $statement"
    has err 'hakdb: .*'
done <<'SQL'
DELETE FROM run
INSERT INTO library (identity, name) VALUES ('a', 'b')
UPDATE run SET status = 'ok'
DROP TABLE run
CREATE TABLE t (x)
CREATE TEMP TABLE t (x)
ATTACH 'evil.db' AS e
VACUUM INTO 'evil.db'
PRAGMA user_version = 7
PRAGMA journal_mode = DELETE
PRAGMA writable_schema = ON
BEGIN
SELECT 1; DELETE FROM run
SELECT load_extension('x')
SELECT * FROM nothing
SELECT
;
SQL
expect 2 "$hakdb" sql ''
expect 2 "$hakdb" sql -- '-- nothing'
[ ! -e evil.db ] || fail "a file was made"
cmp r.db before.db || fail "the database has changed"

# a full disk and a closed pipe
if "$hakdb" sql 'SELECT 1' >/dev/full 2>err; then fail "a full disk went unnoticed"; fi
has err 'cannot write the output'
(trap '' PIPE; "$hakdb" --csv sql 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) SELECT i FROM n' 2>err || echo "$?" >code) | head -1 >out
has out '^i$'
[ "$(cat code)" = 1 ] || fail "a closed pipe went unnoticed"

echo "ok hakdb-sql"
