#!/bin/bash
# haksim optimise: front, knee, bound, oracle, one policy for all, cross-validation, --confirm, study, errors.
# timeout: 240
set -eu

fail() {
    echo "$*"
    exit 1
}

expect_usage() { # pattern, arguments
    local pattern=$1 rc=0
    shift
    haksim optimise "$@" >out 2>err || rc=$?
    [ $rc = 2 ] || fail "$*: exit code $rc"
    grep -Eq -- "$pattern" err || fail "$*: $(cat err)"
}

cat >churn.py <<'END'
import json
for n in (200, 3000, 50, 2500):
    d = [{"key": "x" * (i % 900), "list": list(range(i % 50))} for i in range(n)]
    for _ in range(3):
        d = json.loads(json.dumps(d))
END
python=$(python3 -c 'import sys; print(sys.executable)')
PYTHONMALLOC=malloc haktrace -q -o python.zst -- "$python" churn.py
haktrace gen -o over.zst handover 60000 4 7
haktrace gen -o mixed.zst random_mixed 300000 4000 1

list='partial:n=2..512*2,decay:ms=1..1000*10,bounce:n=1..16*2,report-2025'
haksim optimise python.zst over.zst --hold-out=mixed.zst --db=r.db --study=s -p "$list" --json >r.json
# the same policies by haksim itself: every choice is checked against plain definitions
for t in python over mixed; do
    haksim $t.zst --no-db -p "eager,never,$list" --json >$t.json
done
python3 - <<'END'
import json, sqlite3
r = json.load(open("r.json"))
assert r["schema_version"] == 1, r
points = {}
for t in "python", "over", "mixed":
    d = json.load(open(t + ".json"))
    key = "mean_resident_time_bytes" if d["has_times"] else "mean_resident_bytes"
    points[t + ".zst"] = {p["policy"]: (p[key], p["predicted_cost_ns"]) for p in d["policies"]}
assert len(points["python.zst"]) == r["policies"], r["policies"]
bounds = {}
for t in r["traces"]:
    p = points[t["trace"]]
    assert t["least_bytes"] == p["eager"][0]
    bounds[t["trace"]] = bound = int(p["eager"][0] * 1100 // 1000)
    assert t["bound_bytes"] == bound
    best = min((c, m) for m, c in p.values() if m <= bound)
    assert (t["cost_ns"], t["memory_bytes"]) == best, (t, best)
    front = {n for n, (m, c) in p.items()
             if not any((m2 <= m and c2 < c) or (m2 < m and c2 <= c) for m2, c2 in p.values())}
    mine = [f for f in r["fronts"] if f["trace"] == t["trace"]]
    assert {(f["memory_bytes"], f["cost_ns"]) for f in mine} == {p[n] for n in front}, t["trace"]
    for f in mine:
        if f["mode"] == "full":
            assert f["bound_ns"] is None, f     # another placement: outside of the oracle's rules
            continue
        assert f["bound_ns"] <= f["reachable_ns"] <= f["cost_ns"], f
    assert sum("best" in (f["mark"] or "") for f in mine) == 1, mine
by_trace = {c["trace"]: c for c in r["chosen"]}
assert [by_trace[t]["role"] for t in ("python.zst", "over.zst", "mixed.zst")] == \
    ["chosen by", "chosen by", "held out"]
def loss(policy, t):
    m, c = points[t][policy]
    best = min(c2 for m2, c2 in points[t].values() if m2 <= bounds[t])
    return m <= bounds[t], max(0, c / best - 1)
train = ["python.zst", "over.zst"]
kept = {n: max(loss(n, t)[1] for t in train) for n in points[train[0]] if all(loss(n, t)[0] for t in train)}
assert abs(kept[r["policy"]] - min(kept.values())) < 2e-6, (r["policy"], kept)
assert r["bounds_broken"] == 0 and abs(r["worst_loss_percent"] / 100 - min(kept.values())) < 1e-3, r
assert r["deploy"].startswith("HAKMEM_POLICY=" + r["policy"]), r["deploy"]
assert r["confirm"][0]["command"].startswith("hakreplay python.zst "), r["confirm"]
db = sqlite3.connect("r.db")
rows = db.execute("SELECT bytes, bound_ns, reachable_ns FROM oracle o JOIN trace t ON t.id = o.trace_id"
                  " WHERE t.path = 'python.zst' AND kind = 'mean-time' ORDER BY bytes").fetchall()
assert len(rows) > 10, rows
last = None
for size, bound, reachable in rows:  # more memory never costs more
    assert bound is not None and (reachable is None or reachable >= bound), (size, bound, reachable)
    assert last is None or bound <= last, rows
    last = bound
END

# Found in the study: nothing is evaluated again, and the same comes out.
haksim optimise python.zst over.zst --hold-out=mixed.zst --db=r.db --study=s -p "$list" --json >again.json
python3 - <<'END'
import json
a, b = json.load(open("r.json")), json.load(open("again.json"))
assert any("were in the study already" in n for n in b["notes"]), b["notes"]
for k in a:
    assert k == "notes" or a[k] == b[k], k
END

# Three traces: each is left out once. --over takes a list.
haksim optimise --over=python.zst,over.zst,mixed.zst --no-db --json -p "$list" >three.json
python3 - <<'END'
import json
r = json.load(open("three.json"))
assert [c["trace"] for c in r["cross_validation"]] == ["python.zst", "over.zst", "mixed.zst"], r
END

# The table: within 100 columns, with the lines to deploy and to confirm; the latter runs as it stands.
haksim optimise python.zst --keep-memory-below=1.3x --memory=peak --db=p.db >table
[ "$(grep -v '^Confirm' table | wc -L)" -le 100 ] || fail "wide: $(cat table)"
grep -q '^Pareto front of python.zst' table || fail "$(cat table)"
grep -Eq '^Deploy: +HAKMEM_POLICY=' table || fail "$(cat table)"
sed -n 's/^Confirm: //p' table >line
[ "$(wc -l <line)" = 1 ] || fail "$(cat table)"
(. ./line) >replayed 2>&1 || fail "$(cat line replayed)"
# Where the choice is one of the two that stand beside it, it is named once.
haksim optimise over.zst --no-db --keep-memory-below=100x -p never --json >never.json
grep -q '"hakreplay over.zst --alloc=hakmem --policy=never,eager --' never.json || fail "$(grep hakreplay never.json)"
# Nothing is shown as a gain below none.
! grep -Eq 'to -[0-9]|-0\.0' table || fail "$(cat table)"

# --confirm: one thread, so that what was predicted is what is measured.
haksim optimise python.zst --db=c.db --confirm=2 --json -p 'partial:n=2..64*2' >c.json
python3 - <<'END'
import json
r = json.load(open("c.json"))
c = {x["figure"]: x for x in r["confirmed"]}
assert c["release_calls"]["predicted"] == c["release_calls"]["measured"], c
assert abs(c["minor_faults"]["error_percent"]) < 2, c
assert abs(c["mean_resident_time_bytes"]["error_percent"]) < 3, c
assert c["kernel_ns"]["measured"] > 0, c
assert all(x["measured_least"] <= x["measured"] <= x["measured_most"] for x in c.values()), c
# what is shown is what the account pass stored, and its spread
import sqlite3
runs = sorted(v for v, in sqlite3.connect("c.db").execute(
    "SELECT value FROM metric JOIN run ON run.id = run_id WHERE pass = 'account' AND name = 'kernel_ns'"))
assert len(runs) == 2 and [c["kernel_ns"][k] for k in ("measured_least", "measured_most")] == runs, (c, runs)
assert c["kernel_ns"]["measured"] == sum(runs) / 2, (c, runs)
END

# A model of another allocator stands in the front, but is never what to deploy.
haksim optimise over.zst python.zst --no-db --json --keep-memory-below=5x -p 'model-glibc|model-mimalloc' >m.json
python3 - <<'END'
import json
r = json.load(open("m.json"))
assert r["policies"] == 4 and r["policy"] in ("eager", "never"), r["policy"]
assert all(t["best_policy"] in ("eager", "never") for t in r["traces"]), r["traces"]
END

# A bound below what any policy reaches: said, and the nearest is chosen.
haksim optimise python.zst --no-db --keep-memory-below=100K -p "$list" >low
grep -q 'no policy stays below the bound' low || fail "$(cat low)"

expect_usage 'no trace' --no-db
expect_usage 'no trace given to choose by' --hold-out=over.zst
expect_usage 'given twice' over.zst over.zst
expect_usage 'multiple' over.zst --keep-memory-below=0.5x
expect_usage 'must be a size' over.zst --keep-memory-below=much
expect_usage 'mean-ops or peak' over.zst --memory=most
expect_usage 'no-db' over.zst --no-db --confirm
expect_usage 'unknown policy' over.zst -p sometimes
rc=0
haksim optimise over.zst nowhere.zst --no-db >out 2>err || rc=$?
[ $rc = 1 ] && grep -q nowhere.zst err || fail "a missing trace: $rc, $(cat err)"
haksim optimise --help | grep -q -- --keep-memory-below || fail help
echo "ok haksim-optimise"
