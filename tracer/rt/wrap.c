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
    return align < 2 ? 0 : 64 - (unsigned)__builtin_clzll(align - 1);
}

static inline void *recorded(unsigned op, unsigned align_log2, void *p, uint64_t size) {
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return p; /* made while finding the real functions: not the program's op */
    hakt_record(op, align_log2, p, size, 0);
    return p;
}

EXPORT void *malloc(size_t size) {
    return recorded(HAKT_SHM_MALLOC, 0, hakt_real.malloc(size), size);
}

EXPORT void *calloc(size_t n, size_t size) {
    return recorded(HAKT_SHM_CALLOC, 0, hakt_real.calloc(n, size), product(n, size));
}

EXPORT void free(void *p) {
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return;
    hakt_record(HAKT_SHM_FREE, 0, p, 0, 1);
    hakt_real.free(p);
}

EXPORT void *realloc(void *p, size_t size) {
    if (p == NULL)
        return recorded(HAKT_SHM_REALLOC, 0, hakt_real.realloc(NULL, size), size);
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return hakt_arena_realloc(p, size);
    int known = hakt_record(HAKT_SHM_REALLOC_BEGIN, 0, p, size, 1);
    void *q = hakt_real.realloc(p, size);
    if (known) /* else the op is lost as a whole, and counted */
        hakt_record(HAKT_SHM_REALLOC_END, 0, q, (uintptr_t)p, 0);
    return q;
}

/* By the real realloc, which is what it is defined by: glibc's own calls realloc by its public name
 * and would be recorded as both. */
static void *real_reallocarray(void *p, uint64_t bytes) {
    if (bytes == UINT64_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return hakt_real.realloc(p, bytes);
}

EXPORT void *reallocarray(void *p, size_t n, size_t size) {
    uint64_t bytes = product(n, size);
    if (p == NULL)
        return recorded(HAKT_SHM_REALLOCARRAY, 0, real_reallocarray(NULL, bytes), bytes);
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return hakt_arena_realloc(p, bytes);
    int known = hakt_record(HAKT_SHM_REALLOCARRAY_BEGIN, 0, p, bytes, 1);
    void *q = real_reallocarray(p, bytes);
    if (known)
        hakt_record(HAKT_SHM_REALLOC_END, 0, q, (uintptr_t)p, 0);
    return q;
}

EXPORT void *memalign(size_t align, size_t size) {
    return recorded(HAKT_SHM_MEMALIGN, log2_up(align), hakt_real.memalign(align, size), size);
}

EXPORT void *aligned_alloc(size_t align, size_t size) {
    return recorded(HAKT_SHM_ALIGNED_ALLOC, log2_up(align), hakt_real.aligned_alloc(align, size),
                    size);
}

EXPORT int posix_memalign(void **out, size_t align, size_t size) {
    int rc = hakt_real.posix_memalign(out, align, size);
    recorded(HAKT_SHM_POSIX_MEMALIGN, log2_up(align), rc == 0 ? *out : NULL, size);
    return rc;
}

EXPORT void *valloc(size_t size) {
    return recorded(HAKT_SHM_VALLOC, log2_up((size_t)getpagesize()), hakt_real.valloc(size), size);
}

EXPORT void *pvalloc(size_t size) {
    return recorded(HAKT_SHM_PVALLOC, log2_up((size_t)getpagesize()), hakt_real.pvalloc(size),
                    size);
}
