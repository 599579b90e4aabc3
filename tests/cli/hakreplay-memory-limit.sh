#!/bin/sh
# --memory-limit: allocations fail, are counted, and the first is named; the run goes on to its end.
# timeout: 120
set -eu
TOP=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
BIN=${BIN:-${BUILD_BIN:-$TOP/build/bin}}
[ -z "$(ls)" ] || cd "$(mktemp -d)"

fail() {
    echo "$*"
    exit 1
}
"$BIN/haktrace" gen -o t.zst random_mixed 100000 40000 3
"$BIN/hakreplay" t.zst -a libc -r 1 --no-db --json --memory-limit=4MiB >low.json || fail "4 MiB: exit code $?"
"$BIN/hakreplay" t.zst -a libc -r 1 --no-db --json --memory-limit=1GiB >high.json || fail "1 GiB: exit code $?"
python3 - <<'END_P' || fail "see above"
import json, re
low, high = json.load(open("low.json")), json.load(open("high.json"))
runs = [r for r in low["runs"] if r["pass"] in ("time", "account")]
assert len(runs) == 2, runs
for r in runs:
    print(r["pass"], r["failed_allocations"], r["first_failed"])
    assert r["status"] == "ok" and r["failed_allocations"] > 100, r
    m = re.fullmatch(r"thread 0 at op (\d+) of (\d+) \(malloc, \d+ bytes\)", r["first_failed"])
    assert m and 1000 < int(m[1]) < int(m[2]), r
account = [r for r in low["results"] if r["allocator"] == "libc"][0]
assert account["peak_resident_bytes"] < 6 << 20, account
assert account["peak_live_bytes"] <= account["peak_resident_bytes"] * 1.1, account
assert any("allocations failed in the" in n for n in low["notes"]), low["notes"]
for r in high["runs"]:
    assert r["failed_allocations"] == 0 and r["first_failed"] is None, r
END_P
rc=0
"$BIN/hakreplay" t.zst -a libc --no-db --memory-limit=lots >/dev/null 2>&1 || rc=$?
[ $rc = 2 ] || fail "lots: exit code $rc"
echo "ok hakreplay-memory-limit"
