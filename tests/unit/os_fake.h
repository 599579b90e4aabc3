/*
 * The functions of alloc/os.h that a test of the core needs and does not look at: for programs that
 * bring a system of their own, so libhakos is not linked. Include it once, from the program's file.
 */
#ifndef TESTS_UNIT_OS_FAKE_H
#define TESTS_UNIT_OS_FAKE_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "alloc/os.h"

/* What the reserving calls of both programs do. */
static inline int os_fake_reserve(size_t bytes, size_t align, void **out) {
    char *p =
        mmap(NULL, bytes + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return errno;
    *out = (void *)(((uintptr_t)p + align - 1) & ~(align - 1));
    return 0;
}

void hak_os_memory(struct hakp_memory *out) {
    *out = (struct hakp_memory){0};
}

void hak_os_wait(const _Atomic(uint32_t) *word, uint32_t value, uint64_t timeout_ns) {
    (void)word, (void)value, (void)timeout_ns;
}

void hak_os_wake(const _Atomic(uint32_t) *word) {
    (void)word;
}

size_t hak_os_page_size(void) {
    return 4096;
}

void hak_os_random(uintptr_t out[2]) {
    out[0] = out[1] = 4711;
}

const char *hak_os_env(const char *name) {
    (void)name;
    return NULL;
}

_Noreturn void hak_os_die(const char *msg, const void *p) {
    fprintf(stderr, "die: %s %p\n", msg, p);
    abort();
}

#endif
