#!/bin/bash
# Policies that go by time: the real allocator, driven by recorded time through hakmem_ctl, makes the
# release rounds and calls that haksim predicts, with as many bytes.
# timeout: 240
set -eu

# agree OPS ROUNDS: sim.json's policies, in the real allocator; each with at least so many rounds.
agree() {
    python3 - >wanted.txt <<'END'
import json
for p in json.load(open("sim.json"))["policies"]:
    print(p["policy"], p["rounds"], p["release_calls"], p["released_bytes"])
END
    [ -s wanted.txt ]
    while read -r policy wanted; do
        got=$(HAKMEM_POLICY=$policy LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_clock" "$1")
        echo "$policy: predicted $wanted, measured $got"
        [ "$got" = "$wanted" ] || exit 1
        [ "${got%% *}" -ge "$2" ] || exit 1
    done <wanted.txt
}

cat >churn.py <<'END'
import json, time
for n in (100, 1200, 30, 900, 10):
    d = [{"key": "x" * (i % 900), "list": list(range(i % 50))} for i in range(n)]
    d = json.loads(json.dumps(d))
    b = bytearray()
    for i in range(1000):
        b += b"y" * 700
    time.sleep(0.03)
END
python=$(python3 -c 'import sys; print(sys.executable)')
PYTHONMALLOC=malloc haktrace -o t.zst -- "$python" churn.py
haktrace dump t.zst >t.txt
python3 - <<'END'
import re, struct
line = re.compile(r"\d+ (\d+) \d+ (\w+)(?: old=(\w+))?(?: id=(\w+))?(?: size=(\d+))?(.*)")
with open("t.ops", "wb") as out:
    for text in open("t.txt"):
        time, op, old, new, size, rest = line.match(text).groups()
        if op.startswith("thread"):
            continue
        assert op in ("malloc", "free", "realloc", "calloc") and rest.strip() == "", text
        old, new = (0 if x in (None, "null") else int(x) for x in (old, new))
        what = 1 if op == "realloc" else 2 if op == "calloc" else 0
        out.write(struct.pack("<5Q", int(time), new, old, int(size or 0), what))
END
list=decay:ms=10 list+=,decay:ms=60,how=unmap,max=2MiB list+=,delay:ms=5 list+=,delay:ms=40,how=free
list+=,demand:ms=20 list+=,bounce:n=2 list+=,eager list+=,pressure:rss=8MiB list+=,rest:ms=2,keep=1MiB list+=,budget list+=,adapt:ms=5,keep=1MiB list+=,partial:n=30
haksim t.zst --no-db --json -p "$list" >sim.json
haksim t.zst --no-db --json --mode=full -p report-2025 >full.json # it has a placement of its own
python3 - >wanted.txt <<'END'
import json
for p in json.load(open("sim.json"))["policies"] + json.load(open("full.json"))["policies"]:
    print(p["policy"], p["rounds"], p["release_calls"], p["released_bytes"])
END
[ "$(wc -l <wanted.txt)" -eq 13 ]
while read -r policy wanted; do
    got=$(HAKMEM_POLICY=$policy LD_PRELOAD=$LIB/libhakmem.so "$BIN/stress/alloc_clock" t.ops)
    echo "$policy: predicted $wanted, measured $got"
    [ "$got" = "$wanted" ] || exit 1
    case $policy in
    rest*) ;; # how long this program paused is the machine's business: see below
    *) [ "${got%% *}" -gt 0 ] || exit 1 ;; # else the comparison says nothing
    esac
done <wanted.txt

# Terms of a second (rest: what stayed dirty through one goes back) begin with the first span, not with the
# clock: here it shows 700 ms by then. Objects come and go, one stays free for longer and longer.
python3 - <<'END'
import struct
with open("terms.txt", "w") as text, open("terms.ops", "wb") as out:
    time, made, kept = 700000000, 0, []
    def op(word, size, old, new):
        global time
        time += 2000
        text.write(f"1: {word} {0x100000 + 0x100000 * (old or new):#x}{f' {size}' if word == 'malloc' else ''} "
                   f"{time} {time + 100}\n")
        out.write(struct.pack("<5Q", time, new, old, size, 0))
    for step in range(1500):
        time += 4000000
        made += 1
        op("malloc", 70000 + 9000 * (step % 40), 0, made)
        kept.append(made)
        if len(kept) > 8 + step % 30:
            op("free", 0, kept.pop(0), 0)
            op("free", 0, kept.pop(0), 0)
END
haktrace import -q -o terms.zst terms.txt
haksim terms.zst --no-db --json -p rest:ms=10,adapt:ms=10,budget >sim.json
agree terms.ops 1

# Pauses that are known: bursts of 4 MiB, 100 ms apart, each begun by an object that stays, so that the
# allocator comes to its slow path.
python3 - <<'END'
import struct
with open("rests.txt", "w") as text, open("rests.ops", "wb") as out:
    time, made = 1000, 0
    def op(word, size, old, new):
        global time
        time += 2000
        place = f"0x{0x100000 + 0x100000 * (old or new):x}"
        text.write(f"1: {word} {place}{f' {size}' if word == 'malloc' else ''} {time} {time + 100}\n")
        out.write(struct.pack("<5Q", time, new, old, size, 0))
    for burst in range(30):
        made += 1
        op("malloc", 1500000, 0, made)
        ids = range(made + 1, made + 41)
        for i in ids:
            op("malloc", 100000, 0, i)
        for i in ids:
            op("free", 0, i, 0)
        made += 40
        time += 100000000
END
haktrace import -q -o rests.zst rests.txt
haksim rests.zst --no-db --json -p rest:ms=2,keep=1MiB,rest,decay:ms=50,delay:ms=60 >sim.json
agree rests.ops 3
echo "ok haksim-clock"
