/* The threads of a plan and the memory of their streams; bundles. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "replay/plan_int.h"

#define POPULATE_MOST (UINT64_C(1) << 20)

/* Makes room for threads up to t. */
static int grow_threads(struct hakr_plan *p, uint32_t t, struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    if (t >= HAKR_MAX_THREADS)
        return hakc_fail(err, HAKC_EUNSUPPORTED,
                         "thread %u: more than %u threads cannot be replayed", t, HAKR_MAX_THREADS);
    if (t >= pl->threads_cap) {
        size_t cap = pl->threads_cap ? pl->threads_cap : 8;
        while (cap <= t)
            cap *= 2;
        void *a = realloc(p->threads, cap * sizeof *p->threads);
        if (a != NULL)
            p->threads = a;
        void *b = realloc(pl->free, cap * sizeof *pl->free);
        if (b != NULL)
            pl->free = b;
        if (a == NULL || b == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan");
        memset(p->threads + pl->threads_cap, 0, (cap - pl->threads_cap) * sizeof *p->threads);
        memset(pl->free + pl->threads_cap, 0, (cap - pl->threads_cap) * sizeof *pl->free);
        pl->threads_cap = cap;
    }
    if (t >= p->n_threads)
        p->n_threads = t + 1;
    return 0;
}

static int open_stream(struct hakr_plan *p, uint32_t t, struct hakc_err *err) {
    if (t >= p->n_threads) {
        int rc = grow_threads(p, t, err);
        if (rc != 0)
            return rc;
    }
    struct hakr_plan_thread *th = &p->threads[t];
    uint64_t stride = p->planner->stride;
    th->offset = t * stride;
    if (ftruncate(p->fd, (off_t)(p->n_threads * stride)) != 0)
        return hakc_fail_errno(err, HAKC_EIO, "size of the plan's memfd");
    void *m = mmap(NULL, stride, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, p->fd,
                   (off_t)th->offset);
    if (m == MAP_FAILED)
        return hakc_fail_errno(err, HAKC_ENOMEM, "map the plan of thread %u", t);
    th->words = m;
    th->seen = 1;
    th->epoch = HAKR_NO_EPOCH;
    return 0;
}

/* Makes the stream's next pages present in one call: a fault each would cost more than planning. */
static void populate(struct hakr_plan_thread *th, uint64_t stride) {
    uint64_t used = th->n_words * 8, more = used < POPULATE_MOST ? used + PAGE : POPULATE_MOST;
    uint64_t from = th->present, to = (used + more + PAGE) & ~(PAGE - 1);
    to = to < stride ? to : stride;
    th->present = to;
    madvise((char *)th->words + from, to - from,
            MADV_POPULATE_WRITE); /* fails: they fault one by one */
}

int hakr_plan_room(struct hakr_plan *p, uint32_t t, struct hakc_err *err) {
    if (t >= p->n_threads || p->threads[t].words == NULL) {
        int rc = open_stream(p, t, err);
        if (rc != 0)
            return rc;
    }
    struct hakr_plan_thread *th = &p->threads[t];
    if ((th->n_words + WORDS_PER_RECORD + 1 + HAKR_TAIL_WORDS) * 8 > p->planner->stride)
        return hakc_fail(err, HAKC_EINTERNAL, "the trace has more records than it says");
    if ((th->n_words + WORDS_PER_RECORD) * 8 > th->present)
        populate(th, p->planner->stride);
    return 0;
}

/* ---- bundles ----------------------------------------------------------------------------------
 */

static unsigned bundle_ops(unsigned pattern) {
    return 31u - (unsigned)__builtin_clz(pattern);
}

/* pattern: 0 = it begins none. */
static void set_bundle(uint64_t *word, unsigned pattern) {
    *word = hakr_word_alone(*word) | (pattern != 0 ? hakr_bundle_field(pattern) : 0);
}

void hakr_plan_publish(struct hakr_plan *p, hakr_place at) {
    struct hakr_plan_thread *th = &p->threads[hakr_place_thread(at)];
    uint64_t word = hakr_place_word(at), first = word, *w = th->words;
    uint64_t alone = hakr_word_alone(w[word]);
    if (alone & HAKR_PUBLISH)
        return;
    p->stats.publishes++;
    if (hakr_simple_bit(alone) < 0) {
        w[word] |= HAKR_PUBLISH;
        return;
    }
    hakr_plan_close_bundle(th);
    while (hakr_word_bundle(w[first]) == 0)
        first--;
    unsigned pattern = hakr_word_bundle(w[first]), ops = bundle_ops(pattern);
    unsigned before = (unsigned)(word - first), after = ops - before - 1;
    set_bundle(&w[first], before != 0 ? pattern >> (ops - before) : 0);
    w[word] = alone | HAKR_PUBLISH;
    if (after != 0)
        set_bundle(&w[word + 1], 1u << after | (pattern & ((1u << after) - 1)));
    p->stats.bundled--;
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static int close_stream(struct hakr_plan *p, uint32_t t, struct hakc_err *err) {
    int rc = hakr_plan_room(p, t, err); /* also for a thread number that no record bears */
    if (rc != 0)
        return rc;
    struct hakr_plan_thread *th = &p->threads[t];
    hakr_put_word(th, HAKR_END);
    if (th->end_at == p->stats.ops) /* with the process, in which no thread's caches are emptied */
        th->ends = 0;
    uint64_t used = (th->n_words * 8 + PAGE - 1) & ~(PAGE - 1);
    if (used < p->planner->stride)
        munmap((char *)th->words + used, p->planner->stride - used);
    p->stats.bytes += th->n_words * 8;
    return 0;
}

int hakr_plan_close_streams(struct hakr_plan *p, struct hakc_err *err) {
    /* a trace without records has a thread that does nothing */
    for (uint32_t t = 0; t == 0 || t < p->n_threads; t++) {
        int rc = close_stream(p, t, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}
