/*
 * The code of the time pass (drive_time.c) and its place (drive_place.c).
 */
#ifndef REPLAY_DRIVE_TIME_H
#define REPLAY_DRIVE_TIME_H

#include "replay/drive_int.h"
#include "replay/plan.h"

/* What the code calls. The order is known to it. */
struct hakr_time_links {
    const struct hakr_drive *drive;
    const uint64_t *(*run_other)(const struct hakr_drive *, struct hakr_shm_thread *, uint64_t,
                                 const uint64_t *, const uint64_t *);
    void (*note_null)(struct hakr_shm_thread *);
    void *(*do_malloc)(size_t);
    void (*do_free)(void *);
};

/* A call of the code: a byte of opcode and the distance from behind it, which is patched. */
struct hakr_time_site {
    uint32_t at;      /* of the opcode, from the code's beginning */
    uint32_t is_free; /* 0 = malloc */
};

/* Two drivers with the signature of hakr_time_code; _far fetches slots ahead of their use. Each is
 * one piece up to its _end and may be copied anywhere. */
typedef void hakr_time_code(void **slots, struct hakr_shm_thread *t, const uint64_t *words,
                            const struct hakr_time_links *links);
extern hakr_time_code hakr_time_near, hakr_time_far;
extern const char hakr_time_near_end[], hakr_time_far_end[];
extern const struct hakr_time_site hakr_time_near_sites[], hakr_time_near_sites_end[];
extern const struct hakr_time_site hakr_time_far_sites[], hakr_time_far_sites_end[];

#endif
