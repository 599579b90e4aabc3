/* delay:ms=N: a span goes back when it has been dirty for N ms. max= bounds what waits. */
#include "alloc/policy/policy_kinds.h"

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    out->keep_pages = ev->kind == HAKP_EV_PRESSURE ? 0 : hakp_keep_within(p, ev, HAKP_KEEP_ALL);
    out->max_age_ns = p->spec.ns - 1; /* the host releases what is older than this */
    if (ev->oldest_ns != UINT64_MAX)
        out->next_tick_ns = ev->oldest_ns + p->spec.ns;
}

const struct hakp_ops hakp_delay = {
    .name = "delay",
    .help = "give a span back when it has been free for N milliseconds",
    .answer = answer,
};
