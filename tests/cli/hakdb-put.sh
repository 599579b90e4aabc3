#!/bin/bash
# hakdb put: measurements of one's own, all or nothing, with errors that name the line.
set -eu
fail() {
    echo "$*"
    exit 1
}
printf '# a comment\nallocator=libc\trepeat=1\tmode=m\twall_ns=812345\tqps=5200.5 queries/s\n\nallocator=hakmem\tpolicy=never\twall_ns=3\n' |
    hakdb -d p.db put mybench >out || fail "$(cat out)"
got=$(sqlite3 p.db "SELECT e.tool, e.state, r.allocator, r.policy, r.repeat, r.pass, m.name, m.value, m.unit
    FROM run r JOIN metric m ON m.run_id = r.id JOIN experiment e ON e.id = r.experiment_id ORDER BY r.id, m.name")
[ "$got" = "mybench|done|libc||1|time|qps|5200.5|queries/s
mybench|done|libc||1|time|wall_ns|812345.0|ns
mybench|done|hakmem|never|0|time|wall_ns|3.0|ns" ] || fail "$got"
hakdb -d p.db check >/dev/null || fail "check"
refuse() { # pattern, line
    local rc=0
    printf "allocator=ok\twall_ns=1\n%b\n" "$2" | hakdb -d p.db put mybench >out 2>err || rc=$?
    [ $rc = 2 ] || fail "$2: exit code $rc"
    grep -q -- "$1" err || fail "$2: $(cat err)"
    [ "$(sqlite3 p.db 'SELECT count(*) FROM experiment')" = 1 ] || fail "$2: something was stored"
}
refuse 'line 2: not a number' 'allocator=x\twall_ns=8ms'
refuse 'line 2: .*allocator' 'wall_ns=8'
refuse 'line 2: not of the form' 'allocator=x\twall'
refuse 'no unit' 'allocator=x\tfurlongs=8'
refuse "its unit is 'ns'" 'allocator=x\twall_ns=8 s'
refuse 'line 2: .*repeat' 'allocator=x\trepeat=first\twall_ns=8'
refuse 'CHECK\|constraint' 'allocator=x\tstatus=splendid\twall_ns=8'
echo "ok hakdb-put"
