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

# Importing the text again gives the same records, if not the same bytes.
expect 0 haktrace import -f android -o again.zst "$golden/v1.android.txt"
expect 0 haktrace dump again.zst
cmp out "$golden/v1.dump"
# An implied free belies exact ids.
expect 0 haktrace info --json again.zst
python3 -c 'import json; d = json.load(open("out"))["fidelity"]; assert d["exact_ids"] is False and d["times"] and d["imported"]'
