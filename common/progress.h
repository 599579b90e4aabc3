/*
 * A progress line on stderr: what is done, how fast, and the time left. Only where stderr is a
 * terminal that can redraw a line (not TERM=dumb); else every call returns at once, so a tool
 * calls it without asking. It redraws at most ten times a second. One thread; allocates nothing.
 */
#ifndef COMMON_PROGRESS_H
#define COMMON_PROGRESS_H

#include <stdint.h>

struct hakc_progress {
    const char *label, *unit; /* the caller's, valid until hakc_progress_end */
    uint64_t total, start_ns, last_ns;
    int active;
};

/* total = 0: not known (no percentage, no time left). unit is plural: "ops", "runs". */
void hakc_progress_start(struct hakc_progress *p, const char *label, uint64_t total,
                         const char *unit);
/* done counts from 0 and never decreases. */
void hakc_progress_set(struct hakc_progress *p, uint64_t done);
/* Wipes the line, so that what follows on stderr starts clean. Twice is fine. */
void hakc_progress_end(struct hakc_progress *p);

/* The text of the line, at most `columns` wide (and shorter than len): what the tests see. */
void hakc_progress_text(const struct hakc_progress *p, uint64_t done, uint64_t elapsed_ns,
                        unsigned columns, char *buf, unsigned len);

#endif
