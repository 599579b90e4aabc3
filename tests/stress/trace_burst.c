/*
 * What an op costs its caller: bursts short enough for a ring, with pauses for the collector
 * between, so that the figure holds no waiting for it.
 *
 *   trace_burst BURSTS OPS WS     prints the median and the least ns per op over the bursts
 *
 * The ops are those of bench_random_mixed (an array of WS slots; a random one is freed or filled).
 * To be run with and without a recording, in turns.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void **slots;
static uint32_t rng = 1;

static uint64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void burst(long ops, uint32_t ws) {
    for (long i = 0; i < ops; i++) {
        rng ^= rng << 13;
        rng ^= rng >> 17;
        rng ^= rng << 5;
        void **s = &slots[rng % ws];
        if (*s != NULL) {
            free(*s);
            *s = NULL;
        } else {
            *s = malloc(16 + (rng & 0x3ff));
        }
    }
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    struct timespec pause = {0, 5000000};
    long bursts = argc == 4 ? atol(argv[1]) : 0, ops = argc == 4 ? atol(argv[2]) : 0;
    long ws = argc == 4 ? atol(argv[3]) : 0;
    if (bursts < 1 || ops < 1 || ws < 1 || ws > 1 << 24)
        return 2;
    double *ns = malloc((size_t)bursts * sizeof(*ns));
    slots = calloc((size_t)ws, sizeof(*slots));
    if (ns == NULL || slots == NULL)
        return 1;
    for (int i = 0; i < 10; i++) { /* every page of the ring and of the heap has been seen */
        burst(ops, (uint32_t)ws);
        nanosleep(&pause, NULL);
    }
    for (long i = 0; i < bursts; i++) {
        uint64_t start = now_ns();
        burst(ops, (uint32_t)ws);
        ns[i] = (double)(now_ns() - start) / (double)ops;
        nanosleep(&pause, NULL);
    }
    qsort(ns, (size_t)bursts, sizeof(*ns), by_size);
    printf("median %.2f ns/op, least %.2f ns/op\n", ns[bursts / 2], ns[0]);
    return 0;
}
