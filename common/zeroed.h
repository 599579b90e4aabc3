/*
 * Large tables: memory of zeroes from the system, which is given back whole. From 2 MiB on it is
 * aligned to that and asks for huge pages (a wish: a system without them serves small ones), since
 * a table that is entered at random pays for its page faults and for the look-ups of its pages.
 */
#ifndef COMMON_ZEROED_H
#define COMMON_ZEROED_H

#include <stddef.h>

/* NULL if there is none. bytes: a multiple of 4096, not 0. */
void *hakc_zeroed_get(size_t bytes);
/* What hakc_zeroed_get(bytes) returned; NULL is fine. */
void hakc_zeroed_put(void *p, size_t bytes);

#endif
