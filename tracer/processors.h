/*
 * Whether the processors are all taken.
 */
#ifndef TRACER_PROCESSORS_H
#define TRACER_PROCESSORS_H

#include <stdint.h>

struct hakt_processors {
    int fd; /* /proc/loadavg; -1 = none, never busy */
    uint32_t count;
    uint64_t looked_ns, busy_ns; /* when last looked, and last seen busy; 0 = never */
    uint64_t moved_ns;
};

void hakt_processors_open(struct hakt_processors *p);
void hakt_processors_close(struct hakt_processors *p);

/* Does the program want all processors, so that what the caller takes is taken from it, or did it a
 * moment ago? `at_work` of its threads do something, of which `waiting` wait for the caller. More
 * threads of the system then want to run than it has processors, the calling one counted. now_ns is
 * CLOCK_MONOTONIC. Where the process may not use all processors, or has a share of them only, it is
 * known for the system alone. */
int hakt_processors_busy(struct hakt_processors *p, uint64_t now_ns, uint32_t at_work,
                         uint32_t waiting);

/* Now and then, while they are busy: the calling thread goes on on another processor. The kernel
 * would leave it with one and the same of the program's threads, which would pay for all. */
void hakt_processors_take_turns(struct hakt_processors *p, uint64_t now_ns);

#endif
