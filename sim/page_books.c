#include <errno.h>
#include <sys/mman.h>

#include "sim/page_books.h"

enum { ABSENT = 0, RESIDENT = 1, LAZY = 2 };

void haks_books_init(struct haks_books *b, size_t page_size) {
    *b = (struct haks_books){.page_size = page_size};
}

static void reserved(void *ctx, char *base, size_t bytes) {
    struct haks_books *b = ctx;
    uint8_t *page;
    if (b->n == HAKS_BOOKS_RESERVATIONS) {
        b->failed = ENOSPC;
        return;
    }
    page = mmap(NULL, bytes / b->page_size + 1, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (page == MAP_FAILED) {
        b->failed = errno;
        return;
    }
    b->reservation[b->n].base = base;
    b->reservation[b->n].bytes = bytes;
    b->reservation[b->n++].page = page;
}

/* The states of [p, p + bytes), or NULL. */
static uint8_t *pages_at(struct haks_books *b, const char *p, size_t bytes) {
    for (unsigned i = b->n; i-- > 0;) {
        size_t offset = (size_t)(p - b->reservation[i].base);
        if (p >= b->reservation[i].base && offset < b->reservation[i].bytes &&
            bytes <= b->reservation[i].bytes - offset)
            return b->reservation[i].page + offset / b->page_size;
    }
    b->failed = EFAULT;
    return NULL;
}

static size_t count_pages(const struct haks_books *b, size_t bytes) {
    return (bytes + b->page_size - 1) / b->page_size;
}

/* Makes absent pages resident; returns how many there were. */
static uint64_t bring_in(struct haks_books *b, char *p, size_t bytes) {
    uint8_t *page = pages_at(b, p, bytes);
    uint64_t came = 0;
    if (page == NULL)
        return 0;
    for (size_t i = 0; i < count_pages(b, bytes); i++) {
        came += page[i] == ABSENT;
        b->meter.lazy -= page[i] == LAZY;
        page[i] = RESIDENT;
    }
    haks_meter_add(&b->meter, came);
    return came;
}

void haks_books_settle(struct haks_books *b) {
    if (b->touch_at != NULL) {
        uint64_t came = bring_in(b, b->touch_at, b->touch_bytes);
        b->faults += came;
        haks_heat_fault(&b->heat, came, b->meter.op);
    }
    b->touch_at = NULL;
}

void haks_books_touch(struct haks_books *b, char *p, size_t bytes) {
    haks_books_settle(b);
    b->touch_at = p;
    b->touch_bytes = bytes;
}

void haks_books_own(struct haks_books *b, uint64_t pages) {
    haks_books_settle(b);
    b->faults += pages;
    haks_meter_add(&b->meter, pages);
}

void haks_books_taken(struct haks_books *b, char *p, size_t bytes) {
    uint8_t *page = pages_at(b, p, bytes);
    haks_books_settle(b);
    for (size_t i = 0; page != NULL && i < count_pages(b, bytes); i++) {
        if (page[i] == LAZY) {
            page[i] = RESIDENT;
            b->meter.lazy--;
        }
    }
}

static void range(void *ctx, enum haks_call call, char *p, size_t bytes) {
    struct haks_books *b = ctx;
    uint64_t gone = 0, lazy = 0;
    uint8_t *page = pages_at(b, p, bytes);

    haks_books_settle(b);
    if (page == NULL || call == HAKS_HUGE)
        return;
    if (call == HAKS_POPULATE) {
        uint64_t came = bring_in(b, p, bytes);
        b->populated_pages += came;
        haks_heat_populate(&b->heat, came, b->meter.op);
        return;
    }
    for (size_t i = 0; i < count_pages(b, bytes); i++) {
        if (call == HAKS_FREE) {
            lazy += page[i] == RESIDENT;
            page[i] = page[i] == ABSENT ? ABSENT : LAZY;
        } else {
            gone += page[i] != ABSENT;
            b->meter.lazy -= page[i] == LAZY;
            page[i] = ABSENT;
        }
    }
    haks_meter_add_lazy(&b->meter, lazy);
    b->meter.resident -= gone;
    haks_heat_release(&b->heat, gone + lazy, call == HAKS_FREE, b->meter.op);
    b->released_pages += gone + lazy;
}

/* Does not settle: the touch of `to` that waits comes after the move. */
static int move(void *ctx, char *from, char *to, size_t bytes) {
    struct haks_books *b = ctx;
    uint8_t *f = pages_at(b, from, bytes), *t = pages_at(b, to, bytes);
    if (f == NULL || t == NULL)
        return EFAULT;
    uint64_t lost = 0;
    for (size_t i = 0; i < count_pages(b, bytes); i++) {
        lost += t[i] != ABSENT;
        b->moved_pages += f[i] != ABSENT;
        t[i] = f[i];
        f[i] = ABSENT;
    }
    b->meter.resident -= lost;
    haks_heat_enter(&b->heat, b->meter.op);
    haks_heat_free(&b->heat, lost, b->meter.op);
    return 0;
}

void haks_books_listen(struct haks_books *b, struct haks_os_listener *l) {
    l->ctx = b;
    l->reserved = reserved;
    l->range = range;
    l->move = move;
}
