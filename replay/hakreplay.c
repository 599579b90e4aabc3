/*
 * hakreplay: drives a trace through real allocators and compares them.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/cmdline.h"
#include "common/units.h"
#include "replay/child.h"
#include "replay/limits.h"
#include "replay/load.h"
#include "replay/proof.h"
#include "replay/raw.h"
#include "replay/report.h"
#include "replay/save.h"

#define TOOL                 "hakreplay"
#define HAKR_EXIT_REGRESSION 3
#define CLOCK_EVERY_NS       UINT64_C(100000) /* of recorded time */
#define MAX_POLICIES         64
#define MAX_REPEATS          10000
#define DEFAULT_TIMEOUT      (UINT64_C(600) * 1000000000u)

extern char **environ;

const char *argp_program_version = "hakreplay " HAK_VERSION;

struct options {
    const char *trace;
    struct hakr_variants variants;
    const char *policies[MAX_POLICIES];
    size_t n_policies;
    unsigned passes; /* bits by enum hakr_pass */
    uint32_t repeats, account_repeats;
    uint32_t why, slowest, latency_repeats;
    const char *db;
    const char *baseline_name;
    size_t baseline;
    struct hakr_limit limits[HAKR_LIMITS_MAX];
    size_t n_limits;
    double speed;   /* --speed: 0 = as fast as it goes, 1 = as recorded */
    uint64_t drift; /* --drift: HAKR_DRIFT_AUTO = in the account pass alone */
    uint64_t rest_ns;
    int counting;
    double until; /* 0 = a fixed number of repeats */
    uint32_t max_repeats;
    int exact_clock;
    int recorded;   /* by haktrace: one run of libc, in this process */
    int real_clock; /* 0 = virtual where the trace has times */
    int no_db, no_control, no_warm_up, marks;
    uint64_t seed, timeout_ns, memory_limit;
    enum hakr_touch touch;
    enum hakc_out_format format;
    struct hakc_err err; /* of an option: kept, so that its exit code is the right one */
};

enum {
    OPT_POLICY = 256,
    OPT_PASSES,
    OPT_ACCOUNT_REPEATS,
    OPT_DB,
    OPT_NO_DB,
    OPT_SEED,
    OPT_JSON,
    OPT_CSV,
    OPT_TIMEOUT,
    OPT_TOUCH,
    OPT_NO_CONTROL,
    OPT_NO_WARM_UP,
    OPT_MARKS,
    OPT_WHY,
    OPT_MEMORY_LIMIT,
    OPT_BASELINE,
    OPT_FAIL_IF,
    OPT_CLOCK,
    OPT_LATENCY_REPEATS,
    OPT_SLOWEST,
    OPT_SPEED,
    OPT_CHECK,
    OPT_COUNTING,
    OPT_UNTIL,
    OPT_MAX_REPEATS,
    OPT_COUNTERS,
    OPT_REST,
    OPT_DRIFT,
};

static const struct argp_option option_table[] = {
    {"alloc", 'a', "LIST", 0,
     "allocators: libc, hakmem, mimalloc, jemalloc, tcmalloc, NAME=/path/to/lib.so; "
     "NAME:KEY=VALUE;KEY=VALUE adds environment (default: hakmem,libc). Ratios are to the first",
     0},
    {"policy", OPT_POLICY, "LIST", 0, "release policies to run hakmem under, each as a variant", 0},
    {"repeats", 'r', "N", 0, "timed runs of each variant (default 5)", 0},
    {"account-repeats", OPT_ACCOUNT_REPEATS, "N", 0,
     "accounted runs of each variant (default 1; 5 with --fail-if of memory)", 0},
    {"passes", OPT_PASSES, "LIST", 0, "time, account, latency (default: time,account)", 0},
    {"clock", OPT_CLOCK, "CLOCK", 0,
     "of hakmem's release policies: virtual, the recorded time (default if the trace has times); "
     "exact, the same told before every op; real",
     0},
    {"baseline", OPT_BASELINE, "NAME", 0,
     "ratios are to this variant, as --alloc (and --policy) names it (default: the first)", 0},
    {"fail-if", OPT_FAIL_IF, "LIMIT", 0,
     "exit with 3 if a variant is slower=N% (ns/op), bigger=N% (mean resident memory) or peak=N% "
     "than the baseline and a rank test tells them apart; may be given several times",
     0},
    {"touch", OPT_TOUCH, "HOW", 0,
     "first: write a byte to each page of each new block but calloc's (default); none; all: write "
     "every byte of every block",
     0},
    {"seed", OPT_SEED, "N", 0, "of the order of runs (default 1)", 0},
    {"timeout", OPT_TIMEOUT, "TIME", 0,
     "limit of one run: seconds, or with a unit (default 600; 0 = none)", 0},
    {"memory-limit", OPT_MEMORY_LIMIT, "SIZE", 0,
     "limit of each run's writable private memory (RLIMIT_DATA): allocations beyond it fail", 0},
    {"no-control", OPT_NO_CONTROL, NULL, 0, "do not run the allocator that does nothing", 0},
    {"no-warm-up", OPT_NO_WARM_UP, NULL, 0, "keep the first run of each variant", 0},
    {"db", OPT_DB, "FILE", 0, "add the results to FILE (default: $HAKDB, else results.db)", 0},
    {"no-db", OPT_NO_DB, NULL, 0, "store nothing", 0},
    {"check", OPT_CHECK, NULL, 0,
     "first run each variant once with a pattern in every block, verified before it is freed or "
     "reallocated and at the end; a variant that fails gives no figures",
     0},
    {"counting", OPT_COUNTING, "HOW", 0,
     "how memory system calls are counted: seccomp, ptrace (slower), auto: seccomp, or ptrace "
     "where "
     "that is forbidden (default)",
     0},
    {"until", OPT_UNTIL, "N%", 0,
     "repeat timed runs until each variant's interval lies within N% of its median, or "
     "--max-repeats is reached",
     0},
    {"max-repeats", OPT_MAX_REPEATS, "N", 0, "the limit of --until (default 50)", 0},
    {"counters", OPT_COUNTERS, NULL, 0,
     "run each variant once more under the processor's counters: cycles, instructions, misses", 0},
    {"rest", OPT_REST, "TIME", 0,
     "after each accounted run look at resident memory for so long: at 0.1, 1 and 5 s (default "
     "100ms; 0 = not at all)",
     0},
    {"speed", OPT_SPEED, "SPEED", 0,
     "max: as fast as it goes (default); recorded: each op at its recorded time; N: N times as "
     "fast "
     "as recorded",
     0},
    {"drift", OPT_DRIFT, "N", 0,
     "no op runs before one that was recorded N ops before it; 0: exactly in the recorded order; "
     "none: only hand-overs between threads are waited for (default: none in the time and latency "
     "passes, 128 to 16384 by the trace's length in the account pass)",
     0},
    {"latency-repeats", OPT_LATENCY_REPEATS, "N", 0,
     "latency runs of each variant, summed up (default 1)", 0},
    {"slowest", OPT_SLOWEST, "N", 0, "latency pass: list the N slowest ops (default 10)", 0},
    {"why", OPT_WHY, "N", OPTION_ARG_OPTIONAL,
     "show the N dearest causes of memory system calls of each variant: op, size and call (default "
     "10)",
     0},
    {"json", OPT_JSON, NULL, 0, "print JSON", 0},
    {"csv", OPT_CSV, NULL, 0, "print CSV", 0},
    {"region-marks", OPT_MARKS, NULL, OPTION_HIDDEN, NULL, 0},
    {0},
};

static int parse_number(struct argp_state *state, const char *name, const char *text, uint64_t min,
                        uint64_t max, uint64_t *v) {
    char *end;
    errno = 0;
    unsigned long long x = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || x < min || x > max)
        argp_error(state, "--%s: '%s' is not a whole number from %llu to %llu", name, text,
                   (unsigned long long)min, (unsigned long long)max);
    *v = x;
    return 0;
}

static void parse_passes(struct argp_state *state, struct options *o, const char *text) {
    o->passes &= 1u << HAKR_PASS_CHECK | 1u << HAKR_PASS_COUNTERS; /* have options of their own */
    while (*text != '\0') {
        size_t n = strcspn(text, ",");
        if (n == 4 && memcmp(text, "time", n) == 0)
            o->passes |= 1u << HAKR_PASS_TIME;
        else if (n == 7 && memcmp(text, "account", n) == 0)
            o->passes |= 1u << HAKR_PASS_ACCOUNT;
        else if (n == 7 && memcmp(text, "latency", n) == 0)
            o->passes |= 1u << HAKR_PASS_LATENCY;
        else
            argp_error(state, "--passes: '%.*s' is none of time, account, latency", (int)n, text);
        text += n + (text[n] == ',');
    }
    if ((o->passes & 7u) == 0)
        argp_error(state, "--passes names no pass");
}

static void parse_timeout(struct argp_state *state, struct options *o, const char *text) {
    struct hakc_err err = {0};
    char with_unit[64];
    size_t digits = strspn(text, "0123456789.");
    snprintf(with_unit, sizeof with_unit, "%s%s", text, text[digits] == '\0' ? "s" : "");
    if (strlen(text) > 60 || hakc_parse_duration(with_unit, &o->timeout_ns, &err) != 0)
        argp_error(state, "--timeout: '%s' is not a time such as 90, 90s or 2m", text);
}

static void parse_touch(struct argp_state *state, struct options *o, const char *text) {
    if (strcmp(text, "first") == 0)
        o->touch = HAKR_TOUCH_FIRST;
    else if (strcmp(text, "none") == 0)
        o->touch = HAKR_TOUCH_NONE;
    else if (strcmp(text, "all") == 0)
        o->touch = HAKR_TOUCH_ALL;
    else
        argp_error(state, "--touch: '%s' is none of first, none, all", text);
}

static double parse_percent(struct argp_state *state, const char *name, const char *text) {
    char *end;
    double x = strtod(text, &end);
    if (text[0] < '0' || text[0] > '9' || strcmp(end, "%") != 0 || !(x > 0 && x <= 100))
        argp_error(state, "--%s: '%s' is not a share such as 2%%", name, text);
    return x / 100;
}

static void parse_speed(struct argp_state *state, struct options *o, const char *text) {
    char *end;
    o->speed = strcmp(text, "recorded") == 0 ? 1 : 0;
    if (o->speed > 0 || strcmp(text, "max") == 0)
        return;
    o->speed = strtod(text, &end);
    if (text[0] < '0' || text[0] > '9' || (*end != '\0' && strcmp(end, "x") != 0) ||
        !(o->speed >= 1e-3 && o->speed <= 1e6))
        argp_error(state,
                   "--speed: '%s' is none of max, recorded, and a number from 0.001 to 1000000",
                   text);
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct options *o = state->input;
    uint64_t v = 0;
    switch (key) {
    case 'a':
        if (o->err.code == 0)
            hakr_variants_add(&o->variants, arg, &o->err);
        break;
    case OPT_POLICY:
        if (o->n_policies == MAX_POLICIES)
            argp_error(state, "more than %d --policy options", MAX_POLICIES);
        o->policies[o->n_policies++] = arg;
        break;
    case 'r':
        parse_number(state, "repeats", arg, 1, MAX_REPEATS, &v);
        o->repeats = (uint32_t)v;
        break;
    case OPT_ACCOUNT_REPEATS:
        parse_number(state, "account-repeats", arg, 1, MAX_REPEATS, &v);
        o->account_repeats = (uint32_t)v;
        break;
    case OPT_PASSES:
        parse_passes(state, o, arg);
        break;
    case OPT_DB:
        o->db = arg;
        break;
    case OPT_NO_DB:
        o->no_db = 1;
        break;
    case OPT_SEED:
        parse_number(state, "seed", arg, 0, UINT64_MAX, &o->seed);
        break;
    case OPT_JSON:
        o->format = HAKC_OUT_JSON;
        break;
    case OPT_CSV:
        o->format = HAKC_OUT_CSV;
        break;
    case OPT_TIMEOUT:
        parse_timeout(state, o, arg);
        break;
    case OPT_TOUCH:
        parse_touch(state, o, arg);
        break;
    case OPT_NO_CONTROL:
        o->no_control = 1;
        break;
    case OPT_NO_WARM_UP:
        o->no_warm_up = 1;
        break;
    case OPT_COUNTING:
        o->counting = strcmp(arg, "seccomp") == 0  ? HAKR_BY_SECCOMP
                      : strcmp(arg, "ptrace") == 0 ? HAKR_BY_PTRACE
                                                   : 0;
        if (o->counting == 0 && strcmp(arg, "auto") != 0)
            argp_error(state, "--counting: '%s' is none of auto, seccomp, ptrace", arg);
        break;
    case OPT_UNTIL:
        o->until = parse_percent(state, "until", arg);
        break;
    case OPT_MAX_REPEATS:
        parse_number(state, "max-repeats", arg, 1, MAX_REPEATS, &v);
        o->max_repeats = (uint32_t)v;
        break;
    case OPT_CHECK:
        o->passes |= 1u << HAKR_PASS_CHECK;
        break;
    case OPT_COUNTERS:
        o->passes |= 1u << HAKR_PASS_COUNTERS;
        break;
    case OPT_REST:
        if (o->err.code == 0)
            hakc_parse_duration(arg, &o->rest_ns, &o->err);
        break;
    case OPT_SPEED:
        parse_speed(state, o, arg);
        break;
    case OPT_DRIFT:
        if (strcmp(arg, "none") == 0)
            o->drift = HAKR_NO_DRIFT;
        else
            parse_number(state, "drift", arg, 0, UINT64_C(1) << 40, &o->drift);
        break;
    case OPT_LATENCY_REPEATS:
        parse_number(state, "latency-repeats", arg, 1, MAX_REPEATS, &v);
        o->latency_repeats = (uint32_t)v;
        break;
    case OPT_SLOWEST:
        parse_number(state, "slowest", arg, 0, 1000, &v);
        o->slowest = (uint32_t)v;
        break;
    case OPT_CLOCK:
        if (strcmp(arg, "real") != 0 && strcmp(arg, "virtual") != 0 && strcmp(arg, "exact") != 0)
            argp_error(state, "--clock: '%s' is none of virtual, exact, real", arg);
        o->exact_clock = strcmp(arg, "exact") == 0;
        o->real_clock = strcmp(arg, "real") == 0;
        break;
    case OPT_MEMORY_LIMIT:
        if (o->err.code == 0 && hakc_parse_bytes(arg, &o->memory_limit, &o->err) == 0 &&
            o->memory_limit == 0)
            argp_error(state, "--memory-limit: 0 leaves nothing");
        break;
    case OPT_BASELINE:
        o->baseline_name = arg;
        break;
    case OPT_FAIL_IF:
        if (o->n_limits == HAKR_LIMITS_MAX)
            argp_error(state, "more than %d --fail-if options", HAKR_LIMITS_MAX);
        if (o->err.code == 0 && hakr_limit_parse(arg, &o->limits[o->n_limits], &o->err) == 0)
            o->n_limits++;
        break;
    case OPT_WHY:
        v = 10;
        if (arg != NULL)
            parse_number(state, "why", arg, 1, 10000, &v);
        o->why = (uint32_t)v;
        break;
    case OPT_MARKS:
        o->marks = 1;
        break;
    case ARGP_KEY_ARG:
        if (o->trace != NULL)
            argp_error(state, "one trace at a time: '%s' is too many", arg);
        o->trace = arg;
        break;
    case ARGP_KEY_END:
        if (o->trace == NULL)
            argp_error(state, "which trace?");
        if (o->why != 0 && (o->passes & 1u << HAKR_PASS_ACCOUNT) == 0)
            argp_error(state, "--why reads the account pass, which --passes leaves out");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp parser = {
    option_table,
    parse_option,
    "TRACE",
    "Drives the stream of a trace through real allocators, each run in a fresh process, and "
    "compares time, resident memory, page faults and memory system calls."
    "\vExit code: 0 all runs were good, 1 a run failed or was interrupted, 2 usage, 3 a limit of "
    "--fail-if was broken, 4 corrupt or "
    "truncated trace.",
    NULL,
    NULL,
    NULL};

/* ---- Ctrl-C -----------------------------------------------------------------------------------
 */

static volatile int stop;

static void on_stop(int sig) {
    (void)sig;
    stop = 1;
}

static void catch_stop(void) {
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = on_stop; /* no SA_RESTART: the wait for a run must end */
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

/* ---- */

static int complete_variants(struct options *o, struct hakc_err *err) {
    int rc = 0;
    if (o->variants.n == 0)
        rc = hakr_variants_add(&o->variants, "hakmem,libc", err);
    if (rc == 0 && o->n_policies != 0)
        rc = hakr_variants_cross(&o->variants, o->policies, o->n_policies, err);
    if (rc == 0 && !o->no_control && (o->passes & 1u << HAKR_PASS_TIME) != 0)
        rc = hakr_variants_add_control(&o->variants, err);
    return rc;
}

/* Under haktrace there is one run, of libc, in this process: what is recorded is the replay. */
static int heed_recorder(struct options *o, struct hakc_err *err) {
    if (!hakr_is_recorded())
        return 0;
    if (o->variants.n != 1 || o->variants.at[0].path != NULL || o->variants.at[0].env_text != NULL)
        return hakc_fail(err, HAKC_EUSAGE,
                         "while haktrace records hakreplay, it replays with --alloc=libc alone");
    fprintf(stderr, TOOL ": haktrace is recording: one run, in this process\n");
    o->recorded = 1;
    o->passes = 1u << HAKR_PASS_TIME;
    o->repeats = 1;
    o->no_control = o->no_warm_up = 1;
    return 0;
}

static int choose_baseline(struct options *o, struct hakc_err *err) {
    const struct hakr_variants *v = &o->variants;
    size_t i = 0;
    while (o->baseline_name != NULL && i < v->n &&
           (v->at[i].control || (strcmp(v->at[i].label, o->baseline_name) != 0 &&
                                 strcmp(v->at[i].name, o->baseline_name) != 0)))
        i++;
    if (i == v->n)
        return hakc_fail(err, HAKC_EUSAGE, "--baseline %s: no variant is called so",
                         o->baseline_name);
    o->baseline = i;
    return 0;
}

/* A limit needs its pass, and runs enough for a rank test to tell two variants apart. */
static int check_limits(struct options *o, struct hakc_err *err) {
    for (size_t i = 0; i < o->n_limits; i++) {
        const struct hakr_limit *l = &o->limits[i];
        uint32_t *n = l->pass == HAKR_PASS_TIME ? &o->repeats : &o->account_repeats;
        if ((o->passes & 1u << l->pass) == 0)
            return hakc_fail(err, HAKC_EUSAGE, "--fail-if %s needs the %s pass", l->word,
                             hakr_pass_name(l->pass));
        if (l->pass == HAKR_PASS_ACCOUNT && *n == 0)
            *n = 5;
        if (*n < 4)
            return hakc_fail(err, HAKC_EUSAGE,
                             "--fail-if %s: with fewer than 4 runs no difference is significant",
                             l->word);
    }
    if (o->account_repeats == 0)
        o->account_repeats = 1;
    return 0;
}

/* What the environment sets for allocators is not passed on: a run is what its name says. */
static void warn_of_knobs(void) {
    for (char **e = environ; *e != NULL; e++)
        if (hakr_is_allocator_knob(*e))
            fprintf(stderr,
                    TOOL ": %.*s is set: not passed on to the runs (use --alloc NAME:KEY=VALUE)\n",
                    (int)strcspn(*e, "="), *e);
}

static int any_failed(const struct hakr_experiment *e) {
    for (size_t i = 0; i < e->n_runs; i++)
        if (e->runs[i].result.status != HAKR_OK)
            return 1;
    return 0;
}

/* In the account pass memory is what counts, and it depends on which objects are live together. */
static unsigned drift_passes(const struct options *o) {
    if (o->drift == HAKR_NO_DRIFT)
        return 0;
    return o->drift == HAKR_DRIFT_AUTO ? 1u << HAKR_PASS_ACCOUNT : (1u << HAKR_PASS_COUNT) - 1;
}

static int load_timed(const char *path, const struct hakr_load_options *load,
                      struct hakr_plan *plan, struct hakt_reader **reader, uint64_t *ns,
                      struct hakc_err *err) {
    uint64_t start = hakr_now();
    int rc = hakr_load(path, load, plan, reader, err);
    *ns = hakr_now() - start;
    return rc;
}

static int run_all(struct options *o, const char *args, struct hakc_err *err) {
    struct hakr_plan plan = {.fd = -1};
    struct hakt_reader *reader = NULL;
    struct hakr_experiment e = {0};
    struct hakr_save save = {0};
    struct hakr_report report = {0};
    struct hakr_load_options load = {.clock_every_ns = CLOCK_EVERY_NS,
                                     .every_time = o->speed > 0 || o->exact_clock,
                                     .drift = o->drift};
    char sha256[65];
    int code = 0, saving = 0;
    int rc = hakt_file_hash(o->trace, sha256, err);
    if (rc == 0)
        rc = load_timed(o->trace, &load, &plan, &reader, &report.plan_ns, err);
    if (rc == 0 && plan.stats.ops == 0)
        rc = hakc_fail(err, HAKC_EREFUSED, "%s holds no op to replay", o->trace);
    if (rc != 0)
        goto out;
    e.plan = &plan;
    e.variants = &o->variants;
    e.repeats[HAKR_PASS_TIME] = o->passes & 1u << HAKR_PASS_TIME ? o->repeats : 0;
    e.repeats[HAKR_PASS_ACCOUNT] = o->passes & 1u << HAKR_PASS_ACCOUNT ? o->account_repeats : 0;
    e.repeats[HAKR_PASS_LATENCY] = o->passes & 1u << HAKR_PASS_LATENCY ? o->latency_repeats : 0;
    e.repeats[HAKR_PASS_CHECK] = o->passes >> HAKR_PASS_CHECK & 1;
    e.repeats[HAKR_PASS_COUNTERS] = o->passes >> HAKR_PASS_COUNTERS & 1;
    e.rest_ns = o->rest_ns;
    e.counting = o->counting;
    e.until = o->until;
    e.max_repeats = o->max_repeats;
    e.recorded = o->recorded;
    e.slowest = o->slowest;
    e.baseline = o->baseline;
    e.warm_up = !o->no_warm_up;
    e.seed = o->seed;
    e.timeout_ns = o->timeout_ns;
    e.memory_limit = o->memory_limit;
    e.touch = o->touch;
    e.pace = o->speed > 0 ? 1 / o->speed : 0;
    e.drift_passes = drift_passes(o);
    e.tell_time = !o->real_clock;
    e.marks = o->marks;
    e.stop = &stop;
    report.experiment = &e;
    report.why = o->why;
    report.limits = o->limits;
    report.n_limits = o->n_limits;
    report.trace_path = o->trace;
    report.sha256 = sha256;
    report.info = hakt_reader_info(reader);
    report.totals = hakt_reader_totals(reader, &report.rebuilt);
    if (!o->no_db) {
        saving = 1;
        rc = hakr_save_begin(&save, o->db, o->trace, sha256, report.info, report.totals, &e, args,
                             err);
        e.on_run = hakr_save_run;
        e.arg = &save;
        report.db_path = o->db;
    }
    catch_stop();
    if (rc == 0)
        rc = hakr_experiment_run(&e, err);
    if (saving) {
        const char *state = rc != 0 ? "failed" : e.interrupted ? "interrupted" : "done";
        int rc2 = hakr_save_end(&save, state, rc == 0 ? err : NULL);
        rc = rc != 0 ? rc : rc2;
    }
    if (rc == 0)
        rc = hakr_report_print(&report, stdout, o->format, err);
    code = e.interrupted || any_failed(&e);
    if (code == 0 && hakr_limits_broken(&e, e.baseline, o->limits, o->n_limits) != 0)
        code = HAKR_EXIT_REGRESSION;
out:
    hakr_experiment_free(&e);
    hakr_plan_free(&plan);
    hakt_reader_close(reader);
    if (rc != 0) {
        hakc_err_print(TOOL, err);
        return hakc_exit_code(rc);
    }
    return code;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        _exit(hakr_child_main(atoi(argv[2]))); /* threads may live on */
    struct options o = {
        .passes = 1u << HAKR_PASS_TIME | 1u << HAKR_PASS_ACCOUNT,
        .repeats = 5,
        .latency_repeats = 1,
        .slowest = 10,
        .seed = 1,
        .drift = HAKR_DRIFT_AUTO,
        .rest_ns = 100000000,
        .max_repeats = 50,
        .timeout_ns = DEFAULT_TIMEOUT,
        .db = getenv("HAKDB"),
    };
    if (o.db == NULL || o.db[0] == '\0')
        o.db = "results.db";
    char *args = hakc_cmdline(argc, argv);
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, &o);
    int rc = o.err.code;
    if (rc == 0)
        rc = heed_recorder(&o, &o.err);
    if (rc == 0)
        rc = complete_variants(&o, &o.err);
    if (rc == 0)
        rc = choose_baseline(&o, &o.err);
    if (rc == 0)
        rc = check_limits(&o, &o.err);
    if (rc != 0) {
        hakc_err_print(TOOL, &o.err);
        rc = hakc_exit_code(rc);
    } else {
        warn_of_knobs();
        rc = run_all(&o, args, &o.err);
    }
    hakr_variants_free(&o.variants);
    free(args);
    return rc;
}
