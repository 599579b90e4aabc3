/* Stacks of free spans by kind, the list of dirty ones by age, and the rounds that release them. */
#include "alloc/spans.h"

static uint64_t unit_pages(uint64_t page_size) {
    return ((uint64_t)1 << HAK_UNIT_SHIFT) / page_size;
}

/* ---- kinds --------------------------------------------------------------------------------- */

uint64_t hak_span_kind_pages(unsigned kind, uint64_t page_size) {
    uint64_t unit = unit_pages(page_size), base, step;
    if (kind == HAK_KIND_SMALL)
        return unit;
    if (kind == HAK_KIND_MEDIUM)
        return 8 * unit;
    base = unit << (kind - HAK_KIND_LARGE) / 8;
    step = (kind - HAK_KIND_LARGE) % 8 + 1;
    return base + (base * step + 7) / 8;
}

unsigned hak_span_kind(uint64_t pages, uint64_t page_size, uint32_t *units) {
    uint64_t unit = unit_pages(page_size), base = unit;
    unsigned kind = HAK_KIND_LARGE;

    for (; base * 2 < pages; base *= 2) {
        kind += 8;
        if (kind >= HAK_SPAN_KINDS)
            return HAK_SPAN_KINDS;
    }
    if (pages > base) /* the least step with base + ceil(base * step / 8) >= pages, less one */
        kind += (unsigned)((pages - base - 1) * 8 / base);
    if (kind < HAK_SPAN_KINDS && units != NULL)
        *units = (uint32_t)((hak_span_kind_pages(kind, page_size) + unit - 1) / unit);
    return kind < HAK_SPAN_KINDS ? kind : HAK_SPAN_KINDS;
}

/* ---- the list of dirty spans ---------------------------------------------------------------- */

static void list_add(struct hak_spans *s, struct hak_span *span) {
    span->older = s->youngest;
    span->younger = NULL;
    if (s->youngest != NULL)
        s->youngest->younger = span;
    else
        s->oldest = span;
    s->youngest = span;
    span->listed = 1;
    s->dirty_spans++;
    s->dirty_pages += span->used_pages;
}

static void list_remove(struct hak_spans *s, struct hak_span *span) {
    if (span->older != NULL)
        span->older->younger = span->younger;
    else
        s->oldest = span->younger;
    if (span->younger != NULL)
        span->younger->older = span->older;
    else
        s->youngest = span->older;
    span->older = span->younger = NULL;
    span->listed = 0;
    s->dirty_spans--;
    s->dirty_pages -= span->used_pages;
}

/* ---- rounds --------------------------------------------------------------------------------- */

/* Shell sort by unit: short, in place, no worst case that matters at HAK_SPAN_BATCH. */
static void sort_by_unit(struct hak_span **v, unsigned n) {
    static const unsigned gaps[] = {132, 57, 23, 10, 4, 1};
    for (unsigned g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
        for (unsigned i = gaps[g]; i < n; i++) {
            struct hak_span *x = v[i];
            unsigned j = i;
            for (; j >= gaps[g] && v[j - gaps[g]]->unit > x->unit; j -= gaps[g])
                v[j] = v[j - gaps[g]];
            v[j] = x;
        }
    }
}

/* Gives back v[0..n), adjacent in address space, by one call. */
static void release_run(struct hak_spans *s, struct hak_span **v, unsigned n) {
    const struct hak_span *last = v[n - 1];
    struct hak_release r = {.unit = v[0]->unit, .spans = n, .how = s->target.how};
    enum hak_span_state state = r.how == HAKP_UNMAP  ? HAK_SPAN_UNMAPPED
                                : r.how == HAKP_FREE ? HAK_SPAN_LAZY
                                                     : HAK_SPAN_PURGED;
    for (unsigned i = 0; i < n; i++)
        r.dirty += v[i]->used_pages;
    r.pages = (uint64_t)(last->unit - r.unit) * unit_pages(s->page_size);
    r.pages += r.how == HAKP_UNMAP ? last->units * unit_pages(s->page_size) : last->used_pages;

    if (s->release(s->ctx, &r) != 0) {
        s->released.failed++;
        return;
    }
    s->released.calls++;
    s->released.spans += n;
    s->released.pages += r.dirty;
    for (unsigned i = 0; i < n; i++) {
        list_remove(s, v[i]);
        v[i]->state = (uint8_t)state;
        if (state != HAK_SPAN_LAZY)
            v[i]->used_pages = 0;
    }
}

static void release_batch(struct hak_spans *s, struct hak_span **v, unsigned n) {
    unsigned start = 0;
    sort_by_unit(v, n);
    for (unsigned i = 1; i <= n; i++) {
        if (i == n || v[i - 1]->unit + v[i - 1]->units != v[i]->unit) {
            release_run(s, v + start, i - start);
            start = i;
        }
    }
}

/* Brings the target about. The cursor only moves towards younger spans, so one that failed is not
 * met again. */
static void carry_out(struct hak_spans *s, uint64_t now_ns) {
    const struct hakp_target *t = &s->target;
    struct hak_span *batch[HAK_SPAN_BATCH], *at = s->oldest;
    bool any = false;

    for (;;) {
        uint64_t dirty = s->dirty_pages; /* as it will be after the batch */
        unsigned n = 0;
        for (; at != NULL && n < HAK_SPAN_BATCH; at = at->younger) {
            uint64_t age = now_ns > at->freed_ns ? now_ns - at->freed_ns : 0;
            if (dirty <= t->keep_pages && age <= t->max_age_ns)
                break;
            dirty -= at->used_pages;
            batch[n++] = at;
        }
        if (n == 0)
            break;
        any = true;
        release_batch(s, batch, n);
    }
    s->released.rounds += any;
}

/* Of a kind's dirty spans only the youngest stay, so many as the target says. The others stand
 * right below them in its stack, with few clean ones in between: deeper ones went before. */
static void trim_kind(struct hak_spans *s, unsigned kind) {
    enum { CLEAN_MOST = 4 };
    struct hak_span *batch[HAK_SPAN_BATCH], *at = s->free[kind];
    unsigned n = 0, clean = 0;
    for (uint64_t i = 0; at != NULL && i < s->target.kind_spans; i++)
        at = at->next_free;
    for (; at != NULL && n < HAK_SPAN_BATCH && clean < CLEAN_MOST; at = at->next_free) {
        if (at->listed)
            batch[n++] = at;
        else
            clean++;
    }
    if (n == 0)
        return;
    release_batch(s, batch, n);
    s->released.rounds++;
}

/* span: what DIRTY and REUSED are about, else NULL. */
static void tell(struct hak_spans *s, enum hakp_event_kind kind, const struct hak_span *span,
                 uint64_t now_ns) {
    struct hakp_event ev = {
        .kind = kind,
        .now_ns = now_ns,
        .span_pages = span == NULL               ? 0
                      : kind == HAKP_EV_RETURNED ? hak_span_kind_pages(span->kind, s->page_size)
                                                 : span->used_pages,
        .dirty_pages = s->dirty_pages,
        .dirty_spans = s->dirty_spans,
        .active_pages = s->active_pages,
        .peak_pages = s->peak_pages,
        .oldest_ns = s->oldest != NULL ? s->oldest->freed_ns : UINT64_MAX,
        .since_ns = span != NULL && (kind == HAKP_EV_REUSED || kind == HAKP_EV_RETURNED)
                        ? span->freed_ns
                        : 0,
        .page_size = s->page_size,
        .memory = s->memory,
    };
    s->peak_pages = s->active_pages;
    hakp_event(&s->policy, &ev, &s->target);
    if (s->dirty_pages > s->target.keep_pages || s->target.max_age_ns != UINT64_MAX)
        carry_out(s, now_ns);
    if (span != NULL && kind == HAKP_EV_DIRTY && s->target.kind_spans != UINT64_MAX)
        trim_kind(s, span->kind);
}

static void add_active(struct hak_spans *s, uint64_t pages) {
    s->active_pages += pages;
    if (s->active_pages > s->peak_pages)
        s->peak_pages = s->active_pages;
}

/* ---- the interface -------------------------------------------------------------------------- */

void hak_spans_init(struct hak_spans *s, const struct hakp_spec *spec, uint64_t page_size,
                    hak_release_fn *release, void *ctx) {
    *s = (struct hak_spans){.page_size = page_size, .release = release, .ctx = ctx};
    hakp_init(&s->policy, spec);
    tell(s, HAKP_EV_START, NULL, 0);
}

void hak_spans_release_from(struct hak_spans *s, uint32_t unit) {
    struct hak_span *batch[HAK_SPAN_BATCH], *at = s->oldest;
    bool any = false;
    for (;;) {
        unsigned n = 0;
        for (; at != NULL && n < HAK_SPAN_BATCH; at = at->younger)
            if (at->unit >= unit)
                batch[n++] = at;
        if (n == 0)
            break;
        any = true;
        release_batch(s, batch, n);
    }
    s->released.rounds += any;
}

/* The policy forgets what it was told and begins at now. */
static void begin(struct hak_spans *s, uint64_t now_ns) {
    const struct hakp_spec spec = s->policy.spec;
    hakp_init(&s->policy, &spec);
    s->begun = true;
    tell(s, HAKP_EV_START, NULL, now_ns);
}

void hak_spans_look(struct hak_spans *s, uint64_t now_ns) {
    if (!s->begun) /* when the first span is wanted: now the time is known */
        begin(s, now_ns);
    if (now_ns >= s->target.next_tick_ns)
        tell(s, HAKP_EV_TICK, NULL, now_ns);
}

void hak_spans_restart(struct hak_spans *s, uint64_t now_ns) {
    for (struct hak_span *span = s->oldest; span != NULL; span = span->younger)
        span->freed_ns = now_ns;
    begin(s, now_ns);
    s->begun = s->active_pages > 0 || s->oldest != NULL; /* else: when the first is wanted */
}

/* Dirty, and out of the old policy's sight: behind the oldest, so that deeper in a stack is older.
 */
static void list_add_oldest(struct hak_spans *s, struct hak_span *span) {
    span->younger = s->oldest;
    span->older = NULL;
    if (s->oldest != NULL) {
        span->freed_ns = s->oldest->freed_ns;
        s->oldest->older = span;
    } else {
        s->youngest = span;
    }
    s->oldest = span;
    span->listed = 1;
    s->dirty_spans++;
    s->dirty_pages += span->used_pages;
}

void hak_spans_switch(struct hak_spans *s, const struct hakp_spec *spec, uint64_t now_ns) {
    for (unsigned kind = 0; kind < HAK_SPAN_KINDS; kind++) {
        bool seen = hak_span_kind_pages(kind, s->page_size) * s->page_size >= spec->min_bytes;
        for (struct hak_span *span = s->free[kind]; span != NULL; span = span->next_free) {
            if (span->listed && !seen)
                list_remove(s, span);
            else if (!span->listed && seen && span->state == HAK_SPAN_DIRTY)
                list_add_oldest(s, span);
        }
    }
    hakp_init(&s->policy, spec);
    tell(s, HAKP_EV_START, NULL, now_ns);
}

struct hak_span *hak_spans_take(struct hak_spans *s, unsigned kind, uint64_t now_ns) {
    struct hak_span *span = s->free[kind];
    if (span == NULL) {
        hak_spans_look(s, now_ns);
        return NULL;
    }
    s->free[kind] = span->next_free;
    span->next_free = NULL;
    add_active(s, hak_span_kind_pages(kind, s->page_size));
    if (span->listed) {
        list_remove(s, span);
        tell(s, HAKP_EV_REUSED, span, now_ns);
    } else if (s->target.hear_returns && span->used_pages == 0 && span->freed_ns != 0) {
        tell(s, HAKP_EV_RETURNED, span, now_ns);
    } else {
        hak_spans_look(s, now_ns);
    }
    return span;
}

void hak_spans_add_active(struct hak_spans *s, uint64_t pages) {
    add_active(s, pages);
}

void hak_spans_put(struct hak_spans *s, struct hak_span *span, uint64_t now_ns) {
    uint64_t pages = hak_span_kind_pages(span->kind, s->page_size);

    if (!s->begun)
        begin(s, now_ns);
    s->active_pages -= pages;
    span->next_free = s->free[span->kind];
    s->free[span->kind] = span;
    span->older = span->younger = NULL;
    span->listed = 0;
    span->freed_ns = now_ns;
    if (span->used_pages > 0)
        span->state = HAK_SPAN_DIRTY;
    else if (span->state != HAK_SPAN_UNMAPPED) /* else: taken, but could not be committed */
        span->state = HAK_SPAN_PURGED;
    if (span->used_pages == 0)
        span->freed_ns = 0; /* it holds nothing, and did not when it came */
    if (span->used_pages == 0 || pages * s->page_size < s->policy.spec.min_bytes) {
        hak_spans_look(s, now_ns);
        return;
    }
    list_add(s, span);
    tell(s, HAKP_EV_DIRTY, span, now_ns);
}

uint64_t hak_spans_tell(struct hak_spans *s, enum hakp_event_kind kind, uint64_t now_ns) {
    uint64_t before = s->released.pages;
    tell(s, kind, NULL, now_ns);
    return s->released.pages - before;
}
