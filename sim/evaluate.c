/*
 * One policy over the stream of span events. The span lists and the policy are the allocator's own
 * code; here are only the pages: each span's resident ones are its first used_pages.
 */
#include <stdlib.h>

#include "alloc/spans.h"
#include "sim/cost_model.h"
#include "sim/event_stream.h"
#include "sim/meter.h"

struct eval {
    struct hak_spans spans;
    struct haks_meter meter;
    struct haks_figures *f;
    uint64_t page_size;
    struct hak_span *rec;
};

static const enum haks_call call_of_how[] = {
    [HAKP_DONTNEED] = HAKS_DONTNEED, [HAKP_FREE] = HAKS_FREE, [HAKP_UNMAP] = HAKS_UNMAP};

static int release(void *ctx, const struct hak_release *r) {
    struct eval *e = ctx;
    enum haks_call call = call_of_how[r->how];
    e->f->calls[call]++;
    e->f->bytes[call] += r->pages * e->page_size;
    e->f->released_bytes += r->dirty * e->page_size;
    if (r->how == HAKP_FREE)
        haks_meter_add_lazy(&e->meter, r->dirty);
    else
        e->meter.resident -= r->dirty;
    return 0;
}

/* As the allocator's pool does after it took a span. */
static void goes_into_use(struct eval *e, struct hak_span *s, uint32_t pages) {
    if (s->state == HAK_SPAN_UNMAPPED) {
        e->f->calls[HAKS_COMMIT]++;
        e->f->bytes[HAKS_COMMIT] += (uint64_t)s->units << HAK_UNIT_SHIFT;
    } else if (s->state == HAK_SPAN_LAZY) {
        e->meter.lazy -= s->used_pages;
    }
    s->state = HAK_SPAN_USED;
    if (e->spans.target.populate) {
        e->f->calls[HAKS_POPULATE]++;
        e->f->bytes[HAKS_POPULATE] += pages * e->page_size;
        if (pages > s->used_pages) {
            e->f->populated_bytes += (pages - s->used_pages) * e->page_size;
            haks_meter_add(&e->meter, pages - s->used_pages);
            s->used_pages = pages;
        }
    }
}

static void touch(struct eval *e, struct hak_span *s, uint32_t pages) {
    if (pages > s->used_pages) {
        e->f->faults += pages - s->used_pages;
        haks_meter_add(&e->meter, pages - s->used_pages);
        s->used_pages = pages;
    }
}

/* The pages of `from` take the place of those that `to` had there. */
static void move(struct eval *e, struct hak_span *from, struct hak_span *to) {
    uint32_t both = from->used_pages < to->used_pages ? from->used_pages : to->used_pages;
    e->f->calls[HAKS_MOVE]++;
    e->f->bytes[HAKS_MOVE] += from->used_pages * e->page_size;
    e->f->moved_bytes += from->used_pages * e->page_size;
    e->meter.resident -= both;
    if (to->used_pages < from->used_pages)
        to->used_pages = from->used_pages;
    from->used_pages = 0;
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
        struct hak_span *s = &e->rec[ev->span];
        if (op != e->meter.op || time != e->meter.time)
            haks_meter_at(&e->meter, op, time);

        switch (haks_event_kind(ev)) {
        case HAKS_EV_TOUCH:
            touch(e, s, haks_event_pages(ev));
            break;
        case HAKS_EV_PUT:
            hak_spans_put(&e->spans, s, time);
            break;
        case HAKS_EV_TAKEN:
            if (hak_spans_take(&e->spans, s->kind, time) != s)
                return i;
            goes_into_use(e, s, haks_event_pages(ev));
            break;
        case HAKS_EV_FRESH:
            hak_spans_add_active(&e->spans, hak_span_kind_pages(s->kind, e->page_size));
            goes_into_use(e, s, haks_event_pages(ev));
            break;
        case HAKS_EV_MOVED:
            move(e, s, &e->rec[ev[1].span]);
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
                  const struct hakp_spec *policy, struct haks_figures *out, struct hakc_err *err) {
    struct eval e = {.f = out, .page_size = pass->page_size};
    size_t stopped;

    e.rec = malloc((stream->n_spans + 1) * sizeof *e.rec);
    if (e.rec == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for %zu span records", stream->n_spans);
    for (size_t i = 0; i < stream->n_spans; i++)
        e.rec[i] = (struct hak_span){.unit = stream->spans[i].unit,
                                     .units = stream->spans[i].units,
                                     .kind = (uint16_t)stream->spans[i].kind};
    *out = pass->fixed;
    hak_spans_init(&e.spans, policy, e.page_size, release, &e);
    stopped = run(&e, stream);
    free(e.rec);
    if (stopped != stream->n_events)
        return hakc_fail(err, HAKC_EINTERNAL,
                         "placement depends on the policy: at op %llu another span was reused than "
                         "in the first pass; use --mode=full",
                         (unsigned long long)e.meter.op);
    out->rounds = e.spans.released.rounds;
    haks_meter_end(&e.meter, pass, out);
    out->cost_ns = haks_cost(&haks_costs_default, out, e.page_size);
    return 0;
}
