#!/bin/bash
# haksim: exit codes, and that an error says what and where on stderr alone.
set -eu

fail() {
    echo "$*"
    exit 1
}

# expect CODE PATTERN ARGUMENT...
expect() {
    local want=$1 pattern=$2 rc=0
    shift 2
    haksim "$@" >out 2>err || rc=$?
    [ $rc = "$want" ] || fail "haksim $*: exit code $rc, not $want: $(cat err)"
    grep -Eq -- "$pattern" err || fail "haksim $*: says: $(cat err)"
    [ ! -s out ] || fail "haksim $*: prints $(cat out)"
}

haktrace gen -o t.zst random_mixed 300000 4000 1
size=$(stat -c %s t.zst)

expect 2 'no trace'
expect 2 'second' t.zst t.zst
expect 2 'unknown policy "sometimes"' t.zst -p never,sometimes
expect 2 'n is "0"' t.zst -p partial:0
expect 2 '--jobs' t.zst -j 0
expect 2 '--mode' t.zst --mode=half
expect 2 'check-full' t.zst --mode=full --check-full
expect 2 'unrecognized option' t.zst --wrong
expect 1 'nowhere.zst' nowhere.zst --no-db

printf 'this is no trace\n' >text.zst
expect 4 'text.zst' text.zst --no-db
: >empty.zst
expect 4 'empty.zst' empty.zst --no-db

# A byte changed in the middle of the records: found, with its place.
cp t.zst flipped.zst
byte=$(od -An -tu1 -j$((size / 2)) -N1 t.zst | tr -d ' ')
# shellcheck disable=SC2059
printf "\\x$(printf %02x $((byte ^ 0x55)))" | dd of=flipped.zst bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
expect 4 'flipped.zst: byte [0-9]+' flipped.zst --no-db
expect 4 'flipped.zst: byte [0-9]+' flipped.zst --no-db --mode=full
[ ! -e results.db ] || fail "a failed run or --no-db left results.db"

haktrace gen -o none.zst random_mixed 0 1 1
expect 1 'none.zst holds no op' none.zst --no-db
expect 1 'none.zst holds no op' none.zst --no-db --mode=full
rc=0 # no name is no database, not one that is gone at the end
haksim t.zst -p never --db= >out 2>err || rc=$?
[ $rc = 2 ] && grep -q 'no name' err || fail "--db=: $rc, $(cat err)"

# A recording that was cut short is simulated, and that is said.
HAKDB='' haksim t.zst -p never >out
if grep -q trailer out; then fail "a whole trace: $(cat out)"; fi
rm results.db
head -c $((size - 60)) t.zst >cut.zst
haksim cut.zst -p never --no-db >out
grep -q 'has no trailer' out || fail "a cut trace: $(cat out)"

# What could not be kept is not simulated first.
expect 1 no-such-folder t.zst -p never --db no-such-folder/x.db
mkdir closed
chmod a-w closed
[ -w closed ] || expect 1 'closed/x.db' t.zst -p never --db closed/x.db
expect 4 'text.zst' t.zst -p never --db text.zst
expect 1 'such run on this machine|nowhere.db' t.zst -p never --no-db --prices=nowhere.db

rc=0
haksim t.zst --no-db >/dev/full 2>err || rc=$?
[ $rc = 1 ] && [ -s err ] || fail "a full disk gave exit code $rc"

haksim --version | grep -q '^haksim [0-9]' || fail version
haksim --help | grep -q -- --check-full || fail help
# Help and man page name every policy that there is.
haksim --help >help
sed 's/\\f[BRI]//g; s/\\-/-/g' "$TOP/docs/man/haksim.1" >page
names=$(sed -n 's/^ *\.name = "\([a-z0-9-]*\)".*/\1/p' "$TOP"/alloc/policy/policy_*.c)
[ "$(wc -w <<<"$names")" -ge 10 ] || fail "policies: $names"
for p in $names; do
    grep -qw -- "$p" help || fail "help does not name $p"
    grep -qw -- "$p" page || fail "haksim(1) does not name $p"
done
for range in 1..10000*1.0000001 1..10000*1 1..10000*1001; do
    expect 2 'above 1 and at most 1000, with at most three decimals' t.zst --no-db -p "decay:ms=$range"
done

haksim t.zst -p never >out # the default database
[ -s results.db ] || fail "no results.db"
echo "ok haksim-errors"
