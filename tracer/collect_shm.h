/*
 * The collector's side of the shared memory: making it, and sleeping until the program rings.
 */
#ifndef TRACER_COLLECT_SHM_H
#define TRACER_COLLECT_SHM_H

#include "common/err.h"
#include "tracer/rt/trace_shm.h"

#include <stdint.h>

#define HAKT_RING_BYTES_MIN     (8u << 10) /* four times the slack */
#define HAKT_RING_BYTES_MAX     (1u << 30)
#define HAKT_RING_BYTES_DEFAULT (1u << 20)
#define HAKT_SLOTS_MAX          65536u
#define HAKT_SLOTS_DEFAULT      4096u

struct hakt_shm_settings {
    uint64_t ring_bytes; /* rounded up to a power of two within the bounds above */
    uint32_t slots;
    uint32_t clock;   /* enum hakt_shm_clock */
    uint32_t on_full; /* enum hakt_shm_on_full */
    uint32_t pace;    /* 0 and 1: every op is stamped; at most HAKT_SHM_PACE_MAX */
    uint32_t burst;   /* raw time, see trace_shm.h */
    uint32_t follow;  /* enum hakt_shm_follow */
    uint32_t record_mmap;
};

/* Makes and maps the memory. path receives the name that the program opens it by (valid while *fd
 * is open in this process). HAKC_EIO. */
int hakt_shm_create(struct hakt_shm **shm, int *fd, char path[HAKT_SHM_PATH],
                    const struct hakt_shm_settings *settings, struct hakc_err *err);
void hakt_shm_destroy(struct hakt_shm *shm, int fd);

/* The recording has ended, the program may have the memory mapped for long: gives its pages back.
 * A late writer finds fresh ones. */
void hakt_shm_empty(struct hakt_shm *shm, int fd);

/* Sleeps for at most ns; ends early when a thread's ring fills, or on a signal. */
void hakt_shm_sleep(struct hakt_shm *shm, uint64_t ns);

#endif
