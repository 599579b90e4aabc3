#include "common/zeroed.h"

#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static void *map(size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p != MAP_FAILED ? p : NULL;
}

void *hakc_zeroed_get(size_t bytes) {
    char *p;
    size_t before;
    if (bytes < HUGE_PAGE || bytes > SIZE_MAX - HUGE_PAGE)
        return map(bytes);
    p = map(bytes + HUGE_PAGE);
    if (p == NULL)
        return NULL;
    before = -(uintptr_t)p & (HUGE_PAGE - 1);
    if (before != 0)
        munmap(p, before);
    munmap(p + before + bytes, HUGE_PAGE - before);
    madvise(p + before, bytes, MADV_HUGEPAGE);
    return p + before;
}

void hakc_zeroed_put(void *p, size_t bytes) {
    if (p != NULL)
        munmap(p, bytes);
}
