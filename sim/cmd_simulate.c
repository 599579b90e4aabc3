/* haksim TRACE: what release policies would do over a trace. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "sim/sim_commands.h"
#include "sim/cost_model.h"
#include "sim/sim_session.h"

enum {
    OPT_CHECK = 256,
    OPT_MODE,
    OPT_DB,
    OPT_NO_DB,
    OPT_PRICES,
    OPT_STUDY,
    OPT_SHARD,
    OPT_JSON,
    OPT_CSV
};

struct config {
    const char *trace, *db, *prices, *study;
    uint64_t shard, shards; /* 0 of 0: all */
    struct hakp_spec *policies;
    size_t n_policies;
    unsigned jobs;
    int check_full, full;
    enum hakc_out_format format;
};

static const struct argp_option options[] = {
    {"policy", 'p', "LIST", 0,
     "Release policies, separated by commas, as HAKMEM_POLICY takes them; may be given more than "
     "once (default: never,eager,partial). Ranges and lists are crossed: "
     "decay:ms=1..10000*2,how=dontneed|free; partial:n=10..100+10",
     0},
    {"mode", OPT_MODE, "MODE", 0,
     "events: each policy over the stream of span events of one pass (default); full: the "
     "allocator in full under each policy",
     0},
    {"check-full", OPT_CHECK, NULL, 0, "Do both, and fail where they differ in any figure", 0},
    {"jobs", 'j', "N", 0, "Policies evaluated at a time (default: one a core)", 0},
    {"db", OPT_DB, "FILE", 0, "Add the results to this database (default: $HAKDB, else results.db)",
     1},
    {"no-db", OPT_NO_DB, NULL, 0, "Keep no results", 1},
    {"prices", OPT_PRICES, "FILE", 0,
     "Database with the calibration of this machine (haksim calibrate) to price by, or "
     "\"reference\" for the built-in prices (default: the database of --db, if it has one)",
     1},
    {"study", OPT_STUDY, "NAME", 0,
     "Results belong to the study NAME; what it holds already is not evaluated again", 1},
    {"shard", OPT_SHARD, "I/N", 0,
     "Only every N-th policy from the I-th on: one of N parts of a study, for N processes or "
     "machines; join them with hakdb merge",
     1},
    {"json", OPT_JSON, NULL, 0, "Print JSON", 2},
    {"csv", OPT_CSV, NULL, 0, "Print CSV", 2},
    {0}};

/* "2/8" */
static void parse_shard(struct argp_state *state, struct config *c, const char *arg) {
    char first[24];
    size_t len = strcspn(arg, "/");
    if (len < sizeof first && arg[len] == '/') {
        memcpy(first, arg, len);
        first[len] = '\0';
        if (hakc_parse_count(first, &c->shard, NULL) == 0 &&
            hakc_parse_count(arg + len + 1, &c->shards, NULL) == 0 && c->shard >= 1 &&
            c->shard <= c->shards)
            return;
    }
    argp_error(state, "--shard is \"%s\": it must be I/N, with I from 1 to N, such as 2/8", arg);
}

/* Keeps every N-th policy. */
static void take_shard(struct config *c) {
    size_t kept = 0;
    for (size_t i = c->shard - 1; i < c->n_policies; i += c->shards)
        c->policies[kept++] = c->policies[i];
    c->n_policies = kept;
}

static void check_options(struct argp_state *state, const struct config *c) {
    if (c->trace == NULL)
        argp_error(state, "no trace given");
    if (c->full && c->check_full)
        argp_error(state, "--check-full needs --mode=events");
    if (c->study != NULL && c->db == NULL)
        argp_error(state, "--study needs a database: it cannot go with --no-db");
    if (c->shards > 0 && c->study == NULL)
        argp_error(state, "--shard needs --study=NAME, under which the parts are joined");
}

static error_t parse_opt(int key, char *arg, struct argp_state *state) {
    struct config *c = state->input;
    struct hakc_err err = {0};
    uint64_t v;
    switch (key) {
    case 'p':
        if (haks_policy_list(arg, &c->policies, &c->n_policies, &err) != 0)
            argp_error(state, "%s", err.msg);
        break;
    case 'j':
        if (hakc_parse_count(arg, &v, &err) != 0 || v == 0 || v > 256)
            argp_error(state, "--jobs is \"%s\": it must be a number from 1 to 256", arg);
        c->jobs = (unsigned)v;
        break;
    case OPT_MODE:
        if (strcmp(arg, "events") != 0 && strcmp(arg, "full") != 0)
            argp_error(state, "--mode is \"%s\": it must be events or full", arg);
        c->full = strcmp(arg, "full") == 0;
        break;
    case OPT_CHECK:
        c->check_full = 1;
        break;
    case OPT_DB:
        c->db = arg;
        break;
    case OPT_NO_DB:
        c->db = NULL;
        break;
    case OPT_PRICES:
        c->prices = arg;
        break;
    case OPT_STUDY:
        if (arg[0] == '\0')
            argp_error(state, "--study needs a name");
        c->study = arg;
        break;
    case OPT_SHARD:
        parse_shard(state, c, arg);
        break;
    case OPT_JSON:
        c->format = HAKC_OUT_JSON;
        break;
    case OPT_CSV:
        c->format = HAKC_OUT_CSV;
        break;
    case ARGP_KEY_ARG:
        if (c->trace != NULL)
            argp_error(state, "one trace at a time: \"%s\" is the second", arg);
        c->trace = arg;
        break;
    case ARGP_KEY_END:
        check_options(state, c);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse_opt,
    .args_doc = "TRACE",
    .doc = "Predict what release policies would do over a recorded trace: release calls, page "
           "faults, resident memory, cost.\v"
           "Policies: eager, never, partial, decay, delay, budget, rest, adapt, demand, bounce, "
           "pressure, report-2025, and models of other allocators' rules: model-glibc, "
           "model-mimalloc, model-jemalloc, "
           "model-tcmalloc; each as NAME, NAME:VALUE or NAME:key=value,key=value. "
           "docs/policies.md has their keys. "
           "Exit codes: 0 fine, 1 failed, 2 usage, 4 corrupt or truncated trace.",
};

/* Compares each row with its full run. Returns how many differ. */
static size_t compare(struct haks_row *rows, const struct haks_row *full, size_t n) {
    size_t differ = 0;
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].done || !full[i].done || rows[i].rc != 0 || full[i].rc != 0)
            continue;
        rows[i].checked = 1;
        differ += haks_figures_differ(&rows[i].f, &full[i].f, rows[i].differs,
                                      sizeof rows[i].differs) != NULL;
    }
    return differ;
}

/* The first row that failed, as an error for the user; else 0. */
static int first_failure(const struct haks_row *rows, size_t n, struct hakc_err *err) {
    for (size_t i = 0; rows != NULL && i < n; i++) {
        if (rows[i].done && rows[i].rc != 0) {
            *err = rows[i].err;
            return rows[i].rc;
        }
    }
    return 0;
}

/* Everything that one call holds. */
struct simulation {
    const struct config *c;
    struct haks_costs costs;
    struct haks_session session;
    struct haks_row *rows, *full; /* full: of --check-full */
    size_t n, found;
    struct haks_stream *stream;
    struct haks_pass pass;
    uint64_t eval_ns;
};

static int by_events(struct simulation *s, struct hakc_err *err) {
    struct haks_pass full_pass;
    struct haks_work w = {s->c->trace, s->stream, &s->pass, s->c->jobs, &haks_stop};
    int rc = haks_session_find(&s->session, s->rows, s->n, &s->pass, &s->found, err);
    if (rc == 0)
        rc = haks_session_evaluate(&s->session, &w, s->rows, s->n, &s->eval_ns, err);
    if (rc == 0)
        rc = haks_rows_ask_oracle(s->rows, s->n, s->stream, &s->pass, &s->costs, err);
    if (rc != 0 || !s->c->check_full)
        return rc;
    haks_rows_full(s->full, s->n, s->c->trace, &full_pass, &s->costs, &haks_stop);
    return haks_session_put(&s->session, s->full, s->n, err);
}

/* One policy after another, each kept as it is ready. */
static int in_full(struct simulation *s, struct hakc_err *err) {
    int rc = haks_session_find(&s->session, s->rows, s->n, &s->pass, &s->found, err);
    for (size_t i = 0; rc == 0 && i < s->n && !haks_stop; i++) {
        s->eval_ns += haks_rows_full(&s->rows[i], 1, s->c->trace, &s->pass, &s->costs, &haks_stop);
        rc = haks_session_put(&s->session, &s->rows[i], 1, err);
    }
    return rc;
}

/* How it ended, once it is shown. */
static int verdict(const struct simulation *s, struct hakc_err *err) {
    size_t differ = s->full != NULL ? compare(s->rows, s->full, s->n) : 0;
    int rc = first_failure(s->rows, s->n, err);
    if (rc == 0)
        rc = first_failure(s->full, s->n, err);
    if (rc == 0 && differ > 0)
        rc = hakc_fail(err, HAKC_EINTERNAL, "events and full run differ for %zu of %zu policies",
                       differ, s->n);
    if (rc == 0 && haks_stop)
        rc = hakc_fail(err, HAKC_EINTERNAL, "interrupted");
    return rc;
}

static int no_op(const struct config *c, struct hakc_err *err) {
    return hakc_fail(err, HAKC_EREFUSED, "%s holds no op to simulate", c->trace);
}

static int evaluate_and_show(struct simulation *s, int argc, char **argv, struct hakc_err *err) {
    const struct config *c = s->c;
    int rc = 0;
    if (!c->full || c->study != NULL) /* (what a study holds is priced by what the pass finds) */
        rc = haks_first_pass(c->trace, &s->pass, &s->stream, &haks_stop, err);
    if (rc == 0 && !c->full && s->pass.ops == 0)
        rc = no_op(c, err);
    if (rc == 0)
        rc = haks_session_begin(&s->session, c->db, c->study, &s->costs, argc, argv, err);
    if (rc == 0)
        rc = haks_session_trace(&s->session, c->trace, err);
    if (rc == 0)
        rc = c->full ? in_full(s, err) : by_events(s, err);
    if (rc == 0 && s->full != NULL)
        compare(s->rows, s->full, s->n);
    if (rc == 0 && c->full && s->pass.page_size == 0) /* no run came to its end: nothing to show */
        return verdict(s, err);
    if (rc == 0 && s->pass.ops == 0)
        rc = no_op(c, err);
    if (rc == 0)
        rc = haks_rows_show(stdout, c->format, c->trace, &s->costs, &s->pass, s->rows, s->full,
                            s->n, s->eval_ns, err);
    if (rc == 0 && c->format == HAKC_OUT_TABLE && s->found > 0)
        printf("%zu of %zu policies were in the study already.\n", s->found, s->n);
    return rc != 0 ? rc : verdict(s, err);
}

static int simulate(const struct config *c, int argc, char **argv, struct hakc_err *err) {
    struct simulation s = {.c = c, .n = c->n_policies};
    int rc = haks_session_prepare(&s.session, c->prices, c->db, &s.costs, err);

    s.rows = haks_rows_new(c->policies, s.n, c->full ? "full" : "events");
    if (c->check_full)
        s.full = haks_rows_new(c->policies, s.n, "full");
    if (rc == 0 && (s.rows == NULL || (c->check_full && s.full == NULL)))
        rc = hakc_fail(err, HAKC_ENOMEM, "no memory for %zu policies", s.n);
    if (rc == 0)
        rc = evaluate_and_show(&s, argc, argv, err);
    rc = haks_session_end(&s.session, rc, haks_stop, err);
    if (rc == 0)
        rc = haks_session_lost(&s.session, err);
    haks_stream_close(s.stream);
    free(s.rows);
    free(s.full);
    return rc;
}

int haks_cmd_simulate(int argc, char **argv) {
    struct config c = {.db = haks_default_db()};
    struct hakc_err err = {0};
    int rc;

    argp_parse(&argp, argc, argv, 0, NULL, &c);
    if (c.n_policies == 0)
        haks_policy_list("never,eager,partial", &c.policies, &c.n_policies, &err);
    if (c.shards > 0)
        take_shard(&c);
    haks_catch_signals();
    rc = simulate(&c, argc, argv, &err);
    if (rc != 0)
        hakc_err_print("haksim", &err);
    free(c.policies);
    return hakc_exit_code(rc);
}
