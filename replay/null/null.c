/*
 * libhaknull.so: the control. Outside a region it is a bump allocator that never frees, good
 * enough to start a program. Between haknull_begin and haknull_end it hands out the same block of
 * the thread again and again and keeps no books at all, so that what a replay costs with it is the
 * driver's cost. Blocks overlap then and calloc's are not zero: for hakreplay alone.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default")))
#define RING   (UINT64_C(16) << 10)     /* of each thread; stays in the first-level cache */
#define RINGS  (UINT64_C(16385) * RING) /* a thread more than a plan may have */
#define BUMP   (UINT64_C(1) << 30)      /* for all that is allocated outside a region */
#define LARGE  (UINT64_C(1) << 40)      /* where blocks above half a ring overlap */
#define HEADER 16u                      /* the size, before a bump block */

static char *space; /* rings, then bump, then large */
static uint64_t bump_used;
static uint32_t rings_used;
static int inside;

/* In a region: the one block that this thread gets for every malloc of up to RING / 2 bytes. The
 * model of thread-local storage without a call. */
static __thread char *ring __attribute__((tls_model("initial-exec")));

EXPORT void haknull_begin(void);
EXPORT void haknull_end(void);
EXPORT void *malloc(size_t size);
EXPORT void free(void *p);
EXPORT void *calloc(size_t n, size_t size);
EXPORT void *realloc(void *p, size_t size);
EXPORT void *memalign(size_t align, size_t size);
EXPORT void *aligned_alloc(size_t align, size_t size);
EXPORT int posix_memalign(void **out, size_t align, size_t size);
EXPORT void *valloc(size_t size);
EXPORT void *pvalloc(size_t size);
EXPORT void *reallocarray(void *p, size_t n, size_t size);
EXPORT size_t malloc_usable_size(void *p);

static __attribute__((noinline)) int open_space(void) {
    void *p = mmap(NULL, RINGS + BUMP + LARGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return -1;
    char *none = NULL;
    if (!__atomic_compare_exchange_n(&space, &none, (char *)p, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
        munmap(p, RINGS + BUMP + LARGE);
    return 0;
}

static __attribute__((noinline)) void *bump_alloc(size_t align, size_t size) {
    if (__atomic_load_n(&space, __ATOMIC_ACQUIRE) == NULL && open_space() != 0) {
        errno = ENOMEM;
        return NULL;
    }
    if (align < 16)
        align = 16;
    if (size > BUMP || align > BUMP) {
        errno = ENOMEM;
        return NULL;
    }
    uint64_t want = HEADER + align + ((size + 15) & ~UINT64_C(15));
    uint64_t at = __atomic_fetch_add(&bump_used, want, __ATOMIC_RELAXED);
    if (at + want > BUMP) {
        errno = ENOMEM;
        return NULL;
    }
    uintptr_t p = (uintptr_t)(space + RINGS + at) + HEADER;
    p = (p + align - 1) & ~(uintptr_t)(align - 1);
    ((uint64_t *)p)[-1] = size;
    return (void *)p;
}

static __attribute__((noinline)) void *slow_alloc(size_t align, size_t size) {
    if (!inside)
        return bump_alloc(align, size);
    if (ring == NULL)
        ring = space + __atomic_fetch_add(&rings_used, 1, __ATOMIC_RELAXED) * RING;
    if (size > RING / 2 || align > 16) {
        if (size > LARGE - BUMP) {
            errno = ENOMEM;
            return NULL;
        }
        uintptr_t p = (uintptr_t)(space + RINGS + BUMP);
        return (void *)((p + align - 1) & ~(uintptr_t)(align - 1));
    }
    return ring;
}

void *malloc(size_t size) {
    if (__builtin_expect(ring == NULL || size > RING / 2, 0))
        return slow_alloc(16, size);
    return ring;
}

void free(void *p) {
    (void)p;
}

void *calloc(size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return malloc(bytes); /* outside a region its memory is fresh, so zero */
}

void *realloc(void *p, size_t size) {
    if (inside)
        return size != 0 ? malloc(size) : NULL;
    void *q = bump_alloc(16, size);
    if (p != NULL && q != NULL) {
        uint64_t old = ((uint64_t *)p)[-1];
        memcpy(q, p, old < size ? old : size);
    }
    return q;
}

void *memalign(size_t align, size_t size) {
    return slow_alloc(align, size);
}

void *aligned_alloc(size_t align, size_t size) {
    return slow_alloc(align, size);
}

int posix_memalign(void **out, size_t align, size_t size) {
    void *p = slow_alloc(align, size);
    if (p == NULL)
        return ENOMEM;
    *out = p;
    return 0;
}

void *valloc(size_t size) {
    return slow_alloc(4096, size);
}

void *pvalloc(size_t size) {
    return slow_alloc(4096, (size + 4095) & ~(size_t)4095);
}

void *reallocarray(void *p, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, bytes);
}

size_t malloc_usable_size(void *p) {
    return p == NULL || inside ? 0 : ((uint64_t *)p)[-1];
}

void haknull_begin(void) {
    if (space == NULL && open_space() != 0)
        return;
    memset(space, 0, RING); /* the first thread's */
    inside = 1;
}

void haknull_end(void) {
    inside = 0;
    ring = NULL;
}
