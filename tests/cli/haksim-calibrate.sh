#!/bin/bash
# haksim calibrate: the prices land in the database with the machine; from then on a simulation
# prices by them, says so, and its cost is the sum of prices times figures.
set -eu

fail() {
    echo "$*"
    exit 1
}

haktrace gen -o t.zst random_mixed 200000 40000 1
haksim t.zst -p eager --db r.db --json >reference.json
haksim calibrate -r 2 --db r.db --json >calibration.json
haksim t.zst -p eager,eager:how=free,eager:how=unmap,never --db r.db --json >calibrated.json
haksim t.zst -p eager --db r.db --prices=reference --json >again.json
haksim t.zst -p eager --no-db --prices=r.db --json >elsewhere.json
haksim t.zst -p eager --db r.db | grep -q 'calibrated on this machine' || fail "the table does not say it"
python3 - <<'END'
import json, sqlite3
load = lambda name: json.load(open(name + ".json"))
reference, calibrated, again, elsewhere = map(load, ("reference", "calibrated", "again", "elsewhere"))
price = {p["price"]: p["ns"] for p in load("calibration")["prices"]}
assert load("calibration")["schema_version"] == 1 and len(price) == 26, price
free = {"shootdown_ns", "hot_page_ns", "move_page_ns", "populate_call_ns", "flush_page_ns",
        "free_again_page_ns", "entry_ns", "entry_16k_ns", "entry_128k_ns"}  # may come out as nothing
assert all(0 < ns < 1000000 for name, ns in price.items() if name not in free), price
stored = dict(sqlite3.connect("r.db").execute(
    "SELECT substr(name, 7), value FROM metric WHERE name LIKE 'price!_%' ESCAPE '!'"))
assert stored == price, (stored, price)
for d, phrase in ((reference, "reference"), (again, "reference"), (calibrated, "calibrated"),
                  (elsewhere, "calibrated")):
    assert phrase in d["cost_model"], d["cost_model"]
assert again["policies"][0]["predicted_cost_ns"] == reference["policies"][0]["predicted_cost_ns"]
assert elsewhere["policies"][0]["predicted_cost_ns"] == calibrated["policies"][0]["predicted_cost_ns"]
for row in calibrated["policies"]:
    calls = {c["detail"]: c["calls"] for c in calibrated["calls"] if c["policy"] == row["policy"]}
    page = calibrated["page_size"]
    how = {"MADV_DONTNEED": "dontneed", "MADV_FREE": "free", "FIXED ANON PROT_NONE": "unmap"}
    hot, warm = row["hot_faults"], row["warm_faults"]
    ns = (row["faults"] - hot - warm) * price["fault_ns"] + hot * price["hot_fault_ns"]
    ns += warm * price["warm_fault_ns"] + row["flushed_pages"] * price["flush_page_ns"]
    ns += row["entries_near"] * price["entry_ns"]
    ns += sum(row["entries_" + k] * price[f"entry_{k}_ns"] for k in ("16k", "128k", "2m"))
    ns += calls.get("ANON PROT_NONE", 0) * price["map_call_ns"]
    ns += calls.get("PROT_READ|PROT_WRITE", 0) * price["commit_call_ns"]
    ns += calls.get("", 0) * price["move_call_ns"] + row["moved_bytes"] // page * price["move_page_ns"]
    for detail, name in how.items():
        if detail in calls:
            ns += calls[detail] * price[name + "_call_ns"]
            pages, hot_price = row["released_bytes"] // page, price["hot_page_ns"]
            hot, again = row["hot_released"], row["marked_again"]
            ns += (pages - hot - again) * price[name + "_page_ns"] + hot * hot_price
            ns += again * price["free_again_page_ns"]
            assert name != "free" or again > 0, row
    assert ns == row["predicted_cost_ns"], (row, ns)
END

# The newest one counts.
python3 - <<'END'
import sqlite3
db = sqlite3.connect("r.db")
db.execute("UPDATE metric SET value = 7 WHERE name = 'price_fault_ns'")
db.commit()
END
haksim t.zst -p never --no-db --prices=r.db --json >old.json
haksim calibrate -r 1 --db r.db >/dev/null
haksim t.zst -p never --no-db --prices=r.db --json >new.json
python3 - <<'END'
import json
old, new = (json.load(open(n + ".json"))["policies"][0] for n in ("old", "new"))
assert old["fault_cost_ns"] < new["fault_cost_ns"] and new["fault_cost_ns"] > 100 * new["faults"]
END

rc=0
haksim calibrate --rounds=0 >out 2>err || rc=$?
[ $rc = 2 ] && grep -q -- '--rounds' err || fail "--rounds=0: $rc"
rc=0
haksim calibrate --db none/x.db >out 2>err || rc=$?
[ $rc = 1 ] && grep -q none err && [ ! -s out ] || fail "no such folder: $rc"
haksim calibrate -r 1 --no-db >out
grep -q '^fault_ns ' out || fail "$(cat out)"
[ ! -e results.db ] || fail "--no-db made a database"
echo "ok haksim-calibrate"
