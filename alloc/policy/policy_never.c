/* never: free spans stay resident. */
#include "alloc/policy/policy_kinds.h"

static uint64_t keep(struct hakp_policy *p, const struct hakp_event *ev) {
    (void)p;
    (void)ev;
    return HAKP_KEEP_ALL;
}

const struct hakp_ops hakp_never = {
    .name = "never",
    .help = "give nothing back, except on malloc_trim and when a map call fails",
    .keep = keep,
};
