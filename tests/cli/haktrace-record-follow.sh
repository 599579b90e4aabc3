# --follow: forks and what they execute have files of their own, whole and verified; the parent's trace
# holds nothing of theirs.
set -eu
# shellcheck source=tests/cli/haktrace-record.lib
. "$TOP/tests/cli/haktrace-record.lib"

# none: one file. fork: one for each of the 10 forks (2 kinds), and none for what is executed
haktrace -o t.zst -- "$STRESS/trace_fork" 5 >expected 2>err || fail "none: exit code $?: $(cat err)"
[ "$(echo t*.zst)" = t.zst ] || fail "--follow=none left $(echo t*.zst)"
haktrace --follow=fork -o f.zst -- "$STRESS/trace_fork" 5 >expected 2>err || fail "fork: exit code $?: $(cat err)"
counts_equal "the parent of followed forks" expected f.zst
children=0 allocating=0
for f in f.*.zst; do
    "$STRESS/trace_check" "$f" >check || fail "$f does not verify"
    grep -qx 'total dropped 0' check && grep -qx 'total implied 0' check || fail "$f: $(grep total check)"
    children=$((children + 1))
    ! grep -q ' malloc 3998 ' check || allocating=$((allocating + 1))
done
[ $children -ge 5 ] && [ "$allocating" -gt 0 ] || fail "--follow=fork: $children files, $allocating with the children's ops"

# exec: the shell, what it forks and executes, and what takes its place; pids in the names
haktrace --follow=exec -o e-%n-%p.zst -- sh -c '/usr/bin/env >/dev/null; /bin/ls / >/dev/null & wait; exec sleep 0.1' 2>err ||
    fail "exec: exit code $?: $(cat err)"
for program in env ls sleep; do
    ls e-$program-*.zst >/dev/null 2>&1 || fail "--follow=exec: no trace of $program: $(echo e-*): $(cat err)"
done
for f in e-*.zst; do
    haktrace verify -q "$f" || fail "$f does not verify"
done
haktrace info e-sleep-*.zst | grep -q '^command  *sleep 0.1' || fail "the trace of sleep does not say so"
! grep -q 'not recorded' err || fail "$(cat err)"

# posix_spawn, a custom environment (then nothing can follow), the exit code of the first
haktrace -q --follow=exec -o s.zst -- sh -c 'env -i /bin/ls / >/dev/null; exit 9' 2>err && rc=0 || rc=$?
[ "$rc" = 9 ] || fail "exit code $rc, not 9: $(cat err)"

# many children at a time
haktrace -q --follow=fork -o m.zst -- bash -c 'for i in {1..40}; do (x=(); for j in {1..300}; do x+=("$j"); done) & done; wait' 2>err ||
    fail "40 children: exit code $?: $(cat err)"
[ "$(echo m.*.zst | wc -w)" = 40 ] || fail "40 children: $(echo m.*.zst | wc -w) files: $(cat err)"
haktrace verify -q m*.zst || fail "40 children: a file does not verify"

# names
haktrace -q -o 'x-%h-%n-%%.zst' -- true && [ -e "x-$(hostname)-true-%.zst" ] || fail "%h, %n, %%: $(echo x*)"
haktrace -q -o 'x-%q.zst' -- true 2>err && fail "%q was accepted"
grep -q 'no meaning' err || fail "%q: $(cat err)"
echo ok
