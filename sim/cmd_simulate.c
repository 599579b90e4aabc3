/* haksim TRACE: what release policies would do over a trace. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "sim/sim_commands.h"
#include "sim/cost_model.h"
#include "sim/costs_store.h"
#include "sim/sim_rows.h"

enum { OPT_CHECK = 256, OPT_MODE, OPT_DB, OPT_NO_DB, OPT_PRICES, OPT_JSON, OPT_CSV };

struct config {
    const char *trace, *db, *prices;
    struct hakp_spec *policies;
    size_t n_policies;
    unsigned jobs;
    int check_full, full;
    enum hakc_out_format format;
};

static const struct argp_option options[] = {
    {"policy", 'p', "LIST", 0,
     "Release policies, separated by commas, as HAKMEM_POLICY takes them; may be given more than "
     "once (default: never,eager,partial)",
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
    {"json", OPT_JSON, NULL, 0, "Print JSON", 2},
    {"csv", OPT_CSV, NULL, 0, "Print CSV", 2},
    {0}};

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
        if (c->trace == NULL)
            argp_error(state, "no trace given");
        if (c->full && c->check_full)
            argp_error(state, "--check-full needs --mode=events");
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
           "Policies: eager, never, partial, decay, delay, demand, bounce, report-2025; each as "
           "NAME, NAME:VALUE or NAME:key=value,key=value. docs/policies.md has their keys. "
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

static int simulate(const struct config *c, int argc, char **argv, struct hakc_err *err) {
    struct haks_costs costs;
    struct haks_store_args store = {
        .db = c->db, .trace = c->trace, .costs = &costs, .argc = argc, .argv = argv};
    const char *mode = c->full ? "full" : "events";
    struct haks_row *rows = haks_rows_new(c->policies, c->n_policies, mode), *full = NULL;
    struct haks_stream *stream = NULL;
    struct haks_pass pass = {0}, full_pass;
    size_t n = c->n_policies, differ = 0;
    uint64_t eval_ns = 0;
    int rc = haks_costs_find(c->prices, c->db, &costs, err);

    if (rc == 0 && c->db != NULL)
        rc = haks_store_check(c->db, err);
    if (rc != 0)
        goto out;
    if (c->check_full)
        full = haks_rows_new(c->policies, n, "full");
    if (rows == NULL || (c->check_full && full == NULL)) {
        rc = hakc_fail(err, HAKC_ENOMEM, "no memory for %zu policies", n);
        goto out;
    }
    if (!c->full)
        rc = haks_first_pass(c->trace, &pass, &stream, &haks_stop, err);
    if (rc != 0)
        goto out;
    if (c->full)
        eval_ns = haks_rows_full(rows, n, c->trace, &pass, &costs, &haks_stop);
    else
        eval_ns = haks_rows_evaluate(rows, n, stream, &pass, &costs, c->jobs, &haks_stop);
    if (!c->full && !c->check_full)
        haks_rows_fall_back(rows, n, c->trace, &costs, &haks_stop);
    if (c->check_full) {
        haks_rows_full(full, n, c->trace, &full_pass, &costs, &haks_stop);
        differ = compare(rows, full, n);
    }
    if (c->full && pass.page_size == 0) { /* no run came to its end: there is nothing to show */
        rc = first_failure(rows, n, err);
        if (rc == 0 && haks_stop)
            rc = hakc_fail(err, HAKC_EINTERNAL, "interrupted");
        goto out;
    }
    if (pass.ops == 0) {
        rc = hakc_fail(err, HAKC_EREFUSED, "%s holds no op to simulate", c->trace);
        goto out;
    }
    rc = haks_rows_show(stdout, c->format, c->trace, &costs, &pass, rows, full, n, eval_ns, err);
    store.interrupted = haks_stop;
    if (rc == 0 && c->db != NULL)
        rc = haks_rows_store(&store, rows, full, n, err);
    if (rc == 0)
        rc = first_failure(rows, n, err);
    if (rc == 0)
        rc = first_failure(full, n, err);
    if (rc == 0 && differ > 0)
        rc = hakc_fail(err, HAKC_EINTERNAL, "events and full run differ for %zu of %zu policies",
                       differ, n);
    if (rc == 0 && haks_stop)
        rc = hakc_fail(err, HAKC_EINTERNAL, "interrupted");
out:
    haks_stream_close(stream);
    free(rows);
    free(full);
    return rc;
}

int haks_cmd_simulate(int argc, char **argv) {
    struct config c = {.db = haks_default_db()};
    struct hakc_err err = {0};
    int rc;

    argp_parse(&argp, argc, argv, 0, NULL, &c);
    if (c.n_policies == 0)
        haks_policy_list("never,eager,partial", &c.policies, &c.n_policies, &err);
    haks_catch_signals();
    rc = simulate(&c, argc, argv, &err);
    if (rc != 0)
        hakc_err_print("haksim", &err);
    free(c.policies);
    return hakc_exit_code(rc);
}
