/* eager: every dirty span goes back at once. */
#include "alloc/policy/policy_kinds.h"

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    (void)p;
    (void)ev;
    out->keep_pages = 0;
}

const struct hakp_ops hakp_eager = {
    .name = "eager",
    .help = "give every free span back at once",
    .answer = answer,
};
