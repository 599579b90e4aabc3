# gen, dump, info, verify, import: their output, and what they say when something is wrong.
set -eu

expect() { # CODE COMMAND...
    want=$1
    shift
    code=0
    "$@" >out 2>err || code=$?
    [ "$code" = "$want" ] || {
        echo "exit code $code, not $want: $*"
        cat out err
        exit 1
    }
}

# The benchmark's stream, by a second hand.
expect 0 haktrace gen -o rm.zst random_mixed 30000 97 7
expect 0 haktrace dump rm.zst
cp out dump
python3 - >want <<'END'
x, slots, n, ids = 7, {}, 0, 0
def put(text):
    global n
    print(n, "- 0", text)
    n += 1
for _ in range(30000):
    x ^= x << 13 & 0xFFFFFFFF; x ^= x >> 17; x ^= x << 5 & 0xFFFFFFFF
    s = x % 97
    if s in slots:
        put("free old=%d" % slots.pop(s))
    else:
        ids += 1
        slots[s] = ids
        put("malloc id=%d size=%d" % (ids, 16 + (x & 0x3FF)))
for s in sorted(slots):
    put("free old=%d" % slots[s])
END
cmp dump want
expect 0 haktrace dump --from 100 --count 5 rm.zst
sed -n 101,105p want | cmp - out

# zstd alone shows the header.
if command -v zstd >/dev/null; then
    zstd -dc rm.zst >text
    head -n 1 text | grep -qa '^HAKTRACE 1$'
    grep -qa '^source=random_mixed 30000 97 7$' text
fi

expect 0 haktrace gen -o - handover 5000 6 3
mv out ho.zst
expect 0 haktrace verify ho.zst rm.zst
expect 0 haktrace info --json ho.zst
python3 -c '
import json
d = json.load(open("out"))
assert d["schema_version"] == 1 and d["totals"]["threads"] == 6
assert d["handovers"]["by_free"] == 5000 and d["handovers"]["percent_of_frees"] == 100
assert d["totals"]["allocations"] == 5000 and d["totals"]["live_at_end"] == 0
assert sum(c["count"] for c in d["sizes"]) == 5000
assert d["totals"]["duration_ns"] is None
'
expect 0 haktrace dump --json --count 20 ho.zst
python3 -c 'import json; [json.loads(l) for l in open("out")]'

# Wrong calls, full disk, missing files.
expect 2 haktrace
expect 2 haktrace dump
expect 2 haktrace dump --from x rm.zst
expect 2 haktrace gen -o x.zst random_mixed 10 0 1
expect 2 haktrace gen -o x.zst nothing 1 1 1
expect 2 haktrace gen random_mixed 1 1 1
expect 2 haktrace import -o x.zst rm.zst
expect 2 haktrace import -f elsewhere -o x.zst rm.zst
expect 1 haktrace info nowhere.zst
grep -q 'nowhere.zst: No such file' err
for c in "dump rm.zst" "info rm.zst" "verify rm.zst" "gen -o - random_mixed 9 9 9" --help; do
    code=0
    # shellcheck disable=SC2086
    haktrace $c >/dev/full 2>err || code=$?
    [ $code = 1 ] && grep -q 'No space left' err || {
        echo "haktrace $c on a full disk: exit code $code"
        cat err
        exit 1
    }
done
expect 1 haktrace gen -o /dev/full random_mixed 100000 99 9
haktrace dump rm.zst | head -n 1 >first
cmp first <(head -n 1 want)

# A text that is none: line and byte.
printf '1: malloc 0x10 5\n1: nonsense\n' >bad.txt
expect 4 haktrace import -f android -o x.zst bad.txt
grep -q 'bad.txt: byte 17: line 2' err
[ ! -e x.zst ] # half a recording would verify as a whole one
printf '1000\n2\n2\n1\na 0 16\nnonsense\n' >bad.rep
expect 4 haktrace import -f rep -o x.zst bad.rep
[ ! -e x.zst ]
expect 4 haktrace info "$TOP/README.md"
grep -q 'README.md: byte 0: this is not a trace' err
expect 2 haktrace import -f android -o bad.txt bad.txt
[ -s bad.txt ]
printf '1: malloc 0x10 5\n1: free 0x10\n' | expect 0 haktrace import -f android -o x.zst -
expect 0 haktrace verify x.zst

for c in info dump verify import gen; do
    expect 0 haktrace $c --help
    expect 0 haktrace $c --version
    grep -q '^haktrace [0-9]' out
done
