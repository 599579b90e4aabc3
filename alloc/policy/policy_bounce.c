/*
 * bounce:n=N: of each kind (of one size, that is) the last N spans that became free stay, for the
 * program that takes and frees the same again and again; all others go back at once. max= bounds
 * what stays in sum.
 */
#include "alloc/policy/policy_kinds.h"

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    if (ev->kind == HAKP_EV_PRESSURE)
        out->keep_pages = 0;
    if (ev->kind != HAKP_EV_DIRTY)
        return;
    out->keep_pages = hakp_keep_within(p, ev, HAKP_KEEP_ALL);
    out->kind_spans = p->spec.n;
}

const struct hakp_ops hakp_bounce = {
    .name = "bounce",
    .help = "keep the last N free spans of each size, give the others back at once",
    .answer = answer,
};
