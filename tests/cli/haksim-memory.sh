#!/bin/bash
# haksim's memory is bounded by what is live, not by how long the trace is: ten times the ops over
# the same few live objects take no more. (Where large objects come and go there is an event for each.)
# timeout: 240
set -eu

fail() {
    echo "$*"
    exit 1
}

# shellcheck source=tests/cli/peak.lib
. "$TOP/tests/cli/peak.lib"

haktrace gen -o short.zst random_mixed 2000000 4000 1
haktrace gen -o long.zst random_mixed 21000000 4000 1
haktrace gen -o wide.zst random_mixed 2000000 400000 1
short=$(peak haksim short.zst --no-db -p never,eager,partial:10)
long=$(peak haksim long.zst --no-db -p never,eager,partial:10)
wide=$(peak haksim wide.zst --no-db -p never,eager,partial:10)
echo "peak resident: 2M ops $short KiB, 21M ops $long KiB; 2M ops over a hundred times the slots $wide KiB"
[ "$long" -le $((short + short / 4)) ] || fail "memory grows with the trace"
[ "$wide" -gt "$short" ] || fail "memory does not depend on what is live: the test measures nothing"
echo "ok haksim-memory"
