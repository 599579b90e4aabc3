/*
 * What the two slow sides of the library share: join.c finds the collector's memory and lets go of
 * it, attach.c gives rings to threads. All of it is off the hot path and may use system calls, but
 * no allocation: it runs inside malloc.
 */
#ifndef TRACER_RT_JOIN_H
#define TRACER_RT_JOIN_H

#include "tracer/rt/rt.h"

#include <stdint.h>

struct hakt_rt {
    struct hakt_shm *shm;
    struct hakt_ring *rings; /* one for each slot */
    uint32_t attached;       /* threads that ever got a ring */
    uint32_t *alive;         /* 1 in the process that records, 0 in its forked children */
    uint32_t started, joining;
    uint32_t rings_used; /* rings below this number were taken by threads */
};
extern HAKT_HIDDEN struct hakt_rt hakt_rt;

/* Ops come here while this process does not record: 1 if now it does. One thread joins; the ops
 * that others make meanwhile are before the recording. */
HAKT_HIDDEN int hakt_join(void);

/* Does this process record, as far as it knows? */
HAKT_HIDDEN int hakt_is_joined(void);

/* From now on ops go to the real functions alone: the calling thread's at once, others' as soon as
 * they find no room in their rings. */
HAKT_HIDDEN void hakt_go_dormant(void);

#endif
