# Handlers that allocate in the middle of our wrappers: nothing is overwritten, nothing is lost.
# An allocator that may be entered by handlers stands behind the wrappers.
set -eu
# shellcheck source=tests/cli/haktrace-record.lib
. "$TOP/tests/cli/haktrace-record.lib"

cat >bump.c <<'END'
#include <stdint.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#define AROUND (16u << 20)
static char *base;
static uint64_t used, marked;
__attribute__((constructor)) static void start(void)
{
    if (!base)
        base = mmap(NULL, 1ull << 32, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}
void *malloc(size_t n)
{
    start();
    n = (n + 31) / 16 * 16;
    char *p = base;
    if (n < 3000 || n > 3400) /* for good */
        p += AROUND + 8192 + __atomic_fetch_add(&used, n, __ATOMIC_RELAXED);
    else /* what the test marks is freed at once: around and around */
        p += __atomic_fetch_add(&marked, 4096, __ATOMIC_RELAXED) % AROUND;
    *(size_t *)p = n - 16;
    return p + 16;
}
void free(void *p) { (void)p; }
void *calloc(size_t n, size_t s) { return malloc(n * s); }
void *realloc(void *p, size_t n)
{
    void *q = malloc(n);
    if (p) {
        size_t old = *(size_t *)((char *)p - 16);
        memcpy(q, p, old < n ? old : n);
    }
    return q;
}
END
gcc -O2 -fno-builtin -Wl,-Bsymbolic -shared -fPIC -o bump.so bump.c
for size in 1MiB 8KiB; do
    LD_PRELOAD=$PWD/bump.so haktrace --ring-size=$size -o t.zst -- "$STRESS/trace_signal" 50000 1500 >expected 2>err ||
        fail "exit code $?: $(cat err)"
    counts_equal "rings of $size" expected t.zst
done
echo ok
