/*
 * glibc's second names, which some programs and interposers call: __libc_malloc and its kin. A
 * malloc that is itself made of __libc_malloc (an interposer loaded behind us) is the allocator;
 * what it calls here is no op of the program.
 */
#include "tracer/rt/wrap.h"

#include <unistd.h>

#define BY_ALLOCATOR() __builtin_expect(hakt_called_by_allocator(__builtin_return_address(0)), 0)

EXPORT void *__libc_malloc(size_t size);
EXPORT void *__libc_calloc(size_t n, size_t size);
EXPORT void *__libc_realloc(void *p, size_t size);
EXPORT void __libc_free(void *p);
EXPORT void *__libc_memalign(size_t align, size_t size);
EXPORT void *__libc_valloc(size_t size);
EXPORT void *__libc_pvalloc(size_t size);

EXPORT void *__libc_malloc(size_t size) {
    void *p = INSIDE(hakt_real.libc_malloc(size));
    return BY_ALLOCATOR() ? p : hakt_recorded(HAKT_SHM_MALLOC, 0, p, size);
}

EXPORT void *__libc_calloc(size_t n, size_t size) {
    void *p = INSIDE(hakt_real.libc_calloc(n, size));
    return BY_ALLOCATOR() ? p : hakt_recorded(HAKT_SHM_CALLOC, 0, p, hakt_product(n, size));
}

EXPORT void __libc_free(void *p) {
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return;
    if (!BY_ALLOCATOR())
        hakt_record(HAKT_SHM_FREE, 0, p, 0);
    hakt_real.libc_free(p);
}

EXPORT void *__libc_realloc(void *p, size_t size) {
    if (__builtin_expect(hakt_arena_owns(p), 0))
        return hakt_arena_realloc(p, size);
    if (BY_ALLOCATOR())
        return hakt_real.libc_realloc(p, size);
    if (p == NULL)
        return hakt_recorded(HAKT_SHM_REALLOC, 0, INSIDE(hakt_real.libc_realloc(NULL, size)), size);
    int known = hakt_record(HAKT_SHM_REALLOC_BEGIN, 0, p, size);
    void *q = INSIDE(hakt_real.libc_realloc(p, size));
    if (known)
        hakt_record(HAKT_SHM_REALLOC_END, 0, q, (uintptr_t)p);
    return q;
}

EXPORT void *__libc_memalign(size_t align, size_t size) {
    void *p = INSIDE(hakt_real.libc_memalign(align, size));
    return BY_ALLOCATOR() ? p : hakt_recorded(HAKT_SHM_MEMALIGN, hakt_log2_up(align), p, size);
}

EXPORT void *__libc_valloc(size_t size) {
    void *p = INSIDE(hakt_real.libc_valloc(size));
    return BY_ALLOCATOR()
               ? p
               : hakt_recorded(HAKT_SHM_VALLOC, hakt_log2_up((size_t)getpagesize()), p, size);
}

EXPORT void *__libc_pvalloc(size_t size) {
    void *p = INSIDE(hakt_real.libc_pvalloc(size));
    return BY_ALLOCATOR()
               ? p
               : hakt_recorded(HAKT_SHM_PVALLOC, hakt_log2_up((size_t)getpagesize()), p, size);
}
