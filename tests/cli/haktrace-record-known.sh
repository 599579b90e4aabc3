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

# an allocator that does one entry point by another: the inner calls are not the program's
LD_PRELOAD=$LIB/libhakmem.so haktrace -o t.zst -- "$STRESS/trace_known" 2 500 >expected 2>err || fail "exit code $?: $(cat err)"
counts_equal "behind libhakmem" expected t.zst

# arguments of every kind, odd and impossible ones too
haktrace -o t.zst -- "$STRESS/alloc_api" >out 2>err || fail "alloc_api: exit code $?: $(cat err)"
"$STRESS/trace_check" t.zst >check || fail "alloc_api: the trace does not verify"
grep -qx 'total dropped 0' check && grep -qx 'total implied 0' check && grep -qx 'total foreign 0' check ||
    fail "alloc_api: $(grep total check)"

# threads that come and go, more than there are rings at a time
haktrace --max-threads=12 -o t.zst -- "$STRESS/trace_threads" 2000 8 >expected 2>err || fail "exit code $?"
counts_equal "short-lived threads" expected t.zst
grep -q ' 2001 threads' err || fail "threads: $(cat err)"
echo ok
