/*
 * demand:ms=N: dirty pages are kept as far as the recent peak would need them: active and dirty
 * pages together stay at most what was active at the peak of the last N ms.
 *
 * The window slides in steps of N/STEPS: one peak a step, in a ring, and the greatest of the steps
 * that are past. A step that has ended counts for STEPS further ones, so the window is between N
 * and N + N/STEPS long. Work: a constant at each event, and O(STEPS) where a step ends.
 */
#include "alloc/policy/policy_kinds.h"

#define STEPS 16

enum {
    STEP,
    PAST,
    LAST,
    RING
}; /* the state: number of the step, greatest peak before it, active
      pages at the last event, and a peak for each step */
_Static_assert(RING + STEPS + 1 <= HAKP_STATE, "demand's state fits");

/* The clock has come to a later step. In steps without an event, what was active stayed. */
static void move_on(uint64_t *state, uint64_t step) {
    uint64_t *ring = &state[RING], first = state[STEP] + 1;
    if (step - first > STEPS)
        first = step - STEPS;
    for (uint64_t s = first; s <= step; s++)
        ring[s % (STEPS + 1)] = state[LAST];
    state[STEP] = step;
    state[PAST] = 0;
    for (unsigned i = 0; i <= STEPS; i++)
        if (i != step % (STEPS + 1) && ring[i] > state[PAST])
            state[PAST] = ring[i];
}

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t *state = p->state, length = p->spec.ns / STEPS, step = ev->now_ns / length;
    uint64_t *now, peak;

    if (step > state[STEP])
        move_on(state, step);
    now = &state[RING + state[STEP] % (STEPS + 1)];
    if (ev->kind == HAKP_EV_PRESSURE) { /* the past no longer counts */
        for (unsigned i = PAST; i < RING + STEPS + 1; i++)
            state[i] = 0;
    } else if (ev->peak_pages > *now) {
        *now = ev->peak_pages;
    }
    if (ev->active_pages > *now)
        *now = ev->active_pages;
    state[LAST] = ev->active_pages;

    peak = *now > state[PAST] ? *now : state[PAST];
    out->keep_pages = hakp_keep_within(p, ev, peak - ev->active_pages);
    if (ev->dirty_pages > 0)
        out->next_tick_ns = (state[STEP] + 1) * length;
}

const struct hakp_ops hakp_demand = {
    .name = "demand",
    .help = "keep what the peak of use over the last N milliseconds would need",
    .answer = answer,
};
