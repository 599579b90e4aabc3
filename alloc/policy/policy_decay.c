/*
 * decay:ms=N: of the pages that became dirty at one time, the share that may still be dirty an age
 * a later is the smoothstep curve
 *
 *     S(x) = x^2 (3 - 2x),  x = 1 - a/N,
 *
 * from 1 at age 0 to 0 at age N, flat at both ends. Pages of all ages add up to the number that may
 * be dirty.
 *
 * Time goes in epochs of N/EPOCHS. state[] counts the pages that became dirty in each of the last
 * EPOCHS epochs and have not been used again; all pages of an epoch have the age of whole epochs,
 * which is wrong by less than one: the curve's steepest slope is 3/2, so the answer is off by at
 * most 1.5/EPOCHS = 2.4 % of the pages. With x = k/EPOCHS the curve is an integer over EPOCHS^3.
 *
 * Pages that were given back stay counted: it is of them, too, that a share may be dirty. What is
 * dirty is oldest first, so the given-back ones are those that the curve no longer covers.
 *
 * Work: a constant at each event, and O(EPOCHS) where an epoch ends, which is EPOCHS times in N.
 */
#include "alloc/policy/policy_kinds.h"

#define EPOCHS 64
#define ONE    ((uint64_t)EPOCHS * EPOCHS * EPOCHS)

enum {
    EPOCH,
    OLD,
    RING
}; /* the state: number of the epoch, what pages of earlier epochs allow, and
      the pages of each epoch by its number */
_Static_assert(RING + EPOCHS <= HAKP_STATE, "decay's state fits");

/* Times ONE: the share of pages that are `age` epochs old. */
static uint64_t share(uint64_t age) {
    uint64_t x = EPOCHS - age;
    return x * x * (3 * EPOCHS - 2 * x);
}

/* What the pages of earlier epochs allow. */
static void add_up(uint64_t *state) {
    uint64_t sum = 0;
    for (uint64_t age = 1; age < EPOCHS && age <= state[EPOCH]; age++)
        sum += state[RING + (state[EPOCH] - age) % EPOCHS] * share(age);
    state[OLD] = sum / ONE;
}

static void move_on(uint64_t *state, uint64_t epoch) {
    uint64_t gone = epoch - state[EPOCH];
    if (gone > EPOCHS)
        gone = EPOCHS;
    for (uint64_t i = 0; i < gone; i++)
        state[RING + (epoch - i) % EPOCHS] = 0;
    state[EPOCH] = epoch;
    add_up(state);
}

static void forget(uint64_t *state) {
    for (unsigned i = OLD; i < RING + EPOCHS; i++)
        state[i] = 0;
}

/* Pages that became dirty in an earlier epoch, or in this one, are in use again. */
static void take_off(uint64_t *state, uint64_t epoch, uint64_t pages) {
    uint64_t *of = &state[RING + epoch % EPOCHS], age = state[EPOCH] - epoch, less;
    if (age >= EPOCHS)
        return;
    pages = pages < *of ? pages : *of;
    *of -= pages;
    if (age > 0) { /* rounded up or down: put right where the epoch ends */
        less = pages * share(age) / ONE;
        state[OLD] -= less < state[OLD] ? less : state[OLD];
    }
}

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t *state = p->state, length = p->spec.ns / EPOCHS, epoch = ev->now_ns / length;

    if (epoch > state[EPOCH])
        move_on(state, epoch);
    epoch = state[EPOCH];
    switch (ev->kind) {
    case HAKP_EV_DIRTY:
        state[RING + epoch % EPOCHS] += ev->span_pages;
        break;
    case HAKP_EV_REUSED:
        take_off(state, ev->since_ns / length, ev->span_pages);
        break;
    case HAKP_EV_PRESSURE:
    case HAKP_EV_OOM:
    case HAKP_EV_TRIM:
        forget(state);
        break;
    case HAKP_EV_START: /* what is dirty already begins to decay now */
        state[RING + epoch % EPOCHS] = ev->dirty_pages;
        break;
    case HAKP_EV_TICK:
    case HAKP_EV_THREAD_EXIT:
    case HAKP_EV_RETURNED:
        break;
    }
    if (ev->dirty_pages == 0)
        forget(state);
    out->keep_pages = hakp_keep_within(p, ev, state[OLD] + state[RING + epoch % EPOCHS]);
    if (ev->dirty_pages > 0)
        out->next_tick_ns = (epoch + 1) * length;
}

const struct hakp_ops hakp_decay = {
    .name = "decay",
    .help = "let the dirty pages fall along a smooth curve over N milliseconds",
    .answer = answer,
};
