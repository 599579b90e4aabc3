# Children of every kind, under load: the parent's trace is whole and holds nothing of theirs, and they
# run without the library.
set -eu
# shellcheck source=tests/cli/haktrace-record.lib
. "$TOP/tests/cli/haktrace-record.lib"

haktrace --ring-size=64KiB -o t.zst -- "$STRESS/trace_fork" 20 >expected 2>err || fail "exit code $?: $(cat err)"
counts_equal forks expected t.zst

# a handler forks in the middle of an op, which the child goes on with
for follow in none fork; do
    haktrace --follow=$follow -o h.zst -- "$STRESS/trace_fork_handler" 200 >expected 2>err || fail "a handler's forks, $follow: exit code $?: $(cat err)"
    counts_equal "a handler's forks, $follow" expected h.zst
done

LD_PRELOAD='' haktrace -q -o t.zst -- env >env.traced
! grep -e LD_PRELOAD -e HAKTRACE env.traced || fail "our settings reach the children"
cp "$LIB/libhakmem.so" other.so 2>/dev/null || exit 0
LD_PRELOAD=$PWD/other.so haktrace -q -o t.zst -- env >env.traced
grep -qx "LD_PRELOAD=$PWD/other.so" env.traced || fail "the user's own preload is lost"
echo ok
