/*
 * Every call through the door to the system fails once: nothing is lost or corrupted. This program
 * brings its own os.h functions, so libhakos is not linked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "alloc/heap.h"
#include "alloc/os.h"
#include "tests/unit/os_fake.h"

static long calls, fail_at = -1;
static unsigned failed_allocs;

static int fault(void) {
    return calls++ == fail_at ? ENOMEM : 0;
}

int hak_os_reserve(size_t bytes, size_t align, void **out) {
    if (fault())
        return ENOMEM;
    return os_fake_reserve(bytes, align, out);
}

int hak_os_commit(void *p, size_t bytes) {
    return fault() ? ENOMEM : mprotect(p, bytes, PROT_READ | PROT_WRITE) ? errno : 0;
}

int hak_os_purge(void *p, size_t bytes, bool lazy) {
    return fault() ? EINVAL : madvise(p, bytes, lazy ? MADV_FREE : MADV_DONTNEED) ? errno : 0;
}

int hak_os_unmap(void *p, size_t bytes) {
    if (fault())
        return ENOMEM;
    void *q =
        mmap(p, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return q == MAP_FAILED ? errno : 0;
}

int hak_os_release(void *p, size_t bytes) {
    return fault() ? ENOMEM : munmap(p, bytes) ? errno : 0;
}

int hak_os_map(void *p, size_t bytes) {
    if (fault())
        return ENOMEM;
    void *q = mmap(p, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    return q == MAP_FAILED ? errno : 0;
}

int hak_os_populate(void *p, size_t bytes) {
    (void)p, (void)bytes;
    return fault();
}

int hak_os_huge(void *p, size_t bytes) {
    (void)p, (void)bytes;
    return fault();
}

bool hak_os_huge_try(void *p) {
    (void)p;
    return fault() == 0;
}

int hak_os_move(void *from, void *to, size_t bytes) {
    if (fault()) {
        munmap(to, bytes); /* the worst that the system does */
        return EADDRNOTAVAIL;
    }
    void *q = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to);
    return q == MAP_FAILED ? errno : 0;
}

uint64_t hak_os_now(void) {
    return (uint64_t)calls;
}

/* ---- the scenario ---------------------------------------------------------------------------- */

enum { N = 1000 };

static void fill(unsigned char *p, size_t n, unsigned v) {
    if (p)
        memset(p, (int)(v & 0xff), n);
    else
        failed_allocs++;
}

static void check(const unsigned char *p, size_t n, unsigned v) {
    for (size_t i = 0; p && i < n; i += i + 97 < n ? 97 : 1)
        if (p[i] != (v & 0xff))
            abort();
}

static size_t size_of(unsigned i) {
    return i % 30 == 0 ? 40000 + (size_t)i * 100 : 8 + i * 7919u % 6000;
}

/* Allocates, reallocates and frees with a pattern in each block. A failed call may fail at most a
 * few allocations; what was there before stays. */
static int scenario(const char *policy) {
    static unsigned char *p[N];
    struct hakp_spec spec;
    hakp_parse(policy, &spec, NULL, 0);
    hak_core_init(&spec);
    struct hak_heap *h = hak_heap_new(), *other;
    if (!h)
        h = hak_heap_new();
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < N; i++)
            fill(p[i] = hak_heap_alloc(h, size_of(i)), size_of(i), i);
        other = hak_heap_new();
        for (unsigned i = 0; i < N; i++) {
            check(p[i], size_of(i), i);
            if (i % 5 == 0 && p[i]) {
                unsigned char *q = hak_heap_realloc(h, p[i], size_of(i) * 3);
                if (q) {
                    check(q, size_of(i), i);
                    p[i] = q;
                } else {
                    failed_allocs++;
                    check(p[i], size_of(i), i);
                }
            }
        }
        for (unsigned i = 0; i < N; i++) {
            check(p[i], size_of(i), i);
            hak_heap_free(i % 3 || !other ? h : other, p[i]);
        }
        if (other)
            hak_heap_retire(other);
        hak_core_trim(h);
    }
    other = hak_heap_new(); /* takes in what the retired heap had pending */
    if (other)
        hak_core_trim(other);
    hak_core_trim(h);
    struct hak_core_stats s;
    hak_core_stats(&s);
    if (s.active_pages)
        return 2; /* something was lost */
    return failed_allocs > 3 ? 3 : 0;
}

static int run(const char *policy, long at, long *ncalls) {
    int fd[2], status;
    assert_int_equal(pipe(fd), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fail_at = at;
        int rc = scenario(policy);
        if (write(fd[1], &calls, sizeof calls) != sizeof calls)
            rc = 9;
        _exit(rc);
    }
    close(fd[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (read(fd[0], ncalls, sizeof *ncalls) != sizeof *ncalls)
        *ncalls = -1;
    close(fd[0]);
    return status;
}

static void each_call_fails_once(void **state) {
    static const char *const policies[] = {"never", "partial:8", "eager:how=unmap", "report-2025"};
    (void)state;
    for (unsigned i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        long total, n;
        assert_int_equal(run(policies[i], -1, &total), 0);
        assert_true(total > 20);
        /* HAK_FAULTS=all: each call, a minute and a half; else the first ones and a share */
        long step = getenv("HAK_FAULTS") ? 1 : total / 60 + 1;
        for (long at = 0; at < total; at += at < 50 ? 1 : step) {
            int status = run(policies[i], at, &n);
            if (status)
                fail_msg("%s: call %ld of %ld failed: status %#x", policies[i], at, total, status);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_call_fails_once)};
    return cmocka_run_group_tests_name("heap_faults", tests, NULL, NULL);
}
