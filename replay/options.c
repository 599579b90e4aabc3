#include "replay/options.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/units.h"

#define MAX_REPEATS     10000
#define DEFAULT_TIMEOUT (UINT64_C(600) * 1000000000u)

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
    OPT_ORDER,
    OPT_LIMIT_BY,
    OPT_KNOB,
    OPT_LATENCY_CLOCK,
};

static const struct argp_option option_table[] = {
    {"alloc", 'a', "LIST", 0,
     "allocators: libc, hakmem, mimalloc, jemalloc, tcmalloc, NAME=/path/to/lib.so; "
     "NAME:KEY=VALUE;KEY=VALUE adds environment (default: hakmem,libc). Ratios are to the first",
     0},
    {"policy", OPT_POLICY, "LIST", 0, "release policies to run hakmem under, each as a variant", 0},
    {"knob", OPT_KNOB, "NAME:KEY=VALUE|VALUE...", 0,
     "run each variant of the allocator NAME once with each of these values of its setting KEY (an "
     "empty one: without it); several are crossed",
     0},
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
    {"order", OPT_ORDER, "HOW", 0,
     "of the variants within each round of runs: random, by the seed (default); abba: as given, "
     "and "
     "reversed in every second round",
     0},
    {"seed", OPT_SEED, "N", 0, "of the random order of runs (default 1)", 0},
    {"timeout", OPT_TIMEOUT, "TIME", 0,
     "limit of one run: seconds, or with a unit (default 600; 0 = none)", 0},
    {"memory-limit", OPT_MEMORY_LIMIT, "SIZE", 0,
     "limit of each run's writable private memory: allocations beyond it fail", 0},
    {"limit-by", OPT_LIMIT_BY, "HOW", 0,
     "of --memory-limit: rlimit (RLIMIT_DATA, default), or cgroup: resident memory, and what "
     "exceeds "
     "it is killed",
     0},
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
    {"latency-clock", OPT_LATENCY_CLOCK, "CLOCK", 0,
     "of the latency pass: auto (default), the processor's time stamp counter where it can be "
     "relied on; monotonic, CLOCK_MONOTONIC",
     0},
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

static void parse_passes(struct argp_state *state, struct hakr_options *o, const char *text) {
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

static void parse_timeout(struct argp_state *state, struct hakr_options *o, const char *text) {
    struct hakc_err err = {0};
    char with_unit[64];
    size_t digits = strspn(text, "0123456789.");
    snprintf(with_unit, sizeof with_unit, "%s%s", text, text[digits] == '\0' ? "s" : "");
    if (strlen(text) > 60 || hakc_parse_duration(with_unit, &o->timeout_ns, &err) != 0)
        argp_error(state, "--timeout: '%s' is not a time such as 90, 90s or 2m", text);
}

static void parse_touch(struct argp_state *state, struct hakr_options *o, const char *text) {
    if (strcmp(text, "first") == 0)
        o->touch = HAKR_TOUCH_FIRST;
    else if (strcmp(text, "none") == 0)
        o->touch = HAKR_TOUCH_NONE;
    else if (strcmp(text, "all") == 0)
        o->touch = HAKR_TOUCH_ALL;
    else
        argp_error(state, "--touch: '%s' is none of first, none, all", text);
}

/* Which of two words: 0 or 1. */
static int one_of(struct argp_state *state, const char *name, const char *text, const char *a,
                  const char *b) {
    if (strcmp(text, a) != 0 && strcmp(text, b) != 0)
        argp_error(state, "--%s: '%s' is neither %s nor %s", name, text, a, b);
    return strcmp(text, b) == 0;
}

static double parse_percent(struct argp_state *state, const char *name, const char *text) {
    char *end;
    double x = strtod(text, &end);
    if (text[0] < '0' || text[0] > '9' || strcmp(end, "%") != 0 || !(x > 0 && x <= 100))
        argp_error(state, "--%s: '%s' is not a share such as 2%%", name, text);
    return x / 100;
}

static void parse_speed(struct argp_state *state, struct hakr_options *o, const char *text) {
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

static enum hakc_out_format format_of(int key) {
    return key == OPT_JSON ? HAKC_OUT_JSON : HAKC_OUT_CSV;
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct hakr_options *o = state->input;
    uint64_t v = 0;
    switch (key) {
    case 'a':
        if (o->err.code == 0)
            hakr_variants_add(&o->variants, arg, &o->err);
        break;
    case OPT_POLICY:
        if (o->n_policies == HAKR_MAX_POLICIES)
            argp_error(state, "more than %d --policy options", HAKR_MAX_POLICIES);
        o->policies[o->n_policies++] = arg;
        break;
    case OPT_KNOB:
        if (o->n_knobs == HAKR_MAX_POLICIES)
            argp_error(state, "more than %d --knob options", HAKR_MAX_POLICIES);
        o->knobs[o->n_knobs++] = arg;
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
    case OPT_CSV:
        if (o->format != HAKC_OUT_TABLE && o->format != format_of(key))
            argp_error(state, "--json and --csv: give one format");
        o->format = format_of(key);
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
    case OPT_ORDER:
        o->abba = one_of(state, "order", arg, "random", "abba");
        break;
    case OPT_LATENCY_CLOCK:
        o->monotonic = one_of(state, "latency-clock", arg, "auto", "monotonic");
        break;
    case OPT_LIMIT_BY:
        o->limit_by_cgroup = one_of(state, "limit-by", arg, "rlimit", "cgroup");
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
        if (o->limit_by_cgroup && o->memory_limit == 0)
            argp_error(state, "--limit-by says how --memory-limit is kept, which is not given");
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

int hakr_options_parse(struct hakr_options *o, int argc, char **argv, struct hakc_err *err) {
    *o = (struct hakr_options){
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
    if (o->db == NULL || o->db[0] == '\0')
        o->db = "results.db";
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, o);
    *err = o->err;
    return err->code != 0 ? err->code : hakr_options_complete(o, err);
}
