/*
 * The program's own memory calls, recorded as events where the collector asks for it
 * (haktrace --mmap): those that come through these public names. The allocator's own calls, ours,
 * and what libc does inside (thread stacks, loading libraries) are not the program's.
 */
#include "tracer/rt/wrap.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OWN() (hakt_is_active() && !hakt_called_by_allocator(__builtin_return_address(0)))

static uint64_t number(const void *p) {
    return (uint64_t)(uintptr_t)p;
}

/* errno of a call that failed, 0 of one that did not. */
static uint64_t failure(int failed) {
    return failed ? (uint64_t)errno : 0;
}

static void *do_mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset) {
    return (void *)syscall(SYS_mmap, at, length, prot, flags, fd, offset);
}

EXPORT void *mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset) {
    void *p = do_mmap(at, length, prot, flags, fd, offset);
    if (OWN())
        hakt_record_memory(HAKT_SHM_MMAP, number(p), length,
                           (uint32_t)prot | (uint64_t)(uint32_t)flags << 32,
                           failure(p == MAP_FAILED));
    return p;
}

EXPORT void *mmap64(void *at, size_t length, int prot, int flags, int fd, off64_t offset) {
    void *p = do_mmap(at, length, prot, flags, fd, offset);
    if (OWN())
        hakt_record_memory(HAKT_SHM_MMAP, number(p), length,
                           (uint32_t)prot | (uint64_t)(uint32_t)flags << 32,
                           failure(p == MAP_FAILED));
    return p;
}

EXPORT int munmap(void *p, size_t length) {
    int rc = (int)syscall(SYS_munmap, p, length);
    if (OWN())
        hakt_record_memory(HAKT_SHM_MUNMAP, number(p), length, 0, failure(rc != 0));
    return rc;
}

EXPORT void *mremap(void *p, size_t length, size_t to, int flags, ...) {
    void *at = NULL;
    if (flags & MREMAP_FIXED) {
        va_list more;
        va_start(more, flags);
        at = va_arg(more, void *);
        va_end(more);
    }
    void *q = (void *)syscall(SYS_mremap, p, length, to, flags, at);
    if (OWN())
        hakt_record_memory(HAKT_SHM_MREMAP, number(p), length, q == MAP_FAILED ? 0 : number(q), to);
    return q;
}

EXPORT int madvise(void *p, size_t length, int advice) {
    int rc = (int)syscall(SYS_madvise, p, length, advice);
    if (OWN())
        hakt_record_memory(HAKT_SHM_MADVISE, number(p), length, (uint32_t)advice, failure(rc != 0));
    return rc;
}

EXPORT int mprotect(void *p, size_t length, int prot) {
    int rc = (int)syscall(SYS_mprotect, p, length, prot);
    if (OWN())
        hakt_record_memory(HAKT_SHM_MPROTECT, number(p), length, (uint32_t)prot, failure(rc != 0));
    return rc;
}

/* libc keeps the end of the heap in its own books. */
EXPORT int brk(void *end) {
    if (hakt_real.brk == NULL)
        hakt_real_resolve();
    uint64_t before = (uint64_t)syscall(SYS_brk, NULL);
    int rc = hakt_real.brk(end);
    if (OWN())
        hakt_record_memory(HAKT_SHM_BRK, before, number(end), 0, failure(rc != 0));
    return rc;
}

EXPORT void *sbrk(intptr_t by) {
    if (hakt_real.sbrk == NULL)
        hakt_real_resolve();
    void *before = hakt_real.sbrk(by);
    if (by != 0 && OWN())
        hakt_record_memory(HAKT_SHM_BRK, number(before), number(before) + (uint64_t)by, 0,
                           failure(before == (void *)-1));
    return before;
}
