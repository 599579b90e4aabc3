/*
 * model-mimalloc:ms=N: what becomes free is scheduled to be purged in N ms, all of it together;
 * each further free moves that moment by a tenth of N (the original's purge_extend_delay), for at
 * most N more, so that a program that frees on and on still purges.
 */
#include "sim/models_int.h"

enum { DUE, LATEST }; /* the state: when all that is dirty goes back; 0 = nothing is scheduled */

static void schedule(struct hakp_policy *p, uint64_t now_ns) {
    uint64_t *due = &p->state[DUE], *latest = &p->state[LATEST], ns = p->spec.ns;
    if (*due == 0) {
        *due = now_ns + ns;
        *latest = *due + ns;
    } else {
        *due += ns / 10;
        if (*due > *latest)
            *due = *latest;
    }
}

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t *due = &p->state[DUE];
    if (ev->dirty_pages == 0)
        *due = 0;
    if ((*due != 0 && ev->now_ns >= *due) || ev->kind == HAKP_EV_PRESSURE) {
        *due = 0;
        out->keep_pages = 0;
        return;
    }
    if (ev->kind == HAKP_EV_DIRTY || (ev->kind == HAKP_EV_START && ev->dirty_pages > 0))
        schedule(p, ev->now_ns);
    if (*due != 0)
        out->next_tick_ns = *due;
}

const struct hakp_ops haks_model_mimalloc = {
    .name = "model-mimalloc",
    .help = "purge what is free N milliseconds after it became so, all together",
    .answer = answer,
};
