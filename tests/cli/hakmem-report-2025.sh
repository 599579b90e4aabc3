#!/bin/bash
# The picture of the 2025 report: at a working set of 400, a million operations map, populate and
# unmap about a thousand SuperSlabs; the simulator, which runs the allocator in full for this policy,
# predicts each call. Other policies make none of these calls.
# timeout: 240
set -eu
haktrace gen -o t.zst random_mixed 1000000 400 1
hakreplay t.zst --no-db --json -a hakmem --policy=report-2025,never --passes=account --no-control >real.json
haksim t.zst --no-db --json --mode=full -p report-2025 >sim.json
python3 - <<'END'
import json, sys
real, sim = json.load(open("real.json")), json.load(open("sim.json"))
def counts(rows):
    return {(c["call"], c["detail"]): (c["calls"], c["bytes"]) for c in rows}
got = counts(c for c in real["syscalls"] if c["allocator"] == "hakmem report-2025")
if not got:
    print("hakreplay could not count system calls here")
    sys.exit(77)
print(got)
for call in ("mmap", "ANON RW"), ("munmap", ""), ("madvise", "MADV_POPULATE_WRITE"):
    assert 900 <= got[call][0] <= 1400, (call, got)
    assert got[call][0] << 21 == got[call][1], (call, got)
assert got == counts(sim["calls"]), (got, sim["calls"])
never = counts(c for c in real["syscalls"] if c["allocator"] == "hakmem never")
assert set(n for n, _ in never) <= {"mprotect", "mmap"} and sum(n for n, _ in never.values()) < 20, never
END
echo "ok hakmem-report-2025"
