#!/bin/sh
# The accounts against strace, call for call: in one run under strace, each call that was counted
# appears there twice (as it was trapped, and as it was carried out), a call that was missed once.
# timeout: 300
set -eu
TOP=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
BIN=${BIN:-${BUILD_BIN:-$TOP/build/bin}}
[ -z "$(ls)" ] || cd "$(mktemp -d)"

fail() {
    echo "$*"
    exit 1
}
if ! strace -f -o log true 2>err; then
    echo "strace is not there or may not trace: $(tail -n 1 err)"
    exit 77
fi

"$BIN/haktrace" gen -o one.zst random_mixed 200000 4000 3
"$BIN/haktrace" gen -o four.zst handover 20000 4 7
calls=mmap,munmap,mremap,madvise,mprotect,brk
checked=0
for a in libc mimalloc hakmem jemalloc tcmalloc; do
    "$BIN/hakreplay" one.zst -a $a -r 1 --passes=time --no-db >/dev/null 2>&1 || continue
    for t in one four; do
        strace -f -qq -o log -e trace=$calls,close "$BIN/hakreplay" $t.zst -a $a --passes=account \
            --no-warm-up --no-db --region-marks --json >out.json 2>err || fail "$a, $t: $(cat err)"
        python3 - "$a, $t" <<'END' || fail "$a, $t: see above"
import collections, json, re, sys
lines, inside = collections.Counter(), False
for line in open("log"):
    m = re.match(r"\d+ +(\w+)\((-?\w*)", line)
    if not m:
        continue
    if m[1] == "close":
        if m[2] == "-1000001": inside = True
        if m[2] == "-1000002": inside = False
    elif inside:
        lines[m[1]] += 1
counted = collections.Counter()
d = json.load(open("out.json"))
assert d["results"][0]["counting"] == "seccomp", d["results"]
for r in d["syscalls"]:
    counted[r["call"]] += r["calls"]
twice = {k: 2 * v for k, v in counted.items()}
print(sys.argv[1], dict(lines), dict(counted))
assert dict(lines) == twice, "strace saw %s, twice the accounts is %s" % (dict(lines), twice)
assert sum(counted.values()) == d["results"][0]["syscalls"]
END
        checked=$((checked + 1))
    done
done
[ $checked -ge 4 ] || fail "only $checked combinations could be checked"

# With plain libc and one thread the calls do not depend on time: the run that is not accounted
# makes the very same ones.
strace -f -qq -o log -e trace=$calls,close "$BIN/hakreplay" one.zst -a libc -r 1 --passes=time \
    --no-warm-up --no-control --no-db --region-marks >/dev/null
plain=$(sed -n '/close(-1000001)/,/close(-1000002)/p' log | grep -c ' brk(\| mmap(\| munmap(\| madvise(\| mprotect(\| mremap(')
"$BIN/hakreplay" one.zst -a libc --passes=account --no-db --json >out.json
counted=$(python3 -c 'import json; print(json.load(open("out.json"))["results"][0]["syscalls"])')
[ "$plain" = "$counted" ] || fail "libc: $plain calls in a plain run, $counted in the accounts"
echo "ok hakreplay-strace"
