#include "tracer/rt/rt.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/*
 * dlsym may allocate, and the program's first op may come before our constructor. So each pointer
 * starts at a stand-in that resolves and calls on; an op that dlsym makes meanwhile in the same
 * thread is served from a small arena. Two threads that resolve at once store the same values.
 */
alignas(64) char hakt_arena[HAKT_ARENA_BYTES];
static size_t arena_used;
static __thread int resolving;

#define ARENA_HEADER 16 /* keeps malloc's alignment; holds the size */

static void *arena_alloc(size_t align, size_t size) {
    if (align < ARENA_HEADER)
        align = ARENA_HEADER;
    if (size > HAKT_ARENA_BYTES || align > HAKT_ARENA_BYTES / 4)
        goto full;
    size_t need = ARENA_HEADER + align + (size + 15) / 16 * 16;
    size_t at = __atomic_fetch_add(&arena_used, need, __ATOMIC_RELAXED);
    if (at > HAKT_ARENA_BYTES - need)
        goto full;
    char *p = hakt_arena + at + ARENA_HEADER;
    p += -(uintptr_t)p & (align - 1);
    memcpy(p - ARENA_HEADER, &size, sizeof(size));
    return p;
full:
    errno = ENOMEM;
    return NULL;
}

void *hakt_arena_realloc(void *p, size_t size) {
    size_t old;
    memcpy(&old, (char *)p - ARENA_HEADER, sizeof(old));
    void *q = resolving ? arena_alloc(0, size) : hakt_real.malloc(size);
    if (q != NULL)
        memcpy(q, p, old < size ? old : size);
    return q;
}

static int overflows(size_t n, size_t size) {
    size_t product;
    if (!__builtin_mul_overflow(n, size, &product))
        return 0;
    errno = ENOMEM;
    return 1;
}

static void *first_malloc(size_t size) {
    if (resolving)
        return arena_alloc(0, size);
    hakt_real_resolve();
    return hakt_real.malloc(size);
}

static void *first_calloc(size_t n, size_t size) {
    if (resolving) /* the arena is zero and nothing in it is used twice */
        return overflows(n, size) ? NULL : arena_alloc(0, n * size);
    hakt_real_resolve();
    return hakt_real.calloc(n, size);
}

/* Of p other than NULL only with memory of the arena, which the wrapper has sorted out. */
static void *first_realloc(void *p, size_t size) {
    if (resolving)
        return p == NULL ? arena_alloc(0, size) : NULL;
    hakt_real_resolve();
    return hakt_real.realloc(p, size);
}

static void first_free(void *p) {
    if (resolving)
        return;
    hakt_real_resolve();
    hakt_real.free(p);
}

static void *first_memalign(size_t align, size_t size) {
    if (resolving)
        return arena_alloc(align, size);
    hakt_real_resolve();
    return hakt_real.memalign(align, size);
}

static void *first_aligned_alloc(size_t align, size_t size) {
    if (resolving)
        return arena_alloc(align, size);
    hakt_real_resolve();
    return hakt_real.aligned_alloc(align, size);
}

static int first_posix_memalign(void **out, size_t align, size_t size) {
    if (resolving) {
        void *p = arena_alloc(align, size);
        if (p != NULL)
            *out = p;
        return p != NULL ? 0 : ENOMEM;
    }
    hakt_real_resolve();
    return hakt_real.posix_memalign(out, align, size);
}

static void *first_valloc(size_t size) {
    if (resolving)
        return arena_alloc(4096, size);
    hakt_real_resolve();
    return hakt_real.valloc(size);
}

static void *first_pvalloc(size_t size) {
    if (resolving)
        return arena_alloc(4096, (size + 4095) / 4096 * 4096);
    hakt_real_resolve();
    return hakt_real.pvalloc(size);
}

/* The same for glibc's second names. */
static void *first_libc_malloc(size_t size) {
    if (resolving)
        return arena_alloc(0, size);
    hakt_real_resolve();
    return hakt_real.libc_malloc(size);
}

static void *first_libc_calloc(size_t n, size_t size) {
    if (resolving)
        return overflows(n, size) ? NULL : arena_alloc(0, n * size);
    hakt_real_resolve();
    return hakt_real.libc_calloc(n, size);
}

static void *first_libc_realloc(void *p, size_t size) {
    if (resolving)
        return p == NULL ? arena_alloc(0, size) : NULL;
    hakt_real_resolve();
    return hakt_real.libc_realloc(p, size);
}

static void first_libc_free(void *p) {
    if (resolving)
        return;
    hakt_real_resolve();
    hakt_real.libc_free(p);
}

static void *first_libc_memalign(size_t align, size_t size) {
    if (resolving)
        return arena_alloc(align, size);
    hakt_real_resolve();
    return hakt_real.libc_memalign(align, size);
}

static void *first_libc_valloc(size_t size) {
    if (resolving)
        return arena_alloc(4096, size);
    hakt_real_resolve();
    return hakt_real.libc_valloc(size);
}

static void *first_libc_pvalloc(size_t size) {
    if (resolving)
        return arena_alloc(4096, (size + 4095) / 4096 * 4096);
    hakt_real_resolve();
    return hakt_real.libc_pvalloc(size);
}

struct hakt_real hakt_real = {
    first_malloc,
    first_calloc,
    first_realloc,
    first_free,
    first_memalign,
    first_aligned_alloc,
    first_posix_memalign,
    first_valloc,
    first_pvalloc,
    first_libc_malloc,
    first_libc_calloc,
    first_libc_realloc,
    first_libc_free,
    first_libc_memalign,
    first_libc_valloc,
    first_libc_pvalloc,
    NULL,
    NULL,
};

/* What stands in for an entry point that no later library has. */
static void *no_memory(void) {
    errno = ENOMEM;
    return NULL;
}

static int no_memory_code(void) {
    return ENOMEM;
}

static void no_free(void *p) {
    (void)p;
}

static void *next(const char *name, void *absent) {
    void *f = dlsym(RTLD_NEXT, name);
    return f != NULL ? f : absent;
}

/* Where the code of a library lies. */
struct range {
    uintptr_t start, end;
};
static struct range of_malloc, of_memalign, of_cxx, ours;
static void *cxx; /* a function of the library that the default operators new and delete lie in */

static int holds(const struct range *r, const void *address) {
    return (uintptr_t)address - r->start < r->end - r->start;
}

int hakt_called_by_allocator(const void *address) {
    return holds(&of_malloc, address) || holds(&of_memalign, address) || holds(&ours, address);
}

int hakt_called_by_cxx(const void *address) {
    return holds(&of_cxx, address);
}

int hakt_is_allocator(const void *function) {
    return holds(&of_malloc, function);
}

const char *hakt_other_malloc(void) {
    Dl_info found;
    const ElfW(Sym) *symbol = NULL;
    void *first = (void *)(uintptr_t)malloc; /* the one that the program's calls reach */
    /* undefined: the stub for ours of a program at a fixed address, which is its &malloc */
    if (holds(&ours, first) || dladdr1(first, &found, (void **)&symbol, RTLD_DL_SYMENT) == 0 ||
        symbol == NULL || symbol->st_shndx == SHN_UNDEF || found.dli_saddr != first)
        return NULL;
    return found.dli_fname;
}

static int note_range(struct dl_phdr_info *lib, size_t size, void *arg) {
    (void)size;
    (void)arg;
    for (int i = 0; i < lib->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &lib->dlpi_phdr[i];
        struct range r = {lib->dlpi_addr + ph->p_vaddr, lib->dlpi_addr + ph->p_vaddr + ph->p_memsz};
        if (ph->p_type != PT_LOAD || (ph->p_flags & PF_X) == 0)
            continue;
        if (holds(&r, (void *)(uintptr_t)hakt_real.malloc))
            of_malloc = r;
        if (holds(&r, (void *)(uintptr_t)hakt_real.memalign))
            of_memalign = r;
        if (cxx != NULL && holds(&r, cxx))
            of_cxx = r;
        if (holds(&r, (void *)(uintptr_t)note_range))
            ours = r;
    }
    return 0;
}

void hakt_real_resolve(void) {
    struct hakt_real r;
    int saved = errno;
    void *none = (void *)(uintptr_t)no_memory, *operators[HAKT_CXX_OPERATORS];

    if (resolving)
        return;
    resolving = 1;
    /* What may not be there comes first; what dlsym allocates for its message is the arena's. The
     * failures are ours, not for the program to find, and a look-up that succeeds clears the last
     * one. dlerror() would as well, but to translate the text it takes a lock of libc's locales,
     * and the program's first op may come from newlocale, which has that lock: after that,
     * setlocale hangs (glibc 2.36). */
    cxx = dlsym(RTLD_NEXT, "__cxa_throw");
    hakt_cxx_find(operators);
    *(void **)&r.malloc = next("malloc", none);
    *(void **)&r.calloc = next("calloc", none);
    *(void **)&r.realloc = next("realloc", none);
    *(void **)&r.free = next("free", (void *)(uintptr_t)no_free);
    *(void **)&r.memalign = next("memalign", none);
    *(void **)&r.aligned_alloc = next("aligned_alloc", none);
    *(void **)&r.posix_memalign = next("posix_memalign", (void *)(uintptr_t)no_memory_code);
    *(void **)&r.valloc = next("valloc", none);
    *(void **)&r.pvalloc = next("pvalloc", none);
    *(void **)&r.libc_malloc = next("__libc_malloc", none);
    *(void **)&r.libc_calloc = next("__libc_calloc", none);
    *(void **)&r.libc_realloc = next("__libc_realloc", none);
    *(void **)&r.libc_free = next("__libc_free", (void *)(uintptr_t)no_free);
    *(void **)&r.libc_memalign = next("__libc_memalign", none);
    *(void **)&r.libc_valloc = next("__libc_valloc", none);
    *(void **)&r.libc_pvalloc = next("__libc_pvalloc", none);
    *(void **)&r.brk = next("brk", (void *)(uintptr_t)no_memory_code);
    *(void **)&r.sbrk = next("sbrk", none);
    resolving = 0;
    /* free first: whoever sees a real malloc must not meet the stand-in's free. Each store is
     * atomic; the values are the same whoever stores them. */
    __atomic_store_n((void **)&hakt_real.free, *(void **)&r.free, __ATOMIC_RELEASE);
    __atomic_store_n((void **)&hakt_real.libc_free, *(void **)&r.libc_free, __ATOMIC_RELEASE);
    void **to = (void **)&hakt_real, **from = (void **)&r;
    for (size_t i = 0; i < sizeof(r) / sizeof(void *); i++)
        __atomic_store_n(&to[i], from[i], __ATOMIC_RELEASE);
    dl_iterate_phdr(note_range, NULL);
    hakt_cxx_use(operators);
    hakt_early_start();
    errno = saved;
}
