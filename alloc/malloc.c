/*
 * glibc's malloc family over the core. Semantics are those of glibc 2.36 (malloc(3),
 * posix_memalign(3), malloc_usable_size(3)); free keeps errno.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include "alloc/fast.h"
#include "alloc/guard.h"
#include "alloc/malloc_checked.h"
#include "alloc/malloc_exit.h"
#include "alloc/malloc_thread.h"

#define EXPORT __attribute__((visibility("default")))

static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

static inline void look_at_stderr(void) {
    if (unlikely(atomic_load_explicit(&hak_exit_kept, memory_order_relaxed) >= 0))
        hak_exit_look();
}

enum slow_kind { SLOW_MALLOC, SLOW_CALLOC, SLOW_REALLOC, SLOW_ALIGNED };

/* Everything that the hot path could not do, with a heap that surely exists. */
static __attribute__((noinline)) void *slow(enum slow_kind kind, void *p, size_t align,
                                            size_t size) {
    void *q = NULL;
    bool late;
    if (size > PTRDIFF_MAX)
        return no_memory();
    look_at_stderr();
    struct hak_heap *h = hak_thread_heap(&late);
    if (!h)
        return no_memory();
    bool guarded = hak_safe.level == 3;
    switch (kind) {
    case SLOW_MALLOC:
        q = guarded ? hak_guard_alloc(h, size) : hak_heap_alloc(h, size);
        break;
    case SLOW_CALLOC:
        q = guarded ? hak_guard_calloc(h, size) : hak_heap_calloc(h, size);
        break;
    case SLOW_REALLOC:
        q = guarded ? hak_guard_realloc(h, p, size) : hak_heap_realloc(h, p, size);
        break;
    case SLOW_ALIGNED:
        q = guarded ? hak_guard_aligned(h, align, size) : hak_heap_alloc_aligned(h, align, size);
        break;
    }
    if (late)
        hak_thread_late_done();
    if (unlikely(!q) && !(kind == SLOW_REALLOC && p && !size))
        return no_memory();
    return q;
}

/* No bin has a block for it. */
static __attribute__((noinline)) void *malloc_refill(size_t size, struct hak_heap *h) {
    struct hak_heap *own = hak_checked_heap;
    void *p = NULL;
    look_at_stderr();
    if (h != &hak_empty_heap && size <= HAK_MEDIUM_MAX)
        p = hak_heap_alloc_slow(size, h);
    else if (own != &hak_empty_heap && hak_safe.level != 3 && size <= HAK_FINE_MAX)
        p = hak_safe_alloc(own, size);
    return likely(p) ? p : slow(SLOW_MALLOC, NULL, 0, size);
}

__attribute__((noinline)) void *hak_malloc_slow(size_t size, struct hak_heap *h) {
    void *p = hak_fast_medium(h, size);
    return likely(p) ? p : malloc_refill(size, h);
}

__attribute__((noinline)) void hak_free_slow(void *p, struct hak_heap *h) {
    if (!p)
        return;
    if (likely(!hak_safe.level))
        hak_heap_free_slow(p, likely(h != &hak_empty_heap) ? h : hak_thread_frees(p));
    else if (likely(hak_safe.level < 3))
        hak_safe_free(hak_checked_heap, p);
    else
        hak_guard_free(hak_checked_heap, p);
}

EXPORT HAK_LINE void *malloc(size_t size) {
    HAK_ROOM();
    return hak_fast_alloc(hak_my_heap, size, hak_malloc_slow);
}

EXPORT HAK_LINE void free(void *p) {
    HAK_ROOM();
    hak_fast_free(hak_my_heap, p, hak_free_slow);
}

/* Names for our own two that nobody else can take (malloc_checked.c). */
__asm__(".hidden hak_malloc_entry\n.globl hak_malloc_entry\n.set hak_malloc_entry, malloc\n"
        ".hidden hak_free_entry\n.globl hak_free_entry\n.set hak_free_entry, free");

EXPORT void *calloc(size_t n, size_t size) {
    size_t bytes;
    if (unlikely(__builtin_mul_overflow(n, size, &bytes)))
        return no_memory();
    if (likely(bytes <= HAK_MEDIUM_MAX)) {
        void *p = hak_fast_alloc(hak_my_heap, bytes, hak_malloc_slow);
        return likely(p) ? memset(p, 0, bytes) : NULL;
    }
    return slow(SLOW_CALLOC, NULL, 0, bytes);
}

EXPORT void *realloc(void *p, size_t size) {
    struct hak_heap *h = hak_my_heap;
    if (!p) /* how Lua and others allocate all they have */
        return hak_fast_alloc(h, size, hak_malloc_slow);
    if (hak_fast_fits(h, p, size))
        return p;
    return slow(SLOW_REALLOC, p, 0, size);
}

EXPORT void *reallocarray(void *p, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return no_memory();
    return realloc(p, bytes);
}

/* As glibc: an alignment that is no power of two counts as the next one. */
EXPORT void *memalign(size_t align, size_t size) {
    if (align > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (align & (align - 1))
        align = (size_t)1 << (64 - __builtin_clzll(align));
    if (align <= 16)
        return malloc(size);
    return slow(SLOW_ALIGNED, NULL, align, size);
}

EXPORT void *aligned_alloc(size_t align, size_t size) {
    return memalign(align, size);
}

EXPORT int posix_memalign(void **out, size_t align, size_t size) {
    if (align % sizeof(void *) || (align & (align - 1)) || !align)
        return EINVAL;
    int saved = errno;
    void *p = memalign(align, size);
    errno = saved;
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

EXPORT void *valloc(size_t size) {
    return memalign(hak_os_page_size(), size);
}

EXPORT void *pvalloc(size_t size) {
    size_t page = hak_os_page_size();
    if (size > PTRDIFF_MAX - page)
        return no_memory();
    return memalign(page, (size + page - 1) & ~(page - 1));
}

EXPORT size_t malloc_usable_size(void *p) {
    if (!p)
        return 0;
    return hak_safe.level == 3 ? hak_guard_usable(p) : hak_usable_size(p);
}

EXPORT int malloc_trim(size_t pad) {
    (void)pad;
    hak_thread_init();
    struct hak_heap *h = hak_thread_own();
    return hak_core_trim(h == &hak_empty_heap ? NULL : h) != 0;
}

/* Other names that glibc exports for the same functions: who calls one of them must not get a block
 * of glibc's, which free would refuse. */
#define OTHER_NAME(type, name, params, call)                                                       \
    EXPORT type name params;                                                                       \
    type name params {                                                                             \
        return call;                                                                               \
    }

OTHER_NAME(void *, __libc_malloc, (size_t size), malloc(size))
OTHER_NAME(void *, __libc_calloc, (size_t n, size_t size), calloc(n, size))
OTHER_NAME(void *, __libc_realloc, (void *p, size_t size), realloc(p, size))
OTHER_NAME(void *, __libc_memalign, (size_t align, size_t size), memalign(align, size))
OTHER_NAME(void *, __libc_valloc, (size_t size), valloc(size))
OTHER_NAME(void *, __libc_pvalloc, (size_t size), pvalloc(size))
OTHER_NAME(void, __libc_free, (void *p), free(p))
OTHER_NAME(void, cfree, (void *p), free(p))
