/* The order between threads beyond hand-overs, and the recorded time. */
#include <stdlib.h>
#include "replay/plan_int.h"

#define CLOCK_OPS 8 /* between two times: 2 bytes an op */

void hakr_plan_time(struct hakr_plan *p, struct hakr_plan_thread *th, uint64_t time) {
    if (time < th->clock_due || (!p->every_time && th->ops < th->clock_due_ops))
        return;
    hakr_put_word(th, hakr_time_word(time));
    p->stats.times++;
    th->clock_due = time + (p->every_time ? 1 : p->clock_every_ns);
    th->clock_due_ops = th->ops + CLOCK_OPS;
}

static int new_epoch(struct hakr_plan *p, struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    if (p->n_epochs == pl->epochs_cap) {
        size_t cap = pl->epochs_cap ? pl->epochs_cap * 2 : 64;
        void *a = realloc(p->epoch_needs, cap * sizeof *p->epoch_needs);
        if (a == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "out of memory for the plan's epochs");
        p->epoch_needs = a;
        pl->epochs_cap = cap;
    }
    pl->epoch = p->n_epochs++;
    p->epoch_needs[pl->epoch] = 0;
    pl->epoch_left = p->epoch_length;
    return 0;
}

int hakr_plan_order(struct hakr_plan *p, uint32_t t, struct hakc_err *err) {
    struct hakr_planner *pl = p->planner;
    struct hakr_plan_thread *th = &p->threads[t];
    if (p->drift == 0)
        return pl->has_last && hakr_place_thread(pl->last) != t
                   ? hakr_plan_wait(p, t, pl->last, &p->stats.turns, err)
                   : 0;
    p->epoch_length = p->drift / 2 + p->drift % 2;
    if (pl->epoch_left == 0) {
        int rc = new_epoch(p, err);
        if (rc != 0)
            return rc;
    }
    pl->epoch_left--;
    if (th->epoch != pl->epoch) {
        th->epoch = pl->epoch;
        p->epoch_needs[pl->epoch]++;
        hakr_put_word(th, hakr_control_word(HAKR_EPOCH, pl->epoch));
    }
    return 0;
}
