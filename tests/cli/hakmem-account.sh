#!/bin/bash
# What the policies and their keys promise, in the system calls of an accounted replay: bursts of 130
# objects of 200 kB and one of 8 MiB, all freed, 10 ms of rest, by recorded time.
# timeout: 240
set -eu
python3 - <<'END'
with open("bursts.txt", "w") as text:
    time, number = 1000, 0
    def op(word, number, size=""):
        global time
        time += 2000
        text.write(f"1: {word} {0x100000 * (1 + number):#x} {size} {time} {time + 100}\n")
    for burst in range(30):
        for i in range(130):
            op("malloc", number + i, 200000)
        op("malloc", number + 130, 8 << 20)
        for i in range(131):
            op("free", number + i)
        number += 131
        time += 10000000
END
haktrace import -q -o bursts.zst bursts.txt
policies=never,eager,partial:100,eager:how=free,eager:how=unmap,eager:min=16MiB,never:populate=1
policies+=,never:huge=1MiB,delay:ms=5,delay:ms=400,bounce:n=4,decay:ms=5,demand:ms=1000,budget
hakreplay bursts.zst --no-db --json -a hakmem --policy=$policies --clock=virtual --passes=account --no-control \
    --no-warm-up >out.json
python3 - <<'END'
import json, sys
d = json.load(open("out.json"))
calls = {}
for c in d["syscalls"]:
    policy = calls.setdefault(c["allocator"].removeprefix("hakmem "), {})
    kind = c["call"] + " " + c["detail"]
    policy[kind] = policy.get(kind, 0) + c["calls"]
if not calls:
    print("hakreplay could not count system calls here")
    sys.exit(77)
BACK = {"madvise MADV_DONTNEED": "dontneed", "madvise MADV_FREE": "free", "mmap FIXED ANON PROT_NONE": "unmap"}
def back(policy): # how often pages were given back, by how
    return {BACK[k]: n for k, n in calls[policy].items() if k in BACK}
def asked(policy, advice):
    return calls[policy].get("madvise " + advice, 0)
for p in calls:
    print(p, back(p), "populate", asked(p, "MADV_POPULATE_WRITE"), "huge", asked(p, "MADV_HUGEPAGE"))
frees = 30 * 131
assert back("never") == {}
assert back("eager") == {"dontneed": frees}
assert back("eager:how=free") == {"free": frees}
assert back("eager:how=unmap") == {"unmap": frees}
assert back("eager:min=16MiB") == {}
rounds = back("partial:n=100")
assert set(rounds) == {"dontneed"} and 25 <= rounds["dontneed"] <= frees // 100, rounds
assert back("bounce:n=4") == {"dontneed": 30 * (131 - 4 - 1)}  # the 8 MiB object is the last of its size
for p in "delay:ms=5", "decay:ms=5":  # all goes in each rest
    assert 29 <= back(p)["dontneed"] <= 29 * 66, p
# what becomes free is taken again in each burst: within 400 ms, and within the peak of a second
assert back("delay:ms=400") == {} and back("demand:ms=1000") == {}
assert set(back("budget:pct=2")) == {"dontneed"}
for p in calls:
    assert (asked(p, "MADV_POPULATE_WRITE") > 0) == (p == "never:populate=1"), p
    assert (asked(p, "MADV_HUGEPAGE") > 0) == (p == "never:huge=1MiB"), p
assert asked("never:populate=1", "MADV_POPULATE_WRITE") == frees
END
echo "ok hakmem-account"
