/*
 * adapt:ms=N: what becomes free beyond a quota goes back at once, so that a program that has had
 * its burst is small while it rests, though nobody looks at the clock then. The quota is learnt:
 *
 *   - pages that come back within N of becoming free were given back too soon: the quota grows by
 *     them, so that a program that swings pays for each page of its swing once;
 *   - what stays dirty through a whole term of TERM x N was not needed: the quota shrinks by it.
 *
 * keep= is the least that the quota can be, max= the most.
 */
#include "alloc/policy/policy_kinds.h"

#define TERM 5

enum {
    QUOTA,
    END,
    LEAST
}; /* the state: pages above keep=; when the term ends; the fewest dirty
      pages of it so far */

static void shrink(uint64_t *state, uint64_t dirty) {
    uint64_t spare = state[LEAST] < dirty ? state[LEAST] : dirty;
    state[QUOTA] -= spare < state[QUOTA] ? spare : state[QUOTA];
}

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t *state = p->state, keep = p->spec.keep_bytes / ev->page_size;

    switch (ev->kind) {
    case HAKP_EV_RETURNED:
        if (ev->now_ns - ev->since_ns < p->spec.ns)
            state[QUOTA] += ev->span_pages;
        break;
    case HAKP_EV_PRESSURE:
    case HAKP_EV_OOM:
    case HAKP_EV_TRIM:
        state[QUOTA] = 0;
        break;
    default:
        break;
    }
    if (ev->now_ns >= state[END] || ev->kind == HAKP_EV_START) {
        if (ev->kind != HAKP_EV_START)
            shrink(state, ev->dirty_pages);
        state[END] = ev->now_ns + TERM * p->spec.ns;
        state[LEAST] = ev->dirty_pages;
    }
    if (ev->dirty_pages < state[LEAST])
        state[LEAST] = ev->dirty_pages;
    keep += state[QUOTA];
    if (p->spec.max_bytes != 0 && keep > p->spec.max_bytes / ev->page_size)
        keep = p->spec.max_bytes / ev->page_size;
    out->keep_pages = ev->kind == HAKP_EV_PRESSURE ? 0 : keep;
    out->hear_returns = true;
    if (ev->dirty_pages > 0)
        out->next_tick_ns = state[END];
}

const struct hakp_ops hakp_adapt = {
    .name = "adapt",
    .help = "give back at once, but keep what came back within N milliseconds before",
    .answer = answer,
};
