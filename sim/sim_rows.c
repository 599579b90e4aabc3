/* Evaluating rows: the events mode on all cores, the full mode one child after another. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "common/progress.h"
#include "sim/sim_rows.h"

static uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct haks_row *haks_rows_new(const struct hakp_spec *specs, size_t n, const char *mode) {
    struct haks_row *rows = calloc(n > 0 ? n : 1, sizeof *rows);
    for (size_t i = 0; rows != NULL && i < n; i++) {
        rows[i].spec = specs[i];
        rows[i].mode = mode;
        hakp_format(&specs[i], rows[i].policy, sizeof rows[i].policy);
    }
    return rows;
}

struct work {
    struct haks_row *rows;
    size_t n;
    const struct haks_stream *stream;
    const struct haks_pass *pass;
    const volatile int *stop;
    atomic_size_t next, done;
};

static void *worker(void *arg) {
    struct work *w = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&w->next, 1);
        if (i >= w->n || *w->stop)
            return NULL;
        struct haks_row *row = &w->rows[i];
        uint64_t start = clock_ns();
        row->rc = haks_evaluate(w->stream, w->pass, &row->spec, &row->f, &row->err);
        row->sim_ns = clock_ns() - start;
        row->done = 1;
        atomic_fetch_add(&w->done, 1);
    }
}

uint64_t haks_rows_evaluate(struct haks_row *rows, size_t n, const struct haks_stream *stream,
                            const struct haks_pass *pass, unsigned jobs, const volatile int *stop) {
    struct work w = {.rows = rows, .n = n, .stream = stream, .pass = pass, .stop = stop};
    struct hakc_progress progress;
    pthread_t threads[256];
    unsigned started = 0;
    uint64_t start = clock_ns();

    if (jobs > 256)
        jobs = 256;
    if (jobs > n)
        jobs = (unsigned)n;
    while (started + 1 < jobs && pthread_create(&threads[started], NULL, worker, &w) == 0)
        started++;
    hakc_progress_start(&progress, "policies", n, "policies");
    worker(&w); /* this thread works as well */
    hakc_progress_set(&progress, atomic_load(&w.done));
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    hakc_progress_end(&progress);
    return clock_ns() - start;
}

uint64_t haks_rows_full(struct haks_row *rows, size_t n, const char *trace, struct haks_pass *pass,
                        const volatile int *stop) {
    uint64_t start = clock_ns();
    for (size_t i = 0; i < n && !*stop; i++) {
        uint64_t began = clock_ns();
        struct haks_pass run;
        rows[i].rc = haks_full_run(trace, &rows[i].spec, &run, stop, &rows[i].err);
        rows[i].sim_ns = clock_ns() - began;
        rows[i].done = !*stop;
        if (rows[i].rc == 0) {
            rows[i].f = run.figures;
            *pass = run;
        }
    }
    return clock_ns() - start;
}
