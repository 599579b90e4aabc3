/* never: free spans stay resident. */
#include "alloc/policy/policy_kinds.h"

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    (void)p;
    (void)ev;
    (void)out;
}

const struct hakp_ops hakp_never = {
    .name = "never",
    .help = "give nothing back, except on malloc_trim and when a map call fails",
    .answer = answer,
};
