/*
 * C++'s operators new and delete, so that they cost what malloc and free do: libstdc++'s would call
 * those through two more tables. Named by their Itanium ABI names, as C++ itself is not used here.
 * What happens when memory is short (new handlers, bad_alloc) is the C++ library's to say: its own
 * operator is called, which asks our malloc again.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include "alloc/fast.h"
#include "alloc/malloc_thread.h"

#define EXPORT __attribute__((visibility("default")))

/* The C++ library's own operator of that name. */
static void *next(const char *name) {
    void *p = dlsym(RTLD_NEXT, name);
    if (!p)
        hak_os_die("operator new: no memory, and no C++ library to say so", NULL);
    return p;
}

static void *new_failed(size_t size, const char *name) {
    return ((void *(*)(size_t))next(name))(size);
}

static __attribute__((noinline)) void *new_slow(size_t size, struct hak_heap *h) {
    (void)h;
    void *p = malloc(size);
    return p ? p : new_failed(size, "_Znwm");
}

static __attribute__((noinline)) void *new_array_slow(size_t size, struct hak_heap *h) {
    (void)h;
    void *p = malloc(size);
    return p ? p : new_failed(size, "_Znam");
}

/* new(size), new[](size) */
EXPORT void *_Znwm(size_t size);
EXPORT void *_Znam(size_t size);

void *_Znwm(size_t size) {
    return hak_fast_alloc(hak_my_heap, size, new_slow);
}

void *_Znam(size_t size) {
    return hak_fast_alloc(hak_my_heap, size, new_array_slow);
}

/* (size, nothrow), (size, align), (size, align, nothrow) */
#define NEW_NOTHROW(name)                                                                          \
    EXPORT void *name(size_t size, const void *nothrow);                                           \
    void *name(size_t size, const void *nothrow) {                                                 \
        void *p = malloc(size);                                                                    \
        return p ? p : ((void *(*)(size_t, const void *))next(#name))(size, nothrow);              \
    }
#define NEW_ALIGNED(name)                                                                          \
    EXPORT void *name(size_t size, size_t align);                                                  \
    void *name(size_t size, size_t align) {                                                        \
        void *p = memalign(align, size);                                                           \
        return p ? p : ((void *(*)(size_t, size_t))next(#name))(size, align);                      \
    }
#define NEW_ALIGNED_NOTHROW(name)                                                                  \
    EXPORT void *name(size_t size, size_t align, const void *nothrow);                             \
    void *name(size_t size, size_t align, const void *nothrow) {                                   \
        void *p = memalign(align, size);                                                           \
        return p ? p                                                                               \
                 : ((void *(*)(size_t, size_t, const void *))next(#name))(size, align, nothrow);   \
    }

NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED(_ZnwmSt11align_val_t)
NEW_ALIGNED(_ZnamSt11align_val_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

/* delete: size, alignment and nothrow, where they are passed, tell nothing new. */
EXPORT void _ZdlPv(void *p);

void _ZdlPv(void *p) {
    hak_fast_free(hak_my_heap, p, hak_free_slow);
}

/* (malloc_checked.c) */
__asm__(".hidden hak_delete_entry\n.globl hak_delete_entry\n.set hak_delete_entry, _ZdlPv");

#define SAME_DELETE(name) EXPORT void name(void *p) __attribute__((alias("_ZdlPv")))
SAME_DELETE(_ZdaPv);
SAME_DELETE(_ZdlPvm);
SAME_DELETE(_ZdaPvm);
SAME_DELETE(_ZdlPvRKSt9nothrow_t);
SAME_DELETE(_ZdaPvRKSt9nothrow_t);
SAME_DELETE(_ZdlPvSt11align_val_t);
SAME_DELETE(_ZdaPvSt11align_val_t);
SAME_DELETE(_ZdlPvmSt11align_val_t);
SAME_DELETE(_ZdaPvmSt11align_val_t);
SAME_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t);
SAME_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t);
