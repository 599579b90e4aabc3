#include "tracer/window.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct kept {
    uint64_t time, id, old_id, size, old_size;
    uint32_t thread;
    uint8_t op, align_log2, flags, pad;
};

struct hakt_window {
    struct kept *ring;
    uint64_t room;  /* records */
    uint64_t taken; /* since the beginning; the oldest one kept is `first` */
    uint64_t first;
    uint64_t ns;
    uint64_t left_out; /* ops among those that went */
};

int hakt_window_open(struct hakt_window **out, uint64_t bytes, uint64_t ns, struct hakc_err *err) {
    struct hakt_window *w = calloc(1, sizeof(*w));
    *out = NULL;
    if (w == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the window");
    w->room = bytes / sizeof(struct kept);
    w->ns = ns;
    /* taken page by page as records come */
    w->ring = mmap(NULL, w->room * sizeof(struct kept), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (w->ring == MAP_FAILED) {
        free(w);
        return hakc_fail(err, HAKC_ENOMEM, "no memory for a window of %llu bytes",
                         (unsigned long long)bytes);
    }
    *out = w;
    return 0;
}

void hakt_window_close(struct hakt_window *w) {
    if (w == NULL)
        return;
    munmap(w->ring, w->room * sizeof(struct kept));
    free(w);
}

static struct kept *at(const struct hakt_window *w, uint64_t i) {
    return &w->ring[i % w->room];
}

static void drop_oldest(struct hakt_window *w) {
    const struct kept *k = at(w, w->first++);
    w->left_out += k->op != HAKT_THREAD_START && k->op != HAKT_THREAD_END;
}

int hakt_window_put(void *window, const struct hakt_rec *rec, uint64_t old_size,
                    struct hakc_err *err) {
    struct hakt_window *w = window;
    (void)err;
    if (w->taken - w->first == w->room)
        drop_oldest(w);
    *at(w, w->taken++) = (struct kept){.time = rec->time,
                                       .id = rec->id,
                                       .old_id = rec->old_id,
                                       .size = rec->size,
                                       .old_size = old_size,
                                       .thread = rec->thread,
                                       .op = rec->op,
                                       .align_log2 = rec->align_log2,
                                       .flags = rec->flags};
    while (w->ns != 0 && at(w, w->first)->time + w->ns < rec->time)
        drop_oldest(w);
    return 0;
}

uint64_t hakt_window_bytes(const struct hakt_window *w) {
    return (w->taken - w->first) * sizeof(struct kept);
}

uint64_t hakt_window_start_ns(const struct hakt_window *w) {
    return w->taken > w->first ? at(w, w->first)->time : 0;
}

/* The number of the last allocation before the window. */
static uint64_t id_before(const struct hakt_window *w) {
    for (uint64_t i = w->first; i < w->taken; i++) {
        if (at(w, i)->id != 0)
            return at(w, i)->id - 1;
    }
    return UINT64_MAX; /* none is made in it: all that is consumed is foreign */
}

/* Numbers threads anew, in the order of their first records here. */
struct renumber {
    uint32_t *number; /* by old number; 0 = not seen, else the new one + 1 */
    uint32_t room, next;
};

static int renumber(struct renumber *t, uint32_t thread, int *fresh) {
    if (thread >= t->room) {
        uint32_t room = thread + thread / 2 + 64;
        uint32_t *more = realloc(t->number, room * sizeof(*more));
        if (more == NULL)
            return HAKC_ENOMEM;
        memset(more + t->room, 0, (room - t->room) * sizeof(*more));
        t->number = more;
        t->room = room;
    }
    *fresh = t->number[thread] == 0;
    if (*fresh)
        t->number[thread] = ++t->next;
    return 0;
}

/* The record as the trace of the window knows it. 0: it says nothing in it. */
static int convert(const struct kept *k, uint64_t base, struct hakt_rec *r, uint64_t *old_size) {
    *r = (struct hakt_rec){
        .size = k->size, .op = k->op, .align_log2 = k->align_log2, .flags = k->flags};
    *old_size = k->old_size;
    if (k->id != 0)
        r->id = k->id - base;
    if (k->old_id > base) {
        r->old_id = k->old_id - base;
    } else if (k->old_id != 0) {
        r->flags |= HAKT_REC_FOREIGN;
        *old_size = 0;
        return (k->flags & HAKT_REC_IMPLIED) == 0;
    }
    return 1;
}

static int write_one(const struct kept *k, uint64_t start, uint64_t base, struct renumber *t,
                     struct hakt_writer *writer, struct hakc_err *err) {
    struct hakt_rec r;
    uint64_t old_size;
    int fresh, rc = renumber(t, k->thread, &fresh);
    if (rc != 0)
        return hakc_fail(err, rc, "no memory for the window's threads");
    if (fresh && k->op != HAKT_THREAD_START) {
        r = (struct hakt_rec){
            .time = k->time - start, .thread = t->number[k->thread] - 1, .op = HAKT_THREAD_START};
        if ((rc = hakt_write_sized(writer, &r, 0, err)) != 0)
            return rc;
    }
    if (!convert(k, base, &r, &old_size))
        return 0;
    r.time = k->time - start;
    r.thread = t->number[k->thread] - 1;
    return hakt_write_sized(writer, &r, old_size, err);
}

int hakt_window_write(const struct hakt_window *w, struct hakt_writer *writer,
                      struct hakc_err *err) {
    struct renumber t = {0};
    uint64_t start = hakt_window_start_ns(w), base = id_before(w);
    struct hakt_event e = {.kind = HAKT_EV_WINDOW, .arg = {w->left_out}};
    int rc = w->left_out > 0 ? hakt_write_event(writer, &e, err) : 0;
    for (uint64_t i = w->first; i < w->taken && rc == 0; i++)
        rc = write_one(at(w, i), start, base, &t, writer, err);
    free(t.number);
    return rc;
}
