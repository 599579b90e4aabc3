#include "db/hakdb.h"

#include <argp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "common/cmdline.h"
#include "common/units.h"

const char *argp_program_version = "hakdb " HAK_VERSION;

enum {
    OPT_JSON = 256,
    OPT_CSV,
    OPT_TRACE,
    OPT_ALLOC,
    OPT_LAST,
    OPT_EXPERIMENT,
    OPT_CONFIDENCE,
    OPT_WAIT
};

/* Options that only some commands take, as bits. */
enum { HAS_TRACE = 1, HAS_ALLOC = 2, HAS_LAST = 4, HAS_EXPERIMENT = 8, HAS_CONFIDENCE = 16 };

static const struct argp_option options[] = {
    {"db", 'd', "FILE", 0, "The database (default: $HAKDB, or results.db)", 1},
    {"json", OPT_JSON, NULL, 0, "Print JSON", 1},
    {"csv", OPT_CSV, NULL, 0, "Print CSV", 1},
    {"wait", OPT_WAIT, "TIME", 0, "Wait this long for a locked database (default: 10s)", 1},
    {"trace", OPT_TRACE, "TEXT", 0,
     "runs, traces, compare: only traces whose path, command or hash holds TEXT", 2},
    {"alloc", OPT_ALLOC, "TEXT", 0, "runs: only allocators whose name holds TEXT", 2},
    {"last", OPT_LAST, "N", 0, "runs, experiments, studies: only the N newest", 2},
    {"experiment", OPT_EXPERIMENT, "ID", 0,
     "runs, compare: only this experiment (compare: default is the newest with both)", 2},
    {"confidence", OPT_CONFIDENCE, "PERCENT", 0,
     "compare: of the intervals; significant is p < 1 - this (default: 95)", 2},
    {0}};

static const char doc[] =
    "Answers questions about the results that hakreplay and haksim have stored."
    "\vCommands:\n"
    "  runs                 list runs\n"
    "  experiments          list experiments: one call of a tool each\n"
    "  studies              list studies: experiments under one name\n"
    "  traces, libraries    list what was replayed, and through what\n"
    "  show RUN             all about a run, with its trace, library and machine\n"
    "  compare A B          two runs by their ids, or two variants of an experiment:\n"
    "                       allocator (hakmem), policy (eager), or hakmem/eager\n"
    "  sql 'SELECT ...'     run one query, read-only (- reads it from stdin)\n"
    "  schema               print the tables, views and version\n"
    "  merge OTHER.db...    add the results of other databases\n"
    "  put TOOL             add measurements of your own, an experiment of TOOL, from\n"
    "                       stdin: a line a run, NAME=VALUE separated by tabs\n"
    "  check                look for damage\n"
    "  migrate              make a database, or bring an older one up to date\n"
    "\n"
    "Exit codes: 0 fine, 1 failed, 2 usage, 4 the database is damaged or not one.\n"
    "docs/schema.md describes the tables.";

struct command {
    const char *name;
    int (*run)(struct hakdb *h);
    int min_args, max_args; /* -1 = any number */
    unsigned takes;
    enum hakd_open_mode mode; /* writing makes the file where there is none */
};

static const struct command commands[] = {
    {"runs", hakdb_runs, 0, 0, HAS_TRACE | HAS_ALLOC | HAS_LAST | HAS_EXPERIMENT, HAKD_READ},
    {"experiments", hakdb_experiments, 0, 0, HAS_LAST, HAKD_READ},
    {"studies", hakdb_studies, 0, 0, HAS_LAST, HAKD_READ},
    {"traces", hakdb_traces, 0, 0, HAS_TRACE, HAKD_READ},
    {"libraries", hakdb_libraries, 0, 0, 0, HAKD_READ},
    {"show", hakdb_show, 1, 1, 0, HAKD_READ},
    {"compare", hakdb_compare, 2, 2, HAS_TRACE | HAS_EXPERIMENT | HAS_CONFIDENCE, HAKD_READ},
    {"sql", hakdb_sql, 1, 1, 0, HAKD_READ},
    {"schema", hakdb_schema, 0, 0, 0, HAKD_READ},
    {"merge", hakdb_merge, 1, -1, 0, HAKD_WRITE},
    {"put", hakdb_put, 1, 1, 0, HAKD_WRITE},
    {"check", hakdb_check, 0, 0, 0, HAKD_READ},
    {"migrate", hakdb_migrate, 0, 0, 0, HAKD_WRITE},
};

struct parsed {
    struct hakdb_options opt;
    const char *command;
    unsigned given;
};

static uint64_t parse_number(struct argp_state *state, const char *option, const char *arg) {
    struct hakc_err err;
    uint64_t v;
    if (hakc_parse_count(arg, &v, &err) || v == 0 || v > INT64_MAX)
        argp_error(state, "--%s '%s': give a whole number above 0", option, arg);
    return v;
}

static void parse_confidence(struct argp_state *state, struct hakdb_options *o, const char *arg) {
    char *end;
    double v = strtod(arg, &end);
    if (end == arg || *end || !(v >= 50 && v < 100))
        argp_error(state, "--confidence '%s': give a percentage from 50 to below 100", arg);
    o->confidence = v / 100;
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct parsed *p = state->input;
    struct hakc_err err;
    switch (key) {
    case 'd':
        p->opt.db_path = arg;
        break;
    case OPT_JSON:
    case OPT_CSV:
        if (p->opt.format != HAKC_OUT_TABLE)
            argp_error(state, "--json and --csv: give one format");
        p->opt.format = key == OPT_JSON ? HAKC_OUT_JSON : HAKC_OUT_CSV;
        break;
    case OPT_WAIT:
        if (hakc_parse_duration(arg, &p->opt.wait_ns, &err))
            argp_error(state, "--wait %s", err.msg);
        break;
    case OPT_TRACE:
        p->opt.trace = arg;
        p->given |= HAS_TRACE;
        break;
    case OPT_ALLOC:
        p->opt.alloc = arg;
        p->given |= HAS_ALLOC;
        break;
    case OPT_LAST:
        p->opt.last = (int64_t)parse_number(state, "last", arg);
        p->given |= HAS_LAST;
        break;
    case OPT_EXPERIMENT:
        p->opt.experiment = (int64_t)parse_number(state, "experiment", arg);
        p->given |= HAS_EXPERIMENT;
        break;
    case OPT_CONFIDENCE:
        parse_confidence(state, &p->opt, arg);
        p->given |= HAS_CONFIDENCE;
        break;
    case ARGP_KEY_ARG:
        if (p->command)
            return ARGP_ERR_UNKNOWN; /* ARGP_KEY_ARGS takes it with the rest */
        p->command = arg;
        break;
    case ARGP_KEY_ARGS:
        p->opt.args = state->argv + state->next;
        p->opt.n_args = state->argc - state->next;
        break;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "give a command, such as 'runs'");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {options, parse_option, "COMMAND [ARGUMENT...]", doc, NULL,
                                 NULL,    NULL};

static int usage(const char *fmt, const char *word) {
    fprintf(stderr, "hakdb: ");
    fprintf(stderr, fmt, word);
    fprintf(stderr, "; see hakdb --help\n");
    return 2;
}

static const struct command *find_command(const char *name) {
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int check_usage(const struct parsed *p, const struct command *c) {
    static const char *const names[] = {"--trace", "--alloc", "--last", "--experiment",
                                        "--confidence"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (p->given & ~c->takes & (1u << i)) {
            fprintf(stderr, "hakdb: '%s' does not take %s; see hakdb --help\n", c->name, names[i]);
            return 2;
        }
    if (p->opt.n_args < c->min_args)
        return usage("'%s' needs more arguments", c->name);
    if (c->max_args >= 0 && p->opt.n_args > c->max_args)
        return usage("'%s' is one argument too many", p->opt.args[c->max_args]);
    return 0;
}

static int open_db(const struct hakdb_options *o, const struct command *c, struct hakd **db,
                   struct hakc_err *err) {
    int rc = hakd_open_wait(db, o->db_path, c->mode, (unsigned)(o->wait_ns / 1000000), err);
    if (rc == HAKC_ENOENT && err->sys_errno) /* not the one that is there and empty */
        snprintf(err->msg, sizeof err->msg,
                 "there is no such database; hakreplay and haksim make one, -d FILE names another");
    return rc;
}

static int run_command(const struct hakdb_options *o, const struct command *c) {
    struct hakc_err err = {0};
    struct hakdb h = {.opt = o, .err = &err};
    int rc = open_db(o, c, &h.db, &err);
    if (rc == HAKC_OK)
        rc = hakdb_add_functions(&h);
    if (rc == HAKC_OK &&
        (rc = hakc_out_open(&h.out, stdout, o->format, HAKDB_JSON_VERSION, &err)) == HAKC_OK) {
        hakc_out_fit_width(h.out);
        rc = c->run(&h);
        if (rc == HAKC_OK)
            rc = hakc_out_close(h.out, &err);
        else
            hakc_out_abandon(h.out);
    }
    hakd_close(h.db);
    if (rc != HAKC_OK)
        hakc_err_print("hakdb", &err);
    return hakc_exit_code(rc);
}

int main(int argc, char **argv) {
    const char *env = getenv("HAKDB");
    struct parsed p = {.opt = {.db_path = env && env[0] ? env : "results.db",
                               .confidence = 0.95,
                               .wait_ns = 10000000000u}};
    argp_err_exit_status = 2;
    hakc_guard_stdout("hakdb");
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of writing, which is said */
    if (argp_parse(&argp, argc, argv, 0, NULL, &p))
        return 2;
    const struct command *c = find_command(p.command);
    if (!c)
        return usage("'%s' is not a command", p.command);
    int rc = check_usage(&p, c);
    return rc ? rc : run_command(&p.opt, c);
}
