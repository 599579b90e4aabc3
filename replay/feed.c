#include "replay/feed.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/* One is planned, one waits, one is being decoded. */
#define FEED_CHUNKS 3u

/* A reader with its decoded chunk. Every reader of a trace has memory of its own, so they can hold
 * different chunks at the same time. */
struct chunk {
    struct hakt_reader *reader;
    const struct hakt_rec *recs;
    size_t n; /* 0 = the end, or an error */
    int rc;
    struct hakc_err err;
};

struct hakr_feed {
    struct chunk chunks[FEED_CHUNKS]; /* number k is in chunks[k % FEED_CHUNKS] */
    unsigned n_readers;
    int threaded;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    uint64_t decoded, taken, given_back; /* chunks, by number */
    int stop;
};

static void decode(struct chunk *c, uint64_t *record) {
    c->n = 0;
    c->rc = hakt_reader_seek_record(c->reader, *record, NULL, &c->err);
    if (c->rc == 0)
        c->rc = hakt_reader_next(c->reader, &c->recs, &c->n, &c->err);
    *record += c->n;
}

static void *decode_all(void *arg) {
    struct hakr_feed *f = arg;
    uint64_t record = 0;
    pthread_mutex_lock(&f->lock);
    for (int more = 1; more;) {
        struct chunk *c = &f->chunks[f->decoded % FEED_CHUNKS];
        while (!f->stop && f->decoded - f->given_back == FEED_CHUNKS)
            pthread_cond_wait(&f->change, &f->lock);
        if (f->stop)
            break;
        pthread_mutex_unlock(&f->lock);
        decode(c, &record);
        more = c->rc == 0 && c->n != 0;
        pthread_mutex_lock(&f->lock);
        f->decoded++;
        pthread_cond_signal(&f->change);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static int start_thread(struct hakr_feed *f) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&f->thread, NULL, decode_all, f);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

int hakr_feed_open(struct hakr_feed **out, const char *path, struct hakt_reader *r,
                   struct hakc_err *err) {
    struct hakr_feed *f = calloc(1, sizeof *f);
    *out = f;
    if (f == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the trace");
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->change, NULL);
    f->chunks[0].reader = r;
    f->n_readers = 1;
    if (hakt_reader_totals(r, NULL)->chunks < 2) /* UINT64_MAX: not known */
        return 0;
    while (f->n_readers < FEED_CHUNKS) {
        int rc = hakt_reader_open(&f->chunks[f->n_readers].reader, path, err);
        if (rc != 0) {
            hakr_feed_close(f);
            *out = NULL;
            return rc;
        }
        f->n_readers++;
    }
    f->threaded = start_thread(f) == 0;
    return 0;
}

int hakr_feed_next(struct hakr_feed *f, const struct hakt_rec **recs, size_t *n,
                   struct hakc_err *err) {
    if (!f->threaded)
        return hakt_reader_next(f->chunks[0].reader, recs, n, err);
    pthread_mutex_lock(&f->lock);
    f->given_back = f->taken;
    pthread_cond_signal(&f->change);
    while (f->decoded == f->taken)
        pthread_cond_wait(&f->change, &f->lock);
    const struct chunk *c = &f->chunks[f->taken % FEED_CHUNKS];
    if (c->rc == 0 && c->n != 0)
        f->taken++; /* else it stays what every further call finds */
    pthread_mutex_unlock(&f->lock);
    *recs = c->recs;
    *n = c->n;
    if (c->rc != 0 && err != NULL)
        *err = c->err;
    return c->rc;
}

void hakr_feed_close(struct hakr_feed *f) {
    if (f == NULL)
        return;
    if (f->threaded) {
        pthread_mutex_lock(&f->lock);
        f->stop = 1;
        pthread_cond_signal(&f->change);
        pthread_mutex_unlock(&f->lock);
        pthread_join(f->thread, NULL);
    }
    for (unsigned i = 1; i < f->n_readers; i++)
        hakt_reader_close(f->chunks[i].reader);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->change);
    free(f);
}
