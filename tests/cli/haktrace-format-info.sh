# info: histograms of size and lifetime, threads and hand-overs, against a count by a second hand.
set -eu

cat >count.py <<'END2'
import collections, json, subprocess, sys
path = sys.argv[1]
info = json.loads(subprocess.run(["haktrace", "info", "--json", path], stdout=-1, check=True).stdout)
live, sizes, ns, records, pairs = {}, *(collections.Counter() for _ in range(4))
threads = collections.defaultdict(collections.Counter)
events = collections.Counter()
for line in subprocess.run(["haktrace", "dump", "--json", path], stdout=-1, check=True).stdout.splitlines():
    r = json.loads(line)
    if "event" in r:
        events[str(r["event"])] += 1
        continue
    n, t, th = r["record"], r["time_ns"] or 0, r["thread"]
    threads[th]["ops"] += not r["op"].startswith("thread_")
    old, new = r.get("old_id", 0), r.get("id", 0)
    if old and not r.get("failed"):
        n0, t0, th0 = live.pop(old)
        ns[(t - t0).bit_length()] += 1
        records[(n - n0).bit_length()] += 1
        threads[th]["frees"] += 1
        if th0 != th:
            pairs[th0, th] += 1
            threads[th]["taken"] += 1
            threads[th0]["given"] += 1
    if new:
        live[new] = n, t, th
        sizes[r["size"].bit_length()] += 1
        threads[th]["allocations"] += 1
        threads[th]["requested_bytes"] += r["size"]

def classes(rows, low):
    return {row[low].bit_length(): row["count"] for row in rows}

assert classes(info["sizes"], "from_bytes") == sizes
assert classes(info["lifetimes_records"], "from_records") == records
if info["fidelity"]["times"]:
    assert classes(info["lifetimes"], "from_ns") == ns
else:
    assert "lifetimes" not in info
assert info["totals"]["live_at_end"] == len(live)
assert {(p["from_thread"], p["to_thread"]): p["count"] for p in info["handover_pairs"]} == pairs
assert sum(pairs.values()) == info["handovers"]["by_free"] + info["handovers"]["by_realloc"]
for row in info["threads"]:
    for key in ("ops", "allocations", "frees", "taken", "given", "requested_bytes"):
        assert row[key] == threads[row["thread"]][key], (row, key)
assert len(info["threads"]) == len(threads)
assert [row["ops"] for row in info["threads"]] == sorted((t["ops"] for t in threads.values()), reverse=True)
assert {e["event"]: e["count"] for e in info["events"]} == {("63" if k == "77" else k): v for k, v in events.items()}
END2

python3 - >two.txt <<'END2'
import random
rng, live, t = random.Random(9), [], 1000
for n in range(5000):
    t += rng.randrange(1, 9) ** rng.randrange(1, 6)
    tid = rng.choice((10, 11, 12))
    if live and rng.random() < 0.5:
        p = live.pop(rng.randrange(len(live)))
        if rng.random() < 0.3:
            print(f"{tid}: realloc {hex(0x10000 + 64 * n)} {hex(p)} {n} {t} {t + 1}")
            live.append(0x10000 + 64 * n)
        else:
            print(f"{tid}: free {hex(p)} {t} {t + 1}")
    else:
        print(f"{tid}: malloc {hex(0x10000 + 64 * n)} {n * rng.randrange(50)} {t} {t + 1}")
        live.append(0x10000 + 64 * n)
END2
haktrace import -q -o two.zst two.txt
haktrace gen -o ho.zst handover 5000 40 3
for t in two.zst ho.zst "$TOP/tests/golden/v1.zst" "$TOP/tests/golden/v1-events.zst"; do
    python3 count.py "$t"
done

# The table shows the busiest and says so; a trace without threads has no such lists.
haktrace info ho.zst >info.txt
grep -q 'Of 40 threads the 16 busiest' info.txt
haktrace import -q -o rep.zst "$TOP/tests/golden/import.rep"
haktrace info rep.zst >info.txt
[ "$(grep -c '^Threads' info.txt)" = 0 ]
# Ops lost, by thread.
haktrace info --json "$TOP/tests/golden/v1-events.zst" >info.json
python3 -c 'import json; t = json.load(open("info.json"))["threads"]; assert {r["thread"]: r["dropped"] for r in t} == {0: 0, 1: 3}'
