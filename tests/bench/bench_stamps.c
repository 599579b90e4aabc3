/*
 * A program that knows when it made its calls: for tests/bench/stamp-error.
 *
 *   bench_stamps FILE THREADS CALLS
 *
 * Each thread makes CALLS times malloc(1000 + thread) and free, in bursts with pauses of 0 to 200
 * us between. FILE gets thread and CLOCK_MONOTONIC in ns (64 bits each) of each malloc's return,
 * thread by thread.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define THREADS_MAX 16

static uint64_t *returned[THREADS_MAX];
static long calls;

static uint64_t now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t next_random(uint64_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Mostly nothing, at times as long as a cache miss or a system call takes, seldom a rest. */
static void work(uint64_t r) {
    uint64_t ns = r % 64 == 0 ? r >> 8 & 0x3ffff : r % 8 == 0 ? r >> 8 & 0x7ff : r >> 8 & 0x3f;
    for (uint64_t from = now(); now() - from < ns;)
        continue;
}

static void *run(void *number) {
    uintptr_t t = (uintptr_t)number;
    uint64_t x = t + 1;
    void *volatile p;
    for (long i = 0; i < calls; i++) {
        p = malloc(1000 + t);
        returned[t][i] = now();
        work(next_random(&x));
        free(p);
    }
    return NULL;
}

int main(int argc, char **argv) {
    uintptr_t threads = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    pthread_t id[THREADS_MAX];
    if (threads < 1 || threads > THREADS_MAX || (calls = atol(argv[3])) < 1) {
        fprintf(stderr, "bench_stamps FILE THREADS CALLS\n");
        return 2;
    }
    for (uintptr_t t = 0; t < threads; t++) {
        returned[t] = mmap(NULL, (size_t)calls * 8, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (returned[t] == MAP_FAILED)
            return 1;
    }
    for (uintptr_t t = 0; t < threads; t++) {
        if (pthread_create(&id[t], NULL, run, (void *)t) != 0)
            return 1;
    }
    for (uintptr_t t = 0; t < threads; t++)
        pthread_join(id[t], NULL);
    FILE *f = fopen(argv[1], "wb");
    for (uintptr_t t = 0; f != NULL && t < threads; t++) {
        for (long i = 0; i < calls; i++) {
            uint64_t entry[2] = {t, returned[t][i]};
            fwrite(entry, sizeof(entry), 1, f);
        }
    }
    return f == NULL || fclose(f) != 0;
}
