/*
 * Free spans and their release: which span is reused, which is given back, and when.
 *
 * This is the host side of a release policy, shared by libhakmem and the simulator, so that both
 * place and release alike. It knows nothing of addresses' contents, locks or the system; it links
 * records that its caller owns and hands the spans to be given back to a call-back.
 *
 * Placement invariance: reuse takes the most recently freed span of a kind, whether dirty or
 * purged; release takes the oldest dirty span of all kinds. So in every kind's stack the dirty
 * spans are the young end, reuse meets a dirty span whenever there is one, and which span is
 * reused does not depend on the policy.
 *
 * Threads: not synchronised; the caller holds its pool lock.
 */
#ifndef ALLOC_SPANS_H
#define ALLOC_SPANS_H

#include "alloc/policy/policy.h"

#define HAK_UNIT_SHIFT 16 /* spans are counted in units of 64 KiB of address space */
#define HAK_SPAN_KINDS 192 /* size kinds, see hak_span_kind() */

enum hak_span_state {
    HAK_SPAN_USED = 0,
    HAK_SPAN_DIRTY = 1,
    HAK_SPAN_LAZY = 2,   /* MADV_FREE: may still be resident */
    HAK_SPAN_PURGED = 3, /* MADV_DONTNEED: not resident, zero */
    HAK_SPAN_UNMAPPED = 4,
};

/* One span. unit, units and kind are set by the owner once; the rest belongs to spans.c while the
 * span is free. */
struct hak_span {
    struct hak_span *next_free;   /* below in its kind's stack */
    struct hak_span *older, *younger; /* in the list of dirty spans */
    uint64_t freed_ns;            /* when it became dirty */
    uint32_t unit;                /* first unit: (address - arena base) >> HAK_UNIT_SHIFT */
    uint32_t units;               /* address space, in units */
    uint32_t used_pages;          /* pages from the start that may be resident */
    uint16_t kind;                /* which stack */
    uint8_t state;                /* enum hak_span_state */
    uint8_t pad;
};

/* One call to the system: a run of spans adjacent in address space, of which all pages that may
 * be resident lie in [unit << HAK_UNIT_SHIFT, + pages). */
struct hak_release {
    uint32_t unit;
    uint32_t spans;    /* how many spans this call serves */
    uint64_t pages;    /* length of the call */
    uint64_t dirty;    /* pages of it that may be resident */
    enum hakp_how how;
};

/* Performs one release. Returns 0, or an errno value: the spans then stay dirty and are not tried
 * again in this round. */
typedef int hak_release_fn(void *ctx, const struct hak_release *r);

struct hak_spans {
    struct hakp_policy policy;
    struct hakp_target target;      /* the policy's last answer */
    struct hak_span *free[HAK_SPAN_KINDS];
    struct hak_span *oldest, *youngest; /* dirty spans by age */
    uint64_t dirty_pages, dirty_spans;
    uint64_t active_pages;          /* set by the owner through acquire and free */
    uint64_t page_size;
    hak_release_fn *release;
    void *ctx;
    struct {
        uint64_t rounds, calls, spans, pages, failed;
    } released; /* since the start */
};

/* Size kinds: the kind of a span of `pages` pages and how many units it takes. Kind 0 is the small slab
 * (one unit), kind 1 the medium slab; from kind 2 on large spans, eight steps to a doubling. */
unsigned hak_span_kind(uint64_t pages, uint64_t page_size, uint32_t *units);

void hak_spans_init(struct hak_spans *s, const struct hakp_spec *spec, uint64_t page_size,
                    hak_release_fn *release, void *ctx);

/* Takes the most recently freed span of a kind, or NULL. Its state tells what it was: DIRTY or
 * LAZY (contents arbitrary), PURGED (zero), UNMAPPED (the caller must commit it first). The caller then sets state =
 * HAK_SPAN_USED. Tells the policy (REUSED) and carries out its target. */
struct hak_span *hak_spans_take(struct hak_spans *s, unsigned kind, uint64_t now_ns);

/* A fresh span goes into use (never free before): counts its pages as active. */
void hak_spans_add_active(struct hak_spans *s, uint64_t pages);

/* A used span becomes free and dirty: span->used_pages must be current. Tells the policy (DIRTY)
 * and carries out its target. */
void hak_spans_put(struct hak_spans *s, struct hak_span *span, uint64_t now_ns);

/* Any other event (TICK, PRESSURE, OOM, THREAD_EXIT, TRIM). Returns the pages released. */
uint64_t hak_spans_tell(struct hak_spans *s, enum hakp_event_kind kind, uint64_t now_ns);

#endif
