/*
 * Schedules that look into the future, evaluated over the stream. The books of pages are kept as in
 * evaluate.c, but without span lists: the stream names the span that is reused.
 */
#include <stdlib.h>
#include <string.h>

#include "alloc/spans.h"
#include "sim/meter.h"
#include "sim/oracle_int.h"

#define NONE UINT32_MAX

struct span_now {
    uint32_t used, resident; /* pages, as in evaluate.c */
    uint32_t born;           /* likewise */
    uint32_t put;            /* event of the last PUT */
    uint32_t slot;           /* place in the list of those that wait, or NONE */
    uint8_t dirty;           /* free, and not given back */
    uint8_t zero;            /* in use: was given back when it was taken */
};

/* A free span by the event that touches it next; out of date where its PUT is another. */
struct idle {
    uint32_t next, span, put;
};

struct run {
    const struct haks_oracle *o;
    const struct haks_schedule *s;
    struct haks_figures *f;
    struct haks_meter meter;
    struct haks_heat heat;
    struct span_now *spans;
    uint32_t *waiting; /* spans to be given back */
    size_t n_waiting;
    uint64_t waiting_since; /* weight */
    struct idle *heap;      /* the farthest first */
    size_t n_heap, heap_room;
    uint64_t now; /* weight */
    uint64_t over;
    int no_memory;
};

/* ---- giving back ---------------------------------------------------------------------------- */

static int compare_units(const void *a, const void *b, void *ctx) {
    const struct haks_stream *s = ctx;
    uint32_t x = s->spans[*(const uint32_t *)a].unit, y = s->spans[*(const uint32_t *)b].unit;
    return x < y ? -1 : x > y;
}

/* One call for spans v[0..n), neighbours. */
static void give_back_run(struct run *r, const uint32_t *v, size_t n) {
    const struct haks_stream *s = r->o->stream;
    uint64_t page = r->o->pass->page_size, pages = 0, unit_pages = (1u << HAK_UNIT_SHIFT) / page;
    const struct haks_span_info *first = &s->spans[v[0]], *last = &s->spans[v[n - 1]];
    r->f->calls[HAKS_DONTNEED]++;
    r->f->bytes[HAKS_DONTNEED] +=
        ((last->unit - first->unit) * unit_pages + r->spans[v[n - 1]].used) * page;
    for (size_t i = 0; i < n; i++) {
        struct span_now *x = &r->spans[v[i]];
        pages += x->resident;
        haks_heat_release_span(&r->heat, x->resident, x->born, r->meter.op);
        x->resident = x->used = 0;
        x->dirty = 0;
        x->slot = NONE;
    }
    r->f->released_bytes += pages * page;
    r->meter.resident -= pages;
    haks_heat_release(&r->heat, pages, r->meter.op);
}

static void give_back(struct run *r) {
    const struct haks_span_info *info = r->o->stream->spans;
    size_t start = 0;
    if (r->n_waiting == 0)
        return;
    r->f->rounds++;
    qsort_r(r->waiting, r->n_waiting, sizeof *r->waiting, compare_units,
            (void *)(uintptr_t)r->o->stream);
    for (size_t i = 1; i <= r->n_waiting; i++) {
        const uint32_t *v = r->waiting;
        if (i == r->n_waiting || info[v[i - 1]].unit + info[v[i - 1]].units != info[v[i]].unit) {
            give_back_run(r, v + start, i - start);
            start = i;
        }
    }
    r->n_waiting = 0;
}

static void wait(struct run *r, uint32_t span) {
    if (r->n_waiting == 0)
        r->waiting_since = r->now;
    r->spans[span].slot = (uint32_t)r->n_waiting;
    r->waiting[r->n_waiting++] = span;
}

/* It is used again before its turn came. */
static void wait_no_more(struct run *r, uint32_t span) {
    uint32_t slot = r->spans[span].slot;
    if (slot == NONE)
        return;
    r->waiting[slot] = r->waiting[--r->n_waiting];
    r->spans[r->waiting[slot]].slot = slot;
    r->spans[span].slot = NONE;
}

/* ---- the peak ------------------------------------------------------------------------------- */

static void heap_push(struct run *r, struct idle x) {
    size_t i = r->n_heap;
    if (r->n_heap == r->heap_room) {
        size_t room = r->heap_room * 2 + 1024;
        struct idle *grown = realloc(r->heap, room * sizeof *grown);
        if (grown == NULL) {
            r->no_memory = 1;
            return;
        }
        r->heap = grown;
        r->heap_room = room;
    }
    r->n_heap++;
    for (; i > 0 && r->heap[(i - 1) / 2].next < x.next; i = (i - 1) / 2)
        r->heap[i] = r->heap[(i - 1) / 2];
    r->heap[i] = x;
}

static struct idle heap_pop(struct run *r) {
    struct idle first = r->heap[0], last = r->heap[--r->n_heap];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < r->n_heap) {
        child += child + 1 < r->n_heap && r->heap[child + 1].next > r->heap[child].next;
        if (r->heap[child].next <= last.next)
            break;
        r->heap[i] = r->heap[child];
        i = child;
    }
    if (r->n_heap > 0)
        r->heap[i] = last;
    return first;
}

/* Makes room for pages that are about to come. */
static void make_room(struct run *r, uint64_t pages) {
    uint64_t after = r->meter.resident + pages;
    if (r->s->peak == UINT64_MAX)
        return;
    while (after > r->s->peak && r->n_heap > 0) {
        struct idle x = heap_pop(r);
        struct span_now *span = &r->spans[x.span];
        if (!span->dirty || span->put != x.put || span->slot != NONE)
            continue;
        after -= span->resident;
        wait(r, x.span);
    }
    give_back(r);
    if (after > r->s->peak && after - r->s->peak > r->over)
        r->over = after - r->s->peak;
}

/* ---- events --------------------------------------------------------------------------------- */

static uint64_t bring_in(struct run *r, struct span_now *x, uint32_t pages) {
    uint64_t came = pages > x->resident ? pages - x->resident : 0;
    if (pages > x->used)
        x->used = pages;
    if (came > 0) {
        make_room(r, came);
        x->resident = pages;
        haks_meter_add(&r->meter, came);
    }
    return came;
}

/* By a touch. (The allocator's own few pages are not looked at: see evaluate.c.) */
static void fault_in(struct run *r, struct span_now *x, uint32_t pages) {
    uint64_t came = bring_in(r, x, pages);
    r->f->faults += came;
    if (x == r->spans || came == 0)
        return;
    haks_heat_fault(&r->heat, came, r->meter.op);
    x->born = haks_heat_now(&r->heat, r->meter.op);
}

uint64_t haks_oracle_put_cost(const struct haks_oracle *o, const struct haks_put *p) {
    struct haks_figures f = {.released_bytes = p->pages * o->pass->page_size};
    f.calls[HAKS_DONTNEED] = 1;
    f.faults = p->refaults;
    return haks_cost(&o->costs, o->pass, &f);
}

static void put(struct run *r, uint32_t span, uint32_t event) {
    struct span_now *x = &r->spans[span];
    const struct haks_put *p = &r->o->puts[event];
    x->dirty = x->used > 0;
    x->put = event;
    if (!x->dirty)
        return;
    if (r->s->peak != UINT64_MAX)
        heap_push(r, (struct idle){p->next, span, event});
    else if (r->s->threshold != UINT64_MAX &&
             p->saved >= (haks_u128)r->s->threshold * haks_oracle_put_cost(r->o, p))
        wait(r, span);
}

static void take(struct run *r, uint32_t span) {
    struct span_now *x = &r->spans[span];
    wait_no_more(r, span);
    x->zero = !x->dirty;
    x->dirty = 0;
}

static void move(struct run *r, struct span_now *from, struct span_now *to) {
    uint64_t page = r->o->pass->page_size;
    uint32_t used = from->used, missing = used - from->resident;
    uint32_t lost = used < to->resident ? used : to->resident;
    r->f->calls[HAKS_MOVE]++;
    r->f->bytes[HAKS_MOVE] += used * page;
    r->f->moved_bytes += from->resident * page;
    r->meter.resident -= lost;
    haks_heat_enter(&r->heat, r->meter.op);
    haks_heat_free(&r->heat, lost, to->born);
    to->born = to->resident > 0 ? to->born : from->born;
    r->f->faults += missing;
    make_room(r, missing);
    haks_heat_fault(&r->heat, missing, r->meter.op);
    to->born = missing > 0 ? haks_heat_now(&r->heat, r->meter.op) : to->born;
    haks_meter_add(&r->meter, missing);
    to->resident = to->resident < used ? used : to->resident;
    to->used = to->used < used ? used : to->used;
    from->used = from->resident = 0;
}

static void one_event(struct run *r, const struct haks_event *e, uint32_t i) {
    struct span_now *x = &r->spans[e->span];
    switch (haks_event_kind(e)) {
    case HAKS_EV_TOUCH:
        fault_in(r, x, haks_event_pages(e));
        break;
    case HAKS_EV_ZERO:
        if (!x->zero)
            fault_in(r, x, haks_event_pages(e));
        else if (haks_event_pages(e) > x->used)
            x->used = haks_event_pages(e);
        break;
    case HAKS_EV_PUT:
        put(r, e->span, i);
        break;
    case HAKS_EV_TAKEN:
    case HAKS_EV_FRESH:
        take(r, e->span);
        break;
    case HAKS_EV_MOVED:
        move(r, x, &r->spans[e[1].span]);
        break;
    default:
        break;
    }
}

static void walk(struct run *r) {
    const struct haks_stream *s = r->o->stream;
    uint64_t op = 0, time = 0;
    for (uint32_t i = 0; i < s->n_events && !r->no_memory; i++) {
        const struct haks_event *e = &s->events[i];
        op += e->d_op;
        time += e->d_time;
        if (haks_event_kind(e) == HAKS_EV_SKIP) {
            time += (uint64_t)e->span << 32;
            continue;
        }
        r->now = r->o->weight == HAKS_BY_TIME ? time : op;
        haks_meter_at(&r->meter, op, time);
        if (r->n_waiting > 0 && r->now - r->waiting_since >= r->s->delay && r->s->delay > 0)
            give_back(r);
        one_event(r, e, i);
        if (r->s->delay == 0 && r->s->peak == UINT64_MAX)
            give_back(r);
    }
}

int haks_oracle_run(const struct haks_oracle *o, const struct haks_schedule *s,
                    struct haks_figures *out, uint64_t *over, struct hakc_err *err) {
    struct run r = {.o = o, .s = s, .f = out};
    size_t n = o->stream->n_spans + 1;
    *out = o->pass->fixed;
    *over = 0;
    r.spans = calloc(n, sizeof *r.spans);
    r.waiting = calloc(n, sizeof *r.waiting);
    if (r.spans == NULL || r.waiting == NULL) {
        r.no_memory = 1;
    } else {
        for (size_t i = 0; i < n; i++)
            r.spans[i].slot = NONE;
        walk(&r);
        out->heat = r.heat.n;
        haks_meter_end(&r.meter, o->pass, out);
        haks_cost(&o->costs, o->pass, out);
        *over = r.over;
    }
    free(r.spans);
    free(r.waiting);
    free(r.heap);
    return r.no_memory ? hakc_fail(err, HAKC_ENOMEM, "no memory for the oracle") : 0;
}
