/*
 * The driver: runs a stream against the malloc of this process. It allocates nothing, makes no
 * system call but to wait for a hand-over, and stores, besides the pointers, only where it is.
 */
#ifndef REPLAY_DRIVE_H
#define REPLAY_DRIVE_H

#include <stddef.h>
#include <stdint.h>
#include "replay/shm.h"

/* The entry points that a library may lack; never NULL (proof.c puts in stand-ins). */
struct hakr_rare {
    void *(*memalign)(size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
    void *(*reallocarray)(void *, size_t, size_t);
};

/* hakmem_ctl of alloc/hakmem.h, as dlsym finds it. */
typedef int hakr_hakmem_ctl(const char *name, void *out, size_t *out_len, const void *in,
                            size_t in_len);

struct hakr_drive {
    struct hakr_ctl *ctl;
    hakr_hakmem_ctl *hakmem; /* NULL: another allocator */
    struct hakr_rare rare;
    void **slots;
    uint64_t *sizes; /* all but the time pass: bytes asked for, by slot */
    uint64_t *seeds; /* check pass: of the pattern in the block; 0 = no block is there */
    uint64_t
        *seen; /* [waiting thread * seen_stride + thread]: how far it was seen; NULL = no table */
    size_t seen_stride;
    uint64_t start_ns; /* of the region */
    int spins;         /* how often to look before a wait gives way; 0 on one processor */
    int yields;        /* and how often it gives way before it sleeps */
    int fences;        /* membarrier can make the other threads' stores seen */
};

/* Before the first hakr_drive of a time pass, by one thread: puts the driver's code within reach of
 * the allocator. Returns the bytes of the copy; 0 = it runs where it is, and calls cost a jump
 * more.
 */
size_t hakr_time_place(const struct hakr_drive *d);

/* After it, right before the region and by the thread that runs the first stream: runs the driver's
 * code once without the allocator, so that its first use in the region is not billed to that. Until
 * then, hakr_drive must not be called. */
void hakr_time_warm(void);

/* Runs the stream at `words` as thread t, in the pass and with the touching that ctl names. */
void hakr_drive(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words);

/* Check pass, after the streams: verifies what still lives. Faults are booked to thread t. */
void hakr_check_rest(const struct hakr_drive *d, struct hakr_shm_thread *t);

#endif
