/*
 * Safety level 1 at full speed. Level 0 must pay nothing for the others, not even a test; so at
 * level 1 the library's own malloc, free and operator delete are patched, once, while the process
 * has one thread: their first instruction becomes a jump to the functions here (what kernels call a
 * static key). Where the system forbids writing to code, nothing is lost but time: the fast paths
 * miss (safe.h), and the slow entry does the same.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "alloc/malloc_checked.h"
#include "alloc/malloc_thread.h"
#include "alloc/safe.h"

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)

/* Our own functions, whoever else exports the names. */
extern void *hak_malloc_entry(size_t size) __attribute__((visibility("hidden")));
extern void hak_free_entry(void *p) __attribute__((visibility("hidden")));
extern void hak_delete_entry(void *p) __attribute__((visibility("hidden")));

/* As hak_fast_alloc and hak_safe_alloc in one. */
static __attribute__((aligned(64))) void *checked_malloc(size_t size) {
    struct hak_heap *h = hak_checked_heap;
    size_t i = (size + 15) >> 4;
    if (likely(i <= HAK_FINE_MAX / 16)) {
        struct hak_bin *bin = (struct hak_bin *)((char *)h + h->fine[i]);
        uintptr_t *p = bin->list;
        if (likely(p)) {
            bin->list = (void *)p[0];
            bin->room++;
            p[1] = 0;
            return p;
        }
    }
    return hak_malloc_slow(size, (struct hak_heap *)&hak_empty_heap); /* its fast path misses */
}

/* As hak_fast_free and hak_safe_free in one. */
static __attribute__((aligned(64))) void checked_free(void *p) {
    struct hak_heap *h = hak_checked_heap;
    uintptr_t unit = ((uintptr_t)p - hak_hot.base) >> HAK_UNIT_SHIFT, *word = p;
    if (likely(unit < HAK_RELAXED(uintptr_t, hak_hot.units))) {
        struct hak_slab *s = &hak_hot.meta[unit];
        if (likely(hak_slab_owner(s) == h)) {
            struct hak_bin *bin = (struct hak_bin *)((char *)h + s->bin_off);
            uintptr_t key = hak_safe.key ^ (uintptr_t)p;
            uint32_t off = (uint16_t)(uintptr_t)p;
            if (likely(word[1] != key) && likely(off * bin->inverse < bin->inverse)) {
                word[1] = key;
                __asm__ volatile("" : : : "memory"); /* two stores are faster than one of a pair */
                word[0] = (uintptr_t)bin->list;
                bin->list = p;
                if (unlikely(--bin->room < 0))
                    hak_bin_overflow(h, bin);
                return;
            }
        }
    }
    hak_safe_free(h, p); /* and says what is wrong, if something is */
}

static bool jump(void *from, void *to) {
    enum { JMP = 0xe9, LENGTH = 5 };
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)from & ~(page - 1);
    size_t bytes = ((uintptr_t)from + LENGTH - first + page - 1) & ~(page - 1);
    int32_t distance = (int32_t)((char *)to - ((char *)from + LENGTH));
    unsigned char code[LENGTH] = {JMP};
    memcpy(code + 1, &distance, sizeof distance);
    if (mprotect((void *)first, bytes, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return false;
    memcpy(from, code, LENGTH);
    mprotect((void *)first, bytes, PROT_READ | PROT_EXEC);
    return true;
}

void hak_checked_install(void) {
    if (hak_safe.level != 1)
        return;
    jump((void *)hak_malloc_entry, (void *)checked_malloc);
    jump((void *)hak_free_entry, (void *)checked_free);
    jump((void *)hak_delete_entry, (void *)checked_free);
}

#else

void hak_checked_install(void) {}

#endif
