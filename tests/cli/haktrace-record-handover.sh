# Threads that hand objects over as fast as they can: every free finds its allocation, no address is
# handed out twice.
set -eu
# shellcheck source=tests/cli/haktrace-record.lib
. "$TOP/tests/cli/haktrace-record.lib"

for run in '2 200000' '8 50000' '2 1000000 loads' '4 300000 loads' '3 100000'; do
    # shellcheck disable=SC2086
    haktrace -o t.zst -- "$STRESS/trace_handover" $run 2>err || fail "$run: exit code $?: $(cat err)"
    "$STRESS/trace_check" t.zst >check || fail "$run: the trace does not verify"
    for none in dropped foreign implied; do
        grep -qx "total $none 0" check || fail "$run: $(grep "total $none" check)"
    done
done
echo ok
