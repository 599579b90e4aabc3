#!/bin/bash
# --check: allocators that damage their user's bytes are found out and yield no figure; good ones pass.
# timeout: 200
set -eu
# shellcheck source=tests/cli/hakreplay.lib
. "$TOP/tests/cli/hakreplay.lib"

cat >bad.c <<'END'
#include <stddef.h>
#include <string.h>
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);
static long n;
static char *victim;
static int due(size_t size) /* the 150th: the program itself makes a few before the replay */
{
    return size >= 100 && size < 1000 && __atomic_add_fetch(&n, 1, __ATOMIC_RELAXED) == 150;
}
void *malloc(size_t size)
{
    char *p = __libc_malloc(size + 16);
#if defined BEFORE || defined ALIGN || defined TWICE
    if (due(size)) {
#if defined BEFORE
        if (victim != NULL)
            victim[50] ^= 1;
#elif defined ALIGN
        return p + 8;
#elif defined TWICE
        return victim;
#endif
    }
#endif
    if (size >= 100 && size < 1000)
        victim = p;
    return p;
}
void *calloc(size_t k, size_t size)
{
    char *p = __libc_calloc(k, size);
#ifdef ZERO
    if (due(k * size))
        p[k * size - 1] = 7;
#endif
    return p;
}
void *realloc(void *p, size_t size)
{
    char *q = __libc_realloc(p, size);
#ifdef COPY
    if (due(size))
        q[99] ^= 0x80;
#endif
    return q;
}
void *aligned_alloc(size_t a, size_t size) { return __libc_memalign(a, size); }
void free(void *p)
{
#ifdef TWICE
    static int frees;
    (void)frees;
    return; /* so that nothing crashes */
#endif
    __libc_free(p);
}
END
i=0
while [ $i -lt 200 ]; do
    a=$((i * 3 + 1)) b=$((i * 3 + 2)) c=$((i * 3 + 3))
    printf '1: malloc 0x%x %d\n1: calloc 0x%x 1 %d\n1: realloc 0x%x 0x%x %d\n' \
        $a $((100 + i)) $b $((200 + i)) $((c + 65536)) $b $((300 + i))
    printf '1: malloc 0x%x 128\n1: free 0x%x\n1: free 0x%x\n' $((a + 131072)) $((c + 65536)) $a
    i=$((i + 1))
done >t.txt
"$BIN/haktrace" import -o t.zst t.txt 2>/dev/null

found() { # KIND PATTERN
    gcc -O1 -fno-builtin -shared -fPIC -D"$1" -o "$1.so" bad.c
    rc=0
    "$BIN/hakreplay" t.zst -a "libc,bad=$PWD/$1.so" -r 4 --check --no-control --db "$1.db" --csv >out 2>err || rc=$?
    [ $rc = 1 ] || fail "$1: exit code $rc: $(cat out err)"
    grep -q "^bad,.*,failed,.*user data corrupted: $2" out || fail "$1: $(cat out)"
    grep '^bad,' out | head -n 1 | grep -q ',variant,failed,"*user data[^"]*"*,0,,,,,' || fail "$1: figures from a corrupting allocator: $(cat out)"
    grep -q '^libc,.*,variant,ok,' out || fail "$1: libc: $(cat out)"
    ratios=$(sqlite3 "$1.db" "SELECT count(time_to_libc) FROM v_compare WHERE allocator LIKE 'bad%'" 2>/dev/null) || ratios=0
    [ "$ratios" = 0 ] || fail "$1: a ratio in the database"
    [ "$(python3 -c "import sqlite3; print(sqlite3.connect('$1.db').execute(
        \"SELECT time_runs FROM v_compare WHERE allocator = 'libc'\").fetchone()[0])")" = 4 ] ||
        fail "$1: a check counts as a timed run"
}
found BEFORE "a block .*has changed: byte 50 is 0x.*, not 0x.*, found by thread 0 "
found COPY 'realloc did not keep the bytes: byte 99 is '
found ZERO "calloc's block is not zero: byte .* is 0x07, not 0x00"
found ALIGN 'the address is not aligned: 0x.*8 is no multiple of 16'
found TWICE 'a block has changed'

# what is never freed is looked at too: without its frees the same fault is found at the end
grep -v free t.txt >kept.txt
"$BIN/haktrace" import -o kept.zst kept.txt 2>/dev/null
rc=0
"$BIN/hakreplay" kept.zst -a "bad=$PWD/BEFORE.so" -r 1 --check --no-control --no-db --csv >out || rc=$?
[ $rc = 1 ] && grep -q 'never freed has changed' out || fail "at the end: $rc, $(cat out)"

"$BIN/haktrace" gen -o four.zst handover 20000 4 1
for t in t four; do
    "$BIN/hakreplay" $t.zst -a libc,hakmem,mimalloc,jemalloc,tcmalloc --passes=account --check --no-db >out 2>err ||
        { grep -q 'is not installed\|not there\|no such' err && "$BIN/hakreplay" $t.zst -a libc,hakmem --passes=account --check --no-db >out; } ||
        fail "$t: $(cat out err)"
    grep -q '^hakmem: check: .* none changed' out || fail "$t: $(cat out)"
done
echo "ok hakreplay-check"
