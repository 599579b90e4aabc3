/*
 * Whether huge pages are worth asking for at the moment. The kernel clears a page of 2 MiB in 0.1
 * to 0.5 ms, less than the 512 faults it saves take. But where memory is in pieces, the fault waits
 * until there is a whole one, and where a host has taken idle memory back, it waits for each of 512
 * pages: 5 ms and more were seen, while small pages come from what is left over and in use. So now
 * and then the first touch of a huge page is timed; after a slow one nobody asks for a while.
 *
 * Threads: not synchronised beyond that each word is read and written in one piece; who reads an
 * old one asks, or times, once more.
 */
#ifndef ALLOC_OS_LINUX_HUGE_H
#define ALLOC_OS_LINUX_HUGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HAK_PACE_SLOW  ((uint64_t)2000000)    /* ns: a page that took longer */
#define HAK_PACE_FRESH ((uint64_t)5000000)    /* ns: so long one look stands for all */
#define HAK_PACE_FIRST ((uint64_t)50000000)   /* ns without huge pages after a slow one */
#define HAK_PACE_MOST  ((uint64_t)1600000000) /* it doubles up to here while they stay slow */

struct hak_pace {
    _Atomic(uint64_t) looked, until, wait; /* all zero at first */
};

/* Nobody asks now. */
bool hak_pace_refuses(const struct hak_pace *pace, uint64_t now_ns);
/* The next page is to be timed. */
bool hak_pace_wants_look(const struct hak_pace *pace, uint64_t now_ns);
/* One took so long; it is now_ns afterwards. False: too long. */
bool hak_pace_note(struct hak_pace *pace, uint64_t now_ns, uint64_t took_ns);

#endif
