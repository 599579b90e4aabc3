# A recording holds exactly the ops that a program is known to make, of every kind, in every thread.
set -eu
# shellcheck source=tests/cli/haktrace-record.lib
. "$TOP/tests/cli/haktrace-record.lib"

for run in '1 100' '8 3000' '90 200'; do
    for clock in auto monotonic; do
        # shellcheck disable=SC2086
        haktrace --clock=$clock -o t.zst -- "$STRESS/trace_known" $run >expected 2>err || fail "$run: exit code $?: $(cat err)"
        counts_equal "$run, clock $clock" expected t.zst
    done
done
haktrace verify t.zst >/dev/null || fail "haktrace verify: exit code $?"

# threads that come and go, more than there are rings at a time
haktrace --max-threads=12 -o t.zst -- "$STRESS/trace_threads" 2000 8 >expected 2>err || fail "exit code $?"
counts_equal "short-lived threads" expected t.zst
grep -q ' 2001 threads' err || fail "threads: $(cat err)"
echo ok
