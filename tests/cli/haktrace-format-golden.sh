# Golden traces: read as they always were; the cut and the corrupt one are told apart.
set -eu
golden=$TOP/tests/golden

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

expect 0 haktrace verify "$golden/v1.zst"
expect 0 haktrace dump "$golden/v1.zst"
cmp out "$golden/v1.dump"

expect 4 haktrace verify "$golden/v1-cut.zst"
grep -q 'v1-cut.zst: byte [0-9]*: ' err
expect 0 haktrace dump "$golden/v1-cut.zst"
cmp out "$golden/v1.dump" # the chunk is whole
grep -q 'no trailer' err
expect 0 haktrace info --json "$golden/v1-cut.zst"
python3 -c 'import json; d = json.load(open("out")); assert d["complete"] is False; assert d["totals"]["dropped"] is None'

expect 4 haktrace verify "$golden/v1-corrupt.zst"
grep -q 'v1-corrupt.zst: byte [0-9]*: ' err
expect 4 haktrace dump "$golden/v1-corrupt.zst"
expect 4 haktrace info "$golden/v1-corrupt.zst"

# Events, and what a later writer may add.
for t in v1-events v1-future; do
    expect 0 haktrace verify "$golden/$t.zst"
    expect 0 haktrace dump "$golden/$t.zst"
    cmp out "$golden/v1-events.dump"
done
expect 0 haktrace dump --json "$golden/v1-events.zst"
python3 -c 'import json; rows = [json.loads(l) for l in open("out")]; assert rows[0]["event"] == "mmap" and rows[0]["before_record"] == 0; assert rows[5]["failed"] is True; assert rows[9]["event"] == 77'
# A part of it, by number and time, and as a trace of its own.
expect 0 haktrace dump --from 3 --count 1 "$golden/v1-events.zst"
sed -n 5,7p "$golden/v1-events.dump" | cmp - out
expect 0 haktrace dump --at 1.03us --to 1.3us "$golden/v1-events.zst"
sed -n 4,7p "$golden/v1-events.dump" | cmp - out
expect 0 haktrace cut -o part.zst --from 1 --count 3 "$golden/v1-events.zst"
expect 0 haktrace verify part.zst
expect 0 haktrace dump part.zst
printf '%s\n' '0 0 0 malloc id=1 size=100' '1 20 1 thread_start' \
    'event 20 1 madvise address=139637976727552 length=65536 advice=4' \
    'event 20 0 mremap old_address=139637976731648 old_length=4096 address=12 length=1099511627776 failed' \
    '2 25 1 free old=1' | cmp - out

# What must be known and is not: said, with its place, and not taken for corrupt.
for t in v1-critical v1-column v2; do
    for c in verify dump info; do
        expect 1 haktrace $c "$golden/$t.zst"
        grep -q "$t.zst: byte [0-9]*: .*\(not know\|newer\)" err
    done
done

# Importing the text again gives the same records, if not the same bytes.
expect 0 haktrace import -f android -o again.zst "$golden/v1.android.txt"
expect 0 haktrace dump again.zst
cmp out "$golden/v1.dump"
# An implied free belies exact ids.
expect 0 haktrace info --json again.zst
python3 -c 'import json; d = json.load(open("out"))["fidelity"]; assert d["exact_ids"] is False and d["times"] and d["imported"]'
