/*
 * C++'s operators new and delete, by their mangled names: nothing here needs a C++ library.
 *
 * libstdc++'s operators call malloc and free, and are recorded there: a call is only passed on. An
 * allocator that brings operators of its own (mimalloc, tcmalloc, jemalloc) serves them without
 * malloc: then the call is recorded here, new as malloc, new with an alignment as aligned_alloc,
 * delete as free. Which of the two it is, is decided once for each operator: by whether the next
 * definition lies in the library of the real malloc. All are looked up together with the real
 * malloc: later, the loader's lock may be held by a dlopen whose constructors wait for this thread.
 *
 * An operator that has no next definition belongs to a C++ library that a C program loads later and
 * that binds to us. It is done by malloc and free, as libstdc++'s own; only where memory is refused
 * that library is looked for, to have its new_handler called and its exception thrown.
 *
 * A new that throws ends no op: it is not recorded. Exceptions pass through these frames by their
 * unwind tables.
 */
#include "tracer/rt/wrap.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>

enum operator_number {
    NEW,
    NEW_ARRAY,
    NEW_NOTHROW,
    NEW_ARRAY_NOTHROW,
    NEW_ALIGNED,
    NEW_ARRAY_ALIGNED,
    NEW_ALIGNED_NOTHROW,
    NEW_ARRAY_ALIGNED_NOTHROW,
    DELETE,
    DELETE_ARRAY,
    DELETE_SIZED,
    DELETE_ARRAY_SIZED,
    DELETE_NOTHROW,
    DELETE_ARRAY_NOTHROW,
    DELETE_ALIGNED,
    DELETE_ARRAY_ALIGNED,
    DELETE_SIZED_ALIGNED,
    DELETE_ARRAY_SIZED_ALIGNED,
    DELETE_ALIGNED_NOTHROW,
    DELETE_ARRAY_ALIGNED_NOTHROW,
    OPERATORS
};

static const char *const names[OPERATORS] = {
    "_Znwm",
    "_Znam",
    "_ZnwmRKSt9nothrow_t",
    "_ZnamRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnamSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    "_ZdlPv",
    "_ZdaPv",
    "_ZdlPvm",
    "_ZdaPvm",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_t",
    "_ZdaPvSt11align_val_t",
    "_ZdlPvmSt11align_val_t",
    "_ZdaPvmSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
};

/* Operators with other arguments are called through one of these types: surplus arguments in
 * registers are harmless on every ABI that this library is built for. */
typedef void *new_function(size_t, size_t, const void *);
typedef void delete_function(void *, size_t, size_t);

static struct {
    void *function;
    int own; /* it belongs to the allocator: record here */
} next[OPERATORS];

/* A C++ library that came by dlopen is not among the libraries behind us. It stays loaded. */
static HAKT_SLOW void *find_unlisted(const char *name) {
    static const char *const libraries[] = {"libstdc++.so.6", "libc++.so.1", "libc++abi.so.1"};
    for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++) {
        void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
        void *f = library != NULL ? dlsym(library, name) : NULL;
        if (f != NULL)
            return f;
    }
    return NULL;
}

static HAKT_SLOW void *refused(enum operator_number i, size_t size, size_t second,
                               const void *nothrow) {
    void *f = find_unlisted(names[i]);
    return f != NULL ? ((new_function *)(uintptr_t)f)(size, second, nothrow) : NULL;
}

static int is_aligned(enum operator_number i) {
    return i >= NEW_ALIGNED && i <= NEW_ARRAY_ALIGNED_NOTHROW;
}

/* What libstdc++'s own do. Recorded by the wrappers of malloc, memalign and free. */
static void *plain_new(enum operator_number i, size_t size, size_t second, const void *nothrow) {
    size = size != 0 ? size : 1;
    void *p = is_aligned(i) ? memalign(second, size) : malloc(size);
    return __builtin_expect(p != NULL, 1) ? p : refused(i, size, second, nothrow);
}

static void plain_delete(void *p, size_t second, size_t third) {
    (void)second;
    (void)third;
    free(p);
}

void hakt_cxx_find(void *found[HAKT_CXX_OPERATORS]) {
    _Static_assert(HAKT_CXX_OPERATORS == OPERATORS, "all of them");
    for (int i = 0; i < OPERATORS; i++)
        found[i] = dlsym(RTLD_NEXT, names[i]);
}

void hakt_cxx_use(void *const found[HAKT_CXX_OPERATORS]) {
    for (int i = 0; i < OPERATORS; i++) {
        void *f = found[i] == NULL && i >= DELETE ? (void *)(uintptr_t)plain_delete : found[i];
        next[i].own = f != NULL && hakt_is_allocator(f);
        __atomic_store_n(&next[i].function, f, __ATOMIC_RELEASE);
    }
}

/* NULL: of new, there is none but plain_new. */
static inline void *function(enum operator_number i) {
    void *f = __atomic_load_n(&next[i].function, __ATOMIC_ACQUIRE);
    if (__builtin_expect(f == NULL && i >= DELETE, 0)) /* before the first malloc */
        return (void *)(uintptr_t)plain_delete;
    return f;
}

/* An allocator may have the C++ library do one of its operators, and that calls another by its
 * public name: no op of the program. What else that library calls in there, malloc for an
 * exception, is one. */
#define NESTED_OPERATOR()                                                                          \
    (NESTED() ||                                                                                   \
     (__builtin_expect(hakt_inside, 0) && hakt_called_by_cxx(__builtin_return_address(0))))

#define DEFINE_NEW(symbol, number, op, align, ...)                                                 \
    EXPORT void *symbol(__VA_ARGS__);                                                              \
    EXPORT void *symbol(__VA_ARGS__) {                                                             \
        new_function *f = (new_function *)(uintptr_t)function(number);                             \
        if (__builtin_expect(f == NULL, 0))                                                        \
            return plain_new(number, size, second, nothrow);                                       \
        if (!next[number].own || NESTED_OPERATOR())                                                \
            return f(size, second, nothrow);                                                       \
        return hakt_recorded(op, align, INSIDE(f(size, second, nothrow)), size);                   \
    }

#define DEFINE_DELETE(symbol, number)                                                              \
    EXPORT void symbol(void *p, size_t second, size_t third);                                      \
    EXPORT void symbol(void *p, size_t second, size_t third) {                                     \
        delete_function *f = (delete_function *)(uintptr_t)function(number);                       \
        if (!next[number].own || NESTED_OPERATOR()) {                                              \
            f(p, second, third);                                                                   \
            return;                                                                                \
        }                                                                                          \
        if (p != NULL) /* a delete of NULL does nothing and calls nobody */                        \
            hakt_record(HAKT_SHM_FREE, 0, p, 0);                                                   \
        hakt_inside = 1;                                                                           \
        f(p, second, third);                                                                       \
        hakt_inside = 0;                                                                           \
    }

/* (size), (size, nothrow), (size, alignment), (size, alignment, nothrow): the second argument is
 * the alignment or the address of std::nothrow. */
#define PLAIN size_t size, size_t second, const void *nothrow
DEFINE_NEW(_Znwm, NEW, HAKT_SHM_MALLOC, 0, PLAIN)
DEFINE_NEW(_Znam, NEW_ARRAY, HAKT_SHM_MALLOC, 0, PLAIN)
DEFINE_NEW(_ZnwmRKSt9nothrow_t, NEW_NOTHROW, HAKT_SHM_MALLOC, 0, PLAIN)
DEFINE_NEW(_ZnamRKSt9nothrow_t, NEW_ARRAY_NOTHROW, HAKT_SHM_MALLOC, 0, PLAIN)
DEFINE_NEW(_ZnwmSt11align_val_t, NEW_ALIGNED, HAKT_SHM_ALIGNED_ALLOC, hakt_log2_up(second), PLAIN)
DEFINE_NEW(_ZnamSt11align_val_t, NEW_ARRAY_ALIGNED, HAKT_SHM_ALIGNED_ALLOC, hakt_log2_up(second),
           PLAIN)
DEFINE_NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, NEW_ALIGNED_NOTHROW, HAKT_SHM_ALIGNED_ALLOC,
           hakt_log2_up(second), PLAIN)
DEFINE_NEW(_ZnamSt11align_val_tRKSt9nothrow_t, NEW_ARRAY_ALIGNED_NOTHROW, HAKT_SHM_ALIGNED_ALLOC,
           hakt_log2_up(second), PLAIN)
DEFINE_DELETE(_ZdlPv, DELETE)
DEFINE_DELETE(_ZdaPv, DELETE_ARRAY)
DEFINE_DELETE(_ZdlPvm, DELETE_SIZED)
DEFINE_DELETE(_ZdaPvm, DELETE_ARRAY_SIZED)
DEFINE_DELETE(_ZdlPvRKSt9nothrow_t, DELETE_NOTHROW)
DEFINE_DELETE(_ZdaPvRKSt9nothrow_t, DELETE_ARRAY_NOTHROW)
DEFINE_DELETE(_ZdlPvSt11align_val_t, DELETE_ALIGNED)
DEFINE_DELETE(_ZdaPvSt11align_val_t, DELETE_ARRAY_ALIGNED)
DEFINE_DELETE(_ZdlPvmSt11align_val_t, DELETE_SIZED_ALIGNED)
DEFINE_DELETE(_ZdaPvmSt11align_val_t, DELETE_ARRAY_SIZED_ALIGNED)
DEFINE_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, DELETE_ALIGNED_NOTHROW)
DEFINE_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, DELETE_ARRAY_ALIGNED_NOTHROW)
