/* haksim optimise TRACE...: which release policy to take. */
#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"
#include "sim/optimise_report.h"
#include "sim/sim_commands.h"

enum {
    OPT_BELOW = 256,
    OPT_MEMORY,
    OPT_OVER,
    OPT_HOLD_OUT,
    OPT_CONFIRM,
    OPT_DB,
    OPT_NO_DB,
    OPT_PRICES,
    OPT_STUDY,
    OPT_JSON,
    OPT_CSV
};

/* What is tried without --policy: each kind over the range in which it differs from the others. */
static const char standard[] = "partial:n=2..4096*2,bounce:n=1..64*2,"
                               "decay:ms=1..100000*2,delay:ms=1..100000*2,demand:ms=1..100000*2,"
                               "rest:ms=1..1000*10,adapt:ms=30..3000*10,keep=512KiB..8MiB*4,"
                               "decay|delay|demand:ms=10..10000*10,max=512KiB..64MiB*2,"
                               "partial:n=64|512,max=1MiB..64MiB*4,keep=512KiB..8MiB*4,"
                               "model-glibc,model-mimalloc,model-jemalloc,model-tcmalloc";

struct config {
    const char *db, *prices, *study;
    const char **traces;
    char *over;                  /* copy of --over, which the traces point into */
    size_t n_traces, n_held_out; /* the held-out ones stand at the end */
    struct hakp_spec *policies;
    size_t n_policies;
    struct haks_limit limit;
    enum haks_memory memory;
    const char *memory_name;
    unsigned jobs, confirm; /* confirm: repeats, or 0 */
    enum hakc_out_format format;
};

static const struct argp_option options[] = {
    {"policy", 'p', "LIST", 0,
     "Policies to choose from, with ranges and lists, as haksim --policy takes them; eager and "
     "never are always among them (default: some 200 of all kinds)",
     0},
    {"keep-memory-below", OPT_BELOW, "LIMIT", 0,
     "Memory bound: a size (64MiB), or a multiple of what eager needs on the same trace (1.1x, the "
     "default)",
     0},
    {"memory", OPT_MEMORY, "WHICH", 0,
     "The memory that is bounded: mean (by time where the trace has times, else by ops; default), "
     "mean-ops, or peak",
     0},
    {"over", OPT_OVER, "TRACES", 0, "Traces to choose by, separated by commas; as arguments", 0},
    {"hold-out", OPT_HOLD_OUT, "TRACE", 0,
     "Not chosen by: the choice is tried on it; may be given more than once", 0},
    {"confirm", OPT_CONFIRM, "N", OPTION_ARG_OPTIONAL,
     "Replay the choice in libhakmem with hakreplay, N accounted runs (default 5), and show what "
     "was "
     "predicted beside what was measured",
     0},
    {"jobs", 'j', "N", 0, "Policies evaluated at a time (default: one a core)", 0},
    {"db", OPT_DB, "FILE", 0, "Add the results to this database (default: $HAKDB, else results.db)",
     1},
    {"no-db", OPT_NO_DB, NULL, 0, "Keep no results", 1},
    {"prices", OPT_PRICES, "FILE", 0,
     "Database with this machine's calibration to price by, or \"reference\" (default: that of "
     "--db, "
     "if it has one)",
     1},
    {"study", OPT_STUDY, "NAME", 0,
     "Results belong to the study NAME; what it holds already is not evaluated again", 1},
    {"json", OPT_JSON, NULL, 0, "Print JSON", 2},
    {"csv", OPT_CSV, NULL, 0, "Print CSV", 2},
    {0}};

/* ---- options -------------------------------------------------------------------------------- */

static void add_trace(struct argp_state *state, struct config *c, const char *path, int hold_out) {
    const char **grown = realloc(c->traces, (c->n_traces + 1) * sizeof *grown);
    size_t at;
    if (grown == NULL) {
        argp_failure(state, 1, 0, "no memory for the list of traces");
        return;
    }
    c->traces = grown;
    for (size_t i = 0; i < c->n_traces; i++)
        if (strcmp(c->traces[i], path) == 0)
            argp_error(state, "%s is given twice", path);
    at = hold_out ? c->n_traces : c->n_traces - c->n_held_out;
    memmove(&c->traces[at + 1], &c->traces[at], (c->n_traces - at) * sizeof *grown);
    c->traces[at] = path;
    c->n_traces++;
    c->n_held_out += hold_out != 0;
}

static void add_list(struct argp_state *state, struct config *c, const char *list) {
    if (c->over != NULL)
        argp_error(state, "--over is given twice: separate the traces by commas");
    c->over = strdup(list);
    if (c->over == NULL) {
        argp_failure(state, 1, 0, "no memory for the list of traces");
        return;
    }
    for (char *at = strtok(c->over, ","); at != NULL; at = strtok(NULL, ","))
        add_trace(state, c, at, 0);
}

/* "1.1x" or a size. */
static void parse_limit(struct argp_state *state, struct config *c, const char *arg) {
    size_t len = strlen(arg);
    char *end;
    double times;
    struct hakc_err err;
    c->limit = (struct haks_limit){0};
    if (len > 1 && arg[len - 1] == 'x') {
        times = strtod(arg, &end);
        if (end != arg + len - 1 || !(times >= 1 && times <= 1000))
            argp_error(state, "--keep-memory-below is \"%s\": a multiple must be from 1x to 1000x",
                       arg);
        c->limit.times_milli = (uint64_t)(times * 1000 + 0.5);
    } else if (hakc_parse_bytes(arg, &c->limit.bytes, &err) != 0 || c->limit.bytes == 0) {
        argp_error(state,
                   "--keep-memory-below is \"%s\": it must be a size such as 64MiB, or a "
                   "multiple of eager's memory such as 1.1x",
                   arg);
    }
}

static void parse_memory(struct argp_state *state, struct config *c, const char *arg) {
    static const char *const names[] = {[HAKS_MEMORY_MEAN] = "mean",
                                        [HAKS_MEMORY_MEAN_OPS] = "mean-ops",
                                        [HAKS_MEMORY_PEAK] = "peak"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(arg, names[i]) == 0) {
            c->memory = (enum haks_memory)i;
            c->memory_name = names[i];
            return;
        }
    }
    argp_error(state, "--memory is \"%s\": it must be mean, mean-ops or peak", arg);
}

static unsigned parse_number(struct argp_state *state, const char *option, const char *arg,
                             unsigned most) {
    uint64_t v;
    if (hakc_parse_count(arg, &v, NULL) != 0 || v == 0 || v > most)
        argp_error(state, "--%s is \"%s\": it must be a number from 1 to %u", option, arg, most);
    return (unsigned)v;
}

static void check_options(struct argp_state *state, const struct config *c) {
    if (c->n_traces == c->n_held_out)
        argp_error(state, "no trace given to choose by");
    if (c->study != NULL && c->db == NULL)
        argp_error(state, "--study needs a database: it cannot go with --no-db");
    if (c->confirm > 0 && c->db == NULL)
        argp_error(state, "--confirm needs a database: it cannot go with --no-db");
}

static error_t parse_opt(int key, char *arg, struct argp_state *state) {
    struct config *c = state->input;
    struct hakc_err err = {0};
    switch (key) {
    case 'p':
        if (haks_policy_list(arg, &c->policies, &c->n_policies, &err) != 0)
            argp_error(state, "%s", err.msg);
        break;
    case 'j':
        c->jobs = parse_number(state, "jobs", arg, 256);
        break;
    case OPT_BELOW:
        parse_limit(state, c, arg);
        break;
    case OPT_MEMORY:
        parse_memory(state, c, arg);
        break;
    case OPT_OVER:
        add_list(state, c, arg);
        break;
    case OPT_HOLD_OUT:
        add_trace(state, c, arg, 1);
        break;
    case OPT_CONFIRM:
        c->confirm = arg != NULL ? parse_number(state, "confirm", arg, 1000) : HAKS_CONFIRM_REPEATS;
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
    case OPT_JSON:
        c->format = HAKC_OUT_JSON;
        break;
    case OPT_CSV:
        c->format = HAKC_OUT_CSV;
        break;
    case ARGP_KEY_ARG:
        add_trace(state, c, arg, 0);
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
    .args_doc = "TRACE...",
    .doc = "Choose a release policy: the Pareto front of predicted kernel time against resident "
           "memory, its knee, the cheapest policy within a memory bound, one policy for several "
           "traces, and how far each is from an oracle that knows the future."
           "\vWith several traces the policy whose worst loss against each trace's own best is "
           "least is chosen; with three or more each is left out once (cross-validation). Prints "
           "what to deploy and the hakreplay line that confirms it. Exit codes: 0 fine, 1 failed, "
           "2 usage, 4 corrupt or truncated trace.",
};

/* ---- the work ------------------------------------------------------------------------------- */

struct work {
    const struct config *c;
    struct haks_costs costs;
    struct haks_session session;
    struct haks_findings f;
    struct haks_point *points, *may; /* trace by trace; may: of those that can be deployed */
    uint64_t *bounds;
    struct haks_trial *trials;
    struct haks_confirmed *confirmed;
};

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int evaluate_all(struct work *w, struct hakc_err *err) {
    const struct config *c = w->c;
    size_t n = c->n_policies, eager = 0; /* the list begins with it */
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->n_traces; i++) {
        struct haks_subject *s = &w->f.traces[i];
        s->path = c->traces[i];
        s->name = last_part(s->path);
        s->held_out = i >= w->f.n_train;
        s->points = w->points + i * n;
        s->may = w->may + i * n;
        rc = haks_subject_evaluate(s, &w->session, c->policies, n, eager, c->memory, &c->limit,
                                   c->jobs, &haks_stop, err);
        for (size_t k = 0; rc == 0 && k < s->n_front; k++)
            rc = haks_subject_ask(s, s->front[k], err);
        if (rc == 0)
            rc = haks_subject_keep_oracle(s, &w->session, err);
        w->bounds[i] = s->bound;
    }
    return rc;
}

/* One policy for all, then for all but each. */
static int choose(struct work *w, struct hakc_err *err) {
    struct haks_table t = {w->f.n_train, w->c->n_policies, w->may, w->bounds};
    uint8_t *use = malloc(t.traces);
    int rc = 0;
    if (use == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for %zu traces", t.traces);
    w->f.choice = haks_choose_for_all(&t, NULL);
    for (size_t i = 0; t.traces >= 3 && i < t.traces; i++) {
        memset(use, 1, t.traces);
        use[i] = 0;
        w->trials[w->f.n_trials++] = (struct haks_trial){i, haks_choose_for_all(&t, use).policy};
    }
    free(use);
    if (w->f.choice.policy == HAKS_NOWHERE)
        return hakc_fail(err, HAKC_EINTERNAL, "no policy was evaluated on all traces");
    for (size_t i = 0; rc == 0 && i < w->f.n_traces; i++) {
        rc = haks_subject_ask(&w->f.traces[i], w->f.choice.policy, err);
        if (rc == 0 && w->f.traces[i].best != HAKS_NOWHERE)
            rc = haks_subject_ask(&w->f.traces[i], w->f.traces[i].best, err);
    }
    return rc;
}

static int optimise(struct work *w, int argc, char **argv, struct hakc_err *err) {
    const struct config *c = w->c;
    int rc = haks_session_prepare(&w->session, c->prices, c->db, &w->costs, err);
    if (rc == 0)
        rc = haks_session_begin(&w->session, c->db, c->study, &w->costs, argc, argv, err);
    w->f.prices = w->costs.source;
    w->f.traces = calloc(c->n_traces, sizeof *w->f.traces);
    w->points = calloc(c->n_traces * c->n_policies, sizeof *w->points);
    w->may = calloc(c->n_traces * c->n_policies, sizeof *w->may);
    w->bounds = calloc(c->n_traces, sizeof *w->bounds);
    w->trials = calloc(c->n_traces, sizeof *w->trials);
    w->f.trials = w->trials;
    if (rc == 0 && (w->f.traces == NULL || w->points == NULL || w->may == NULL ||
                    w->bounds == NULL || !w->trials))
        rc = hakc_fail(err, HAKC_ENOMEM, "no memory for %zu traces", c->n_traces);
    if (rc == 0)
        rc = evaluate_all(w, err);
    return rc == 0 ? choose(w, err) : rc;
}

static int confirm_and_show(struct work *w, struct hakc_err *err) {
    int rc = 0, shown;
    if (w->c->confirm > 0 && w->session.lost == 0)
        rc = haks_confirm(&w->f, w->c->confirm, &w->confirmed, &w->f.n_confirmed, &haks_stop, err);
    w->f.confirmed = w->confirmed;
    shown = haks_findings_show(stdout, w->c->format, &w->f, rc == 0 ? err : NULL);
    return rc != 0 ? rc : shown;
}

static void clean_up(struct work *w) {
    for (size_t i = 0; w->f.traces != NULL && i < w->f.n_traces; i++)
        haks_subject_free(&w->f.traces[i]);
    free(w->f.traces);
    free(w->points);
    free(w->may);
    free(w->bounds);
    free(w->trials);
    free(w->confirmed);
}

static int run(const struct config *c, int argc, char **argv, struct hakc_err *err) {
    struct work w = {.c = c,
                     .f = {.n_traces = c->n_traces,
                           .n_train = c->n_traces - c->n_held_out,
                           .n_policies = c->n_policies,
                           .limit = c->limit,
                           .memory = c->memory_name,
                           .study = c->study,
                           .db = c->db}};
    int rc = optimise(&w, argc, argv, err);
    rc = haks_session_end(&w.session, rc, haks_stop, err);
    if (rc == 0) /* the database is closed: hakreplay writes to it */
        rc = confirm_and_show(&w, err);
    if (rc == 0)
        rc = haks_session_lost(&w.session, err);
    clean_up(&w);
    return rc;
}

int haks_cmd_optimise(int argc, char **argv) {
    struct config c = {.db = haks_default_db(), .limit = {0, 1100}, .memory_name = "mean"};
    struct hakc_err err = {0};
    int rc = haks_policy_list("eager,never", &c.policies, &c.n_policies, &err);
    argp_parse(&argp, argc, argv, 0, NULL, &c);
    if (rc == 0 && c.n_policies == 2)
        rc = haks_policy_list(standard, &c.policies, &c.n_policies, &err);
    haks_catch_signals();
    if (rc == 0)
        rc = run(&c, argc, argv, &err);
    if (rc != 0)
        hakc_err_print("haksim optimise", &err);
    free(c.policies);
    free(c.traces);
    free(c.over);
    return hakc_exit_code(rc);
}
