#include "tracer/format/event.h"
#include "tracer/format/reader.h"

/* Goes on to the next block of events. Not found: event_next == event_end. */
static int next_events(struct hakt_reader *r, struct hakc_err *err) {
    struct hakt_block b;
    while (r->events_at < r->end && !hakt_reader_is_tail(r, r->events_at)) {
        uint64_t at = r->events_at;
        int rc = hakt_file_block(&r->file, at, &b, err);
        if (rc != 0)
            return rc;
        r->events_at = at + HAKT_BLOCK_HEAD + b.frame_bytes;
        if (b.kind != HAKT_BLOCK_EVENTS)
            continue;
        rc = hakt_file_content(&r->file, at, &b, r->dctx, &r->packed, &r->events, err);
        if (rc != 0)
            return rc;
        r->event_block = at;
        r->event_next = r->events.p;
        r->event_end = r->events.p + b.content_bytes;
        r->event_first = 1;
        if (b.content_bytes > 0)
            return 0;
    }
    return 0;
}

int hakt_reader_next_event(struct hakt_reader *r, const struct hakt_event **event,
                           struct hakc_err *err) {
    const char *why;
    int rc = r->event_next == r->event_end ? next_events(r, err) : 0;
    *event = NULL;
    if (rc != 0 || r->event_next == r->event_end)
        return rc;
    rc = hakt_event_get(&r->event_next, r->event_end, r->event_first, &r->event, &why);
    if (rc == 0 && r->event.thread >= r->totals.threads) {
        rc = HAKC_ECORRUPT;
        why = "an event of a thread that the trailer does not count";
    }
    if (rc == 0 && r->event.time != 0 && !(r->info.fidelity & HAKT_HAS_TIMES)) {
        rc = HAKC_ECORRUPT;
        why = "a trace without times has a time";
    }
    if (rc != 0)
        return hakc_fail_at(err, rc, r->path, r->event_block, "%s", why);
    r->event_first = 0;
    *event = &r->event;
    return 0;
}
