/*
 * rest:ms=N: all is kept while spans come and go, and all above keep= goes back when for N no span
 * was freed or taken: the program rests. How long a gap is a rest is learnt: where what was given
 * back is taken again within SOON gaps, it was none, and the gap doubles, up to WIDEST times N; a
 * term of TERM x N without such a mistake halves it.
 *
 * A program that never rests: what stays dirty through a whole term is not needed, and goes back.
 */
#include "alloc/policy/policy_kinds.h"

#define SOON   20
#define WIDEST 64
#define TERM   100

/* The state: gap / N; when a span was last freed or taken; when the term ends, the fewest dirty
 * pages in it so far, and mistakes in it. */
enum { GAPS, LAST, END, LEAST, WRONG };

static void end_term(struct hakp_policy *p, const struct hakp_event *ev) {
    uint64_t *state = p->state;
    if (state[WRONG] == 0 && state[GAPS] > 1)
        state[GAPS] /= 2;
    state[WRONG] = 0;
    state[END] = ev->now_ns + TERM * p->spec.ns;
    state[LEAST] = ev->dirty_pages;
}

static void returned(struct hakp_policy *p, const struct hakp_event *ev) {
    uint64_t *state = p->state;
    if (ev->now_ns - ev->since_ns > SOON * p->spec.ns * state[GAPS])
        return;
    if (state[WRONG]++ == 0 && state[GAPS] < WIDEST) /* one rest is one mistake */
        state[GAPS] *= 2;
}

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t *state = p->state, floor = p->spec.keep_bytes / ev->page_size, keep = HAKP_KEEP_ALL;

    if (state[GAPS] == 0)
        state[GAPS] = 1;
    if (ev->kind == HAKP_EV_RETURNED)
        returned(p, ev);
    if (ev->kind == HAKP_EV_DIRTY || ev->kind == HAKP_EV_REUSED || ev->kind == HAKP_EV_RETURNED ||
        ev->kind == HAKP_EV_START) {
        state[LAST] = ev->now_ns;
    } else if (ev->now_ns - state[LAST] >= p->spec.ns * state[GAPS]) {
        keep = floor;
        state[WRONG] = 0;
    }
    if (ev->dirty_pages < state[LEAST])
        state[LEAST] = ev->dirty_pages;
    if (ev->now_ns >= state[END]) {
        if (state[END] != 0 && keep > ev->dirty_pages - state[LEAST])
            keep = ev->dirty_pages - state[LEAST];
        end_term(p, ev);
    }
    if (ev->kind == HAKP_EV_PRESSURE)
        keep = 0;
    out->keep_pages = hakp_keep_within(p, ev, keep);
    out->hear_returns = true;
    if (ev->dirty_pages > floor)
        out->next_tick_ns = state[LAST] + p->spec.ns * state[GAPS];
}

const struct hakp_ops hakp_rest = {
    .name = "rest",
    .help = "keep all while spans come and go, give back when none did for N milliseconds",
    .answer = answer,
};
