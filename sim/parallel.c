#include "sim/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/progress.h"

#define JOBS_MOST 256

struct pieces {
    size_t n;
    const volatile int *stop;
    void (*work)(void *ctx, size_t i);
    void *ctx;
    atomic_size_t next, done;
    struct hakc_progress progress; /* the caller's thread shows it */
    int show;
};

static int take(struct pieces *p, size_t *i) {
    if (p->stop != NULL && *p->stop)
        return 0;
    *i = atomic_fetch_add(&p->next, 1);
    return *i < p->n;
}

static void *worker(void *arg) {
    struct pieces *p = arg;
    size_t i;
    while (take(p, &i)) {
        p->work(p->ctx, i);
        atomic_fetch_add(&p->done, 1);
    }
    return NULL;
}

static void caller(struct pieces *p) {
    size_t i;
    while (take(p, &i)) {
        p->work(p->ctx, i);
        size_t done = atomic_fetch_add(&p->done, 1) + 1;
        if (p->show)
            hakc_progress_set(&p->progress, done);
    }
}

void haks_parallel(size_t n, unsigned jobs, const volatile int *stop,
                   void (*work)(void *ctx, size_t i), void *ctx, const char *label,
                   const char *unit) {
    struct pieces p = {.n = n, .stop = stop, .work = work, .ctx = ctx, .show = label != NULL};
    pthread_t threads[JOBS_MOST];
    unsigned started = 0;

    if (jobs == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        jobs = cores > 0 ? (unsigned)cores : 1;
    }
    if (jobs > JOBS_MOST)
        jobs = JOBS_MOST;
    if (jobs > n)
        jobs = (unsigned)n;
    if (p.show)
        hakc_progress_start(&p.progress, label, n, unit);
    while (started + 1 < jobs && pthread_create(&threads[started], NULL, worker, &p) == 0)
        started++;
    caller(&p);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (p.show)
        hakc_progress_end(&p.progress);
}
