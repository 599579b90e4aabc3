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
refuse 'line 2: .*no unit' 'allocator=x\tfurlongs=8'
refuse "line 2: .*its unit is 'ns'" 'allocator=x\twall_ns=8 s'
refuse 'line 2: .*repeat' 'allocator=x\trepeat=first\twall_ns=8'
refuse 'line 2: status is none of .*"splendid"' 'allocator=x\tstatus=splendid\twall_ns=8'
refuse 'line 2: status is none of .*"o"' 'allocator=x\tstatus=o\twall_ns=8'
refuse 'line 2: status is none of .*"ok failed"' 'allocator=x\tstatus=ok failed\twall_ns=8'
refuse 'line 2: pass is none of .*""' 'allocator=x\tpass=\twall_ns=8'
refuse 'line 2: given twice: "wall_ns"' 'allocator=x\twall_ns=8\twall_ns=9'
refuse 'line 2: given twice: "qps"' 'allocator=x\tqps=8 q/s\trss=3 bytes\tqps=9 q/s'
refuse 'line 2: given twice: "allocator"' 'allocator=x\tallocator=y\twall_ns=9'
refuse 'line 2: less than nothing: "-5"' 'allocator=x\twall_ns=-5'
refuse 'line 2: less than nothing: "-1"' 'allocator=x\tpeak_resident_bytes=-1'
refuse 'line 2: .*nan\|line 2: .*finite' 'allocator=x\twall_ns=nan'
refuse 'line 2: not a number: ""' 'allocator=x\twall_ns='
# nothing on the pipe, because what should have measured died: not a success
for nothing in '' '\n' '# a comment\n\n'; do
    rc=0
    printf %b "$nothing" | hakdb -d p.db put mybench >out 2>err || rc=$?
    [ $rc = 1 ] && grep -q 'no run on standard input' err && [ ! -s out ] || fail "nothing: $rc, $(cat out err)"
    [ "$(sqlite3 p.db 'SELECT count(*) FROM experiment')" = 1 ] || fail "nothing: something was stored"
done
# a unit of one's own may be below zero; lines may end as on other systems
printf 'allocator=crlf\twall_ns=12\tgain=-3.5 dB\r\n' | hakdb -d p.db put other >out || fail "CR LF: $(cat out)"
[ "$(sqlite3 p.db "SELECT m.name, m.value, m.unit FROM run r JOIN metric m ON m.run_id = r.id WHERE allocator = 'crlf' ORDER BY 1")" = "gain|-3.5|dB
wall_ns|12.0|ns" ] || fail "CR LF: $(sqlite3 p.db 'SELECT * FROM metric')"
hakdb -d p.db check >out || fail "check: $(cat out)"
echo "ok hakdb-put"
