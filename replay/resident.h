/*
 * The anonymous resident memory of this process, as the kernel's books have it (statm: resident
 * minus file and shared pages; the same counter as RssAnon). Since Linux 6.17 the counter is exact
 * when read; from 6.2 to 6.16 it may lag by 32 pages or so a processor.
 *
 * Plan, slots, logs and stacks of the driver are shared memory, so they are not in it.
 * Threads: after hakr_resident_open any, also in a signal handler. No allocation.
 */
#ifndef REPLAY_RESIDENT_H
#define REPLAY_RESIDENT_H

#include <stdint.h>

struct hakr_ctl;

/* Opens the door; 0 or -1. */
int hakr_resident_open(void);

/* Bytes now; UINT64_MAX where it cannot be read. */
uint64_t hakr_resident(void);

/* Reads it, and keeps the greatest above the baseline in ctl->peak. Returns bytes above the
 * baseline. */
uint64_t hakr_resident_note(struct hakr_ctl *c);

/* The same for the process whose statm is open as fd. */
uint64_t hakr_resident_note_of(struct hakr_ctl *c, int fd);

/* A sample: resident, and ops and live bytes summed over the threads. */
void hakr_sample(struct hakr_ctl *c, uint64_t start_ns);

/* Of the resident memory: bytes given to MADV_FREE that the kernel has not taken yet, and bytes in
 * huge pages. UINT64_MAX = not known. Slow: the kernel walks all pages. */
void hakr_resident_parts(uint64_t *lazy, uint64_t *huge);

#endif
