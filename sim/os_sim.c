/* See os_sim.h. Pages that are given back keep their contents: the simulator's driver asks for no
 * zeroed memory, and the allocator itself relies on zeroes only in what it reserves for its own
 * records, which is never given back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "alloc/os.h"
#include "sim/os_sim.h"

struct haks_os haks_os;

static void count(enum haks_call call, size_t bytes) {
    haks_os.calls[call]++;
    haks_os.bytes[call] += bytes;
}

static void tell(enum haks_call call, void *p, size_t bytes) {
    count(call, bytes);
    if (haks_os.listener.range != NULL)
        haks_os.listener.range(haks_os.listener.ctx, call, p, bytes);
}

/* As os_linux.c does it: maps enough to find an aligned part. What the simulation itself holds may
 * come in huge pages (the books know nothing of that): half of a pass went into small ones' faults.
 */
int hak_os_reserve(size_t bytes, size_t align, void **out) {
    size_t page = hak_os_page_size(), extra = align > page ? align - page : 0;
    char *p;
    if (bytes > SIZE_MAX - extra)
        return ENOMEM;
    p = mmap(NULL, bytes + extra, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return errno;
    *out = (char *)(((uintptr_t)p + align - 1) & ~(uintptr_t)(align - 1));
    madvise(*out, bytes, MADV_HUGEPAGE); /* a wish: works without */
    count(HAKS_RESERVE, bytes + extra);
    if (haks_os.listener.reserved != NULL)
        haks_os.listener.reserved(haks_os.listener.ctx, *out, bytes);
    return 0;
}

int hak_os_commit(void *p, size_t bytes) {
    if (mprotect(p, bytes, PROT_READ | PROT_WRITE) != 0)
        return errno;
    count(HAKS_COMMIT, bytes);
    return 0;
}

int hak_os_purge(void *p, size_t bytes, bool lazy) {
    tell(lazy ? HAKS_FREE : HAKS_DONTNEED, p, bytes);
    return 0;
}

int hak_os_unmap(void *p, size_t bytes) {
    tell(HAKS_UNMAP, p, bytes);
    return 0;
}

int hak_os_release(void *p, size_t bytes) {
    tell(HAKS_RELEASE, p, bytes);
    return 0;
}

int hak_os_map(void *p, size_t bytes) {
    (void)p;
    count(HAKS_MAP, bytes);
    return 0;
}

int hak_os_populate(void *p, size_t bytes) {
    tell(HAKS_POPULATE, p, bytes);
    return 0;
}

int hak_os_huge(void *p, size_t bytes) {
    tell(HAKS_HUGE, p, bytes);
    return 0;
}

bool hak_os_huge_try(void *p) {
    (void)p;
    return true;
}

/* The contents stay behind: nobody reads them. */
int hak_os_move(void *from, void *to, size_t bytes) {
    int rc = 0;
    if (haks_os.listener.move != NULL)
        rc = haks_os.listener.move(haks_os.listener.ctx, from, to, bytes);
    if (rc == 0)
        count(HAKS_MOVE, bytes);
    return rc;
}

/* The simulated system has no limits, and nobody waits in it. */
void hak_os_memory(struct hakp_memory *out) {
    *out = (struct hakp_memory){0};
}

void hak_os_wait(const _Atomic(uint32_t) *word, uint32_t value, uint64_t timeout_ns) {
    (void)word, (void)value, (void)timeout_ns;
}

void hak_os_wake(const _Atomic(uint32_t) *word) {
    (void)word;
}

uint64_t hak_os_now(void) {
    return haks_os.now_ns;
}

size_t hak_os_page_size(void) {
    static size_t size;
    if (size == 0)
        size = (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

/* The simulator's policies come from its command line alone. */
void hak_os_random(uintptr_t out[2]) {
    out[0] = out[1] = 4711;
}

const char *hak_os_env(const char *name) {
    (void)name;
    return NULL;
}

_Noreturn void hak_os_die(const char *msg, const void *p) {
    fprintf(stderr, "haksim: the allocator found its heap corrupted: %s (%p)\n", msg, p);
    abort();
}
