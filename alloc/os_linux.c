/* The real system behind os.h: Linux. errno is the program's and is put back after each call. */
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "alloc/os.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int hak_os_reserve(size_t bytes, size_t align, void **out) {
    int saved = errno, rc = 0;
    size_t page = hak_os_page_size();
    size_t extra = align > page ? align - page : 0;
    char *p =
        mmap(NULL, bytes + extra, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        rc = errno;
    else /* what lies around the aligned part costs nothing and is left alone */
        *out = p + (-(uintptr_t)p & (align - 1));
    errno = saved;
    return rc;
}

int hak_os_commit(void *p, size_t bytes) {
    int saved = errno;
    int rc = mprotect(p, bytes, PROT_READ | PROT_WRITE) ? errno : 0;
    errno = saved;
    return rc;
}

static int advise(void *p, size_t bytes, int advice) {
    int saved = errno, rc;
    do {
        rc = madvise(p, bytes, advice) ? errno : 0;
    } while (rc == EAGAIN);
    errno = saved;
    return rc;
}

int hak_os_purge(void *p, size_t bytes, bool lazy) {
    return advise(p, bytes, lazy ? MADV_FREE : MADV_DONTNEED);
}

/* A fresh inaccessible mapping in place of the old one: pages and page tables go, the addresses
 * stay ours. */
int hak_os_unmap(void *p, size_t bytes) {
    int saved = errno;
    void *q =
        mmap(p, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    int rc = q == MAP_FAILED ? errno : 0;
    errno = saved;
    return rc;
}

int hak_os_release(void *p, size_t bytes) {
    int saved = errno;
    int rc = munmap(p, bytes) ? errno : 0;
    errno = saved;
    return rc;
}

int hak_os_map(void *p, size_t bytes) {
    int saved = errno, rc = 0;
    void *q = mmap(p, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (q == MAP_FAILED) {
        rc = errno;
    } else if (q != p) { /* a kernel that does not know NOREPLACE */
        munmap(q, bytes);
        rc = EEXIST;
    }
    errno = saved;
    return rc;
}

int hak_os_populate(void *p, size_t bytes) {
    return advise(p, bytes, MADV_POPULATE_WRITE);
}

/* A move failed with `why`. The kernel unmaps `to` before it has looked at all that can be wrong (a
 * limit; before Linux 6.17 a `from` of several mappings: EFAULT), so there may be a hole now, and
 * another thread's mapping may be the next to fill it. True: `to` is mapped and ours. */
static bool mend(void *to, size_t bytes, int why) {
    void *q = mmap(to, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (q == MAP_FAILED)
        return errno == EEXIST && why != EFAULT; /* refused before anything was unmapped */
    if (q != to)
        munmap(q, bytes); /* a kernel that does not know NOREPLACE, nor how to move: no hole */
    return true;
}

int hak_os_move(void *from, void *to, size_t bytes) {
    static bool never_again; /* limits stay, and each loss costs address space */
    int saved = errno, rc = 0;
    if (__atomic_load_n(&never_again, __ATOMIC_RELAXED))
        return ENOTSUP;
    void *q = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
    if (q == MAP_FAILED) {
        rc = errno;
        if (!mend(to, bytes, rc)) {
            __atomic_store_n(&never_again, true, __ATOMIC_RELAXED);
            rc = EADDRNOTAVAIL;
        }
    }
    errno = saved;
    return rc;
}

void hak_os_wait(const _Atomic(uint32_t) *word, uint32_t value, uint64_t timeout_ns) {
    int saved = errno;
    struct timespec t = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                         .tv_nsec = (long)(timeout_ns % 1000000000u)};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_ns == UINT64_MAX ? NULL : &t, NULL,
            0);
    errno = saved;
}

void hak_os_wake(const _Atomic(uint32_t) *word) {
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
}

uint64_t hak_os_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

size_t hak_os_page_size(void) {
    static size_t size;
    size_t n = __atomic_load_n(&size, __ATOMIC_RELAXED);
    if (!n) {
        n = (size_t)sysconf(_SC_PAGESIZE);
        __atomic_store_n(&size, n, __ATOMIC_RELAXED);
    }
    return n;
}

void hak_os_random(uintptr_t out[2]) {
    const void *given = (const void *)getauxval(AT_RANDOM); /* 16 bytes, new for each exec */
    out[0] = (uintptr_t)hak_os_now() * 0x9e3779b97f4a7c15u;
    out[1] = out[0] ^ (uintptr_t)&given;
    if (given)
        memcpy(out, given, 2 * sizeof *out);
}

const char *hak_os_env(const char *name) {
    return secure_getenv(name);
}

static char *put_text(char *at, const char *end, const char *text) {
    while (*text && at < end)
        *at++ = *text++;
    return at;
}

_Noreturn void hak_os_die(const char *msg, const void *p) {
    char line[160], hex[] = " 0x0000000000000000\n";
    uintptr_t v = (uintptr_t)p;
    for (int i = 18; i >= 3; i--, v >>= 4)
        hex[i] = "0123456789abcdef"[v & 15];
    char *at = put_text(line, line + sizeof line, "hakmem: ");
    at = put_text(at, line + sizeof line, msg);
    at = put_text(at, line + sizeof line, hex);
    ssize_t n = write(STDERR_FILENO, line, (size_t)(at - line));
    (void)n;
    abort();
}
