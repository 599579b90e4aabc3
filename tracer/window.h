/*
 * The flight recorder: the last records of a recording, in memory, until they are wanted.
 */
#ifndef TRACER_WINDOW_H
#define TRACER_WINDOW_H

#include "common/err.h"
#include "tracer/format/trace.h"

#include <stdint.h>

struct hakt_window;

/* Keeps up to `bytes` of records, and of these those of the last `ns` (0 = all). HAKC_ENOMEM. */
int hakt_window_open(struct hakt_window **w, uint64_t bytes, uint64_t ns, struct hakc_err *err);
void hakt_window_close(struct hakt_window *w);

/* A sink for the collector: takes a record; the oldest goes. Never fails. */
int hakt_window_put(void *window, const struct hakt_rec *rec, uint64_t old_size,
                    struct hakc_err *err);

/* Bytes of memory that records take now. */
uint64_t hakt_window_bytes(const struct hakt_window *w);

/* Time of the oldest record that is kept. */
uint64_t hakt_window_start_ns(const struct hakt_window *w);

/* Writes what is kept into a trace that has just been opened, whose time 0 is
 * hakt_window_start_ns: ids and threads start anew, and what was allocated before the window is
 * FOREIGN where it is consumed. An event says how many ops were left out. */
int hakt_window_write(const struct hakt_window *w, struct hakt_writer *writer,
                      struct hakc_err *err);

#endif
