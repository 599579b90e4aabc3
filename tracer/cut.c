#include "tracer/cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "common/map.h"
#include "tracer/outfile.h"

#define THREAD_LIMIT (1u << 20) /* of the format */

struct cut {
    const struct hakt_cut_args *args;
    struct hakt_writer *w;
    struct hakt_reader *r;
    uint8_t *wanted;                /* by thread number, THREAD_LIMIT of them; NULL = all */
    struct hakc_map ids;            /* the source's id -> ours, of what lives */
    struct hakc_map threads;        /* the source's number + 1 -> ours */
    const struct hakt_event *event; /* the next one, if more_events */
    int more_events;
    uint64_t time0; /* of the first record or event taken */
    uint64_t time;  /* of the last one, in the source */
    uint64_t taken;
    int to_the_end; /* the source's last record was looked at */
};

/* "0,3,5-9". */
static int parse_threads(struct cut *c, const char *list, struct hakc_err *err) {
    c->wanted = calloc(THREAD_LIMIT, 1);
    if (c->wanted == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the list of threads");
    for (const char *s = list;; s++) {
        char *end;
        unsigned long from = strtoul(s, &end, 10), to = from;
        int ok = end != s && *s >= '0' && *s <= '9';
        if (ok && *end == '-') {
            s = end + 1;
            to = strtoul(s, &end, 10);
            ok = end != s && *s >= '0' && *s <= '9';
        }
        if (!ok || (*end != ',' && *end != '\0') || from > to || to >= THREAD_LIMIT)
            return hakc_fail(err, HAKC_EUSAGE, "--threads: '%s' is not a list such as 0,3,5-9",
                             list);
        memset(c->wanted + from, 1, to - from + 1);
        s = end;
        if (*s == '\0')
            return 0;
    }
}

static int no_memory(struct hakc_err *err) {
    return hakc_fail(err, HAKC_ENOMEM, "no memory for the live objects of the cut");
}

/* The old id in the new trace. */
static void translate_old(struct cut *c, struct hakt_rec *rec) {
    uint64_t *known = hakc_map_find(&c->ids, rec->old_id), id = rec->old_id;
    rec->old_id = known != NULL ? *known : 0;
    if (known == NULL)
        rec->flags |= HAKT_REC_FOREIGN;
    else if (!(rec->flags & HAKT_REC_FAILED))
        hakc_map_take(&c->ids, id, NULL);
}

/* Time and thread of a record or event that is taken, in the new trace. */
static int translate_place(struct cut *c, uint64_t *time, uint32_t *thread, struct hakc_err *err) {
    uint64_t *known = hakc_map_find(&c->threads, (uint64_t)*thread + 1), number;
    if (c->taken++ == 0)
        c->time0 = c->time = *time;
    if (*time < c->time)
        return hakc_fail(err, HAKC_ECORRUPT, "%s: records and events are not in order of time",
                         c->args->input);
    c->time = *time;
    *time -= c->time0;
    number = known != NULL ? *known : hakc_map_count(&c->threads);
    if (known == NULL && hakc_map_put(&c->threads, (uint64_t)*thread + 1, number) != 0)
        return no_memory(err);
    *thread = (uint32_t)number;
    return 0;
}

static int take(struct cut *c, const struct hakt_rec *source, struct hakc_err *err) {
    struct hakt_rec rec = *source;
    if (rec.old_id != 0)
        translate_old(c, &rec);
    /* An implied free says that some object is gone: of an unknown one it says nothing. */
    if ((rec.flags & HAKT_REC_IMPLIED) && (rec.flags & HAKT_REC_FOREIGN))
        return 0;
    int rc = translate_place(c, &rec.time, &rec.thread, err);
    if (rc != 0)
        return rc;
    if (rec.id != 0) {
        rec.id = hakt_writer_next_id(c->w);
        if (hakc_map_put(&c->ids, source->id, rec.id) != 0)
            return no_memory(err);
    }
    return hakt_write(c->w, &rec, err);
}

/* Takes the events before record `number`. */
static int take_events(struct cut *c, uint64_t number, struct hakc_err *err) {
    const struct hakt_cut_args *a = c->args;
    int rc = 0;
    while (rc == 0 && c->more_events) {
        if (c->event == NULL)
            rc = hakt_reader_next_event(c->r, &c->event, err);
        if (rc != 0 || c->event == NULL || c->event->record > number)
            break;
        struct hakt_event e = *c->event;
        c->event = NULL;
        if (e.record < a->from || e.record - a->from >= a->count || e.time < a->from_time ||
            e.time >= a->to_time || (c->wanted != NULL && !c->wanted[e.thread]))
            continue;
        rc = translate_place(c, &e.time, &e.thread, err);
        if (rc == 0)
            rc = hakt_write_event(c->w, &e, err);
    }
    c->more_events = rc == 0 && c->event != NULL;
    return rc;
}

/* Takes from the records of a chunk; *done = 1 behind the last that can be wanted. */
static int take_chunk(struct cut *c, const struct hakt_rec *recs, size_t n, uint64_t number,
                      int *done, struct hakc_err *err) {
    const struct hakt_cut_args *a = c->args;
    for (size_t i = 0; i < n; i++) {
        const struct hakt_rec *r = &recs[i];
        int rc = c->more_events ? take_events(c, number + i, err) : 0;
        if (rc != 0)
            return rc;
        if (number + i < a->from || r->time < a->from_time)
            continue;
        *done = number + i - a->from >= a->count || r->time >= a->to_time;
        if (*done)
            return 0;
        if (c->wanted != NULL && !c->wanted[r->thread])
            continue;
        rc = take(c, r, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int take_all(struct cut *c, struct hakc_err *err) {
    const struct hakt_rec *recs;
    uint64_t number = 0, later = 0;
    size_t n;
    int done = 0;
    int rc = hakt_reader_seek_record(c->r, c->args->from, &number, err);
    if (rc == 0 && c->args->from_time > 0) {
        rc = hakt_reader_seek_time(c->r, c->args->from_time, &later, err);
        if (rc == 0 && later < number)
            rc = hakt_reader_seek_record(c->r, c->args->from, &number, err);
        else
            number = later;
    }
    while (rc == 0 && !done && (rc = hakt_reader_next(c->r, &recs, &n, err)) == 0 && n > 0) {
        rc = take_chunk(c, recs, n, number, &done, err);
        number += n;
    }
    c->to_the_end = rc == 0 && !done;
    return c->to_the_end && c->more_events ? take_events(c, UINT64_MAX, err) : rc;
}

/* What the header says before the first record is known: the start is that of the time asked for,
 * or of the first record taken. */
static int open_output(struct cut *c, const char *output, struct hakc_err *err) {
    struct hakt_info info = *hakt_reader_info(c->r);
    char source[600];
    snprintf(source, sizeof(source), "haktrace cut: %s", c->args->input);
    if (c->args->from > 0 || c->args->from_time > 0 || c->wanted != NULL) {
        info.fidelity &= ~(unsigned)HAKT_WHOLE_LIFE;
        info.start_unix_ns = 0; /* time 0 is another moment */
    }
    info.source = source;
    info.tool = "haktrace " HAK_VERSION;
    return hakt_writer_open(&c->w, output, &info, c->args->level, err);
}

static int cut_opened(struct cut *c, struct hakt_cut_result *result, struct hakc_err *err) {
    const struct hakt_totals *source = hakt_reader_totals(c->r, &result->rebuilt);
    struct hakt_outfile out;
    if (c->args->by_time && !(hakt_reader_info(c->r)->fidelity & HAKT_HAS_TIMES))
        return hakc_fail(err, HAKC_EUSAGE, "%s has no times: cut it by --from and --count",
                         c->args->input);
    int rc = hakt_outfile_init(&out, c->args->output, err);
    if (rc == 0)
        rc = open_output(c, hakt_outfile_name(&out), err);
    if (rc != 0)
        return rc;
    rc = take_all(c, err);
    struct hakt_totals end = {
        .dropped = source->dropped, .end_reason = HAKT_END_STOPPED, .exit_status = UINT32_MAX};
    if (c->to_the_end) {
        end.end_reason = source->end_reason;
        end.exit_status = source->exit_status;
    }
    int closed = hakt_writer_close(c->w, &end, &result->totals, rc == 0 ? err : NULL);
    return hakt_outfile_end(&out, rc != 0 ? rc : closed, err);
}

static int same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int hakt_cut(const struct hakt_cut_args *a, struct hakt_cut_result *result, struct hakc_err *err) {
    struct cut c = {.args = a, .more_events = 1};
    int rc = a->threads != NULL ? parse_threads(&c, a->threads, err) : 0;
    if (rc == 0 && same_file(a->input, a->output))
        rc = hakc_fail(err, HAKC_EUSAGE, "input and output are the same file: %s", a->output);
    if (rc == 0 && (hakc_map_init(&c.ids, 0) != 0 || hakc_map_init(&c.threads, 0) != 0))
        rc = no_memory(err);
    if (rc == 0)
        rc = hakt_reader_open(&c.r, a->input, err);
    if (rc == 0)
        rc = cut_opened(&c, result, err);
    if (c.r != NULL)
        hakt_reader_close(c.r);
    hakc_map_fini(&c.ids);
    hakc_map_fini(&c.threads);
    free(c.wanted);
    return rc;
}
