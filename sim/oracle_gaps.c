/*
 * Finding the gaps. A touch is always of a span's first pages. So the pages of a span by the age
 * of their last use form a stack of segments, the youngest at the front: a touch up to page p
 * closes those in front of p, and a PUT opens one for all pages of the use that ends.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/oracle_int.h"

#define GHOST UINT32_MAX /* a segment's start: its pages may be there or not, at no cost */

/* Pages from the end of the younger segment to `upto`, idle since event `start`. */
struct segment {
    uint32_t upto, start;
    uint64_t since; /* ops or ns */
};

struct pages {
    struct segment *v; /* the youngest last */
    uint32_t n, room;
    uint32_t in_use; /* first pages, touched in the present use */
};

struct finder {
    struct haks_oracle *o;
    struct pages *spans;
    uint32_t event;
    uint64_t now;      /* ops or ns */
    uint64_t resident; /* pages, if nothing is given back */
    uint64_t faults, moves, moved_pages;
    struct haks_heat heat; /* as if nothing is given back: its entries */
    uint64_t op;
    uint32_t last_fault; /* event */
    int put;             /* a span was free */
    uint64_t for_good;   /* pages that may go before a fault and are not touched again */
    uint64_t late;       /* faults after a span was free, that no schedule avoids */
    int no_memory;
};

static void grow_by(struct finder *f, int64_t pages) {
    f->resident = (uint64_t)((int64_t)f->resident + pages);
    f->o->delta[f->event] += (int32_t)pages;
}

static void note_put(struct finder *f, const struct haks_gap *g) {
    struct haks_put *p = &f->o->puts[g->start];
    p->saved += g->length * g->pages;
    p->pages += g->pages;
    if (g->how == HAKS_GAP_TOUCHED) {
        p->refaults += g->pages;
        if (g->end < p->next)
            p->next = g->end;
    }
}

/* `pages` of a segment are idle no longer. */
static void close_gap(struct finder *f, const struct segment *s, uint32_t pages,
                      enum haks_gap_end how) {
    struct haks_oracle *o = f->o;
    if (s->start == GHOST || pages == 0)
        return;
    if (how == HAKS_GAP_DROPPED || (how == HAKS_GAP_NEVER && s->start < f->last_fault))
        f->for_good += pages;
    if (o->n_gaps == o->gaps_room) {
        size_t room = o->gaps_room * 2 + 1024;
        struct haks_gap *grown = realloc(o->gaps, room * sizeof *grown);
        if (grown == NULL) {
            f->no_memory = 1;
            return;
        }
        o->gaps = grown;
        o->gaps_room = room;
    }
    o->gaps[o->n_gaps] = (struct haks_gap){.start = s->start,
                                           .end = f->event,
                                           .pages = pages,
                                           .how = how,
                                           .length = f->now - s->since};
    note_put(f, &o->gaps[o->n_gaps++]);
}

static void push(struct finder *f, struct pages *p, uint32_t upto, uint32_t start) {
    if (p->n == p->room) {
        uint32_t room = p->room * 2 + 2;
        struct segment *grown = realloc(p->v, room * sizeof *grown);
        if (grown == NULL) {
            f->no_memory = 1;
            return;
        }
        p->v = grown;
        p->room = room;
    }
    p->v[p->n++] = (struct segment){upto, start, f->now};
}

/* Closes what is idle in front of page `upto`. Returns how many of its pages count as there if
 * nothing is given back. */
static uint32_t close_front(struct finder *f, struct pages *p, uint32_t upto,
                            enum haks_gap_end how) {
    uint32_t at = p->in_use, there = 0;
    while (p->n > 0 && at < upto) {
        const struct segment *s = &p->v[p->n - 1];
        uint32_t to = s->upto < upto ? s->upto : upto;
        close_gap(f, s, to - at, how);
        there += s->start == GHOST ? 0 : to - at;
        at = to;
        if (s->upto > upto)
            break;
        p->n--;
    }
    return there;
}

/* One past the last page that may be there. */
static uint32_t top(const struct pages *p) {
    return p->n > 0 ? p->v[0].upto : p->in_use;
}

/* Faults that no schedule avoids. */
static void note_faults(struct finder *f, const struct pages *p, uint32_t pages) {
    f->faults += pages;
    if (p != f->spans) /* as in evaluate.c */
        haks_heat_fault(&f->heat, pages, f->op);
    f->late += f->put ? pages : 0;
}

static void touch(struct finder *f, struct pages *p, uint32_t upto) {
    uint32_t known, there;
    if (upto <= p->in_use)
        return;
    f->last_fault = f->event;
    known = top(p) < upto ? top(p) : upto; /* beyond it no page was ever touched */
    known = known > p->in_use ? known : p->in_use;
    there = close_front(f, p, upto, HAKS_GAP_TOUCHED);
    note_faults(f, p, upto - known);
    grow_by(f, (int64_t)(upto - p->in_use) - there);
    p->in_use = upto;
}

static void put(struct finder *f, struct pages *p) {
    if (p->in_use > 0)
        push(f, p, p->in_use, f->event);
    f->put = 1;
    p->in_use = 0;
}

/* The pages of `from` in use go to `to`; what was idle in either ends. Idle pages of `from` may
 * have come along or not: their next touch costs nothing. */
static void move(struct finder *f, struct pages *from, struct pages *to) {
    uint32_t used = from->in_use, all = top(from), there;
    f->moves++;
    haks_heat_enter(&f->heat, f->op);
    f->for_good += all > used ? all - used : 0;
    f->moved_pages += used;
    there = close_front(f, from, all, HAKS_GAP_DROPPED);
    grow_by(f, -(int64_t)there - used);
    from->n = 0;
    from->in_use = 0;
    there = close_front(f, to, all, HAKS_GAP_DROPPED);
    grow_by(f, -(int64_t)there);
    if (used > to->in_use) {
        grow_by(f, used - to->in_use);
        to->in_use = used;
    }
    if (all > to->in_use)
        push(f, to, all, GHOST);
}

static void one_event(struct finder *f, const struct haks_event *e) {
    struct pages *p = &f->spans[e->span];
    switch (haks_event_kind(e)) {
    case HAKS_EV_TOUCH:
        touch(f, p, haks_event_pages(e));
        break;
    case HAKS_EV_PUT:
        put(f, p);
        break;
    case HAKS_EV_MOVED:
        move(f, p, &f->spans[e[1].span]);
        break;
    default: /* (ZERO: where the span was given back it touches nothing) */
        break;
    }
}

static void end(struct finder *f) {
    const struct haks_stream *s = f->o->stream;
    f->event = (uint32_t)s->n_events;
    f->now = f->o->span_of_time;
    for (size_t i = 0; i < s->n_spans; i++)
        close_front(f, &f->spans[i], top(&f->spans[i]), HAKS_GAP_NEVER);
}

static void walk(struct finder *f) {
    const struct haks_stream *s = f->o->stream;
    uint64_t op = 0, time = 0;
    for (f->event = 0; f->event < s->n_events && !f->no_memory; f->event++) {
        const struct haks_event *e = &s->events[f->event];
        uint64_t now;
        op += e->d_op;
        time += e->d_time;
        if (haks_event_kind(e) == HAKS_EV_SKIP) {
            time += (uint64_t)e->span << 32;
            continue;
        }
        now = f->o->weight == HAKS_BY_TIME ? time : op;
        f->o->kept += (haks_u128)f->resident * (now - f->now);
        f->now = now;
        f->op = op;
        one_event(f, e);
    }
    f->o->kept += (haks_u128)f->resident * (f->o->span_of_time - f->now);
    end(f);
}

/* An entry of each kind may be split by releases, and faults that they bring about, into nearer
 * ones: at least so many of each nearer kind. */
static const uint32_t pieces[HAKS_ENTRY_KINDS][HAKS_ENTRY_KINDS] = {
    [HAKS_NEAR] = {[HAKS_NEAR] = 1},
    [HAKS_16K] = {[HAKS_NEAR] = 2, [HAKS_16K] = 1},
    [HAKS_128K] = {[HAKS_NEAR] = 8, [HAKS_16K] = 2, [HAKS_128K] = 1},
    [HAKS_2M] = {[HAKS_NEAR] = 128, [HAKS_16K] = 16, [HAKS_128K] = 2, [HAKS_2M] = 1}};

/* The most that a schedule can save of what it costs to give nothing back. A page that goes for
 * good may warm one fault that is there anyway (those that are touched again are priced as if each
 * warmed its own); and entries may be split. */
static uint64_t may_save(const struct finder *f) {
    const struct haks_costs *c = &f->o->costs;
    const uint64_t more[] = {[HAKS_NEAR] = c->entry_ns,
                             [HAKS_16K] = c->entry_16k_ns,
                             [HAKS_128K] = c->entry_128k_ns,
                             [HAKS_2M] = c->entry_2m_ns};
    uint64_t cold = c->fault_ns, hot = f->o->page_fault_ns, saved;
    uint64_t call = c->dontneed_call_ns < c->unmap_call_ns ? c->dontneed_call_ns : c->unmap_call_ns;
    saved = (f->for_good < f->late ? f->for_good : f->late) * (cold > hot ? cold - hot : 0);
    for (unsigned i = HAKS_NEAR; i < HAKS_ENTRY_KINDS; i++) {
        uint64_t least = more[i];
        for (unsigned k = HAKS_NEAR; k <= i; k++) {
            /* a near call is dear for itself alone */
            uint64_t each = k == HAKS_NEAR && call < more[k] ? call : more[k];
            least = pieces[i][k] * each < least ? pieces[i][k] * each : least;
        }
        saved += f->heat.n.entries[i] * (more[i] - least);
    }
    return saved;
}

/* The least that faults, moves and their entries cost in any schedule. */
static uint64_t base_cost(const struct finder *f) {
    struct haks_figures figures = f->o->pass->fixed;
    uint64_t all, saved = may_save(f);
    figures.faults = f->faults;
    figures.heat = f->heat.n;
    figures.heat.hot_faults = figures.heat.warm_faults = 0;
    figures.calls[HAKS_MOVE] = f->moves;
    figures.moved_bytes = f->moved_pages * f->o->pass->page_size;
    all = haks_cost(&f->o->costs, f->o->pass, &figures);
    return all > saved ? all - saved : 0;
}

int haks_oracle_find_gaps(struct haks_oracle *o, struct hakc_err *err) {
    size_t n = o->stream->n_events + 1;
    struct finder f = {.o = o, .spans = calloc(o->stream->n_spans + 1, sizeof *f.spans)};
    o->puts = malloc(n * sizeof *o->puts);
    o->delta = calloc(n, sizeof *o->delta);
    if (f.spans == NULL || o->puts == NULL || o->delta == NULL || n > UINT32_MAX) {
        f.no_memory = 1;
    } else {
        for (size_t i = 0; i < n; i++)
            o->puts[i] = (struct haks_put){.next = (uint32_t)(n - 1)};
        walk(&f);
        o->base_ns = base_cost(&f);
    }
    for (size_t i = 0; f.spans != NULL && i < o->stream->n_spans; i++)
        free(f.spans[i].v);
    free(f.spans);
    return f.no_memory ? hakc_fail(err, HAKC_ENOMEM, "no memory for the oracle") : 0;
}
