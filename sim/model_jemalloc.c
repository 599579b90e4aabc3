/*
 * model-jemalloc:ms=N: of the pages that became dirty at one time, the share that may stay an age a
 * later falls along
 *
 *     S(x) = x^3 (10 - 15x + 6x^2),  x = 1 - a/N
 *
 * (smootherstep). Time goes in EPOCHS epochs of N, at whose ends alone pages go back: an arena that
 * sees no activity purges nothing. The original has 200 epochs and jitters their ends. As there, an
 * epoch counts by how much the dirty pages grew in it, beyond what purging left; pages that are
 * reused are so taken off the youngest epochs.
 */
#include "sim/models_int.h"

#define EPOCHS 64
#define ONE    ((uint64_t)1 << 30) /* S(1): EPOCHS^5 */

enum {
    EPOCH,
    LEFT,
    RING
}; /* the state: number of the epoch; dirty pages after its start; growth of
      the dirty pages in each of the last EPOCHS epochs */
_Static_assert(RING + EPOCHS <= HAKP_STATE, "the model's state fits");

static uint64_t share(uint64_t age) {
    uint64_t n = EPOCHS, x = n - age;
    return x * x * x * (10 * n * n + 6 * x * x - 15 * n * x);
}

static uint64_t limit(const uint64_t *state) {
    unsigned __int128 sum = 0;
    for (uint64_t age = 1; age < EPOCHS && age <= state[EPOCH]; age++)
        sum += (unsigned __int128)state[RING + (state[EPOCH] - age) % EPOCHS] * share(age);
    return (uint64_t)(sum / ONE);
}

/* Epochs end: the last one with its growth, those after it without. Returns what may stay. */
static uint64_t move_on(uint64_t *state, uint64_t epoch, uint64_t dirty) {
    uint64_t gone = epoch - state[EPOCH];
    state[RING + state[EPOCH] % EPOCHS] = dirty > state[LEFT] ? dirty - state[LEFT] : 0;
    if (gone > EPOCHS)
        gone = EPOCHS;
    for (uint64_t i = 0; i < gone; i++)
        state[RING + (epoch - i) % EPOCHS] = 0;
    state[EPOCH] = epoch;
    return limit(state);
}

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t *state = p->state, length = p->spec.ns / EPOCHS, epoch = ev->now_ns / length;
    if (ev->kind == HAKP_EV_START)
        state[EPOCH] = epoch;
    if (ev->kind == HAKP_EV_PRESSURE) {
        for (unsigned i = LEFT; i < RING + EPOCHS; i++)
            state[i] = 0;
        out->keep_pages = 0;
    } else if (epoch > state[EPOCH]) {
        out->keep_pages = move_on(state, epoch, ev->dirty_pages);
        state[LEFT] = ev->dirty_pages < out->keep_pages ? ev->dirty_pages : out->keep_pages;
    }
    if (ev->dirty_pages > 0)
        out->next_tick_ns = (state[EPOCH] + 1) * length;
}

const struct hakp_ops haks_model_jemalloc = {
    .name = "model-jemalloc",
    .help = "let the dirty pages fall along a sigmoid over N milliseconds of activity",
    .answer = answer,
};
