#!/bin/bash
# Options and inputs that are wrong: exit code, stream and sentence of each.
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

"$BIN/haktrace" gen -o t.zst random_mixed 20000 400 1
expect() { # CODE PATTERN ARG...
    code=$1 pattern=$2 rc=0
    shift 2
    "$BIN/hakreplay" "$@" >out 2>err || rc=$?
    [ $rc = "$code" ] || fail "hakreplay $*: exit code $rc, not $code: $(cat err)"
    [ ! -s out ] || fail "hakreplay $*: an error on stdout: $(cat out)"
    grep -q -- "$pattern" err || fail "hakreplay $*: '$(cat err)' does not say '$pattern'"
    [ ! -e results.db ] || fail "hakreplay $*: made a database"
}
expect 2 'which trace'
expect 2 'too many' t.zst t.zst
expect 2 "'nosuch'" t.zst -a nosuch
expect 2 'policy' t.zst -a libc --policy=eager
expect 2 'sometimes' t.zst -a hakmem --policy=sometimes
expect 2 'repeats' t.zst -a libc -r 0
expect 2 'repeats' t.zst -a libc -r 5x
expect 2 'speed' t.zst -a libc --passes=speed
expect 2 'timeout' t.zst -a libc --timeout=soon
expect 2 'touch' t.zst -a libc --touch=some
expect 2 'seed' t.zst -a libc --seed=-1
expect 2 'one format' t.zst -a libc --json --csv
expect 1 'no.such' no.such -a libc
expect 2 'no name' t.zst -a libc --db=
expect 2 'unknown policy "wrong"' t.zst -a hakmem:HAKMEM_POLICY=wrong
expect 2 'has a policy already' t.zst -a hakmem:HAKMEM_POLICY=eager --policy=never
"$BIN/hakreplay" t.zst -a hakmem:HAKMEM_POLICY=partial:5 -r 1 --no-db --no-control --csv >out
grep -q '^hakmem:HAKMEM_POLICY=partial:5,partial:n=5,' out || fail "the policy of an environment: $(cat out)"
expect 1 '/no/lib.so' t.zst -a x=/no/lib.so

# a damaged or cut trace: exit code 4 with the place
size=$(wc -c <t.zst)
cp t.zst bad.zst
printf '\377\377\377\377' | dd of=bad.zst bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
expect 4 'bad.zst' bad.zst -a libc
head -c 20 t.zst >cut.zst
expect 4 'cut.zst' cut.zst -a libc
echo 'not a trace at all' >text
expect 4 'text' text -a libc

"$BIN/hakreplay" --version | grep -q '^hakreplay [0-9]' || fail version
"$BIN/hakreplay" --help | grep -q -- --policy || fail help
rc=0
"$BIN/hakreplay" t.zst -a libc -r 1 --no-db >/dev/full 2>err || rc=$?
[ $rc = 1 ] && [ -s err ] || fail "a full disk gave exit code $rc"
rc=0
"$BIN/hakreplay" t.zst -a libc -r 1 --db /no/dir/x.db >out 2>err || rc=$?
[ $rc = 1 ] && grep -q '/no/dir/x.db' err || fail "a database that cannot be made: $rc, $(cat err)"

# what the environment sets for allocators is left out, and that is said
HAKDB=$PWD/env.db MALLOC_ARENA_MAX=1 "$BIN/hakreplay" t.zst -a libc -r 1 >out 2>err
grep -q MALLOC_ARENA_MAX err || fail "no word on MALLOC_ARENA_MAX: $(cat err)"
[ -s env.db ] || fail "HAKDB is not heeded"
echo "ok hakreplay-input"
