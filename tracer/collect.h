/*
 * The collector: drains the rings of a traced program (tracer/rt/trace_shm.h), resolves addresses
 * to allocation ids and hands on records in one order that respects cause.
 *
 * Order. A thread publishes a free before the real free and an allocation after the real call has
 * returned. So once a record is seen in a ring, everything that made it possible is in the rings
 * too: a first look at the rings shows records, a second look, begun after the first, shows all
 * their causes. A round is such a look: it takes the time T at its start and handles, merged by
 * time stamp, what is published with a stamp up to T. A record whose cause is not in yet (a free of
 * an address that is not live, an allocation of an address that still is) holds back its thread
 * alone; the others go on. If it is still held after a whole later round, the cause is nowhere: the
 * free is FOREIGN, the allocation implies an unseen free.
 *
 * Memory is bounded by the live objects, the rings and the backlog, not by the length of the
 * recording.
 * Threads: one collector belongs to one thread.
 */
#ifndef TRACER_COLLECT_H
#define TRACER_COLLECT_H

#include "common/err.h"
#include "tracer/collect_clock.h"
#include "tracer/format/trace.h"
#include "tracer/rt/trace_shm.h"

#include <stdint.h>
#include <sys/types.h>

struct hakt_collect;

struct hakt_collect_sink {
    /* Takes the next record; old_size is the size of the object that it consumes (0 if none), as
     * hakt_write_sized wants it. A negative code ends the recording: from then on the rings are
     * only emptied, so that the program goes on. */
    int (*put)(void *ctx, const struct hakt_rec *rec, uint64_t old_size, struct hakc_err *err);
    /* The same for n plain records, as hakt_write_plain; may be NULL: then put gets them. */
    int (*put_plain)(void *ctx, const struct hakt_plain_rec *recs, size_t n, struct hakc_err *err);
    /* The same for the program's own memory calls; may be NULL: they are passed over. */
    int (*event)(void *ctx, const struct hakt_event *event, struct hakc_err *err);
    void *ctx;
};

struct hakt_collect_stats {
    uint64_t records;      /* handed to the sink */
    uint64_t ops;          /* of these, without thread markers */
    uint64_t taken;        /* ops that are out of the rings, whether they were handed on or not */
    uint64_t stamped;      /* ops of the present trace whose time was read from the clock */
    uint64_t threads;      /* that made an op */
    uint64_t dropped;      /* ops lost: rings full, no ring, records left unfinished by handlers */
    uint64_t dropped_full; /* of these, because a ring was full */
    uint64_t unserved_threads; /* threads that found no ring */
    uint64_t foreign, implied;
    uint64_t held;                         /* records that waited for their cause */
    uint64_t clamped;                      /* time stamps raised to keep the order */
    const struct hakt_thread_drops *drops; /* dropped_full by thread, of threads that have ended; */
    size_t drops_count;                    /* valid until the collector's next call */
    uint64_t backlog, backlog_peak;        /* bytes that the backlog holds, and held at the most */
    uint64_t discarded;                    /* records read after the sink failed */
};

/* backlog: bytes of memory for records that are out of the rings and not handled yet. Starts on
 * `shm` (the collector's own mapping; stays the caller's). clock converts the stamps, is
 * updated by the caller between rounds and must outlive the collector. HAKC_ENOMEM. */
int hakt_collect_open(struct hakt_collect **c, struct hakt_shm *shm, const struct hakt_clock *clock,
                      struct hakt_collect_sink sink, uint64_t backlog, struct hakc_err *err);
void hakt_collect_close(struct hakt_collect *c);

/* busy: others want all processors, and the program may be waiting for one. From now on a round
 * only copies what is in the rings into the backlog, which takes 2 to 3 ns a record, instead of
 * resolving and handing on, which takes 30 to 50: until the program leaves a processor idle, or the
 * backlog is full, or it was not empty for 5 seconds, or slots run short. */
void hakt_collect_set_busy(struct hakt_collect *c, int busy);

/* Does it put off, as things are? */
int hakt_collect_puts_off(const struct hakt_collect *c);

/* How many of the program's threads had records for the last round. */
uint32_t hakt_collect_at_work(const struct hakt_collect *c);

/* How many wait for room in their rings. */
uint32_t hakt_collect_waiting(const struct hakt_collect *c);

/* Handles all that is in the rings and the backlog at this moment; after a second it lets be what
 * is still held. */
void hakt_collect_catch_up(struct hakt_collect *c);

/* One round, or as much of one as is done in a few milliseconds: the next call goes on with it.
 * Returns how many records it handled, or put off; *more (may be NULL) = 1 if another call should
 * follow at once, because the round is not finished, records are held or a ring is filling. */
uint64_t hakt_collect_round(struct hakt_collect *c, int *more);

/* Takes records out of rings that are filling up, into the backlog: for a sink that is busy for
 * long (hakt_writer_set_pause). collect is a struct hakt_collect. */
void hakt_collect_relieve(void *collect);

/* From here on records go to another sink, as a trace of its own: ids, threads and times start
 * anew, and what is alive is unknown to it (its frees are FOREIGN). */
void hakt_collect_rotate(struct hakt_collect *c, struct hakt_collect_sink sink);

/* ns from the start of the clock to time 0 of the present trace. */
uint64_t hakt_collect_origin_ns(const struct hakt_collect *c);

/* The time of the last record, in the present trace. */
uint64_t hakt_collect_last_ns(const struct hakt_collect *c);

/* Gives back the rings of threads that no longer exist in process pid. Now and then; a round with
 * nothing left to do must have come before for a ring to be empty. */
void hakt_collect_reap(struct hakt_collect *c, pid_t pid);

/* The program is dead: handles all that was ever committed, gives every held record its due, and
 * writes the unfinished reallocs and the threads' end markers. */
void hakt_collect_finish(struct hakt_collect *c);

void hakt_collect_get_stats(const struct hakt_collect *c, struct hakt_collect_stats *stats);

/* 0, or the code and sentence with which the sink (or memory) failed. */
int hakt_collect_failed(const struct hakt_collect *c, struct hakc_err *err);

#endif
