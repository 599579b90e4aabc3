#include <errno.h>
#include <sys/mman.h>

#include "sim/page_books.h"

#define HUGE_BYTES ((size_t)2 << 20)

enum { ABSENT = 0, RESIDENT = 1, LAZY = 2, AGAIN = 3 }; /* AGAIN: resident, and was lazy before */

/* As it is once its program uses it again. */
static uint8_t in_use(uint8_t page) {
    return page == ABSENT ? RESIDENT : page == LAZY ? AGAIN : page;
}

void haks_books_init(struct haks_books *b, size_t page_size) {
    *b = (struct haks_books){.page_size = page_size};
}

static void reserved(void *ctx, char *base, size_t bytes) {
    struct haks_books *b = ctx;
    size_t n = bytes / b->page_size + 1, blocks = bytes / HUGE_BYTES + 1;
    uint8_t *page;
    if (b->n == HAKS_BOOKS_RESERVATIONS) {
        b->failed = ENOSPC;
        return;
    }
    page = mmap(NULL, n * (1 + sizeof(uint32_t)) + blocks, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (page == MAP_FAILED) {
        b->failed = errno;
        return;
    }
    b->reservation[b->n].base = base;
    b->reservation[b->n].bytes = bytes;
    b->reservation[b->n].born = (uint32_t *)(void *)page;
    b->reservation[b->n].huge = page + n * (1 + sizeof(uint32_t));
    b->reservation[b->n++].page = page + n * sizeof(uint32_t);
}

/* The reservation that [p, p + bytes) lies in, or NULL. */
static struct haks_reservation *reservation_of(struct haks_books *b, const char *p, size_t bytes) {
    for (unsigned i = b->n; i-- > 0;) {
        size_t offset = (size_t)(p - b->reservation[i].base);
        if (p >= b->reservation[i].base && offset < b->reservation[i].bytes &&
            bytes <= b->reservation[i].bytes - offset)
            return &b->reservation[i];
    }
    b->failed = EFAULT;
    return NULL;
}

/* The states of [p, p + bytes), or NULL; where each page was born, if born is not NULL. */
static uint8_t *pages_at(struct haks_books *b, const char *p, size_t bytes, uint32_t **born) {
    struct haks_reservation *r = reservation_of(b, p, bytes);
    if (r == NULL)
        return NULL;
    if (born != NULL)
        *born = r->born + (size_t)(p - r->base) / b->page_size;
    return r->page + (size_t)(p - r->base) / b->page_size;
}

static size_t count_pages(const struct haks_books *b, size_t bytes) {
    return (bytes + b->page_size - 1) / b->page_size;
}

/* Page i of a reservation is touched and absent: does it come as a huge page? So it does where that
 * was asked for and nothing of it is there yet (the system is taken to have one). */
static bool comes_huge(const struct haks_books *b, const struct haks_reservation *r, size_t i) {
    size_t each = HUGE_BYTES / b->page_size, first = i / each * each;
    if (!r->huge[i / each])
        return false;
    for (size_t k = first; k < first + each; k++)
        if (r->page[k] != ABSENT)
            return false;
    return true;
}

static void bring_in_huge(struct haks_books *b, struct haks_reservation *r, size_t i) {
    size_t each = HUGE_BYTES / b->page_size, first = i / each * each;
    for (size_t k = first; k < first + each; k++) {
        r->page[k] = RESIDENT;
        r->born[k] = haks_heat_now(&b->heat, b->meter.op);
    }
    haks_meter_add(&b->meter, each);
}

/* Makes absent pages resident; returns how many small ones there were, and huge ones. */
static uint64_t bring_in(struct haks_books *b, char *p, size_t bytes, uint64_t *huge) {
    struct haks_reservation *r = reservation_of(b, p, bytes);
    uint64_t came = 0;
    *huge = 0;
    if (r == NULL)
        return 0;
    size_t first = (size_t)(p - r->base) / b->page_size;
    for (size_t i = first; i < first + count_pages(b, bytes); i++) {
        if (r->page[i] == ABSENT && comes_huge(b, r, i)) {
            bring_in_huge(b, r, i);
            ++*huge;
        }
        came += r->page[i] == ABSENT;
        b->meter.lazy -= r->page[i] == LAZY;
        r->page[i] = in_use(r->page[i]);
    }
    haks_meter_add(&b->meter, came);
    return came;
}

/* A fault in [p, p + bytes), a span or its first pages, is the last of all of these. */
static void bear(struct haks_books *b, char *p, size_t bytes) {
    uint32_t *born, now = haks_heat_now(&b->heat, b->meter.op);
    if (pages_at(b, p, bytes, &born) != NULL)
        for (size_t i = 0; i < count_pages(b, bytes); i++)
            born[i] = now;
}

void haks_books_settle(struct haks_books *b) {
    if (b->touch_at != NULL) {
        uint64_t huge, came = bring_in(b, b->touch_at, b->touch_bytes, &huge);
        b->faults += came + huge;
        haks_heat_fault(&b->heat, came, b->meter.op);
        haks_heat_huge(&b->heat, huge, b->meter.op);
        if (came > 0)
            bear(b, b->touch_at, b->touch_room);
    }
    b->touch_at = NULL;
}

void haks_books_touch(struct haks_books *b, char *p, size_t bytes, size_t room) {
    haks_books_settle(b);
    b->touch_at = p;
    b->touch_bytes = bytes;
    b->touch_room = room;
}

void haks_books_own(struct haks_books *b, uint64_t pages) {
    haks_books_settle(b);
    b->faults += pages;
    haks_meter_add(&b->meter, pages);
}

void haks_books_taken(struct haks_books *b, char *p, size_t bytes) {
    uint8_t *page = pages_at(b, p, bytes, NULL);
    haks_books_settle(b);
    for (size_t i = 0; page != NULL && i < count_pages(b, bytes); i++) {
        if (page[i] == LAZY) {
            page[i] = AGAIN;
            b->meter.lazy--;
        }
    }
}

/* Huge pages lie within what was asked for; a mapping that goes takes all it touches along. */
static void advise(struct haks_books *b, char *p, size_t bytes, bool huge) {
    struct haks_reservation *r = reservation_of(b, p, bytes);
    size_t from = (size_t)(p - r->base), end = from + bytes;
    size_t first = huge ? (from + HUGE_BYTES - 1) / HUGE_BYTES : from / HUGE_BYTES;
    size_t last = huge ? end / HUGE_BYTES : (end + HUGE_BYTES - 1) / HUGE_BYTES;
    for (size_t i = first; i < last; i++)
        r->huge[i] = huge;
}

static bool asked_huge(struct haks_books *b, const char *p, size_t bytes) {
    struct haks_reservation *r = reservation_of(b, p, bytes);
    size_t i = ((size_t)(p - r->base) + HUGE_BYTES - 1) / HUGE_BYTES;
    return (size_t)(p - r->base) + bytes >= (i + 1) * HUGE_BYTES && r->huge[i];
}

static void range(void *ctx, enum haks_call call, char *p, size_t bytes) {
    struct haks_books *b = ctx;
    uint64_t gone = 0, lazy = 0;
    uint32_t *born;
    uint8_t *page = pages_at(b, p, bytes, &born);

    haks_books_settle(b);
    if (page == NULL)
        return;
    if (call == HAKS_HUGE || call == HAKS_UNMAP || call == HAKS_RELEASE)
        advise(b, p, bytes, call == HAKS_HUGE);
    if (call == HAKS_HUGE)
        return;
    if (call == HAKS_POPULATE) {
        uint64_t huge, came = bring_in(b, p, bytes, &huge);
        came += huge * (HUGE_BYTES / b->page_size);
        b->populated_pages += came;
        haks_heat_populate(&b->heat, came, b->meter.op);
        if (came > 0)
            bear(b, p, bytes);
        return;
    }
    for (size_t i = 0; i < count_pages(b, bytes); i++) {
        if (call == HAKS_FREE) {
            lazy += page[i] == RESIDENT || page[i] == AGAIN;
            b->heat.n.marked_again += page[i] == AGAIN;
            page[i] = page[i] == ABSENT ? ABSENT : LAZY;
        } else {
            gone += page[i] != ABSENT;
            if (page[i] != ABSENT)
                haks_heat_release_span(&b->heat, 1, born[i], b->meter.op);
            b->meter.lazy -= page[i] == LAZY;
            page[i] = ABSENT;
        }
    }
    haks_meter_add_lazy(&b->meter, lazy);
    b->meter.resident -= gone;
    haks_heat_release(&b->heat, gone + lazy, b->meter.op);
    b->released_pages += gone + lazy;
}

/* Does not settle: the touch of `to` that waits comes after the move. */
static int move(void *ctx, char *from, char *to, size_t bytes) {
    struct haks_books *b = ctx;
    uint32_t *from_born, *to_born;
    uint8_t *f = pages_at(b, from, bytes, &from_born), *t = pages_at(b, to, bytes, &to_born);
    if (f == NULL || t == NULL)
        return EFAULT;
    advise(b, to, bytes, asked_huge(b, from, bytes)); /* goes with the pages */
    uint64_t lost = 0;
    uint32_t born = t[0] != ABSENT ? to_born[0] : from_born[0]; /* as evaluate.c has it */
    haks_heat_enter(&b->heat, b->meter.op);
    for (size_t i = 0; i < count_pages(b, bytes); i++) {
        lost += t[i] != ABSENT;
        if (t[i] != ABSENT)
            haks_heat_free(&b->heat, 1, to_born[i]);
        to_born[i] = born;
        b->moved_pages += f[i] != ABSENT;
        t[i] = f[i] == AGAIN ? RESIDENT : f[i]; /* as evaluate.c has it */
        f[i] = ABSENT;
    }
    b->meter.resident -= lost;
    return 0;
}

void haks_books_listen(struct haks_books *b, struct haks_os_listener *l) {
    l->ctx = b;
    l->reserved = reserved;
    l->range = range;
    l->move = move;
}
