/*
 * Workloads of bench_workloads: what programs that hold an allocator to account do, one thing each.
 *
 * A workload runs in each of `threads` threads at once. It does all its work through malloc's
 * family, touches what it gets as a program would, and returns the calls it made. State that
 * threads share lives in memory of its own (mmap), so that it does not disturb the allocator.
 */
#ifndef WORKLOADS_H
#define WORKLOADS_H

#include <stddef.h>
#include <stdint.h>

struct workload_thread {
    unsigned number, threads;
    uint64_t rounds; /* how much to do: each workload's own unit, some 100 ms in 100 of them */
    uint32_t rng;    /* xorshift state, not 0 */
    void *shared;    /* of all threads, workload.shared_bytes of zeroes */
};

struct workload {
    const char *name, *help;
    size_t shared_bytes;
    unsigned least_threads;
    /* Returns the calls of malloc, free, realloc and calloc made. Memory that runs out ends the
     * process. */
    uint64_t (*run)(struct workload_thread *t);
};

/* NULL past the last. */
const struct workload *workload_at(unsigned i);

#endif
