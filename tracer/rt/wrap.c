/*
 * The entry points. A free is published before the real free, an allocation after the real call
 * has returned, a realloc before (its intent) and after (its result): then whoever sees a record
 * can already see what made it possible (see tracer/collect.h).
 */
#include "tracer/rt/rt.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static inline uint64_t product(size_t n, size_t size) {
    size_t p;
    return __builtin_mul_overflow(n, size, &p) ? UINT64_MAX : p;
}

/* log2 of the alignment asked for; of the next power of two where it is none. */
static inline unsigned log2_up(size_t align) {
    unsigned bits = align < 2 ? 0 : 64 - (unsigned)__builtin_clzll(align - 1);
    return bits < 63 ? bits : 63;
}

static inline void *recorded(unsigned op, unsigned align_log2, void *p, uint64_t size) {
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return p; /* made while finding the real functions: not the program's op */
    hakt_record(op, align_log2, p, size, 0);
    return p;
}

/*
 * An allocator may do one entry point by another one's public name (aligned_alloc by memalign,
 * say). That inner call is no op of the program. It is known by where it comes from, the
 * allocator's own library (or, when it is a tail call, ours), while this thread is in one of its
 * entry points; a signal handler's call at that time comes from elsewhere and is recorded. malloc
 * and free, the hot ones, are taken to do their own work.
 */
static __thread int inside;
#define NESTED()                                                                                   \
    (__builtin_expect(inside, 0) && hakt_called_by_allocator(__builtin_return_address(0)))

/* Sets the flag around a call of the real function. Left behind by a longjmp, it is right again
 * after the next. */
#define INSIDE(call)                                                                               \
    ({                                                                                             \
        inside = 1;                                                                                \
        __auto_type inside_result = (call);                                                        \
        inside = 0;                                                                                \
        inside_result;                                                                             \
    })

EXPORT void *malloc(size_t size) {
    if (NESTED())
        return hakt_real.malloc(size);
    return recorded(HAKT_SHM_MALLOC, 0, hakt_real.malloc(size), size);
}

EXPORT void *calloc(size_t n, size_t size) {
    if (NESTED())
        return hakt_real.calloc(n, size);
    return recorded(HAKT_SHM_CALLOC, 0, INSIDE(hakt_real.calloc(n, size)), product(n, size));
}

EXPORT void free(void *p) {
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return;
    if (!NESTED())
        hakt_record(HAKT_SHM_FREE, 0, p, 0, 1);
    hakt_real.free(p);
}

static void *move(unsigned begin, void *p, uint64_t size) {
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return hakt_arena_realloc(p, size);
    int known = hakt_record(begin, 0, p, size, 1);
    void *q = INSIDE(hakt_real.realloc(p, size));
    if (known) /* else the op is lost as a whole, and counted */
        hakt_record(HAKT_SHM_REALLOC_END, 0, q, (uintptr_t)p, 0);
    return q;
}

EXPORT void *realloc(void *p, size_t size) {
    if (NESTED())
        return hakt_real.realloc(p, size);
    if (p == NULL)
        return recorded(HAKT_SHM_REALLOC, 0, INSIDE(hakt_real.realloc(NULL, size)), size);
    return move(HAKT_SHM_REALLOC_BEGIN, p, size);
}

/* By the real realloc, which is what it is defined by: no allocator can tell the difference. */
EXPORT void *reallocarray(void *p, size_t n, size_t size) {
    uint64_t bytes = product(n, size);
    void *q = NULL;
    if (bytes != UINT64_MAX) {
        if (NESTED())
            return hakt_real.realloc(p, bytes);
        if (p != NULL)
            return move(HAKT_SHM_REALLOCARRAY_BEGIN, p, bytes);
        q = INSIDE(hakt_real.realloc(NULL, bytes));
    } else {
        errno = ENOMEM;
        if (p != NULL && !hakt_arena_owns(p) &&
            hakt_record(HAKT_SHM_REALLOCARRAY_BEGIN, 0, p, bytes, 1)) {
            hakt_record(HAKT_SHM_REALLOC_END, 0, NULL, (uintptr_t)p, 0);
            return NULL;
        }
    }
    return p == NULL ? recorded(HAKT_SHM_REALLOCARRAY, 0, q, bytes) : q;
}

EXPORT void *memalign(size_t align, size_t size) {
    if (NESTED())
        return hakt_real.memalign(align, size);
    return recorded(HAKT_SHM_MEMALIGN, log2_up(align), INSIDE(hakt_real.memalign(align, size)),
                    size);
}

EXPORT void *aligned_alloc(size_t align, size_t size) {
    if (NESTED())
        return hakt_real.aligned_alloc(align, size);
    return recorded(HAKT_SHM_ALIGNED_ALLOC, log2_up(align),
                    INSIDE(hakt_real.aligned_alloc(align, size)), size);
}

EXPORT int posix_memalign(void **out, size_t align, size_t size) {
    if (NESTED())
        return hakt_real.posix_memalign(out, align, size);
    int rc = INSIDE(hakt_real.posix_memalign(out, align, size));
    recorded(HAKT_SHM_POSIX_MEMALIGN, log2_up(align), rc == 0 ? *out : NULL, size);
    return rc;
}

EXPORT void *valloc(size_t size) {
    if (NESTED())
        return hakt_real.valloc(size);
    return recorded(HAKT_SHM_VALLOC, log2_up((size_t)getpagesize()), INSIDE(hakt_real.valloc(size)),
                    size);
}

EXPORT void *pvalloc(size_t size) {
    if (NESTED())
        return hakt_real.pvalloc(size);
    return recorded(HAKT_SHM_PVALLOC, log2_up((size_t)getpagesize()),
                    INSIDE(hakt_real.pvalloc(size)), size);
}
