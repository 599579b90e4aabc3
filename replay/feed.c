#include "replay/feed.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Small enough to stay in a cache on their way from the one thread to the other, and for the second
 * to begin soon; large enough that handing them over costs nothing. As many as a chunk has: while
 * the next chunk is read and uncompressed, there is something to plan. */
#define PART        4096u
#define PARTS       (HAKT_CHUNK_MAX / PART)
#define PARTS_LEAST 3u
#define SPINS       2000        /* some 50 us: a sleeper wakes no sooner */
#define ALONE       (2u * PART) /* records that one thread reads as soon as two */

struct part {
    struct hakt_rec *recs;
    size_t n; /* 0 = the end, or an error */
};

struct hakr_feed {
    struct hakt_reader *reader;
    struct hakt_rec *recs;
    struct part parts[PARTS]; /* number k is in parts[k % n_parts] */
    unsigned n_parts;
    int rc; /* of the last part */
    struct hakc_err err;
    int threaded, spins;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
    uint64_t decoded, taken; /* parts; written under the lock */
    int stop;
};

static int decode(struct hakr_feed *f, struct part *p) {
    f->rc = hakt_reader_next_part(f->reader, p->recs, PART, &p->n, &f->err);
    if (f->rc != 0)
        p->n = 0;
    return p->n != 0;
}

/* Whether the thread that decodes (or the one that plans) can go on. */
static int can_go_on(const struct hakr_feed *f, int decoder) {
    uint64_t decoded = __atomic_load_n(&f->decoded, __ATOMIC_ACQUIRE);
    uint64_t taken = __atomic_load_n(&f->taken, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&f->stop, __ATOMIC_ACQUIRE))
        return 1;
    return decoder ? decoded - taken < f->n_parts - 1 : decoded != taken; /* one is being planned */
}

/* Waits until it can: with open eyes, then asleep. Returns with the lock held. */
static void await(struct hakr_feed *f, int decoder) {
    for (int i = 0; i < f->spins && !can_go_on(f, decoder); i++)
        __builtin_ia32_pause();
    pthread_mutex_lock(&f->lock);
    while (!can_go_on(f, decoder))
        pthread_cond_wait(&f->change, &f->lock);
}

static void *decode_all(void *arg) {
    struct hakr_feed *f = arg;
    for (int more = 1; more;) {
        await(f, 1);
        more = !f->stop;
        pthread_mutex_unlock(&f->lock);
        more = more && decode(f, &f->parts[f->decoded % f->n_parts]);
        pthread_mutex_lock(&f->lock);
        __atomic_store_n(&f->decoded, f->decoded + 1, __ATOMIC_RELEASE);
        pthread_cond_signal(&f->change);
        pthread_mutex_unlock(&f->lock);
    }
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

/* How many parts to have: each costs its page faults, which a short trace does not bring in. */
static unsigned parts_for(uint64_t records) {
    uint64_t parts = records / (8u * PART);
    return parts < PARTS_LEAST ? PARTS_LEAST : parts < PARTS ? (unsigned)parts : PARTS;
}

int hakr_feed_open(struct hakr_feed **out, struct hakt_reader *r, struct hakc_err *err) {
    struct hakr_feed *f = calloc(1, sizeof *f);
    uint64_t records = hakt_reader_totals(r, NULL)->records; /* UINT64_MAX: not known */
    unsigned parts = parts_for(records);
    *out = f;
    if (f != NULL)
        f->recs = malloc(sizeof *f->recs * PART * parts);
    if (f == NULL || f->recs == NULL) {
        free(f);
        *out = NULL;
        return hakc_fail(err, HAKC_ENOMEM, "out of memory for the trace");
    }
    f->reader = r;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->change, NULL);
    f->n_parts = parts;
    for (unsigned i = 0; i < parts; i++)
        f->parts[i].recs = f->recs + (size_t)i * PART;
    f->spins = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? SPINS : 0;
    f->threaded = records > ALONE && start_thread(f) == 0;
    return 0;
}

int hakr_feed_next(struct hakr_feed *f, const struct hakt_rec **recs, size_t *n,
                   struct hakc_err *err) {
    struct part *p = &f->parts[f->threaded ? f->taken % f->n_parts : 0];
    if (!f->threaded) {
        decode(f, p);
    } else {
        await(f, 0);
        if (p->n != 0) { /* else it stays what every further call finds */
            __atomic_store_n(&f->taken, f->taken + 1, __ATOMIC_RELEASE);
            pthread_cond_signal(&f->change);
        }
        pthread_mutex_unlock(&f->lock);
    }
    *recs = p->recs;
    *n = p->n;
    if (*n == 0 && f->rc != 0 && err != NULL)
        *err = f->err;
    return *n == 0 ? f->rc : 0;
}

void hakr_feed_close(struct hakr_feed *f) {
    if (f == NULL)
        return;
    if (f->threaded) {
        pthread_mutex_lock(&f->lock);
        __atomic_store_n(&f->stop, 1, __ATOMIC_RELEASE);
        pthread_cond_broadcast(&f->change);
        pthread_mutex_unlock(&f->lock);
        pthread_join(f->thread, NULL);
    }
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->change);
    free(f->recs);
    free(f);
}
