# bench_random_mixed: result line, options, exit codes, and the allocator it names.
set -eu

fail() {
    echo "$*"
    exit 1
}

out=$(bench_random_mixed 20000 400 1)
echo "$out" | grep -Eq '^[0-9]+\.[0-9]{2} Mops/s  [0-9.]+ s  peak RSS [0-9]+ KiB  faults [0-9]+ minor [0-9]+ major  malloc from /.*libc' ||
    fail "line: $out"
[ "$(echo "$out" | wc -l)" = 1 ] || fail "more than one line: $out"

bench_random_mixed 20000 400 0 3 --warmup 1000 --json | python3 -c '
import json, sys
r = json.load(sys.stdin)
assert r["schema_version"] == 1 and r["threads"] == 3 and r["warmup"] == 1000, r
assert r["mops_per_s"] > 0 and r["peak_rss_kib"] > 0, r
'

# The stream itself, counted from outside: this xorshift32 stands in the header comment.
want=$(python3 -c '
x, full, mallocs, frees = 7, set(), 0, 0
for _ in range(50000):
    x ^= x << 13 & 0xFFFFFFFF; x ^= x >> 17; x ^= x << 5 & 0xFFFFFFFF
    if x % 997 in full: full.remove(x % 997); frees += 1
    else: full.add(x % 997); mallocs += 1
print(mallocs, frees + len(full))
')
cat >count.c <<'END'
#include <stdio.h>
#include <stdlib.h>
void *__libc_malloc(size_t);
void __libc_free(void *);
static long mallocs, frees;
void *malloc(size_t n)
{
    mallocs += n >= 16 && n < 1040;
    return __libc_malloc(n);
}
void free(void *p)
{
    frees += p != NULL;
    __libc_free(p);
}
__attribute__((destructor)) static void end(void)
{
    fprintf(stderr, "%ld %ld\n", mallocs, frees);
}
END
gcc -O1 -fno-builtin -shared -fPIC -o count.so count.c
LD_PRELOAD=$PWD/count.so bench_random_mixed 1 997 7 >/dev/null 2>base
LD_PRELOAD=$PWD/count.so bench_random_mixed 50000 997 7 >out 2>counts
grep -q 'malloc from .*count.so' out || fail "the preload is not named: $(cat out)"
read -r m0 f0 <base
read -r m f <counts
# one iteration is one malloc and, at the end, one free
[ "$((m - m0 + 1)) $((f - f0 + 1))" = "$want" ] || fail "mallocs and frees: $m - $m0, $f - $f0; want $want"

for bad in '10 400' '0 400 1' '10 0 1' '10 400 1 0' '10 400 1 2000' '10x 400 1' '1 2 3 4 5' \
    '-- -1 400 1' '10 400 1 --warmup=x' '99999999999999999999 1 1'; do
    rc=0
    # shellcheck disable=SC2086
    bench_random_mixed $bad >out 2>err || rc=$?
    [ $rc = 2 ] || fail "'$bad' gave exit code $rc, not 2"
    [ ! -s out ] && [ -s err ] || fail "'$bad': error not on stderr alone"
done
bench_random_mixed --version | grep -q '^bench_random_mixed [0-9]' || fail version
bench_random_mixed --help | grep -q -- --warmup || fail help
rc=0
bench_random_mixed 10 400 1 >/dev/full 2>err || rc=$?
[ $rc = 1 ] && grep -q 'writing the result' err || fail "a full disk gave exit code $rc"
