/*
 * partial:N, hysteresis: nothing goes back until N dirty spans have gathered, or max bytes are
 * dirty, then all but the youngest keep bytes of them in one round. state[0] and state[1] count the
 * spans and pages that became dirty since the last round: without them, spans that could not be
 * given back would start a round at every free.
 */
#include "alloc/policy/policy_kinds.h"

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t *spans = &p->state[0], *pages = &p->state[1];
    uint64_t most = p->spec.max_bytes ? p->spec.max_bytes / ev->page_size : HAKP_KEEP_ALL;

    switch (ev->kind) {
    case HAKP_EV_DIRTY:
        *spans += 1;
        *pages += ev->span_pages;
        if ((*spans < p->spec.n || ev->dirty_spans < p->spec.n) &&
            (*pages <= most || ev->dirty_pages <= most))
            return;
        break;
    case HAKP_EV_PRESSURE:
    case HAKP_EV_OOM:
    case HAKP_EV_TRIM:
        break;
    case HAKP_EV_REUSED:
    case HAKP_EV_TICK:
    case HAKP_EV_THREAD_EXIT:
    case HAKP_EV_RETURNED:
    case HAKP_EV_START:
        return;
    }
    *spans = *pages = 0;
    out->keep_pages = p->spec.keep_bytes / ev->page_size;
}

const struct hakp_ops hakp_partial = {
    .name = "partial",
    .help = "let N free spans gather, then give all of them back in one round",
    .answer = answer,
};
