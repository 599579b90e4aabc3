/*
 * Drives the allocator's core with a trace: one heap for each recorded thread, objects by their id.
 * Zeroing is left out (calloc places as malloc does), so nothing but the allocator's own free
 * lists touches memory. One thread, one process.
 */
#ifndef SIM_CORE_DRIVE_H
#define SIM_CORE_DRIVE_H

#include "sim/live_blocks.h"
#include "sim/sim.h"
#include "tracer/format/trace.h"

struct hak_heap;

struct haks_drive {
    struct haks_live blocks; /* id to address, of what is live */
    struct haks_drive_thread {
        struct hak_heap *heap; /* NULL before its first op and after its end */
        uint64_t ops;
    } * threads;
    uint32_t n_threads, room;
    uint64_t started; /* threads that there are from the start but the first; see core_drive.c */
    int zeroing;      /* the op under way is a calloc of a large object */
    uint64_t op;      /* number of the op under way */
    uint64_t records; /* done */
    /* Ends of threads that wait for the next op. Those at the end of the trace are the end of
     * the process, which empties no caches. */
    struct haks_thread_end {
        uint64_t time;
        uint32_t thread;
    } * ended;
    size_t n_ended, ended_room;
    void (*clock_moves)(void *ctx);  /* before each op and each end of a thread; or NULL */
    void (*heap_made)(void *ctx);    /* a thread has got its heap; or NULL */
    void (*begins)(void *ctx);       /* the first thread has its heap and blocks; or NULL */
    void (*thread_ended)(void *ctx); /* after its caches went back; or NULL */
    void *ctx;
};

/* threads: of the whole trace, as its reader says. */
int haks_drive_init(struct haks_drive *d, uint64_t threads, struct hakc_err *err);
void haks_drive_fini(struct haks_drive *d);

/* Executes records of the trace named `path` (for messages). HAKC_ECORRUPT where they contradict
 * themselves, HAKC_ENOMEM where the core has no memory. */
int haks_drive_records(struct haks_drive *d, const struct hakt_rec *recs, size_t n,
                       const char *path, struct hakc_err *err);

/* struct haks_pass says what it is. */
uint64_t haks_drive_parallel_milli(const struct haks_drive *d);

#endif
