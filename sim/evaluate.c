/*
 * One policy over the stream of span events. The span lists and the policy are the allocator's
 * own code; here are only the pages. Of a span's used_pages, which the allocator takes for
 * resident, the first `resident` really are: the rest was handed out by calloc and not written.
 */
#include <stdlib.h>

#include "alloc/spans.h"
#include "sim/cost_model.h"
#include "sim/event_stream.h"
#include "sim/heap_top.h"
#include "sim/meter.h"
#include "sim/models.h"

struct record {
    struct hak_span span;
    uint32_t resident;               /* pages; at most span.used_pages */
    uint32_t marked_from, marked_to; /* of the resident, these were given to MADV_FREE before */
    uint32_t born;                   /* of the last fault (heat.h) */
    uint32_t zero;                   /* in use: its contents were zero when it was taken */
};

struct eval {
    struct hak_spans spans;
    struct haks_meter meter;
    struct haks_figures *f;
    uint64_t page_size;
    struct record *rec;
    const struct haks_stream *stream;
    struct haks_heat heat;
    struct haks_heap_top top; /* kept for model-glibc alone */
};

static const enum haks_call call_of_how[] = {
    [HAKP_DONTNEED] = HAKS_DONTNEED, [HAKP_FREE] = HAKS_FREE, [HAKP_UNMAP] = HAKS_UNMAP};

/* Resident pages of the spans of a call, which lose them (or keep them as lazy ones). */
static uint64_t give_back(struct eval *e, const struct hak_release *r) {
    uint64_t pages = 0;
    uint32_t unit = r->unit;
    for (uint32_t i = 0; i < r->spans; i++) {
        struct record *rec = &e->rec[e->stream->by_unit[unit]];
        pages += rec->resident;
        if (r->how == HAKP_FREE) {
            e->heat.n.marked_again += rec->marked_to - rec->marked_from;
            rec->marked_to = rec->resident;
        } else {
            haks_heat_release_span(&e->heat, rec->resident, rec->born, e->meter.op);
            rec->resident = rec->marked_to = 0;
        }
        rec->marked_from = 0;
        unit += rec->span.units;
    }
    return pages;
}

static int release(void *ctx, const struct hak_release *r) {
    struct eval *e = ctx;
    enum haks_call call = call_of_how[r->how];
    uint64_t pages = give_back(e, r);
    e->f->calls[call]++;
    e->f->bytes[call] += r->pages * e->page_size;
    e->f->released_bytes += pages * e->page_size;
    if (r->how == HAKP_FREE)
        haks_meter_add_lazy(&e->meter, pages);
    else
        e->meter.resident -= pages;
    haks_heat_release(&e->heat, pages, e->meter.op);
    return 0;
}

/* The first `pages` pages become resident; returns how many were not. */
static uint64_t bring_in(struct eval *e, struct record *r, uint32_t pages) {
    uint64_t came = pages > r->resident ? pages - r->resident : 0;
    if (pages > r->span.used_pages)
        r->span.used_pages = pages;
    if (came > 0) {
        r->resident = pages;
        haks_meter_add(&e->meter, came);
    }
    return came;
}

/* The same, by the program's touch. (The allocator's own few pages never come hot.) */
static void fault_in(struct eval *e, struct record *r, uint32_t pages) {
    uint64_t came = bring_in(e, r, pages);
    e->f->faults += came;
    if (r == e->rec || came == 0) /* span 0 is the allocator's own */
        return;
    haks_heat_fault(&e->heat, came, e->meter.op);
    r->born = haks_heat_now(&e->heat, e->meter.op);
}

/* As the allocator's pool does after it took a span. */
static void goes_into_use(struct eval *e, struct record *r, uint32_t pages) {
    struct hak_span *s = &r->span;
    if (e->top.used != NULL)
        haks_heap_top_use(&e->top, s->unit, s->units);
    r->zero = s->state != HAK_SPAN_DIRTY && s->state != HAK_SPAN_LAZY;
    if (s->state == HAK_SPAN_UNMAPPED) {
        e->f->calls[HAKS_COMMIT]++;
        e->f->bytes[HAKS_COMMIT] += (uint64_t)s->units << HAK_UNIT_SHIFT;
    } else if (s->state == HAK_SPAN_LAZY) {
        e->meter.lazy -= r->resident;
    }
    s->state = HAK_SPAN_USED;
    if (e->spans.target.populate) {
        e->f->calls[HAKS_POPULATE]++;
        e->f->bytes[HAKS_POPULATE] += pages * e->page_size;
        uint64_t came = bring_in(e, r, pages);
        e->f->populated_bytes += came * e->page_size;
        haks_heat_populate(&e->heat, came, e->meter.op);
        r->born = came > 0 ? haks_heat_now(&e->heat, e->meter.op) : r->born;
    }
}

/* model-glibc: what is free at the top of the heap goes back if it is enough; the heap ends there.
 */
static void trim_top(struct eval *e, const struct hak_span *span) {
    uint32_t start;
    haks_heap_top_free(&e->top, span->unit, span->units);
    start = haks_heap_top_start(&e->top);
    if (((uint64_t)(e->top.end - start) << HAK_UNIT_SHIFT) <
        haks_glibc_trim_bytes(&e->spans.policy))
        return;
    hak_spans_release_from(&e->spans, start);
    e->top.end = start;
}

static void zero(struct eval *e, struct record *r, uint32_t pages) {
    if (!r->zero)
        fault_in(e, r, pages);
    else if (pages > r->span.used_pages)
        r->span.used_pages = pages;
}

/* from's pages take the place of those that `to` had there. What is missing among them is touched
 * with the rest, by the TOUCH that follows: realloc moves to where there is more room. */
static void move(struct eval *e, struct record *from, struct record *to) {
    uint32_t used = from->span.used_pages, missing = used - from->resident;
    uint32_t lost = used < to->resident ? used : to->resident;
    e->f->calls[HAKS_MOVE]++;
    e->f->bytes[HAKS_MOVE] += used * e->page_size;
    e->f->moved_bytes += from->resident * e->page_size;
    e->meter.resident -= lost;
    haks_heat_enter(&e->heat, e->meter.op);
    haks_heat_free(&e->heat, lost, to->born);
    to->born = to->resident > 0 ? to->born : from->born;
    e->f->faults += missing;
    haks_heat_fault(&e->heat, missing, e->meter.op);
    to->born = missing > 0 ? haks_heat_now(&e->heat, e->meter.op) : to->born;
    haks_meter_add(&e->meter, missing);
    if (to->resident < used)
        to->resident = used;
    if (to->span.used_pages < used)
        to->span.used_pages = used;
    from->span.used_pages = from->resident = 0;
    from->marked_from = from->marked_to = 0; /* what was moved counts as never marked */
    to->marked_from = used > to->marked_from ? used : to->marked_from;
    to->marked_to = to->marked_to > to->marked_from ? to->marked_to : to->marked_from;
}

/* Returns the index of the event at which placement was not as recorded, or n_events. */
static size_t run(struct eval *e, const struct haks_stream *stream) {
    uint64_t op = 0, time = 0;
    for (size_t i = 0; i < stream->n_events; i++) {
        const struct haks_event *ev = &stream->events[i];
        op += ev->d_op;
        time += ev->d_time;
        if (haks_event_kind(ev) == HAKS_EV_SKIP) {
            time += (uint64_t)ev->span << 32;
            continue;
        }
        struct record *r = &e->rec[ev->span];
        if (op != e->meter.op || time != e->meter.time)
            haks_meter_at(&e->meter, op, time);

        switch (haks_event_kind(ev)) {
        case HAKS_EV_TOUCH:
            fault_in(e, r, haks_event_pages(ev));
            break;
        case HAKS_EV_PUT:
            hak_spans_put(&e->spans, &r->span, time);
            if (e->top.used != NULL)
                trim_top(e, &r->span);
            break;
        case HAKS_EV_TAKEN:
            if (hak_spans_take(&e->spans, r->span.kind, time) != &r->span)
                return i;
            goes_into_use(e, r, haks_event_pages(ev));
            break;
        case HAKS_EV_FRESH: /* the allocator looked for a free span first */
            hak_spans_look(&e->spans, time);
            hak_spans_add_active(&e->spans, hak_span_kind_pages(r->span.kind, e->page_size));
            goes_into_use(e, r, haks_event_pages(ev));
            break;
        case HAKS_EV_MOVED:
            move(e, r, &e->rec[ev[1].span]);
            break;
        case HAKS_EV_ZERO:
            zero(e, r, haks_event_pages(ev));
            break;
        case HAKS_EV_LOOK:
            hak_spans_look(&e->spans, time);
            break;
        case HAKS_EV_EXIT:
            hak_spans_tell(&e->spans, HAKP_EV_THREAD_EXIT, time);
            break;
        case HAKS_EV_SKIP:
            break;
        }
    }
    return stream->n_events;
}

int haks_evaluate(const struct haks_stream *stream, const struct haks_pass *pass,
                  const struct haks_costs *costs, const struct hakp_spec *policy,
                  struct haks_figures *out, struct hakc_err *err) {
    struct eval e = {.f = out, .page_size = pass->page_size, .stream = stream};
    size_t stopped;

    if (hakp_own_placement(policy))
        return hakc_fail(err, HAKC_EREFUSED,
                         "the policy places spans in its own way: events of another policy's run "
                         "do not serve; use --mode=full");
    e.rec = malloc((stream->n_spans + 1) * sizeof *e.rec);
    if (e.rec != NULL && haks_is_model(policy) && (int)policy->kind == HAKS_MODEL_GLIBC &&
        haks_heap_top_init(&e.top, stream->end_unit) != 0) {
        free(e.rec);
        e.rec = NULL;
    }
    if (e.rec == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for %zu span records", stream->n_spans);
    for (size_t i = 0; i < stream->n_spans; i++)
        e.rec[i] = (struct record){.span = {.unit = stream->spans[i].unit,
                                            .units = stream->spans[i].units,
                                            .kind = (uint16_t)stream->spans[i].kind}};
    *out = pass->fixed;
    hak_spans_init(&e.spans, policy, e.page_size, release, &e);
    stopped = run(&e, stream);
    free(e.rec);
    free(e.top.used);
    if (stopped != stream->n_events)
        return hakc_fail(err, HAKC_EREFUSED,
                         "placement depends on the policy: at op %llu another span was reused than "
                         "in the first pass; use --mode=full",
                         (unsigned long long)e.meter.op);
    out->rounds = e.spans.released.rounds;
    out->heat = e.heat.n;
    haks_meter_end(&e.meter, pass, out);
    haks_cost(costs, pass, out);
    return 0;
}
