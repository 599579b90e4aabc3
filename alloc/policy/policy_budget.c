/*
 * budget:pct=P: what giving back costs may come to P percent of the time that passes, and to REST
 * times that of the time in which the program rests; it is spent where it is likely to be worth it.
 * Pages go back at the frees that end a burst, so that nobody needs to look at the clock while the
 * program rests.
 *
 *   credit    grows by P percent of the time, and by REST times that where no span came or went for
 *             ms: a program that rests has time. A page that was given back and is taken again
 *             costs PRICE of it. As many pages may be out as the credit pays for if all come back
 *             at once; or TRUST times as many, within TRUST_MOST, as long as they seldom do;
 *             TRUST_FIRST times, before anything is known.
 *   swing     the most pages that were taken again within ms of becoming free, net of those freed
 *             meanwhile, in this term and the last (TERM x ms): a program that swings so will want
 *             them, so they stay. A swing that was found out by giving back too early counts WIDE
 *             times, as the next one is likely to be larger.
 *
 * Where no span was taken or freed for ms, the swing is over, and a look at the clock (TICK) gives
 * back what it held. Without the background thread the first look after a rest is late: the program
 * has just woken, and is about to take what is free. So a late look only asks for another.
 */
#include "alloc/policy/policy_kinds.h"

#define PRICE       1750 /* ns: MADV_DONTNEED of a page, and the fault that brings it back */
#define REST        8
#define TRUST       8
#define TRUST_FIRST 32
#define TRUST_MOST  65536 /* pages: 0.1 s of PRICE */
#define SLACK       256   /* pages that came back too soon and do not count yet */
#define TERM        32
#define WIDE        2
#define MOST        ((int64_t)4000000000) /* ns: credit, or debt; 2 million pages */

/* The state. */
enum {
    CREDIT,     /* ns; negative: debt */
    AT,         /* time of the last event */
    RISE,       /* pages taken again soon, net, by now */
    TOP,        /* the swing of this term */
    TOP_BEFORE, /* and of the last */
    END,        /* of this term */
    OUT,        /* pages given back that may still be taken again within ms */
    OUT_AT,     /* when the last of them went */
    HAD,        /* dirty pages at the last event, before what was given back then */
    LOST,       /* pages given back that came back within ms */
    WON,        /* and later */
    SPAN_AT,    /* when a span was last taken or freed */
    ASKED       /* the next TICK */
};

static void take(uint64_t *from, uint64_t n) {
    *from -= n < *from ? n : *from;
}

static void add_credit(uint64_t *state, int64_t ns) {
    int64_t credit = (int64_t)state[CREDIT] + ns;
    state[CREDIT] = (uint64_t)(credit > MOST ? MOST : credit < -MOST ? -MOST : credit);
}

static void pass_time(struct hakp_policy *p, const struct hakp_event *ev) {
    uint64_t *state = p->state, past = state[AT] != 0 ? ev->now_ns - state[AT] : 0;
    uint64_t worth = p->spec.n * (past >= p->spec.ns ? REST : 1);
    uint64_t counts = past < (uint64_t)MOST * 100 ? past : (uint64_t)MOST * 100;
    add_credit(state, (int64_t)(counts * worth / 100));
    state[AT] = ev->now_ns;
    if (ev->now_ns >= state[END]) {
        state[TOP_BEFORE] = ev->now_ns - state[END] < TERM * p->spec.ns ? state[TOP] : 0;
        state[TOP] = state[RISE] = 0;
        state[END] = ev->now_ns + TERM * p->spec.ns;
    }
}

/* The host releases whole spans, so what went after the last answer is seen only now. */
static void count_out(struct hakp_policy *p, const struct hakp_event *ev) {
    uint64_t *state = p->state, had = ev->dirty_pages;
    if (ev->kind == HAKP_EV_DIRTY)
        had -= ev->span_pages;
    else if (ev->kind == HAKP_EV_REUSED)
        had += ev->span_pages;
    if (ev->now_ns - state[OUT_AT] >= p->spec.ns)
        state[OUT] = 0;
    if (state[HAD] > had) {
        state[OUT] += state[HAD] - had;
        state[OUT_AT] = ev->now_ns;
    }
    state[HAD] = ev->dirty_pages;
}

/* A span was taken again: it was dirty, or had been given back. */
static void taken(struct hakp_policy *p, const struct hakp_event *ev, bool given_back) {
    uint64_t *state = p->state, pages = ev->span_pages, swing;
    bool soon = ev->now_ns - ev->since_ns < p->spec.ns;
    if (given_back) {
        add_credit(state, pages < (uint64_t)MOST / PRICE ? -(int64_t)(pages * PRICE) : -MOST);
        take(&state[OUT], pages);
        state[soon ? LOST : WON] += pages;
    }
    if (!soon)
        return;
    state[RISE] += pages;
    swing = given_back ? WIDE * state[RISE] : state[RISE];
    if (swing > state[TOP])
        state[TOP] = swing;
}

/* How many pages may go now. */
static uint64_t affordable(const uint64_t *state) {
    int64_t credit = (int64_t)state[CREDIT];
    uint64_t paid = credit > 0 ? (uint64_t)credit / PRICE : 0, trusted = paid;
    if (state[LOST] <= state[WON] + SLACK)
        trusted *= state[WON] == 0 ? TRUST_FIRST : TRUST;
    if (trusted > TRUST_MOST)
        trusted = paid > TRUST_MOST ? paid : TRUST_MOST;
    return trusted > state[OUT] ? trusted - state[OUT] : 0;
}

/* A look at the clock, ms or more after the last span came or went: on time, or the second one. */
static bool at_rest(struct hakp_policy *p, const struct hakp_event *ev) {
    uint64_t *state = p->state, ms = p->spec.ns, asked = state[ASKED];
    if (ev->kind != HAKP_EV_TICK || ev->now_ns - state[SPAN_AT] < ms)
        return false;
    state[ASKED] = ev->now_ns + ms / 4;
    return ev->now_ns - asked <= ms / 4 || asked - state[SPAN_AT] > ms;
}

static void answer(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out) {
    uint64_t *state = p->state, least = p->spec.keep_bytes / ev->page_size;
    uint64_t keep = HAKP_KEEP_ALL, swing, may;
    bool given_back = ev->kind == HAKP_EV_RETURNED;
    bool span = ev->kind == HAKP_EV_DIRTY || ev->kind == HAKP_EV_REUSED || given_back;

    pass_time(p, ev);
    count_out(p, ev);
    if (ev->kind == HAKP_EV_DIRTY)
        take(&state[RISE], ev->span_pages);
    else if (span)
        taken(p, ev, given_back);
    if (span || ev->kind == HAKP_EV_START) {
        state[SPAN_AT] = ev->now_ns;
        state[ASKED] = ev->now_ns + p->spec.ns;
    }
    swing = state[TOP] > state[TOP_BEFORE] ? state[TOP] : state[TOP_BEFORE];
    if (at_rest(p, ev))
        keep = least;
    else if (ev->kind == HAKP_EV_DIRTY && ev->dirty_pages > swing + 2 * least) /* in batches */
        keep = swing + least;
    if (keep < ev->dirty_pages) {
        may = affordable(state);
        if (keep + may < ev->dirty_pages)
            keep = ev->dirty_pages - may;
    }
    out->keep_pages = ev->kind == HAKP_EV_PRESSURE ? 0 : hakp_keep_within(p, ev, keep);
    out->hear_returns = true;
    if (ev->dirty_pages > least && out->keep_pages > least)
        out->next_tick_ns = state[ASKED];
}

const struct hakp_ops hakp_budget = {
    .name = "budget",
    .help =
        "give back when a burst ends, for at most P percent of the time, eight times that at rest",
    .answer = answer,
};
