#include <stdlib.h>
#include <string.h>

#include "alloc/heap.h"
#include "alloc/os.h"
#include "sim/core_drive.h"
#include "sim/os_sim.h"

/* hakreplay starts all threads before the first op, and for each the C library takes a block for
 * its table of thread-local variables: 288 bytes in a plain program, 16 more for each library that
 * has some (glibc 2.36). Where they lie decides with others which slabs become free: without them
 * redis made 106 calls under eager where its replay made 109. The size class was found on that
 * trace; others (docs/studies/agreement.md) agree. */
#define THREAD_BYTES 320

#define AHEAD 12 /* records between asking memory for a line of the table and using it */

int haks_drive_init(struct haks_drive *d, uint64_t threads, struct hakc_err *err) {
    *d = (struct haks_drive){.started = threads > 0 ? threads - 1 : 0};
    if (haks_live_init(&d->blocks) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the table of live objects");
    return 0;
}

void haks_drive_fini(struct haks_drive *d) {
    haks_live_fini(&d->blocks);
    free(d->threads);
    free(d->ended);
    d->threads = NULL;
    d->ended = NULL;
}

static int corrupt(const struct haks_drive *d, const char *path, struct hakc_err *err,
                   const char *what, uint64_t n) {
    int rc = hakc_fail(err, HAKC_ECORRUPT, "record %llu %s %llu; haktrace verify shows more",
                       (unsigned long long)d->records, what, (unsigned long long)n);
    if (err != NULL) {
        strncpy(err->file, path, sizeof err->file - 1);
        err->file[sizeof err->file - 1] = '\0';
    }
    return rc;
}

static void start_others(struct haks_drive *d) {
    for (uint64_t i = 0; i < d->started; i++)
        hak_heap_alloc(d->threads[0].heap, THREAD_BYTES);
    if (d->begins != NULL)
        d->begins(d->ctx);
}

/* Gives a thread its heap. Threads are numbered in order of first sight, so a new one is the next.
 */
static int make_heap(struct haks_drive *d, uint32_t thread, const char *path,
                     struct hakc_err *err) {
    if (thread > d->n_threads)
        return corrupt(d, path, err, "is of a thread that skips a number:", thread);
    if (thread == d->room) {
        uint32_t room = d->room * 2 + 64;
        struct haks_drive_thread *p = realloc(d->threads, room * sizeof *p);
        if (p == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "no memory for %u threads", room);
        for (uint32_t i = d->room; i < room; i++)
            p[i] = (struct haks_drive_thread){0};
        d->threads = p;
        d->room = room;
    }
    if (thread == d->n_threads)
        d->n_threads++;
    d->threads[thread].heap = hak_heap_new();
    if (d->heap_made != NULL)
        d->heap_made(d->ctx);
    if (thread == 0 && d->records == 0 && d->threads[0].heap != NULL)
        start_others(d);
    return d->threads[thread].heap != NULL
               ? 0
               : hakc_fail(err, HAKC_ENOMEM, "no memory for the heap of a thread");
}

static void *allocate(struct hak_heap *h, const struct hakt_rec *r) {
    size_t align = (size_t)1 << (r->align_log2 & 63);
    switch (r->op) {
    case HAKT_PVALLOC:
    case HAKT_VALLOC:
        align = hak_os_page_size();
        break;
    case HAKT_MEMALIGN:
    case HAKT_ALIGNED_ALLOC:
    case HAKT_POSIX_MEMALIGN:
        break;
    default:
        return hak_heap_alloc(h, r->size);
    }
    if (r->op == HAKT_PVALLOC)
        return hak_heap_alloc_aligned(h, align, (r->size + align - 1) & ~(align - 1));
    return hak_heap_alloc_aligned(h, align, r->size);
}

/* realloc, as what happened to the objects: the old one goes, a new one comes, or both. */
static void *reallocate(struct hak_heap *h, void *old, const struct hakt_rec *r) {
    if (r->id == 0 || r->size == 0) {
        hak_heap_free(h, old);
        return r->id == 0 ? NULL : hak_heap_alloc(h, 0);
    }
    return hak_heap_realloc(h, old, r->size);
}

static int one_op(struct haks_drive *d, struct hak_heap *h, const struct hakt_rec *r,
                  const char *path, struct hakc_err *err) {
    uint64_t old = 0;
    void *p = NULL;
    if (r->flags & HAKT_REC_FAILED)
        return 0;
    if (r->old_id != 0 && (old = haks_live_take(&d->blocks, r->old_id)) == 0)
        return corrupt(d, path, err, "frees what is not live: allocation", r->old_id);
    if (old != 0 && r->op == HAKT_FREE)
        hak_heap_free(h, (void *)(uintptr_t)old);
    else if (old != 0)
        p = reallocate(h, (void *)(uintptr_t)old, r);
    else if (r->id != 0) {
        d->zeroing = r->op == HAKT_CALLOC && r->size > HAK_MEDIUM_MAX;
        p = allocate(h, r);
        d->zeroing = 0;
    }
    if (r->id == 0)
        return 0;
    if (p == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "record %llu: no memory for an object of %llu bytes",
                         (unsigned long long)d->records, (unsigned long long)r->size);
    if (haks_live_put(&d->blocks, r->id, (uintptr_t)p) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the table of live objects");
    return 0;
}

static int defer_end(struct haks_drive *d, const struct hakt_rec *r, struct hakc_err *err) {
    if (d->n_ended == d->ended_room) {
        size_t room = d->ended_room * 2 + 16;
        struct haks_thread_end *p = realloc(d->ended, room * sizeof *p);
        if (p == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "no memory for the ends of %zu threads", room);
        d->ended = p;
        d->ended_room = room;
    }
    d->ended[d->n_ended++] = (struct haks_thread_end){r->time, r->thread};
    return 0;
}

static void end_threads(struct haks_drive *d) {
    for (size_t i = 0; i < d->n_ended; i++) {
        struct hak_heap **h = &d->threads[d->ended[i].thread].heap;
        if (*h == NULL)
            continue;
        haks_os.now_ns = d->ended[i].time;
        if (d->clock_moves != NULL)
            d->clock_moves(d->ctx);
        hak_heap_retire(*h);
        *h = NULL;
        if (d->thread_ended != NULL)
            d->thread_ended(d->ctx);
    }
    d->n_ended = 0;
}

int haks_drive_records(struct haks_drive *d, const struct hakt_rec *recs, size_t n,
                       const char *path, struct hakc_err *err) {
    for (size_t i = 0; i < n; i++, d->records++) {
        const struct hakt_rec *r = &recs[i];
        int rc;
        if (i + AHEAD < n) {
            haks_live_prefetch(&d->blocks, recs[i + AHEAD].old_id);
            haks_live_prefetch(&d->blocks, recs[i + AHEAD].id);
        }
        if (d->n_ended > 0 && r->op < HAKT_THREAD_START)
            end_threads(d);
        haks_os.now_ns = r->time;
        if ((r->thread >= d->n_threads || d->threads[r->thread].heap == NULL) &&
            (rc = make_heap(d, r->thread, path, err)) != 0)
            return rc;
        if (r->op == HAKT_THREAD_END && (rc = defer_end(d, r, err)) != 0)
            return rc;
        if (r->op >= HAKT_THREAD_START)
            continue;
        if (d->clock_moves != NULL)
            d->clock_moves(d->ctx);
        rc = one_op(d, d->threads[r->thread].heap, r, path, err);
        if (rc != 0)
            return rc;
        d->threads[r->thread].ops++;
        d->op++;
    }
    return 0;
}

uint64_t haks_drive_parallel_milli(const struct haks_drive *d) {
    unsigned __int128 squares = 0, all = (unsigned __int128)d->op * d->op;
    for (uint32_t i = 0; i < d->n_threads; i++)
        squares += (unsigned __int128)d->threads[i].ops * d->threads[i].ops;
    return squares > 0 ? (uint64_t)(all * 1000 / squares) : 1000;
}
