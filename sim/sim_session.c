/* What a call of haksim keeps, and what it finds of earlier calls. */
#include "sim/sim_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cmdline.h"
#include "common/map.h"
#include "common/progress.h"
#include "db/metrics.h"
#include "db/store.h"
#include "sim/costs_store.h"
#include "tracer/format/trace.h"

/* ---- begin and end -------------------------------------------------------------------------- */

/* This build of haksim, by content: it holds the allocator's code. */
static int put_build(struct haks_session *s, struct hakc_err *err) {
    char hash[65];
    struct hakd_library l = {.name = "haksim", .version = HAK_VERSION, .sha256 = hash};
    int rc = hakt_file_hash("/proc/self/exe", hash, err);
    return rc != 0 ? rc : hakd_put_library(s->db, &l, &s->library, err);
}

static int put_heads(struct haks_session *s, const char *study, const char *args,
                     struct hakc_err *err) {
    struct hakd_experiment e = {.tool = "haksim",
                                .tool_version = HAK_VERSION,
                                .args = args,
                                .started_unix_ns = s->started_unix_ns};
    int rc = hakd_put_this_machine(s->db, &e.machine, err);
    if (rc == 0)
        rc = put_build(s, err);
    if (rc == 0 && study != NULL)
        rc = hakd_put_study(s->db, study, "haksim", &s->study, err);
    e.study = s->study;
    if (rc == 0)
        rc = hakd_put_experiment(s->db, &e, &s->experiment, err);
    return rc;
}

char *haks_command_line(int argc, char **argv) {
    char *rest = hakc_cmdline(argc - 1, argv + 1), *whole = NULL;
    if (rest != NULL && asprintf(&whole, "%s %s", argv[0], rest) < 0)
        whole = NULL;
    free(rest);
    return whole;
}

int haks_session_prepare(struct haks_session *s, const char *prices, const char *db,
                         struct haks_costs *costs, struct hakc_err *err) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    *s = (struct haks_session){.started_unix_ns =
                                   (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec};
    int rc = haks_costs_find(prices, db, costs, err);
    return rc == 0 && db != NULL ? haks_store_check(db, err) : rc;
}

int haks_session_begin(struct haks_session *s, const char *db, const char *study,
                       const struct haks_costs *costs, int argc, char **argv,
                       struct hakc_err *err) {
    char *args;
    int rc;
    s->costs = costs;
    if (db == NULL)
        return 0;
    args = haks_command_line(argc, argv);
    if (args == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the command line");
    rc = hakd_open(&s->db, db, HAKD_WRITE, err);
    if (rc == 0)
        rc = put_heads(s, study, args, err);
    free(args);
    return rc;
}

int haks_session_trace(struct haks_session *s, const char *path, struct hakc_err *err) {
    return s->db != NULL ? haks_store_trace(s->db, path, &s->trace, err) : 0;
}

int haks_session_end(struct haks_session *s, int rc, int stopped, struct hakc_err *err) {
    const char *state = stopped ? "interrupted" : rc == 0 && s->lost == 0 ? "done" : "failed";
    int ended = 0;
    if (s->db != NULL && s->experiment != 0)
        ended = hakd_finish_experiment(s->db, s->experiment, state,
                                       rc == 0 && s->lost == 0 ? err : NULL);
    hakd_close(s->db);
    s->db = NULL;
    return rc != 0 ? rc : s->lost != 0 ? 0 : ended;
}

int haks_session_lost(const struct haks_session *s, struct hakc_err *err) {
    if (s->lost == 0)
        return 0;
    *err = s->why;
    snprintf(err->msg, sizeof err->msg,
             "%.300s; %zu results are stored, the others are shown alone", s->why.msg, s->stored);
    return s->lost;
}

/* ---- finding -------------------------------------------------------------------------------- */

/* Rows that may be found, by policy and mode. */
struct search {
    struct haks_session *s;
    struct haks_row *rows;
    size_t n, found;
    struct hakc_map by_name; /* hash -> row + 1 */
    const struct haks_pass *pass;
    struct hakc_err *err;
};

static uint64_t hash_name(const char *policy, const char *mode) { /* FNV-1a; never 0 */
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *p = policy; *p != '\0'; p++)
        h = (h ^ (unsigned char)*p) * 0x100000001b3u;
    h = (h ^ (unsigned char)mode[0]) * 0x100000001b3u;
    return h != 0 ? h : 1;
}

/* A stored run's figures. */
struct stored {
    struct haks_figures f;
    uint64_t cost_ns, sim_ns;
};

static void add_metric(void *ctx, const char *name, double value) {
    struct stored *x = ctx;
    const struct {
        const char *name;
        uint64_t *to;
    } m[] = {{HAKD_M_PREDICTED_RELEASED_RESIDENT_BYTES, &x->f.released_bytes},
             {HAKD_M_PREDICTED_POPULATED_BYTES, &x->f.populated_bytes},
             {HAKD_M_PREDICTED_MOVED_BYTES, &x->f.moved_bytes},
             {HAKD_M_PREDICTED_ROUNDS, &x->f.rounds},
             {HAKD_M_PREDICTED_FAULTS, &x->f.faults},
             {HAKD_M_PREDICTED_PEAK_RESIDENT_BYTES, &x->f.peak_resident_bytes},
             {HAKD_M_PREDICTED_MEAN_RESIDENT_BYTES, &x->f.mean_resident_bytes},
             {HAKD_M_PREDICTED_MEAN_RESIDENT_TIME_BYTES, &x->f.mean_resident_time_bytes},
             {HAKD_M_PREDICTED_END_RESIDENT_BYTES, &x->f.end_resident_bytes},
             {HAKD_M_PREDICTED_PEAK_LAZY_BYTES, &x->f.peak_lazy_bytes},
             {HAKD_M_PREDICTED_COST_NS, &x->cost_ns},
             {HAKD_M_SIM_NS, &x->sim_ns},
#define COUNT(member, name) {"predicted_" name, &x->f.heat.member},
             HAKS_HEAT_COUNTS(COUNT)
#undef COUNT
    };
    for (size_t i = 0; i < sizeof m / sizeof m[0]; i++)
        if (strcmp(name, m[i].name) == 0)
            *m[i].to = (uint64_t)value;
}

static void add_call(void *ctx, const struct hakd_syscall *call) {
    struct stored *x = ctx;
    for (unsigned c = 0; c < HAKS_CALLS; c++) {
        if (strcmp(call->call, haks_call_name(c)) == 0 &&
            strcmp(call->detail, haks_call_detail(c)) == 0) {
            x->f.calls[c] = call->calls;
            x->f.bytes[c] = call->bytes;
        }
    }
}

static int found_run(void *ctx, int64_t run, const char *policy, const char *mode) {
    struct search *x = ctx;
    struct stored stored = {.f.mean_resident_time_bytes = HAKS_UNKNOWN};
    uint64_t *place = policy != NULL ? hakc_map_find(&x->by_name, hash_name(policy, mode)) : NULL;
    struct haks_row *row = place != NULL ? &x->rows[*place - 1] : NULL;
    int rc;
    if (row == NULL || row->done || strcmp(row->policy, policy) != 0)
        return 0;
    rc = hakd_each_metric(x->s->db, run, add_metric, &stored, x->err);
    if (rc == 0)
        rc = hakd_each_syscall(x->s->db, run, add_call, &stored, x->err);
    if (rc != 0)
        return rc;
    if (haks_cost(x->s->costs, x->pass, &stored.f) != stored.cost_ns)
        return 0; /* at other prices */
    row->f = stored.f;
    row->sim_ns = stored.sim_ns;
    row->mode = strcmp(mode, "full") == 0 ? "full" : "events";
    row->fell_back = 0;
    row->done = row->found = 1;
    x->found++;
    return 0;
}

int haks_session_find(struct haks_session *s, struct haks_row *rows, size_t n,
                      const struct haks_pass *pass, size_t *found, struct hakc_err *err) {
    struct search x = {.s = s, .rows = rows, .n = n, .pass = pass, .err = err};
    int rc = 0;
    if (found != NULL)
        *found = 0;
    if (s->db == NULL || s->study == 0)
        return 0;
    if (hakc_map_init(&x.by_name, 2 * n) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for %zu policies", n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = hakc_map_put(&x.by_name, hash_name(rows[i].policy, rows[i].mode), i + 1);
        if (rc == 0 && rows[i].mode[0] == 'e') /* it may have fallen back */
            rc = hakc_map_put(&x.by_name, hash_name(rows[i].policy, "full"), i + 1);
    }
    if (rc != 0)
        hakc_fail(err, rc, "no memory for %zu policies", n);
    else
        rc = hakd_each_study_run(s->db, s->study, s->trace, s->library, "sim", found_run, &x, err);
    hakc_map_fini(&x.by_name);
    if (found != NULL)
        *found = x.found;
    return rc;
}

/* ---- keeping -------------------------------------------------------------------------------- */

int haks_session_put(struct haks_session *s, const struct haks_row *rows, size_t n,
                     struct hakc_err *err) {
    struct hakd_run run = {.experiment = s->experiment,
                           .trace = s->trace,
                           .library = s->library,
                           .allocator = "hakmem",
                           .pass = "sim",
                           .counting = "model",
                           .position = s->position};
    size_t stored = 0;
    int rc;
    if (s->db == NULL || s->lost != 0 || n == 0)
        return 0;
    rc = hakd_begin(s->db, err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (rows[i].done && !rows[i].found) {
            rc = haks_store_row(s->db, &rows[i], &run, err);
            stored++;
        }
    }
    if (rc == 0)
        rc = hakd_commit(s->db, err);
    s->position = run.position;
    if (rc == 0) {
        s->stored += stored;
        return 0;
    }
    hakd_rollback(s->db);
    s->lost = rc;
    s->why = *err;
    return 0;
}

static uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A batch's next size: such that it takes about a second. */
static size_t next_batch(size_t n, uint64_t took_ns) {
    const uint64_t second = 1000000000, most = 8192;
    uint64_t next = took_ns > 0 ? n * second / took_ns : most;
    if (next > 4 * n)
        next = 4 * n;
    return next < 16 ? 16 : next > most ? most : next;
}

int haks_session_evaluate(struct haks_session *s, const struct haks_work *w, struct haks_row *rows,
                          size_t n, uint64_t *ns, struct hakc_err *err) {
    struct hakc_progress progress;
    size_t batch = 64;
    int rc = 0;
    *ns = 0;
    hakc_progress_start(&progress, "policies", n, "policies");
    for (size_t at = 0; rc == 0 && at < n && !*w->stop;) {
        size_t m = batch < n - at ? batch : n - at;
        uint64_t start = clock_ns();
        haks_rows_evaluate(rows + at, m, w->stream, w->pass, s->costs, w->jobs, w->stop);
        haks_rows_fall_back(rows + at, m, w->trace, s->costs, w->stop);
        *ns += clock_ns() - start;
        batch = next_batch(m, clock_ns() - start);
        rc = haks_session_put(s, rows + at, m, err);
        at += m;
        hakc_progress_set(&progress, at);
    }
    hakc_progress_end(&progress);
    return rc;
}
