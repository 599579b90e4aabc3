/*
 * The writer's thread: compresses and writes a chunk while the next one is filled. One chunk at a
 * time is under way, so blocks stand in order, and the writer holds two chunks.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include "tracer/format/writer.h"

static void *work(void *arg) {
    struct hakt_writer *w = arg;
    struct hakt_writer_thread *t = w->thread;
    struct hakt_job *j = &w->job;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        while (!t->busy && !t->quit)
            pthread_cond_wait(&t->changed, &t->lock);
        if (!t->busy)
            break;
        pthread_mutex_unlock(&t->lock);
        j->rc = hakt_writer_put_block(w, &j->block, j->content.p, j->bytes, &j->err);
        pthread_mutex_lock(&t->lock);
        t->busy = 0;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

int hakt_writer_use_thread(struct hakt_writer *w) {
    struct hakt_writer_thread *t = calloc(1, sizeof(*t));
    sigset_t all, before;
    if (t == NULL)
        return HAKC_ENOMEM;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    w->thread = t;
    sigfillset(&all); /* signals are for the threads of the caller */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&t->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        return 0;
    w->thread = NULL;
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->changed);
    free(t);
    return HAKC_ENOMEM;
}

void hakt_writer_end_thread(struct hakt_writer *w) {
    struct hakt_writer_thread *t = w->thread;
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->lock);
    t->quit = 1;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->changed);
    free(t);
    w->thread = NULL;
}

/* A chunk is in the file, or is not. */
static int settle(struct hakt_writer *w, int rc, const struct hakt_totals *totals,
                  uint64_t records) {
    if (rc == 0) {
        w->written = *totals;
        return 0;
    }
    w->failed = rc;
    w->index_bytes -= HAKT_INDEX_ENTRY;
    w->lost += records;
    return rc;
}

int hakt_writer_join(struct hakt_writer *w, struct hakc_err *err) {
    struct hakt_writer_thread *t = w->thread;
    struct hakt_job *j = &w->job;
    if (!j->pending)
        return 0;
    pthread_mutex_lock(&t->lock);
    while (t->busy)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    j->pending = 0;
    if (j->rc != 0 && err != NULL)
        *err = j->err;
    return settle(w, j->rc, &j->totals, j->records);
}

int hakt_writer_chunk(struct hakt_writer *w, struct hakt_block *b, size_t n,
                      const struct hakt_totals *totals, struct hakc_err *err) {
    struct hakt_writer_thread *t = w->thread;
    struct hakt_job *j = &w->job;
    b->threads = hakt_writer_threads(w);
    if (t == NULL)
        return settle(w, hakt_writer_put_block(w, b, w->content.p, n, err), totals, b->records);
    struct hakt_bytes spare = j->content;
    j->content = w->content;
    w->content = spare;
    j->block = *b;
    j->bytes = n;
    j->totals = *totals;
    j->records = b->records;
    j->pending = 1;
    pthread_mutex_lock(&t->lock);
    t->busy = 1;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return 0;
}
