/*
 * The books of a full run: the state of every page by its address, fed by what goes through the
 * door and by which pages a span's user touches. Knows nothing of spans' records, so that it checks
 * what evaluate.c derives from them.
 */
#ifndef SIM_PAGE_BOOKS_H
#define SIM_PAGE_BOOKS_H

#include "sim/heat.h"
#include "sim/meter.h"
#include "sim/os_sim.h"

#define HAKS_BOOKS_RESERVATIONS 256

struct haks_reservation {
    char *base;
    size_t bytes;
    uint8_t *page;  /* enum in page_books.c; a sparse mapping */
    uint8_t *huge;  /* of each SuperSlab: 1 = asked to be a huge page; likewise */
    uint32_t *born; /* of each page that is resident or lazy (heat.h); likewise */
};

struct haks_books {
    struct haks_reservation reservation[HAKS_BOOKS_RESERVATIONS];
    unsigned n;
    size_t page_size;
    struct haks_meter meter;
    struct haks_heat heat;
    uint64_t faults, released_pages, populated_pages, moved_pages;
    /* The program touches a span after the call that gave it has returned: so the last touch
     * waits until something else happens. (A realloc moves pages in between.) */
    char *touch_at;
    size_t touch_bytes, touch_room;
    int failed; /* errno: a reservation too many, a range outside of all */
};

void haks_books_init(struct haks_books *b, size_t page_size);

/* Listens at the door: fills in all but what others put there. */
void haks_books_listen(struct haks_books *b, struct haks_os_listener *l);

/* [p, p + bytes) of a span of `room` bytes at p is in use; pages that are not resident fault. */
void haks_books_touch(struct haks_books *b, char *p, size_t bytes, size_t room);

/* The allocator has touched `pages` more pages of its own records. */
void haks_books_own(struct haks_books *b, uint64_t pages);

/* The free span [p, p + bytes) goes into use: its lazy pages are no longer the kernel's to take. */
void haks_books_taken(struct haks_books *b, char *p, size_t bytes);

/* The touch that waits, if any. To be called before the clock moves and at the end. */
void haks_books_settle(struct haks_books *b);

#endif
