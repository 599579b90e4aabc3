/*
 * model-glibc:trim=N: what is large enough to be a mapping of its own is unmapped when it is freed;
 * all else is a heap, of which only the free run at its top goes back, once it comes to N.
 *
 * As in glibc both limits grow: a freed mapping above the limit mmap= raises it to its own size (up
 * to 32 MiB), and trim= to twice that, so that objects of that size stay in the heap from then on.
 * Which spans form the run at the top is for the host to see (evaluate.c).
 */
#include "sim/models_int.h"

#define MMAP_MOST ((uint64_t)32 << 20)

enum { MMAP, TRIM }; /* the state: both limits in bytes; 0 = as in the spec */

static uint64_t mmap_bytes(const struct hakp_policy *p) {
    return p->state[MMAP] != 0 ? p->state[MMAP] : p->spec.keep_bytes;
}

uint64_t haks_glibc_trim_bytes(const struct hakp_policy *p) {
    return p->state[TRIM] != 0 ? p->state[TRIM] : p->spec.max_bytes;
}

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t bytes = ev->span_pages * ev->page_size;
    if (ev->kind != HAKP_EV_DIRTY || bytes <= mmap_bytes(p))
        return;
    out->kind_spans = 0;
    if (bytes <= MMAP_MOST) {
        p->state[MMAP] = bytes;
        p->state[TRIM] = 2 * bytes;
    }
}

const struct hakp_ops haks_model_glibc = {
    .name = "model-glibc",
    .help = "unmap large objects at once, and the top of the heap when N bytes are free there",
    .answer = answer,
};
