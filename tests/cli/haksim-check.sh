#!/bin/bash
# haksim: a recorded and two generated traces; events against full runs; the three outputs agree; the
# rows in the store.
# timeout: 240
set -eu

fail() {
    echo "$*"
    exit 1
}

haktrace gen -o mixed.zst random_mixed 200000 4000 1
haktrace gen -o over.zst handover 60000 4 7
cat >churn.py <<'END'
import json
for n in (200, 3000, 50):
    d = [{"key": "x" * (i % 900), "list": list(range(i % 50))} for i in range(n)]
    for _ in range(3):
        d = json.loads(json.dumps(d))
    b = bytearray()
    for i in range(2000):
        b += b"y" * 700
END
# (python3 may be a script that starts the real one: that one is recorded)
python=$(python3 -c 'import sys; print(sys.executable)')
PYTHONMALLOC=malloc haktrace -o python.zst -- "$python" churn.py

list=never,eager,partial:100,partial:3,eager:how=free,partial:5,how=unmap,eager:how=unmap,min=512KiB
for t in mixed over python; do
    haksim $t.zst --check-full --db sim.db -p $list --json >$t.json || fail "$t: exit code $?"
done
python3 - <<'END'
import json
for name in "mixed", "over", "python":
    d = json.load(open(name + ".json"))
    assert d["schema_version"] == 1 and d["trace"] == name + ".zst", d
    rows = {(r["policy"], r["mode"]): r for r in d["policies"]}
    assert len(rows) == 14, sorted(rows)
    for (policy, mode), r in rows.items():
        full = rows[policy, "full"]
        same = {k: v for k, v in r.items() if k not in ("mode", "sim_ns", "to_win_percent", "least_cost_ns")}
        assert same == {k: full[k] for k in same}, (name, policy, r, full)
        assert r["mean_resident_bytes"] <= r["peak_resident_bytes"], r
        calls = sum(c["calls"] for c in d["calls"]
                    if (c["policy"], c["mode"]) == (policy, mode)
                    and c["detail"] in ("MADV_DONTNEED", "MADV_FREE", "FIXED ANON PROT_NONE"))
        assert calls == r["release_calls"], (name, policy, calls)
    r = {p: v for (p, mode), v in rows.items() if mode == "events"}
    for p, v in r.items():  # nobody beats the oracle
        assert 0 <= v["least_cost_ns"] <= v["predicted_cost_ns"], (name, p, v)
        assert 0 <= v["to_win_percent"] <= 100 and rows[p, "full"]["to_win_percent"] is None
    assert r["never"]["release_calls"] == 0 and r["never"]["released_bytes"] == 0
    assert r["eager"]["end_resident_bytes"] <= r["partial:n=3"]["end_resident_bytes"] \
        <= r["never"]["end_resident_bytes"], r
    assert r["eager"]["faults"] >= r["partial:n=3"]["faults"] >= r["never"]["faults"], r
    assert r["eager:how=free"]["faults"] == r["never"]["faults"]
    assert r["eager:how=free"]["release_calls"] == r["eager"]["release_calls"]
    assert r["partial:n=3"]["rounds"] * 3 <= r["eager"]["rounds"], r
    timed = r["never"]["mean_resident_time_bytes"] is not None
    assert timed == d["has_times"] == (name == "python"), d["has_times"]
    if name != "mixed":
        assert r["eager"]["release_calls"] > 10, r
END

# The same figures in each output, whatever the number of jobs.
haksim over.zst --no-db -p $list -j1 --csv >one.csv
haksim over.zst --no-db -p $list -j7 --csv >seven.csv
cmp <(cut -d, -f1-17 one.csv) <(cut -d, -f1-17 seven.csv) || fail "jobs change the result"
[ "$(wc -l <one.csv)" = 8 ] || fail "csv: $(cat one.csv)"
haksim over.zst --no-db -p eager >table
calls=$(grep '^eager,' one.csv | cut -d, -f3)
grep -Eq "^eager +events +$calls " table || fail "table: $(cat table)"
[ "$(wc -L <table)" -le 100 ] || fail "the table is wider than 100 columns"

# Every row has gone into the store, under the trace's hash.
python3 - "$(sha256sum <over.zst | cut -d' ' -f1)" <<'END'
import json, sqlite3, sys
db = sqlite3.connect("sim.db")
got = dict(((p, m), v) for p, m, v in db.execute("""
    SELECT run.policy, run.mode, metric.value FROM run JOIN trace ON trace.id = run.trace_id
    JOIN metric ON metric.run_id = run.id
    WHERE trace.sha256 = ? AND run.pass = 'sim' AND run.status = 'ok'
      AND metric.name = 'predicted_faults'""", sys.argv[1:]))
want = {(r["policy"], r["mode"]): r["faults"] for r in json.load(open("over.json"))["policies"]}
assert got == want, (got, want)
END

# A policy that places in its own way falls back to a full run, and its row says so.
haksim over.zst --no-db --json -p never,report-2025 >both.json
haksim over.zst --no-db --json -p report-2025 --mode=full >full.json
python3 - <<'END'
import json
both, full = json.load(open("both.json")), json.load(open("full.json"))
r = {p["policy"]: p for p in both["policies"]}
assert r["never"]["mode"] == "events" and r["report-2025"]["mode"] == "full", r
assert any("ran in full" in n for n in both["notes"]), both["notes"]
del r["report-2025"]["sim_ns"], full["policies"][0]["sim_ns"]
assert r["report-2025"] == full["policies"][0], r
for p in both["policies"]:
    parts = sum(p[c + "_cost_ns"] for c in ("fault", "release", "map", "populate", "move"))
    assert p["predicted_cost_ns"] == parts > 0, p
END

# The models of other allocators' rules are no policies of libhakmem's, and agree with full runs.
models=model-mimalloc:1,model-jemalloc:ms=20,model-tcmalloc:ms=100,how=free
haksim python.zst --no-db --check-full -p $models >out || fail "models: $(cat out)"
grep -q '^model-jemalloc:ms=20 *full ' out || fail "models: $(cat out)"
haksim python.zst --no-db -p model-glibc | grep -q '^model-glibc:trim=128KiB *events ' || fail glibc
rc=0
haksim python.zst --no-db --mode=full -p model-glibc >out 2>err || rc=$?
[ $rc = 1 ] && grep -q 'events alone' err || fail "model-glibc in full: $rc"
rc=0
hakreplay python.zst --no-db --alloc=hakmem --policy=model-glibc >out 2>err || rc=$?
[ $rc = 2 ] && grep -q 'unknown policy "model-glibc"' err || fail "hakreplay takes a model: $rc"
echo "ok haksim-check"
