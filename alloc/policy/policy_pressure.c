/*
 * pressure:pct=P: all is kept until memory is short, and then as much goes back as is too much:
 *
 *   - what is used of the limit that applies (a cgroup's, or the process's own) is above P percent:
 *     the excess goes back, of what is dirty now and of what becomes dirty until the next look;
 *   - tasks wait for memory `stall` percent of the time or more: everything dirty goes back, and
 *     nothing stays until the next look;
 *   - active and dirty pages come to more than rss=: the excess goes back, at once.
 *
 * The host looks at limits every `ms`.
 */
#include "alloc/policy/policy_kinds.h"

#define ALL UINT64_MAX

enum {
    OWED,
    NEXT
}; /* the state: pages still to be given back (ALL: whatever comes); when the next
      look is due */

/* What is to be given back after a look at the limits. */
static uint64_t look(const struct hakp_policy *p, const struct hakp_event *ev) {
    const struct hakp_memory *m = &ev->memory;
    uint64_t most = m->limit_bytes / 100 * p->spec.n;
    if (p->spec.stall != 0 && m->stall >= p->spec.stall * 100)
        return ALL;
    if (m->limit_bytes == 0 || m->used_bytes <= most)
        return 0;
    return (m->used_bytes - most + ev->page_size - 1) / ev->page_size;
}

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t *owed = &p->state[OWED], rss = p->spec.rss_bytes / ev->page_size, give, keep;

    if (ev->kind == HAKP_EV_PRESSURE) {
        *owed = ALL;
    } else if (ev->now_ns >= p->state[NEXT] || ev->kind == HAKP_EV_START) {
        *owed = look(p, ev);
        p->state[NEXT] = ev->now_ns + p->spec.ns;
    }
    give = *owed < ev->dirty_pages ? *owed : ev->dirty_pages;
    if (*owed != ALL)
        *owed -= give;
    keep = give > 0 ? ev->dirty_pages - give : HAKP_KEEP_ALL;
    if (rss != 0) {
        uint64_t room = rss > ev->active_pages ? rss - ev->active_pages : 0;
        keep = keep < room ? keep : room;
    }
    out->keep_pages = hakp_keep_within(p, ev, keep);
    out->watch = true;
    if (ev->dirty_pages > 0)
        out->next_tick_ns = p->state[NEXT];
}

const struct hakp_ops hakp_pressure = {
    .name = "pressure",
    .help = "keep all until memory is short: P percent of a limit, stalls, or a size of its own",
    .answer = answer,
};
