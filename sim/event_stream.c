/* Writing the stream of span events in one process, mapping it in another. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/event_stream.h"

#define BUF_EVENTS 16384

int haks_writer_init(struct haks_stream_writer *w, int events_fd, int spans_fd) {
    *w = (struct haks_stream_writer){.events_fd = events_fd, .spans_fd = spans_fd};
    w->buf = malloc(BUF_EVENTS * sizeof *w->buf);
    return w->buf != NULL ? 0 : ENOMEM;
}

static void write_all(struct haks_stream_writer *w, int fd, const void *data, size_t len) {
    const char *p = data;
    while (len > 0 && w->failed == 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno != EINTR)
            w->failed = errno;
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

/* Keeps the last event: haks_writer_moved may want it. */
static void flush_most(struct haks_stream_writer *w) {
    write_all(w, w->events_fd, w->buf, (w->fill - 1) * sizeof *w->buf);
    w->buf[0] = w->buf[w->fill - 1];
    w->fill = 1;
}

static void push(struct haks_stream_writer *w, struct haks_event e) {
    if (w->fill == BUF_EVENTS)
        flush_most(w);
    w->buf[w->fill++] = e;
    w->n_events++;
}

void haks_writer_span(struct haks_stream_writer *w, const struct haks_span_info *info) {
    if (info->unit >= w->index_len) {
        size_t len = (size_t)info->unit * 2 + 1024;
        uint32_t *p = realloc(w->index, len * sizeof *p);
        if (p == NULL) {
            w->failed = ENOMEM;
            return;
        }
        memset(p + w->index_len, 0, (len - w->index_len) * sizeof *p);
        w->index = p;
        w->index_len = len;
    }
    w->index[info->unit] = (uint32_t)++w->n_spans;
    write_all(w, w->spans_fd, info, sizeof *info);
}

/* Deltas that do not fit go ahead in SKIP events. */
static void skip(struct haks_stream_writer *w, uint64_t op, uint64_t time) {
    while (op - w->last_op > UINT32_MAX || time - w->last_time > UINT32_MAX) {
        uint64_t d_op = op - w->last_op < UINT32_MAX ? 0 : UINT32_MAX;
        uint64_t d_time = time - w->last_time;
        push(w, (struct haks_event){.span = (uint32_t)(d_time >> 32),
                                    .kind_pages = (uint32_t)HAKS_EV_SKIP << HAKS_EVENT_KIND_SHIFT,
                                    .d_op = (uint32_t)d_op,
                                    .d_time = (uint32_t)d_time});
        w->last_op += d_op;
        w->last_time = time;
    }
}

void haks_writer_event(struct haks_stream_writer *w, enum haks_event_kind kind, uint32_t unit,
                       uint32_t pages, uint64_t op, uint64_t time) {
    uint32_t span = 0;
    if (w->failed != 0)
        return;
    if (kind != HAKS_EV_EXIT && kind != HAKS_EV_LOOK) {
        if (unit >= w->index_len || w->index[unit] == 0 || pages > HAKS_EVENT_PAGES_MAX) {
            w->failed = EINVAL;
            return;
        }
        span = w->index[unit] - 1;
    }
    skip(w, op, time);
    push(w, (struct haks_event){.span = span,
                                .kind_pages = (uint32_t)kind << HAKS_EVENT_KIND_SHIFT | pages,
                                .d_op = (uint32_t)(op - w->last_op),
                                .d_time = (uint32_t)(time - w->last_time)});
    w->last_op = op;
    w->last_time = time;
}

int haks_writer_moved(struct haks_stream_writer *w, uint32_t unit) {
    if (w->fill == 0 || haks_event_kind(&w->buf[w->fill - 1]) != HAKS_EV_TOUCH)
        return 0;
    if (unit >= w->index_len || w->index[unit] == 0)
        return 0;
    struct haks_event touch = w->buf[w->fill - 1], *moved = &w->buf[w->fill - 1];
    moved->span = w->index[unit] - 1;
    moved->kind_pages = (uint32_t)HAKS_EV_MOVED << HAKS_EVENT_KIND_SHIFT;
    touch.d_op = touch.d_time = 0;
    push(w, touch);
    return 1;
}

int haks_writer_end(struct haks_stream_writer *w) {
    write_all(w, w->events_fd, w->buf, w->fill * sizeof *w->buf);
    free(w->buf);
    free(w->index);
    w->buf = NULL;
    w->index = NULL;
    return w->failed;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static int map(int fd, const void **out, size_t *bytes, struct hakc_err *err) {
    struct stat st;
    if (fstat(fd, &st) != 0)
        return hakc_fail_errno(err, HAKC_EIO, "the stream of span events cannot be read");
    *bytes = (size_t)st.st_size;
    *out = NULL;
    if (*bytes == 0)
        return 0;
    void *p = mmap(NULL, *bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return hakc_fail_errno(err, HAKC_ENOMEM, "the stream of span events cannot be mapped");
    *out = p;
    return 0;
}

static int index_units(struct haks_stream *s) {
    uint32_t top = 0;
    for (size_t i = 0; i < s->n_spans; i++) {
        top = s->spans[i].unit > top ? s->spans[i].unit : top;
        if (s->spans[i].unit + s->spans[i].units > s->end_unit)
            s->end_unit = s->spans[i].unit + s->spans[i].units;
    }
    s->by_unit = calloc((size_t)top + 1, sizeof *s->by_unit);
    for (size_t i = 0; s->by_unit != NULL && i < s->n_spans; i++)
        s->by_unit[s->spans[i].unit] = (uint32_t)i;
    return s->by_unit != NULL ? 0 : HAKC_ENOMEM;
}

int haks_stream_map(struct haks_stream **out, int events_fd, int spans_fd, struct hakc_err *err) {
    struct haks_stream *s = calloc(1, sizeof *s);
    const void *events = NULL, *spans = NULL;
    size_t bytes = 0;
    int rc;

    *out = NULL;
    if (s == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the stream of span events");
    rc = map(events_fd, &events, &bytes, err);
    if (rc == 0) {
        s->events = events;
        s->n_events = bytes / sizeof *s->events;
        rc = map(spans_fd, &spans, &bytes, err);
    }
    if (rc != 0) {
        haks_stream_close(s);
        return rc;
    }
    s->spans = spans;
    s->n_spans = spans != NULL ? bytes / sizeof *s->spans : 0;
    rc = index_units(s);
    if (rc != 0) {
        haks_stream_close(s);
        return hakc_fail(err, rc, "no memory for the index of spans");
    }
    *out = s;
    return 0;
}

void haks_stream_close(struct haks_stream *s) {
    if (s == NULL)
        return;
    if (s->events != NULL)
        munmap((void *)(uintptr_t)s->events, s->n_events * sizeof *s->events);
    if (s->spans != NULL)
        munmap((void *)(uintptr_t)s->spans, s->n_spans * sizeof *s->spans);
    free(s->by_unit);
    free(s);
}
