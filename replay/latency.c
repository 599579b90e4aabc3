#include "replay/latency.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "replay/shm.h"

const char *hakr_latency_name(unsigned op) {
    static const char *const names[] = {"malloc", "calloc", "realloc", "aligned", "free"};
    return op < HAKR_LAT_COUNT ? names[op] : "all";
}

struct hakr_latency *hakr_latency_new(uint32_t slowest) {
    struct hakr_latency *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->max_slowest = slowest;
    l->slowest = calloc((size_t)slowest + 1, sizeof *l->slowest);
    if (l->slowest == NULL) {
        free(l);
        return NULL;
    }
    return l;
}

void hakr_latency_free(struct hakr_latency *l) {
    if (l == NULL)
        return;
    for (unsigned i = 0; i < HAKR_LATENCY_CELLS; i++)
        free(l->cells[i]);
    free(l->slowest);
    free(l);
}

static struct hakc_hist *cell(struct hakr_latency *l, unsigned i, struct hakc_err *err) {
    if (l->cells[i] == NULL) {
        l->cells[i] = malloc(sizeof *l->cells[i]);
        if (l->cells[i] == NULL)
            hakc_fail(err, HAKC_ENOMEM, "out of memory for the latencies");
        else
            hakc_hist_init(l->cells[i]);
    }
    return l->cells[i];
}

static uint64_t to_ps(uint64_t ticks, double tick_ps) {
    return (uint64_t)((double)ticks * tick_ps + 0.5);
}

/* Adds a histogram of ticks to one of ps. */
static void add_ticks(struct hakc_hist *to, const struct hakc_hist *from, double tick_ps) {
    for (unsigned i = 0; i < HAKC_HIST_BUCKETS; i++) {
        if (from->bucket[i] == 0)
            continue;
        uint64_t v = hakc_hist_low(i) + hakc_hist_width(i) / 2;
        v = v < from->min ? from->min : v > from->max ? from->max : v; /* those two are exact */
        hakc_hist_add_n(to, to_ps(v, tick_ps), from->bucket[i]);
    }
}

/* Keeps an op if it is among the slowest; the list descends. */
static void keep_slow(struct hakr_latency *l, const struct hakr_slow *s) {
    uint32_t at = l->n_slowest;
    while (at > 0 && l->slowest[at - 1].ticks < s->ticks)
        at--;
    if (at >= l->max_slowest)
        return;
    uint32_t n = l->n_slowest < l->max_slowest ? l->n_slowest++ : l->n_slowest - 1;
    memmove(&l->slowest[at + 1], &l->slowest[at], (n - at) * sizeof *s);
    l->slowest[at] = *s;
}

/* Read, not looked at through the mapping: that would fill in all pages of the file. */
static int collect_thread(struct hakr_latency *l, struct hakr_ctl *c, int fd, uint32_t t,
                          struct hakc_hist *buf, struct hakc_err *err) {
    const struct hakr_shm_thread *th = &hakr_threads(c)[t];
    for (unsigned i = 0; i < HAKR_LATENCY_CELLS; i++) {
        if ((th->hists_used[i / 64] >> i % 64 & 1) == 0)
            continue;
        struct hakc_hist *h = cell(l, i, err);
        if (h == NULL)
            return HAKC_ENOMEM;
        if (pread(fd, buf, sizeof *buf, (off_t)hakr_hist_offset(c, t, i)) != (ssize_t)sizeof *buf)
            return hakc_fail_errno(err, HAKC_EIO, "read the latencies of thread %u", t);
        add_ticks(h, buf, l->tick_ps);
    }
    for (uint32_t i = 0; i < c->slowest; i++) {
        struct hakr_slow s = hakr_slowest(c, t)[i];
        if (s.ticks == 0)
            continue;
        s.ticks = to_ps(s.ticks, l->tick_ps);
        keep_slow(l, &s);
    }
    l->backwards += th->backwards;
    return 0;
}

int hakr_latency_collect(struct hakr_ctl *c, int fd, struct hakr_latency **out,
                         struct hakc_err *err) {
    struct hakc_hist *buf = malloc(sizeof *buf);
    struct hakr_latency *l = hakr_latency_new(c->slowest);
    int rc = 0;
    if (buf == NULL || l == NULL)
        rc = hakc_fail(err, HAKC_ENOMEM, "out of memory for the latencies");
    if (rc == 0) {
        l->tsc = c->tsc != 0;
        l->tick_ps = l->tsc && c->ticks != 0 ? 1e3 * (double)c->tick_ns / (double)c->ticks : 1e3;
        l->stamp_ps = (double)c->stamp_ticks * l->tick_ps;
        if (c->step_ticks != UINT64_MAX)
            l->step_ps = (double)c->step_ticks * l->tick_ps;
    }
    for (uint32_t t = 0; rc == 0 && t < c->n_threads; t++)
        rc = collect_thread(l, c, fd, t, buf, err);
    free(buf);
    if (rc != 0) {
        hakr_latency_free(l);
        l = NULL;
    }
    *out = l;
    return rc;
}

int hakr_latency_add(struct hakr_latency *l, const struct hakr_latency *from,
                     struct hakc_err *err) {
    for (unsigned i = 0; i < HAKR_LATENCY_CELLS; i++) {
        if (from->cells[i] == NULL)
            continue;
        struct hakc_hist *h = cell(l, i, err);
        if (h == NULL)
            return HAKC_ENOMEM;
        hakc_hist_merge(h, from->cells[i]);
    }
    for (uint32_t i = 0; i < from->n_slowest; i++)
        keep_slow(l, &from->slowest[i]);
    l->backwards += from->backwards;
    l->tsc = from->tsc;
    l->tick_ps = from->tick_ps;
    l->stamp_ps = from->stamp_ps;
    l->step_ps = from->step_ps;
    return 0;
}

void hakr_latency_sum(const struct hakr_latency *l, unsigned op, struct hakc_hist *h) {
    for (unsigned i = 0; i < HAKR_LATENCY_CELLS; i++)
        if (l->cells[i] != NULL && (op == HAKR_LAT_COUNT || i / HAKR_SIZE_CLASSES == op))
            hakc_hist_merge(h, l->cells[i]);
}
