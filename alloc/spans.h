/*
 * Free spans and their release: which span is reused, which is given back, and when.
 *
 * This is the host side of a release policy, shared by libhakmem and the simulator, so that both
 * place and release alike. It knows nothing of addresses' contents, locks or the system; it links
 * records that its caller owns and hands the spans to be given back to a call-back.
 *
 * Placement invariance: reuse takes the most recently freed span of a kind (which kind, the caller
 * decides by which stacks are empty, and by nothing else), whether dirty or
 * purged; release takes the oldest dirty span of all kinds. So in every kind's stack the dirty
 * spans are the young end, reuse meets a dirty span whenever there is one, and which span is
 * reused does not depend on the policy.
 *
 * A round is one carrying-out of a target that gives something back. It takes the dirty spans
 * oldest first, in batches of up to HAK_SPAN_BATCH; within a batch, spans whose address space is
 * adjacent share one call. Such a call runs over the clean tail of every span but its last; that
 * tail belongs to a free span of the same batch, so nobody uses it. Spans that cannot be given back
 * stay dirty, keep their age and are not tried again in that round; younger ones go instead.
 * Spans above a kind's limit (target.kind_spans) go in a round of their own, after the others.
 *
 * Time comes with each call. The policy hears TICK where its target asked for it and the call
 * brings no other event: hak_spans_take and hak_spans_put, with whatever outcome, and
 * hak_spans_look.
 *
 * Threads: not synchronised; the caller holds its pool lock.
 */
#ifndef ALLOC_SPANS_H
#define ALLOC_SPANS_H

#include "alloc/policy/policy.h"

#define HAK_UNIT_SHIFT 16  /* spans are counted in units of 64 KiB of address space */
#define HAK_SPAN_KINDS 192 /* size kinds, see hak_span_kind() */
#define HAK_SPAN_BATCH 256 /* spans sorted and merged together in a round */
#define HAK_KINDS_NEAR 16  /* so many larger kinds serve a large object: two doublings */

enum {
    HAK_KIND_SMALL = 0,  /* the 64 KiB slab: one unit */
    HAK_KIND_MEDIUM = 1, /* the 512 KiB slab: eight units */
    HAK_KIND_LARGE = 2,  /* the first of the large kinds */
};

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
    struct hak_span *next_free;       /* below in its kind's stack */
    struct hak_span *older, *younger; /* in the list of dirty spans */
    uint64_t freed_ns;                /* when it became dirty */
    uint32_t unit;                    /* first unit: (address - arena base) >> HAK_UNIT_SHIFT */
    uint32_t units;                   /* address space, in units */
    uint32_t used_pages;              /* pages from the start that may be resident; becomes 0 when
                                         the span is purged or unmapped, stays when lazy */
    uint16_t kind;                    /* which stack */
    uint8_t state;                    /* enum hak_span_state */
    uint8_t listed;                   /* in the list of dirty spans (1), or too small for it (0) */
};

/* One call to the system: a run of spans adjacent in address space. For DONTNEED and FREE the
 * run ends with the last page of its last span that may be resident; UNMAP covers the spans'
 * whole address space, so that a span is either mapped or not. */
struct hak_release {
    uint32_t unit;  /* where the run starts */
    uint32_t spans; /* how many spans this call serves */
    uint64_t pages; /* length of the call */
    uint64_t dirty; /* pages of it that may be resident */
    enum hakp_how how;
};

/* Performs one release. Returns 0, or an errno value: the spans then stay dirty and are not tried
 * again in this round. Must not call back into the struct hak_spans. */
typedef int hak_release_fn(void *ctx, const struct hak_release *r);

struct hak_spans {
    struct hakp_policy policy;
    struct hakp_target target; /* the policy's last answer */
    struct hak_span *free[HAK_SPAN_KINDS];
    struct hak_span *oldest, *youngest; /* dirty spans by age */
    uint64_t dirty_pages, dirty_spans;  /* of the listed ones */
    uint64_t active_pages;              /* address space of the spans in use */
    uint64_t peak_pages;                /* the most of it since the policy's last event */
    uint64_t page_size;
    bool begun;                /* the policy was told at what time the host begins */
    struct hakp_memory memory; /* set by the owner before a TICK that wants it (target.watch) */
    hak_release_fn *release;
    void *ctx;
    struct {
        uint64_t rounds, calls, spans, pages; /* pages: that may have been resident */
        uint64_t failed;                      /* calls that failed; not in calls, spans, pages */
    } released;                               /* since the start */
};

/* The large kind for `pages` pages: HAK_KIND_LARGE or above, eight steps to a doubling from one
 * unit on, so at most an eighth of a span's address space is spare. *units (may be NULL) receives
 * the address space it takes. HAK_SPAN_KINDS if there is no kind that large (some hundred GiB). */
unsigned hak_span_kind(uint64_t pages, uint64_t page_size, uint32_t *units);

/* Pages that a span of a kind offers. */
uint64_t hak_span_kind_pages(unsigned kind, uint64_t page_size);

/* page_size is a power of two, at most one unit. */
void hak_spans_init(struct hak_spans *s, const struct hakp_spec *spec, uint64_t page_size,
                    hak_release_fn *release, void *ctx);

/* Takes the most recently freed span of a kind, or NULL. Its state tells what it was: DIRTY or
 * LAZY (contents arbitrary), PURGED (zero), UNMAPPED (the caller must commit it first). The caller
 * then sets state = HAK_SPAN_USED. Counts its pages as active. If it was dirty, tells the policy
 * (REUSED) and carries out its target; else looks at the clock. */
struct hak_span *hak_spans_take(struct hak_spans *s, unsigned kind, uint64_t now_ns);

/* Counts address space as active: hak_span_kind_pages() of a fresh span (never free before) that
 * goes into use. */
void hak_spans_add_active(struct hak_spans *s, uint64_t pages);

/* A used span becomes free and dirty: span->used_pages must be current, at least the pages that
 * were resident when it was taken and that the owner has not given back itself. With 0 of them
 * it counts as purged (or as unmapped, if its state still says so: it was taken and could not be
 * committed), and the policy hears nothing. Else tells the policy (DIRTY) and carries out
 * its target; a span smaller than the policy's min_bytes stays dirty and out of its sight. */
void hak_spans_put(struct hak_spans *s, struct hak_span *span, uint64_t now_ns);

/* Looks at the clock: tells the policy (TICK) if it asked for that, and carries out its target. */
void hak_spans_look(struct hak_spans *s, uint64_t now_ns);

/* Another clock, which may stand anywhere: the policy begins anew (START), and every dirty span
 * counts as freed just now. A host without any span begins once more when the first one is wanted,
 * as after hak_spans_init: so its policy goes by the time of its spans alone. */
void hak_spans_restart(struct hak_spans *s, uint64_t now_ns);

/* Another policy: as hak_spans_restart, but spans keep their age. Spans that the old policy's
 * min_bytes kept out of its sight count as older than all others. */
void hak_spans_switch(struct hak_spans *s, const struct hakp_spec *spec, uint64_t now_ns);

/* Gives back all dirty spans that start at `unit` or above, by the last target's `how`, in a round
 * of their own; the policy hears nothing. (For models of other allocators: evaluate.c.) */
void hak_spans_release_from(struct hak_spans *s, uint32_t unit);

/* Any other event (PRESSURE, OOM, THREAD_EXIT, TRIM). Returns the pages released that may
 * have been resident. */
uint64_t hak_spans_tell(struct hak_spans *s, enum hakp_event_kind kind, uint64_t now_ns);

#endif
