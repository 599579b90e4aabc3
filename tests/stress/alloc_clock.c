/*
 * Runs a recorded program of one thread through libhakmem by recorded time: before each operation
 * the policy's clock is set to the operation's. Usage: alloc_clock FILE, preloaded with
 * libhakmem.so; FILE holds the operations as struct op, in order. Prints release rounds, calls and
 * bytes. Allocates nothing of its own until the end.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc/hakmem.h"

struct op {
    uint64_t time, id, old, size, what; /* what: 0 malloc and free, 1 realloc, 2 calloc */
};

static int (*ctl)(const char *, void *, size_t *, const void *, size_t);

static struct hakmem_stats stats(void) {
    struct hakmem_stats s;
    size_t n = sizeof s;
    if (ctl("stats", &s, &n, NULL, 0) != 0)
        exit(1);
    return s;
}

static void run(const struct op *op, size_t n, void **slot) {
    for (size_t i = 0; i < n; i++, op++) {
        void *old = slot[op->old];
        ctl("clock", NULL, NULL, &op->time, sizeof op->time);
        slot[op->old] = NULL;
        if (op->what == 1)
            slot[op->id] = realloc(old, op->size);
        else if (op->what == 2)
            slot[op->id] = calloc(1, op->size);
        else if (op->id != 0)
            slot[op->id] = malloc(op->size);
        else
            free(old);
        if (op->id != 0 && slot[op->id] == NULL)
            exit(1);
        slot[0] = NULL;
    }
}

int main(int argc, char **argv) {
    struct stat st;
    int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    ctl = (int (*)(const char *, void *, size_t *, const void *, size_t))dlsym(RTLD_DEFAULT,
                                                                               "hakmem_ctl");
    if (fd < 0 || ctl == NULL || fstat(fd, &st) != 0)
        return 2;
    size_t n = (size_t)st.st_size / sizeof(struct op);
    void *ops = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    void *slots = mmap(NULL, (n + 1) * sizeof(void *), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ops == MAP_FAILED || slots == MAP_FAILED)
        return 1;
    struct hakmem_stats before = stats();
    run(ops, n, slots);
    struct hakmem_stats s = stats();
    printf("%llu %llu %llu\n", (unsigned long long)(s.release_rounds - before.release_rounds),
           (unsigned long long)(s.release_calls - before.release_calls),
           (unsigned long long)(s.released_bytes - before.released_bytes));
    return 0;
}
