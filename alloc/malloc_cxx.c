/*
 * C++'s operators new and delete, so that they cost what malloc and free do: libstdc++'s would call
 * those through two more tables. Named by their Itanium ABI names, as C++ itself is not used here.
 *
 * What happens when memory is short (new handlers, bad_alloc) is the C++ library's to say: its own
 * operator is called, which asks our malloc again. And where the program brings a plain operator of
 * its own, the other forms are the C++ library's too: by the standard they call the program's.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "alloc/fast.h"
#include "alloc/malloc_checked.h"
#include "alloc/malloc_thread.h"

#define EXPORT __attribute__((visibility("default")))

/* new(size), new[](size), delete(p), delete[](p): those that others call. */
EXPORT void *_Znwm(size_t size);
EXPORT void *_Znam(size_t size);
EXPORT void _ZdlPv(void *p);
EXPORT void _ZdaPv(void *p, size_t a, size_t b);
EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t align);
EXPORT void _ZdlPvSt11align_val_t(void *p, size_t a, size_t b);

/* Our own, whoever else exports the names (hak_delete_entry: malloc_checked.c too). */
#define OWN(entry, name)                                                                           \
    __asm__(".hidden " #entry "\n.globl " #entry "\n.set " #entry ", " #name);                     \
    extern char(entry)[] __attribute__((visibility("hidden")))
OWN(hak_new_entry, _Znwm);
OWN(hak_new_array_entry, _Znam);
OWN(hak_new_aligned_entry, _ZnwmSt11align_val_t);
OWN(hak_delete_entry, _ZdlPv);
OWN(hak_delete_array_entry, _ZdaPv);
OWN(hak_delete_aligned_entry, _ZdlPvSt11align_val_t);

/* No operator that other forms call is the program's own. */
static bool all_ours;

static bool is(const void *found, const void *own) {
    __asm__("" : "+r"(found)); /* the compiler would take it for what stands below */
    return found == own;
}

/* An operator of the C++ library, looked up once. */
struct form {
    const char *name;
    _Atomic(void *) f;
};

/* The C++ library's own operator, also where only a plug-in has loaded the library; NULL: there is
 * none. What dlerror() would say of the search is not for the program. */
static void *next(struct form *form) {
    static const char *const libraries[] = {"libstdc++.so.6", "libc++.so.1", "libc++abi.so.1"};
    void *f = atomic_load_explicit(&form->f, memory_order_relaxed);
    if (f)
        return f;
    f = dlsym(RTLD_NEXT, form->name);
    for (size_t i = 0; !f && i < sizeof libraries / sizeof libraries[0]; i++) {
        void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
        f = library ? dlsym(library, form->name) : NULL;
    }
    dlerror();
    atomic_store_explicit(&form->f, f, memory_order_relaxed);
    return f;
}

/* ---- new ---- */

/* size and what else the form has. */
typedef void *new_function(size_t size, size_t a, size_t b);

static __attribute__((noinline)) void *new_by_library(struct form *form, bool may_be_null,
                                                      size_t size, size_t a, size_t b) {
    new_function *f = (new_function *)next(form);
    if (!f && !may_be_null)
        hak_os_die("operator new: no memory, and no C++ library to say so", NULL);
    return f ? f(size, a, b) : NULL;
}

static struct form form_Znwm = {.name = "_Znwm"};
static struct form form_Znam = {.name = "_Znam"};
static struct form form_ZnwmSt11align_val_t = {.name = "_ZnwmSt11align_val_t"};

static __attribute__((noinline)) void *new_slow(size_t size, struct hak_heap *h) {
    (void)h;
    void *p = malloc(size);
    return p ? p : new_by_library(&form_Znwm, false, size, 0, 0);
}

static __attribute__((noinline)) void *new_array_slow(size_t size, struct hak_heap *h) {
    (void)h;
    void *p = all_ours ? malloc(size) : NULL;
    return p ? p : new_by_library(&form_Znam, false, size, 0, 0);
}

void *_Znwm(size_t size) {
    return hak_fast_alloc(hak_my_heap, size, new_slow);
}

void *_Znam(size_t size) {
    if (unlikely(!all_ours))
        return new_array_slow(size, NULL);
    return hak_fast_alloc(hak_my_heap, size, new_array_slow);
}

#define NEW_FORM(symbol, may_be_null, own)                                                         \
    static struct form form##symbol = {.name = #symbol};                                           \
    EXPORT void *symbol(size_t size, size_t a, size_t b);                                          \
    void *symbol(size_t size, size_t a, size_t b) {                                                \
        void *p = likely(all_ours) ? (own) : NULL;                                                 \
        return likely(p) ? p : new_by_library(&form##symbol, may_be_null, size, a, b);             \
    }

NEW_FORM(_ZnwmRKSt9nothrow_t, true, malloc(size))
NEW_FORM(_ZnamRKSt9nothrow_t, true, malloc(size))
NEW_FORM(_ZnamSt11align_val_t, false, memalign(a, size))
NEW_FORM(_ZnwmSt11align_val_tRKSt9nothrow_t, true, memalign(a, size))
NEW_FORM(_ZnamSt11align_val_tRKSt9nothrow_t, true, memalign(a, size))

void *_ZnwmSt11align_val_t(size_t size, size_t align) {
    void *p = memalign(align, size);
    return likely(p) ? p : new_by_library(&form_ZnwmSt11align_val_t, false, size, align, 0);
}

/* ---- delete: size, alignment and nothrow, where they are passed, tell us nothing new ---- */

static __attribute__((noinline)) void delete_by_library(struct form *form, void *p, size_t a,
                                                        size_t b) {
    void (*f)(void *, size_t, size_t) = (void (*)(void *, size_t, size_t))next(form);
    if (f)
        f(p, a, b);
    else
        free(p);
}

HAK_LINE void _ZdlPv(void *p) {
    HAK_ROOM();
    hak_fast_free(hak_my_heap, p, hak_free_slow);
}

void _ZdlPvSt11align_val_t(void *p, size_t a, size_t b) {
    (void)a;
    (void)b;
    hak_fast_free(hak_my_heap, p, hak_free_slow);
}

#define DELETE_FORM(symbol)                                                                        \
    static struct form form##symbol = {.name = #symbol};                                           \
    EXPORT void symbol(void *p, size_t a, size_t b);                                               \
    void symbol(void *p, size_t a, size_t b) {                                                     \
        if (likely(all_ours))                                                                      \
            hak_fast_free(hak_my_heap, p, hak_free_slow);                                          \
        else                                                                                       \
            delete_by_library(&form##symbol, p, a, b);                                             \
    }

DELETE_FORM(_ZdaPv)
DELETE_FORM(_ZdlPvm)
DELETE_FORM(_ZdaPvm)
DELETE_FORM(_ZdlPvRKSt9nothrow_t)
DELETE_FORM(_ZdaPvRKSt9nothrow_t)
DELETE_FORM(_ZdaPvSt11align_val_t)
DELETE_FORM(_ZdlPvmSt11align_val_t)
DELETE_FORM(_ZdaPvmSt11align_val_t)
DELETE_FORM(_ZdlPvSt11align_val_tRKSt9nothrow_t)
DELETE_FORM(_ZdaPvSt11align_val_tRKSt9nothrow_t)

/* ---- at start ---- */

static struct form *const forms[] = {
    &form_Znam,
    &form_ZnwmRKSt9nothrow_t,
    &form_ZnamRKSt9nothrow_t,
    &form_ZnamSt11align_val_t,
    &form_ZnwmSt11align_val_tRKSt9nothrow_t,
    &form_ZnamSt11align_val_tRKSt9nothrow_t,
    &form_ZdaPv,
    &form_ZdlPvm,
    &form_ZdaPvm,
    &form_ZdlPvRKSt9nothrow_t,
    &form_ZdaPvRKSt9nothrow_t,
    &form_ZdaPvSt11align_val_t,
    &form_ZdlPvmSt11align_val_t,
    &form_ZdaPvmSt11align_val_t,
    &form_ZdlPvSt11align_val_tRKSt9nothrow_t,
    &form_ZdaPvSt11align_val_tRKSt9nothrow_t,
};

/* Where the program has its own, the library's forms are found now and not under an op: the
 * loader's lock may then be held by one who waits for this thread. */
__attribute__((constructor(101))) static void look_whose(void) {
    all_ours = is((void *)_Znwm, hak_new_entry) && is((void *)_Znam, hak_new_array_entry) &&
               is((void *)_ZnwmSt11align_val_t, hak_new_aligned_entry) &&
               is((void *)_ZdlPv, hak_delete_entry) && is((void *)_ZdaPv, hak_delete_array_entry) &&
               is((void *)_ZdlPvSt11align_val_t, hak_delete_aligned_entry);
    for (size_t i = 0; !all_ours && i < sizeof forms / sizeof forms[0]; i++)
        next(forms[i]);
}
