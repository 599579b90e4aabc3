/* The core's passes over a trace, each in a forked child: the first pass and the full run. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alloc/internal.h"
#include "common/progress.h"
#include "sim/child_wait.h"
#include "sim/core_drive.h"
#include "sim/cost_model.h"
#include "sim/event_stream.h"
#include "sim/models.h"
#include "sim/os_sim.h"
#include "sim/own_pages.h"
#include "sim/page_books.h"

#define PART 2048 /* records decoded at a time: they stay in the second-level cache */

/* What a child leaves to its parent, in shared memory. */
struct outcome {
    int rc;
    struct hakc_err err;
    struct haks_pass pass;
};

/* One pass, in the child. */
struct core_pass {
    const char *trace;
    const struct hakp_spec *policy;
    const struct haks_costs *costs; /* full run */
    const volatile int *stop;
    struct haks_drive drive;
    struct haks_stream_writer writer; /* first pass */
    struct haks_books books;          /* full run */
    struct haks_own_pages own;
    int full;
    int zero; /* full run: the span that went into use last was zero */
    struct haks_pass *pass;
    struct hakc_err *err;
};

static uint64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- first pass: the core's events become the stream ------------------------------------------
 */

static void write_event(struct core_pass *p, enum haks_event_kind kind, uint32_t unit,
                        uint32_t pages) {
    haks_writer_event(&p->writer, kind, unit, pages, p->drive.op, haks_os.now_ns);
}

static void write_own(struct core_pass *p) {
    write_event(p, HAKS_EV_TOUCH, HAKS_OWN_UNIT, (uint32_t)haks_own_total(&p->own));
}

static void record(void *ctx, enum hak_span_event ev, const struct hak_span *span, uint32_t pages) {
    struct core_pass *p = ctx;
    switch (ev) {
    case HAK_SPAN_FRESH: /* (before the own pages: the policy may act on it first) */
        haks_writer_span(&p->writer, &(struct haks_span_info){span->unit, span->units, span->kind});
        write_event(p, HAKS_EV_FRESH, span->unit, pages);
        if (haks_own_span(&p->own, span))
            write_own(p);
        break;
    case HAK_SPAN_LOOK:
        write_event(p, HAKS_EV_LOOK, HAKS_OWN_UNIT, 0);
        break;
    case HAK_SPAN_TAKEN:
        write_event(p, HAKS_EV_TAKEN, span->unit, pages);
        break;
    case HAK_SPAN_PUT:
        write_event(p, HAKS_EV_PUT, span->unit, 0);
        break;
    case HAK_SPAN_TOUCH:
        write_event(p, p->drive.zeroing ? HAKS_EV_ZERO : HAKS_EV_TOUCH, span->unit, pages);
        break;
    case HAK_SPAN_MOVED:
        if (!haks_writer_moved(&p->writer, span->unit))
            p->writer.failed = EINVAL;
        break;
    }
}

static void record_thread_end(void *ctx) {
    write_event(ctx, HAKS_EV_EXIT, 0, 0);
}

/* ---- full run: the core's events become touches in the books ----------------------------------
 */

static void keep_books(void *ctx, enum hak_span_event ev, const struct hak_span *span,
                       uint32_t pages) {
    struct core_pass *p = ctx;
    uint64_t own = haks_own_total(&p->own);
    char *at;
    if (span == NULL) /* a look at the clock: what comes of it comes through the door */
        return;
    at = hak_unit_addr(span->unit);
    switch (ev) {
    case HAK_SPAN_TAKEN:
        p->zero = span->state == HAK_SPAN_PURGED || span->state == HAK_SPAN_UNMAPPED;
        haks_books_taken(&p->books, at, (size_t)span->units << HAK_UNIT_SHIFT);
        break;
    case HAK_SPAN_TOUCH:
        if (p->drive.zeroing && p->zero)
            haks_books_settle(&p->books); /* calloc leaves it alone */
        else
            haks_books_touch(&p->books, at, pages * p->books.page_size,
                             (size_t)span->units << HAK_UNIT_SHIFT);
        break;
    case HAK_SPAN_FRESH:
        p->zero = 1;
        haks_own_span(&p->own, span);
        haks_books_own(&p->books, haks_own_total(&p->own) - own);
        break;
    case HAK_SPAN_PUT:
    case HAK_SPAN_MOVED:
    case HAK_SPAN_LOOK:
        haks_books_settle(&p->books);
        break;
    }
}

static void next_record(void *ctx) {
    struct core_pass *p = ctx;
    haks_books_settle(&p->books);
    haks_meter_at(&p->books.meter, p->drive.op, haks_os.now_ns);
}

/* What the books, the door and the core say together. */
static void collect_figures(struct core_pass *p) {
    struct haks_figures *f = &p->pass->figures;
    struct hak_core_stats stats;
    size_t page = p->books.page_size;
    hak_core_stats(&stats);
    haks_books_settle(&p->books);
    *f = p->pass->fixed;
    f->rounds = stats.release_rounds;
    f->released_bytes = p->books.released_pages * page;
    f->populated_bytes = p->books.populated_pages * page;
    f->moved_bytes = p->books.moved_pages * page;
    f->faults = p->books.faults;
    f->heat = p->books.heat.n;
    haks_meter_end(&p->books.meter, p->pass, f);
    haks_cost(p->costs, p->pass, f);
}

/* ---- both: a thread has a heap -------------------------------------------------------------- */

static void heap_made(void *ctx) {
    struct core_pass *p = ctx;
    uint64_t own = haks_own_total(&p->own);
    struct hak_core_stats stats;
    hak_core_stats(&stats);
    if (!haks_own_heaps(&p->own, stats.heaps))
        return;
    if (p->full) {
        next_record(p);
        haks_books_own(&p->books, haks_own_total(&p->own) - own);
    } else {
        write_own(p);
    }
}

/* Where threads are started, a replay has its first address space before it begins to count. */
static void begins(void *ctx) {
    struct core_pass *p = ctx;
    if (p->drive.started == 0)
        return;
    haks_os.calls[HAKS_RESERVE] = haks_os.calls[HAKS_COMMIT] = 0;
    haks_os.bytes[HAKS_RESERVE] = haks_os.bytes[HAKS_COMMIT] = 0;
}

/* ---- both -------------------------------------------------------------------------------------
 */

static int drive_trace(struct core_pass *p, struct hakt_reader *r) {
    const struct hakt_totals *totals = hakt_reader_totals(r, NULL);
    struct hakc_progress progress;
    static struct hakt_rec recs[PART];
    size_t n = 1;
    int rc = 0;

    hakc_progress_start(&progress, p->full ? "full run" : "first pass",
                        totals->records == UINT64_MAX ? 0 : totals->records, "records");
    while (rc == 0 && (rc = hakt_reader_next_part(r, recs, PART, &n, p->err)) == 0 && n > 0) {
        p->pass->end_time = recs[n - 1].time;
        rc = haks_drive_records(&p->drive, recs, n, p->trace, p->err);
        hakc_progress_set(&progress, p->drive.records);
        if (rc == 0 && p->stop != NULL && *p->stop)
            rc = hakc_fail(p->err, HAKC_EINTERNAL, "interrupted after %llu records",
                           (unsigned long long)p->drive.records);
    }
    hakc_progress_end(&progress);
    return rc;
}

static int run_trace(struct core_pass *p) {
    struct hakt_reader *r;
    uint64_t start, start_cpu;
    int rc = hakt_reader_open(&r, p->trace, p->err);
    if (rc != 0)
        return rc;
    rc = haks_drive_init(&p->drive, hakt_reader_totals(r, NULL)->threads, p->err);
    if (rc == 0) {
        start = clock_ns(CLOCK_MONOTONIC);
        start_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        p->pass->has_times = (hakt_reader_info(r)->fidelity & HAKT_HAS_TIMES) != 0;
        p->pass->dropped = hakt_reader_totals(r, &p->pass->rebuilt)->dropped;
        p->pass->page_size = hak_os_page_size();
        p->drive.ctx = p;
        p->drive.heap_made = heap_made;
        p->drive.begins = begins;
        p->own.page_size = hak_os_page_size();
        if (p->full) {
            haks_books_init(&p->books, hak_os_page_size());
            haks_books_listen(&p->books, &haks_os.listener);
            p->drive.clock_moves = next_record;
        } else {
            p->drive.thread_ended = record_thread_end;
            haks_writer_span(&p->writer, &(struct haks_span_info){HAKS_OWN_UNIT, 0, 0});
        }
        hak_core_init(p->policy);
        hak_core_observe(p->full ? keep_books : record, p);
        rc = drive_trace(p, r);
        p->pass->records = p->drive.records;
        p->pass->ops = p->drive.op;
        p->pass->threads = p->drive.n_threads;
        p->pass->parallel_milli = haks_drive_parallel_milli(&p->drive);
        memcpy(p->pass->fixed.calls, haks_os.calls, sizeof haks_os.calls);
        memcpy(p->pass->fixed.bytes, haks_os.bytes, sizeof haks_os.bytes);
        if (rc == 0 && p->full)
            collect_figures(p);
        p->pass->wall_ns = clock_ns(CLOCK_MONOTONIC) - start;
        p->pass->cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
    }
    haks_drive_fini(&p->drive);
    hakt_reader_close(r);
    return rc;
}

/* ---- the child and its parent -----------------------------------------------------------------
 */

static int in_child(struct core_pass *p, int events_fd, int spans_fd) {
    int rc, sys;
    if (!p->full && haks_writer_init(&p->writer, events_fd, spans_fd) != 0)
        return hakc_fail(p->err, HAKC_ENOMEM, "no memory for the stream of span events");
    rc = run_trace(p);
    if (!p->full) {
        p->pass->events = p->writer.n_events;
        p->pass->spans = p->writer.n_spans;
        /* Moves are policy's business in part: each evaluation counts its own. */
        p->pass->fixed.calls[HAKS_MOVE] = p->pass->fixed.bytes[HAKS_MOVE] = 0;
        sys = haks_writer_end(&p->writer);
    } else {
        sys = p->books.failed;
    }
    if (rc == 0 && sys != 0) {
        errno = sys;
        rc = hakc_fail_errno(p->err, HAKC_EINTERNAL, "the books of the simulated system broke");
    }
    return rc;
}

static int wait_for(pid_t pid, const volatile int *stop, struct hakc_err *err) {
    int status;
    errno = haks_wait_child(pid, stop, &status);
    if (errno != 0)
        return hakc_fail_errno(err, HAKC_ECHILD, "the pass over the trace was lost");
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM && stop != NULL && *stop)
        return hakc_fail(err, HAKC_EINTERNAL, "interrupted"); /* before it began to listen */
    if (WIFSIGNALED(status))
        return hakc_fail(err, HAKC_ECHILD, "the pass over the trace died of signal %d (%s)",
                         WTERMSIG(status), strsignal(WTERMSIG(status)));
    return 0;
}

static int run_pass(struct core_pass *p, int events_fd, int spans_fd, struct haks_pass *pass,
                    struct hakc_err *err) {
    struct outcome *out =
        mmap(NULL, sizeof *out, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid;
    int rc;
    if (out == MAP_FAILED)
        return hakc_fail_errno(err, HAKC_ENOMEM, "no memory for a pass over the trace");
    out->rc = HAKC_ECHILD; /* unless the child says better */
    pid = fork();
    if (pid == 0) {
        p->pass = &out->pass;
        p->err = &out->err;
        out->rc = in_child(p, events_fd, spans_fd);
        _exit(0);
    }
    if (pid < 0)
        rc = hakc_fail_errno(err, HAKC_ECHILD, "no process for a pass over the trace");
    else
        rc = wait_for(pid, p->stop, err);
    if (rc == 0) {
        rc = out->rc;
        *pass = out->pass;
        if (rc != 0 && err != NULL)
            *err = out->err;
    }
    munmap(out, sizeof *out);
    return rc;
}

int haks_first_pass(const char *trace, struct haks_pass *pass, struct haks_stream **stream,
                    const volatile int *stop, struct hakc_err *err) {
    const struct hakp_spec never = {.kind = HAKP_NEVER};
    struct core_pass p = {.trace = trace, .policy = &never, .stop = stop};
    int events_fd = memfd_create("haksim-events", MFD_CLOEXEC);
    int spans_fd = memfd_create("haksim-spans", MFD_CLOEXEC);
    int rc = 0;

    *stream = NULL;
    if (events_fd < 0 || spans_fd < 0)
        rc = hakc_fail_errno(err, HAKC_EIO, "no file for the stream of span events");
    if (rc == 0)
        rc = run_pass(&p, events_fd, spans_fd, pass, err);
    if (rc == 0)
        rc = haks_stream_map(stream, events_fd, spans_fd, err);
    if (events_fd >= 0)
        close(events_fd);
    if (spans_fd >= 0)
        close(spans_fd);
    return rc;
}

int haks_full_run(const char *trace, const struct haks_costs *costs, const struct hakp_spec *policy,
                  struct haks_pass *pass, const volatile int *stop, struct hakc_err *err) {
    if (haks_is_model(policy) && (int)policy->kind == HAKS_MODEL_GLIBC)
        return hakc_fail(
            err, HAKC_EREFUSED,
            "model-glibc exists over events alone: the allocator has no heap whose top "
            "it could cut");
    struct core_pass p = {
        .trace = trace, .policy = policy, .costs = costs, .stop = stop, .full = 1};
    return run_pass(&p, -1, -1, pass, err);
}
