#!/bin/bash
# The accounts against strace, call for call, by kind, advice and bytes: libc, mimalloc, hakmem, jemalloc, tcmalloc
# over five traces, of one thread and of several, generated, recorded and imported.
# timeout: 300
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"
if ! strace -f -o log true 2>err; then
    echo "strace is not there or may not trace: $(tail -n 1 err)"
    exit 77
fi

haktrace gen -o mixed.zst random_mixed 200000 4000 3
haktrace gen -o handover.zst handover 20000 4 7
PYTHONMALLOC=malloc haktrace -q -o python.zst -- /usr/bin/python3 -c 'import json
x = [json.dumps([{str(i): [i] * 20}] * 9) for i in range(2000)]; del x; y = [bytes(700000) for i in range(9)]'
haktrace -q -o threads.zst -- "$BIN/stress/trace_threads" 40 8 >/dev/null
# large blocks that grow and shrink, in two threads at once
python3 - >large.txt <<'END'
for i in range(60):
    t, a, b = 1 + i % 2, 2 * i + 1, 2 * i + 2
    print(f"{t}: malloc 0x{a:x} {100000 + 70000 * i}\n{t}: realloc 0x{b:x} 0x{a:x} {9000000 - 140000 * i}")
    if i >= 6:
        print(f"{t}: free 0x{b - 12:x}")
END
haktrace import -o large.zst large.txt 2>/dev/null

calls=mmap,munmap,mremap,madvise,mprotect,brk
checked=0
for a in libc mimalloc hakmem hakmem:HAKMEM_POLICY=eager jemalloc tcmalloc; do
    hakreplay mixed.zst -a $a -r 1 --passes=time --no-db >/dev/null 2>&1 || continue
    for t in mixed handover python threads large; do
        strace -f -qq -o log -e trace=$calls,close "$BIN/hakreplay" $t.zst -a $a --passes=account \
            --no-warm-up --no-db --region-marks --json >out.json 2>err || fail "$a, $t: $(cat err)"
        python3 "$TOP/tests/cli/hakreplay-strace.py" log out.json "$a, $t:" || fail "$a, $t: see above"
        [ "$a$t" != libclarge ] || { cp log libc-large.log && cp out.json libc-large.json; }
        checked=$((checked + 1))
    done
done
[ $checked -ge 15 ] || fail "only $checked combinations could be checked"
# the comparison can fail: a call less, another advice, other bytes
wrong() { # WHAT SED-COMMAND, for what follows the mark
    sed "/close(-1000001/,\$ { $2; }" libc-large.log >wrong.log
    cmp -s libc-large.log wrong.log && fail "$1: the log is not changed"
    if python3 "$TOP/tests/cli/hakreplay-strace.py" wrong.log libc-large.json >compared 2>&1; then
        fail "$1 is not seen"
    fi
    grep -q 'strace saw' compared || fail "$1: $(cat compared)"
}
wrong "a call less" '0,/ mremap(/ { / mremap(/ d }'
wrong "another advice" 's/MADV_DONTNEED/MADV_FREE/'
wrong "other bytes" 's/\( munmap(0x[0-9a-f]*, [0-9]*\)/\17/'

# With plain libc and one thread the calls do not depend on time: the run that is not accounted
# makes the very same ones.
strace -f -qq -o log "$BIN/hakreplay" mixed.zst -a libc -r 1 --passes=time \
    --no-warm-up --no-control --no-db --region-marks >/dev/null
# And no instrument: besides the allocator's there are but the region's own first and last calls.
sed -n '/close(-1000001)/,/close(-1000002)/p' log | sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' | sort | uniq -c >made
if awk '$2 !~ /^(brk|mmap|munmap|mremap|madvise|mprotect)$/ { if ($2 !~ /^(close|getrusage|futex)$/ || $1 > 2) bad = 1 } END { exit !bad }' made; then
    fail "an instrument in the time pass: $(cat made)"
fi
plain=$(sed -n '/close(-1000001)/,/close(-1000002)/p' log | grep -c ' brk(\| mmap(\| munmap(\| madvise(\| mprotect(\| mremap(')
hakreplay mixed.zst -a libc --passes=account --no-db --json >out.json
counted=$(python3 -c 'import json; print(json.load(open("out.json"))["results"][0]["syscalls"])')
[ "$plain" = "$counted" ] || fail "libc: $plain calls in a plain run, $counted in the accounts"
echo "ok hakreplay-strace"
