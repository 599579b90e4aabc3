/*
 * The stream of span events: 16 bytes an event, written once by the first pass (a child process,
 * into anonymous shared files), then mapped and only read.
 */
#ifndef SIM_EVENT_STREAM_H
#define SIM_EVENT_STREAM_H

#include "sim/sim.h"

enum haks_event_kind {
    HAKS_EV_FRESH = 0, /* a span that was never free goes into use; pages: asked for */
    HAKS_EV_TAKEN = 1, /* a free span goes into use again; pages: asked for */
    HAKS_EV_PUT = 2,   /* it becomes free */
    HAKS_EV_TOUCH = 3, /* its first `pages` pages are in use */
    HAKS_EV_MOVED = 4, /* its resident pages move to the span of the next event, a TOUCH */
    HAKS_EV_EXIT = 5,  /* a thread has handed back its caches */
    HAKS_EV_LOOK = 8,  /* the host looks at the clock; no span */
    HAKS_EV_ZERO = 7,  /* TOUCH for a calloc: touches nothing where the span is zero as it is */
    /* HAKS_EV_TOUCH of span 0, which is never free: the pages of the allocator's own records */
    HAKS_EV_SKIP = 6, /* nothing but time: span holds the upper 32 bits of its nanoseconds */
};

struct haks_event {
    uint32_t span;         /* index into the stream's spans */
    uint32_t kind_pages;   /* kind << HAKS_EVENT_KIND_SHIFT | pages */
    uint32_t d_op, d_time; /* since the event before; time in ns */
};

/* No span starts at unit 0. */
#define HAKS_OWN_UNIT 0

#define HAKS_EVENT_KIND_SHIFT 28
#define HAKS_EVENT_PAGES_MAX  ((1u << HAKS_EVENT_KIND_SHIFT) - 1)

static inline enum haks_event_kind haks_event_kind(const struct haks_event *e) {
    return (enum haks_event_kind)(e->kind_pages >> HAKS_EVENT_KIND_SHIFT);
}

static inline uint32_t haks_event_pages(const struct haks_event *e) {
    return e->kind_pages & HAKS_EVENT_PAGES_MAX;
}

/* What never changes about a span. */
struct haks_span_info {
    uint32_t unit, units;
    uint32_t kind;
};

struct haks_stream {
    const struct haks_span_info *spans;
    const struct haks_event *events;
    size_t n_spans, n_events;
    uint32_t *by_unit; /* index of the span that starts there */
    uint32_t end_unit; /* above the last unit of all spans */
};

/* Writing: one descriptor for spans, one for events, buffered. Errors are kept until the end. */
struct haks_stream_writer {
    int events_fd, spans_fd;
    uint64_t n_events, n_spans;
    uint64_t last_op, last_time;
    uint32_t *index; /* by unit: the span's number + 1, or 0 */
    size_t index_len;
    struct haks_event *buf; /* the last event is always here */
    size_t fill;
    int failed; /* errno */
};

int haks_writer_init(struct haks_stream_writer *w, int events_fd, int spans_fd);
void haks_writer_span(struct haks_stream_writer *w, const struct haks_span_info *info);
/* unit: the span's first; HAKS_OWN_UNIT: the allocator's own records. Unknown units are a broken
 * invariant (failed = EINVAL). */
void haks_writer_event(struct haks_stream_writer *w, enum haks_event_kind kind, uint32_t unit,
                       uint32_t pages, uint64_t op, uint64_t time);
/* The last event was the TOUCH of where unit's pages went: puts MOVED before it. Returns 0 if it
 * was not one. */
int haks_writer_moved(struct haks_stream_writer *w, uint32_t unit);
/* Flushes and frees; 0 or an errno value. */
int haks_writer_end(struct haks_stream_writer *w);

/* Maps what was written. */
int haks_stream_map(struct haks_stream **s, int events_fd, int spans_fd, struct hakc_err *err);

#endif
