/*
 * Which thread was the last at work in a page of memory: what lets a program of several threads
 * record most ops without reading the clock.
 *
 * The collector tells the lives of an address apart by the order of its mallocs and frees, and the
 * order of different threads' records by their stamps. So an op needs an exact stamp where another
 * thread's may be next to it on the same address, and nowhere else. The table says where that is:
 *
 *   - before an op is published, its page's entry is looked at. Does it name this thread, then no
 *     other thread has worked in the page since this one entered itself, and the op may go without
 *     a stamp (PACED, ring.h);
 *   - else the thread enters itself, with a full barrier, and then takes an exact stamp.
 *
 * An unstamped record is placed behind the stamp before it (collect_feed.c): not before the exact
 * one with which its page became this thread's, which every other thread's op there precedes, and
 * not after its own true time, so before the exact stamp with which another thread takes over. So
 * the order within a page is right, whichever ops were stamped. Where the other's op is under way
 * just then, one of the two finds its object not there yet and is held until it is.
 *
 * An entry that another page pushed out costs a stamp. Single-threaded programs do not use the
 * table: an unknown page is nobody's.
 */
#ifndef TRACER_RT_OWNER_H
#define TRACER_RT_OWNER_H

#include <stdint.h>

#define HAKT_OWNERS_LOG2  15 /* entries: 128 MiB of heap without a push, 256 KiB if all are used */
#define HAKT_OWNER_BITS   19
#define HAKT_OWNER_NOBODY 0u /* a thread beyond the numbers: no page is ever its own */
#define HAKT_OWNER_LIMIT  (1u << HAKT_OWNER_BITS)

extern __attribute__((visibility("hidden"))) uint64_t hakt_owners[1 << HAKT_OWNERS_LOG2];

static inline uint64_t *hakt_owner_entry(uint64_t addr) {
    return &hakt_owners[(addr >> 12) * 0x9E3779B97F4A7C15ull >> (64 - HAKT_OWNERS_LOG2)];
}

/* Is the page that holds addr this thread's? */
static inline int hakt_owner_is_me(uint32_t me, uint64_t addr) {
    return __atomic_load_n(hakt_owner_entry(addr), __ATOMIC_RELAXED) ==
               ((addr >> 12) << HAKT_OWNER_BITS | me) &&
           me != HAKT_OWNER_NOBODY;
}

/* It is from now on. Before that *spare is cleared: a handler that comes before the stamp, and an
 * op after one that was lost, stamp themselves. */
static inline void hakt_owner_take(uint32_t me, uint64_t addr, uint8_t *spare) {
    *spare = 0;
    __atomic_exchange_n(hakt_owner_entry(addr), (addr >> 12) << HAKT_OWNER_BITS | me,
                        __ATOMIC_SEQ_CST);
}

#endif
