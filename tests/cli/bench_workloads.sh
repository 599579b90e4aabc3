# bench_workloads: every workload under one to three threads, its figures, options, and compare-workloads.
set -eu

fail() {
    echo "$*"
    exit 1
}

for w in $(bench_workloads --list | cut -d' ' -f1); do
    for threads in 2 3; do
        LD_PRELOAD=$LIB/libhakmem.so bench_workloads "$w" -n 1 -t $threads --json >"$w.json"
        python3 - "$w" $threads "$w.json" <<'END'
import json, sys
r = json.load(open(sys.argv[3]))
assert r["schema_version"] == 1 and r["workload"] == sys.argv[1] and r["threads"] == int(sys.argv[2]), r
assert r["calls"] > 0 and r["seconds"] > 0 and r["peak_rss_kib"] > 0, r
assert r["malloc_library"].endswith("libhakmem.so"), r
END
    done
done
# the same work whatever the allocator, and as many calls as it says: counted from outside
bench_workloads aging -n 3 -t 1 --json >libc.json
LD_PRELOAD=$LIB/libhakmem.so bench_workloads aging -n 3 -t 1 --json >hakmem.json
[ "$(python3 -c 'import json; print(*(json.load(open(f))["calls"] for f in ("libc.json", "hakmem.json")))')" = "120000 120000" ] ||
    fail "calls differ: $(cat libc.json hakmem.json)"
haktrace -q -o t.zst -- "$BIN/bench_workloads" aging -n 3 -t 1 >/dev/null
n=$(haktrace info t.zst | awk '$1 == "malloc" { print $2 }')
[ "$n" -ge 60000 ] && [ "$n" -lt 60200 ] || fail "aging: $n mallocs, want 60000 and what stdio takes"

for bad in '' 'nothing' 'handoff -t 1' 'aging -t 0' 'aging -t 65' 'aging -n x' 'aging more'; do
    rc=0
    # shellcheck disable=SC2086
    bench_workloads $bad >out 2>err || rc=$?
    [ $rc = 2 ] || fail "'$bad' gave exit code $rc, not 2"
    [ ! -s out ] && [ -s err ] || fail "'$bad': error not on stderr alone"
done

"$TOP/tests/bench/compare-workloads" --rounds=2 --work=1 --workloads=aging,large --alloc=hakmem,control,libc >out
grep -q 'geometric mean, hakmem/libc: [0-9]' out || { cat out; exit 1; }
[ "$(grep -c '^  aging  *[0-9]' out)" = 2 ] || { cat out; exit 1; }
