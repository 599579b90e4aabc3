/*
 * The entry points. A free is published before the real free, an allocation after the real call
 * has returned, a realloc before (its intent) and after (its result): then whoever sees a record
 * can already see what made it possible (see tracer/collect.h).
 */
#include "tracer/rt/wrap.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

__thread int hakt_inside;

EXPORT void *malloc(size_t size) {
    if (!hakt_is_active() || NESTED())
        return hakt_real.malloc(size);
    return hakt_recorded(HAKT_SHM_MALLOC, 0, hakt_real.malloc(size), size);
}

EXPORT void *calloc(size_t n, size_t size) {
    if (NESTED())
        return hakt_real.calloc(n, size);
    return hakt_recorded(HAKT_SHM_CALLOC, 0, INSIDE(hakt_real.calloc(n, size)),
                         hakt_product(n, size));
}

EXPORT void free(void *p) {
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return;
    if (hakt_is_active() && !NESTED())
        hakt_record(HAKT_SHM_FREE, 0, p, 0);
    hakt_real.free(p);
}

static void *move(unsigned begin, void *p, uint64_t size) {
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return hakt_arena_realloc(p, size);
    int known = hakt_record(begin, 0, p, size);
    void *q = INSIDE(hakt_real.realloc(p, size));
    if (known) /* else the op is lost as a whole, and counted */
        hakt_record(HAKT_SHM_REALLOC_END, 0, q, (uintptr_t)p);
    return q;
}

EXPORT void *realloc(void *p, size_t size) {
    if (NESTED())
        return hakt_real.realloc(p, size);
    if (p == NULL)
        return hakt_recorded(HAKT_SHM_REALLOC, 0, INSIDE(hakt_real.realloc(NULL, size)), size);
    return move(HAKT_SHM_REALLOC_BEGIN, p, size);
}

/* By the real realloc, which is what it is defined by: no allocator can tell the difference. */
EXPORT void *reallocarray(void *p, size_t n, size_t size) {
    uint64_t bytes = hakt_product(n, size);
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
            hakt_record(HAKT_SHM_REALLOCARRAY_BEGIN, 0, p, bytes)) {
            hakt_record(HAKT_SHM_REALLOC_END, 0, NULL, (uintptr_t)p);
            return NULL;
        }
    }
    return p == NULL ? hakt_recorded(HAKT_SHM_REALLOCARRAY, 0, q, bytes) : q;
}

EXPORT void *memalign(size_t align, size_t size) {
    if (NESTED())
        return hakt_real.memalign(align, size);
    return hakt_recorded(HAKT_SHM_MEMALIGN, hakt_log2_up(align),
                         INSIDE(hakt_real.memalign(align, size)), size);
}

EXPORT void *aligned_alloc(size_t align, size_t size) {
    if (NESTED())
        return hakt_real.aligned_alloc(align, size);
    return hakt_recorded(HAKT_SHM_ALIGNED_ALLOC, hakt_log2_up(align),
                         INSIDE(hakt_real.aligned_alloc(align, size)), size);
}

EXPORT int posix_memalign(void **out, size_t align, size_t size) {
    if (NESTED())
        return hakt_real.posix_memalign(out, align, size);
    int rc = INSIDE(hakt_real.posix_memalign(out, align, size));
    hakt_recorded(HAKT_SHM_POSIX_MEMALIGN, hakt_log2_up(align), rc == 0 ? *out : NULL, size);
    return rc;
}

EXPORT void *valloc(size_t size) {
    if (NESTED())
        return hakt_real.valloc(size);
    return hakt_recorded(HAKT_SHM_VALLOC, hakt_log2_up((size_t)getpagesize()),
                         INSIDE(hakt_real.valloc(size)), size);
}

EXPORT void *pvalloc(size_t size) {
    if (NESTED())
        return hakt_real.pvalloc(size);
    return hakt_recorded(HAKT_SHM_PVALLOC, hakt_log2_up((size_t)getpagesize()),
                         INSIDE(hakt_real.pvalloc(size)), size);
}
