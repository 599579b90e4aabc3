/*
 * hakreplay: drives a trace through real allocators and compares them.
 */
#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/cmdline.h"
#include "replay/child.h"
#include "replay/options.h"
#include "replay/probe.h"
#include "replay/raw.h"
#include "replay/report.h"
#include "replay/save.h"
#include "replay/tick.h"

#define HAKR_EXIT_REGRESSION 3
#define CLOCK_EVERY_NS       UINT64_C(100000) /* of recorded time */

const char *argp_program_version = "hakreplay " HAK_VERSION;

/* ---- Ctrl-C -----------------------------------------------------------------------------------
 */

static volatile int stop;

static void on_stop(int sig) {
    (void)sig;
    stop = 1;
}

/* Before the first run there is nothing to keep. */
static void on_early_stop(int sig) {
    static const char text[] =
        HAKR_TOOL ": interrupted before the first run: nothing was measured or stored\n";
    (void)sig;
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)n;
    _exit(1);
}

static void catch_stop(void (*handler)(int)) {
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = handler; /* no SA_RESTART: the wait for a run must end */
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    struct sigaction hup;
    if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN) /* nohup's stays ignored */
        sigaction(SIGHUP, &sa, NULL);
}
/* ---- the experiment ----------------------------------------------------------------------------
 */

static int any_failed(const struct hakr_experiment *e) {
    for (size_t i = 0; i < e->n_runs; i++)
        if (e->runs[i].result.status != HAKR_OK)
            return 1;
    return 0;
}

/* In the account pass memory is what counts, and it depends on which objects are live together. */
static unsigned drift_passes(const struct hakr_options *o) {
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

static void set_up(struct hakr_experiment *e, const struct hakr_options *o,
                   const struct hakr_plan *plan) {
    e->plan = plan;
    e->variants = &o->variants;
    e->repeats[HAKR_PASS_TIME] = o->passes & 1u << HAKR_PASS_TIME ? o->repeats : 0;
    e->repeats[HAKR_PASS_ACCOUNT] = o->passes & 1u << HAKR_PASS_ACCOUNT ? o->account_repeats : 0;
    e->repeats[HAKR_PASS_LATENCY] = o->passes & 1u << HAKR_PASS_LATENCY ? o->latency_repeats : 0;
    e->repeats[HAKR_PASS_CHECK] = o->passes >> HAKR_PASS_CHECK & 1;
    e->repeats[HAKR_PASS_COUNTERS] = o->passes >> HAKR_PASS_COUNTERS & 1;
    e->rest_ns = o->rest_ns;
    e->counting = o->counting;
    e->until = o->until;
    e->max_repeats = o->max_repeats;
    e->recorded = o->recorded;
    e->slowest = o->slowest;
    e->tsc = hakr_tick_choose("", &e->tsc_why);
    if (o->monotonic) {
        e->tsc = 0;
        e->tsc_why = "as asked for";
    }
    e->baseline = o->baseline;
    e->warm_up = !o->no_warm_up;
    e->seed = o->seed;
    e->abba = o->abba;
    e->timeout_ns = o->timeout_ns;
    e->memory_limit = o->memory_limit;
    e->limit_by_cgroup = o->limit_by_cgroup;
    e->touch = o->touch;
    e->pace = o->speed > 0 ? 1 / o->speed : 0;
    e->drift_passes = drift_passes(o);
    e->tell_time = !o->real_clock;
    e->marks = o->marks;
    e->stop = &stop;
}

/* A database that cannot be made or written is no reason to give up measuring. */
static void say_how_else(struct hakc_err *err) {
    size_t n = strlen(err->msg);
    if (err->code == HAKC_EIO || err->code == HAKC_ENOENT)
        snprintf(err->msg + n, sizeof err->msg - n,
                 "; --db=FILE stores elsewhere, --no-db nothing");
}

static int run_all(struct hakr_options *o, const char *args, struct hakc_err *err) {
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
    set_up(&e, o, &plan);
    report.experiment = &e;
    report.why = o->why;
    report.limits = o->limits;
    report.n_limits = o->n_limits;
    report.trace_path = o->trace;
    report.sha256 = sha256;
    report.info = hakt_reader_info(reader);
    report.totals = hakt_reader_totals(reader, &report.rebuilt);
    catch_stop(on_stop);
    if (!o->no_db) {
        saving = 1;
        rc = hakr_save_begin(&save, o->db, o->trace, sha256, report.info, report.totals, &e, args,
                             err);
        e.on_run = hakr_save_run;
        e.arg = &save;
        report.db_path = o->db;
        if (rc != 0)
            say_how_else(err);
    }
    if (rc == 0)
        rc = hakr_experiment_run(&e, err);
    if (saving) {
        const char *state = rc != 0 ? "failed" : e.interrupted ? "interrupted" : "done";
        int rc2 = hakr_save_end(&save, state, rc == 0 ? err : NULL);
        rc = rc != 0 ? rc : rc2;
        report.stored = save.failure.code != 0 ? &save.stored : NULL;
    }
    if (rc == 0 || e.n_runs != 0) { /* what was measured is shown, also where storing it failed */
        int rc2 = hakr_report_print(&report, stdout, o->format, err->code == 0 ? err : NULL);
        rc = rc != 0 ? rc : rc2;
    }
    code = e.interrupted || any_failed(&e);
    if (code == 0 && hakr_limits_broken(&e, e.baseline, o->limits, o->n_limits) != 0)
        code = HAKR_EXIT_REGRESSION;
out:
    hakr_experiment_free(&e);
    hakr_plan_free(&plan);
    hakt_reader_close(reader);
    if (rc != 0) {
        if (err->code != 0) /* that storing failed was said when it happened */
            hakc_err_print(HAKR_TOOL, err);
        return hakc_exit_code(rc);
    }
    return code;
}
int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        _exit(hakr_child_main(atoi(argv[2]))); /* threads may live on */
    if (argc == 2 && strcmp(argv[1], "--probe") == 0)
        return hakr_probe_main();
    catch_stop(on_early_stop);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of writing, which is said */
    hakc_guard_stdout(HAKR_TOOL);
    struct hakr_options o;
    struct hakc_err err = {0};
    char *args = hakc_cmdline(argc, argv);
    int rc = hakr_options_parse(&o, argc, argv, &err);
    if (rc != 0) {
        hakc_err_print(HAKR_TOOL, &err);
        rc = hakc_exit_code(rc);
    } else {
        rc = run_all(&o, args, &err);
    }
    hakr_variants_free(&o.variants);
    free(args);
    return rc;
}
