#!/bin/bash
# haksim against reality: for a recorded program of one thread, the account pass of hakreplay
# makes the very calls that haksim predicts, with the same bytes; faults and resident memory
# are within one and two percent.
# timeout: 240
set -eu

cat >churn.py <<'END'
import json
for n in (100, 1500, 30):
    d = [{"key": "x" * (i % 900), "list": list(range(i % 50))} for i in range(n)]
    d = json.loads(json.dumps(d))
    b = bytearray()
    for i in range(1000):
        b += b"y" * 700
kept = [bytes(70000 * (i % 40 + 1)) for i in range(60)]  # callocs, never written
END
# (python3 may be a script that starts the real one: that one is recorded)
python=$(python3 -c 'import sys; print(sys.executable)')
PYTHONMALLOC=malloc haktrace -o t.zst -- "$python" churn.py
list=never,eager,partial:10,partial:100,eager:how=free,partial:5,how=unmap,eager:how=unmap,min=512KiB
haksim t.zst --no-db --json -p $list >sim.json
hakreplay t.zst --no-db --json --alloc=hakmem --policy=$list --passes=account --no-control >real.json

python3 - <<'END'
import json, sys
sim, real = json.load(open("sim.json")), json.load(open("real.json"))
runs = {r["policy"]: r for r in real["runs"] if r["pass"] == "account"}
results = {r["policy"]: r for r in real["results"]}
counted = 0

def near(what, predicted, measured, share):
    print("%s: predicted %d, measured %d" % (what, predicted, measured))
    assert abs(predicted - measured) <= share * measured, what

for row in sim["policies"]:
    p = row["policy"]
    predicted = {(c["call"], c["detail"]): (c["calls"], c["bytes"])
                 for c in sim["calls"] if c["policy"] == p}
    measured = {(c["call"], c["detail"]): (c["calls"], c["bytes"])
                for c in real["syscalls"] if c["allocator"] == "hakmem " + p}
    if not measured:
        print("hakreplay could not count system calls here")
        sys.exit(77)
    assert predicted == measured, (p, predicted, measured)
    counted += sum(n for n, _ in measured.values())
    near(p + ": faults", row["faults"], runs[p]["minor_faults"], 0.01)
    near(p + ": peak", row["peak_resident_bytes"], results[p]["peak_resident_bytes"], 0.01)
    near(p + ": mean", row["mean_resident_bytes"], results[p]["mean_resident_bytes"], 0.02)
assert len(sim["policies"]) == 7 and counted > 500, counted
END

# Faults inside populate calls are counted apart: they are the pages that haksim says it populates.
haksim t.zst --no-db --json -p report-2025 >sim.json
hakreplay t.zst --db r.db --alloc=hakmem --policy=report-2025 --passes=account --no-control >/dev/null
python3 - <<'END'
import json, sqlite3
row = json.load(open("sim.json"))["policies"][0]
pages = row["populated_bytes"] // json.load(open("sim.json"))["page_size"]
value = lambda name: sqlite3.connect("r.db").execute(
    "SELECT value FROM metric WHERE name = ?", (name,)).fetchone()[0]
made, faults = value("call_faults"), value("minor_faults")
print("populated %d, faults in calls %d, of all %d, others predicted %d" % (pages, made, faults, row["faults"]))
assert pages > 1000 and abs(made - pages) <= 0.01 * pages
assert abs(faults - made - row["faults"]) <= 0.02 * row["faults"] + 16
END
echo "ok haksim-agrees"
