/*
 * model-tcmalloc:ms=N: once a second, what is free goes back, but for what the demand of the last N
 * ms says will be needed soon (skipped subrelease): the greatest swing of demand within an epoch of
 * the last fifth of N (short fluctuation), plus the greatest of the epochs' least demands over all
 * of N (long trend), at most the peak over N.
 *
 * The original counts epochs of a second and windows of 60 and 300 s; here N is cut into EPOCHS.
 */
#include "sim/models_int.h"

#define EPOCHS    32
#define SHORT     (EPOCHS / 5)
#define PERIOD_NS 1000000000u

enum {
    EPOCH,
    DUE,
    LAST,
    MIN,
    MAX = MIN + EPOCHS,
    END = MAX + EPOCHS
}; /* the state: number of the
epoch; when the next release is due; demand at the last event; least and greatest of each epoch */
_Static_assert(END <= HAKP_STATE, "the model's state fits");

/* In epochs without an event, demand stayed. */
static void move_on(uint64_t *state, uint64_t epoch) {
    uint64_t gone = epoch - state[EPOCH];
    for (uint64_t i = 0; i < gone && i < EPOCHS; i++)
        state[MIN + (epoch - i) % EPOCHS] = state[MAX + (epoch - i) % EPOCHS] = state[LAST];
    state[EPOCH] = epoch;
}

static void note(uint64_t *state, const struct hakp_event *ev) {
    uint64_t *min = &state[MIN + state[EPOCH] % EPOCHS], *max = &state[MAX + state[EPOCH] % EPOCHS];
    if (ev->active_pages < *min)
        *min = ev->active_pages;
    if (ev->peak_pages > *max)
        *max = ev->peak_pages;
    if (ev->active_pages > *max)
        *max = ev->active_pages;
    state[LAST] = ev->active_pages;
}

static uint64_t needed(const uint64_t *state) {
    uint64_t swing = 0, trend = 0, peak = 0;
    for (uint64_t age = 0; age < EPOCHS && age <= state[EPOCH]; age++) {
        uint64_t min = state[MIN + (state[EPOCH] - age) % EPOCHS];
        uint64_t max = state[MAX + (state[EPOCH] - age) % EPOCHS];
        if (age < SHORT && max - min > swing)
            swing = max - min;
        trend = min > trend ? min : trend;
        peak = max > peak ? max : peak;
    }
    return swing + trend < peak ? swing + trend : peak;
}

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t *state = p->state, epoch = ev->now_ns / (p->spec.ns / EPOCHS);
    if (ev->kind == HAKP_EV_START) {
        state[LAST] = ev->active_pages;
        state[DUE] = ev->now_ns + PERIOD_NS;
    }
    if (epoch > state[EPOCH])
        move_on(state, epoch);
    note(state, ev);
    if (ev->kind == HAKP_EV_PRESSURE) {
        out->keep_pages = 0;
    } else if (ev->now_ns >= state[DUE]) {
        uint64_t need = needed(state);
        out->keep_pages = need > ev->active_pages ? need - ev->active_pages : 0;
        state[DUE] = ev->now_ns + PERIOD_NS;
    }
    if (ev->dirty_pages > 0)
        out->next_tick_ns = state[DUE];
}

const struct hakp_ops haks_model_tcmalloc = {
    .name = "model-tcmalloc",
    .help = "each second give back what the demand of the last N milliseconds does not ask for",
    .answer = answer,
};
