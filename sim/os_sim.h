/*
 * The allocator's door to the system (alloc/os.h), as the simulator sees it: address space is
 * real, so that intrusive free lists work; giving back only enters the books. One process has one
 * door; one thread.
 */
#ifndef SIM_OS_SIM_H
#define SIM_OS_SIM_H

#include "sim/sim.h"

/* Who listens. All may be NULL. Called before the call takes effect. */
struct haks_os_listener {
    void *ctx;
    /* A reservation was made. */
    void (*reserved)(void *ctx, char *base, size_t bytes);
    /* A call over a range of a reservation: DONTNEED, FREE, UNMAP, RELEASE or POPULATE. */
    void (*range)(void *ctx, enum haks_call call, char *p, size_t bytes);
    /* Pages are about to move. 0, or an errno value that the allocator then sees. */
    int (*move)(void *ctx, char *from, char *to, size_t bytes);
};

struct haks_os {
    uint64_t now_ns; /* what hak_os_now returns; set by the driver */
    uint64_t calls[HAKS_CALLS], bytes[HAKS_CALLS];
    struct haks_os_listener listener;
};

extern struct haks_os haks_os;

#endif
