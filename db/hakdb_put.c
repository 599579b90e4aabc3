/*
 * put TOOL: measurements of one's own, one experiment a call. Each line of stdin is a run: fields
 * NAME=VALUE separated by tabs. Those of run_fields describe it; every other name is a figure, its
 * value a number and, for a name that docs/schema.md does not list, a unit behind a blank.
 */
#include "db/hakdb.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "db/metrics.h"

/* The fields that are not figures. */
struct line {
    const char *allocator, *policy, *env, *pass, *mode, *status, *error;
    const char *repeat;
    unsigned given; /* bits by run_fields */
};

static const struct {
    const char *name;
    size_t at;
} run_fields[] = {
    {"allocator", offsetof(struct line, allocator)},
    {"policy", offsetof(struct line, policy)},
    {"env", offsetof(struct line, env)},
    {"pass", offsetof(struct line, pass)},
    {"mode", offsetof(struct line, mode)},
    {"status", offsetof(struct line, status)},
    {"error", offsetof(struct line, error)},
    {"repeat", offsetof(struct line, repeat)},
};

#define FIELDS_MOST 64

struct put {
    struct hakdb *h;
    int64_t experiment, position;
    uint64_t number; /* of the line */
};

static int fault(struct put *p, const char *what, const char *text) {
    return hakc_fail(p->h->err, HAKC_EUSAGE, "line %llu: %s \"%s\"", (unsigned long long)p->number,
                     what, text);
}

/* Whether one of the figures has this name. */
static int is_given(char *const *figures, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(figures[i], name) == 0)
            return 1;
    return 0;
}

/* NAME=VALUE: a field of the run, or a figure that is kept for later. */
static int take_field(struct put *p, struct line *l, char *field, char **figures, size_t *n) {
    char *equals = strchr(field, '=');
    if (equals == NULL || equals == field)
        return fault(p, "not of the form NAME=VALUE:", field);
    *equals = '\0';
    for (size_t i = 0; i < sizeof run_fields / sizeof run_fields[0]; i++) {
        const char **at = (const char **)((char *)l + run_fields[i].at);
        if (strcmp(field, run_fields[i].name) != 0)
            continue;
        if (l->given & 1u << i)
            return fault(p, "given twice:", field);
        l->given |= 1u << i;
        *at = equals + 1;
        return HAKC_OK;
    }
    if (is_given(figures, *n, field))
        return fault(p, "given twice:", field);
    if (*n == FIELDS_MOST)
        return fault(p, "too many figures, from", field);
    figures[(*n)++] = field; /* its value stands behind the NUL */
    return HAKC_OK;
}

/* A message of the store that does not know of lines gets this one's number. */
static int at_line(struct put *p, int rc) {
    char msg[sizeof p->h->err->msg];
    if (rc == HAKC_EUSAGE && strncmp(p->h->err->msg, "line ", 5) != 0) {
        snprintf(msg, sizeof msg, "%s", p->h->err->msg);
        snprintf(p->h->err->msg, sizeof p->h->err->msg, "line %llu: %.480s",
                 (unsigned long long)p->number, msg);
    }
    return rc;
}

/* Whether text is one of the words, of which the last is NULL. */
static int is_word(const char *const *words, const char *text) {
    while (*words != NULL && strcmp(*words, text) != 0)
        words++;
    return *words != NULL;
}

static const char *const statuses[] = {"ok", "failed", "crashed", "timeout", "wrong-library", NULL};
static const char *const passes[] = {"time", "latency", "account", "sim", "control", NULL};

/* Units of what is never below nothing. */
static const char *const amounts[] = {HAKD_UNIT_NS,
                                      HAKD_UNIT_NS_PER_OP,
                                      HAKD_UNIT_BYTES,
                                      HAKD_UNIT_CALLS,
                                      HAKD_UNIT_FAULTS,
                                      HAKD_UNIT_OPS,
                                      NULL};

static int put_figure(struct put *p, int64_t run, const char *name) {
    const char *text = name + strlen(name) + 1;
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (end == text || errno != 0 || (*end != '\0' && *end != ' '))
        return fault(p, "not a number:", text);
    const char *unit = *end == ' ' ? end + 1 : NULL, *listed = hakd_metric_unit(name);
    if (v < 0 && listed != NULL && is_word(amounts, listed))
        return fault(p, "less than nothing:", text);
    return at_line(p, hakd_put_metric(p->h->db, run, name, v, unit, p->h->err));
}

static int put_line(struct put *p, char *text) {
    struct line l = {.pass = "time", .mode = "", .status = "ok", .repeat = "0"};
    char *figures[FIELDS_MOST], *rest = text;
    size_t n = 0;
    int64_t run;
    int rc = HAKC_OK;
    for (char *field; rc == HAKC_OK && (field = strsep(&rest, "\t")) != NULL;)
        rc = take_field(p, &l, field, figures, &n);
    if (rc != HAKC_OK)
        return rc;
    if (l.allocator == NULL)
        return fault(p, "the line does not name its", "allocator");
    if (!is_word(statuses, l.status))
        return fault(p, "status is none of ok, failed, crashed, timeout, wrong-library:", l.status);
    if (!is_word(passes, l.pass))
        return fault(p, "pass is none of time, latency, account, sim, control:", l.pass);
    struct hakd_run r = {.experiment = p->experiment,
                         .allocator = l.allocator,
                         .policy = l.policy,
                         .env = l.env,
                         .pass = l.pass,
                         .mode = l.mode,
                         .status = l.status,
                         .error = l.error,
                         .position = p->position++};
    if (!hakdb_parse_id(l.repeat, &r.repeat))
        return fault(p, "not a number of a repeat:", l.repeat);
    rc = at_line(p, hakd_put_run(p->h->db, &r, &run, p->h->err));
    for (size_t i = 0; rc == HAKC_OK && i < n; i++)
        rc = put_figure(p, run, figures[i]);
    return rc;
}

static int put_lines(struct put *p) {
    char *text = NULL;
    size_t room = 0;
    ssize_t len;
    int rc = HAKC_OK;
    while (rc == HAKC_OK && (len = getline(&text, &room, stdin)) >= 0) {
        p->number++;
        if (len > 0 && text[len - 1] == '\n')
            text[--len] = '\0';
        if (len > 0 && text[len - 1] == '\r') /* a file from elsewhere */
            text[len - 1] = '\0';
        if (text[0] != '\0' && text[0] != '#')
            rc = put_line(p, text);
    }
    free(text);
    if (rc == HAKC_OK && ferror(stdin))
        rc = hakc_fail_errno(p->h->err, HAKC_EIO, "cannot read standard input");
    if (rc == HAKC_OK && p->position == 0)
        rc = hakc_fail(p->h->err, HAKC_EREFUSED, "no run on standard input: nothing was stored");
    return rc;
}

/* All of it or nothing. */
int hakdb_put(struct hakdb *h) {
    struct put p = {.h = h};
    struct hakd_experiment e = {.tool = h->opt->args[0], .args = "hakdb put"};
    int rc = hakd_begin(h->db, h->err);
    if (rc == HAKC_OK)
        rc = hakd_put_this_machine(h->db, &e.machine, h->err);
    if (rc == HAKC_OK)
        rc = hakd_put_experiment(h->db, &e, &p.experiment, h->err);
    if (rc == HAKC_OK)
        rc = put_lines(&p);
    if (rc == HAKC_OK)
        rc = hakd_finish_experiment(h->db, p.experiment, "done", h->err);
    if (rc == HAKC_OK)
        rc = hakd_commit(h->db, h->err);
    if (rc == HAKC_OK) {
        hakc_out_int(h->out, "experiment", NULL, p.experiment);
        hakc_out_int(h->out, "runs", NULL, p.position);
    }
    return rc;
}
