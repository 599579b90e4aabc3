# Rings that fill: the default waits and loses nothing; --on-full=drop counts what it loses, by thread.
set -eu
# shellcheck source=tests/cli/haktrace-record.lib
. "$TOP/tests/cli/haktrace-record.lib"

haktrace --ring-size=8KiB -o t.zst -- "$STRESS/trace_known" 4 3000 >expected 2>err || fail "exit code $?: $(cat err)"
counts_equal waiting expected t.zst

haktrace --ring-size=8KiB --on-full=drop -o t.zst -- "$BIN/bench_random_mixed" 2000000 400 1 >out 2>err ||
    fail "exit code $?: $(cat err)"
dropped=$(sed -n 's/.*ops, 1 threads, \([0-9]*\) dropped.*/\1/p' err)
[ "${dropped:-0}" -gt 0 ] || fail "2M ops went through 256 records without a loss: $(cat err)"
grep -q "lost: $dropped for full buffers.*by thread 0: $dropped" err || fail "losses by thread: $(cat err)"
"$STRESS/trace_check" t.zst >check || fail "the trace with losses does not verify"
grep -qx "total dropped $dropped" check || fail "the file says: $(grep dropped check)"
# recorded + lost = made: 2M ops and a few of libc's own
ops=$(sed -n 's/.*: \([0-9]*\) ops, .*/\1/p' err)
implied=$(sed -n 's/total implied //p' check)
made=$((ops - implied + dropped))
[ $made -ge 2000000 ] && [ $made -lt 2003000 ] || fail "$ops recorded, of these $implied implied, $dropped lost"
echo ok
