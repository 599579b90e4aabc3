/*
 * A trace's records, decoded ahead by a thread of the feed's own: while one part is planned, the
 * next is read, uncompressed and decoded. The parts are small and their memory is used again and
 * again, so that it stays in a cache.
 *
 * Threads: a feed belongs to one thread. Its own thread blocks all signals and is gone after
 * hakr_feed_close.
 */
#ifndef REPLAY_FEED_H
#define REPLAY_FEED_H

#include <stddef.h>
#include "common/err.h"
#include "tracer/format/trace.h"

struct hakr_feed;

/* Feeds the records that r reads next: r is the caller's again after hakr_feed_close. A short
 * trace, or a machine that has no thread left, is fed without one. */
int hakr_feed_open(struct hakr_feed **f, struct hakt_reader *r, struct hakc_err *err);

/* As hakt_reader_next: *recs stay valid until the next call. */
int hakr_feed_next(struct hakr_feed *f, const struct hakt_rec **recs, size_t *n,
                   struct hakc_err *err);

/* NULL is fine. */
void hakr_feed_close(struct hakr_feed *f);

#endif
