#!/bin/sh
# What a replay needs of memory itself: of 200M ops it must stay within 6 GiB, 32 bytes an op. Here
# 10M ops (the plan 8 bytes, the ids 4 an allocation), neither parent nor run above 16 an op, and no
# more by a longer stream alone: twice the ops, at most 12 an op on top.
set -eu
TOP=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
BIN=${BIN:-$TOP/build/bin}
[ -z "$(ls)" ] || cd "$(mktemp -d)"

# shellcheck source=tests/cli/peak.lib
. "$TOP/tests/cli/peak.lib"

replay() { # ITERATIONS
    "$BIN/haktrace" gen -o trace.zst random_mixed "$1" 4000 1
    peak "$BIN/hakreplay" trace.zst --alloc=libc --passes=time -r 1 --no-warm-up --no-db
}

five=$(replay 5000000)
ten=$(replay 10000000)
echo "5M ops: $five KiB, 10M ops: $ten KiB"
[ "$ten" -le $((10000000 * 16 / 1024)) ] || {
    echo "more than 16 bytes an op"
    exit 1
}
[ $((ten - five)) -le $((5000000 * 12 / 1024)) ] || {
    echo "more than 12 bytes an op more"
    exit 1
}
[ $((ten - five)) -ge $((5000000 * 8 / 1024)) ] || {
    echo "less than the plan itself: the measurement is wrong"
    exit 1
}
