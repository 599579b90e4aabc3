/*
 * haktrace -o FILE [OPTION...] -- PROGRAM [ARG...]: records a program.
 */
#include "common/err.h"
#include "common/units.h"
#include "tracer/cmd_record.h"
#include "tracer/collect.h"
#include "tracer/collect_shm.h"
#include "tracer/format/trace.h"
#include "tracer/launch.h"

#include <argp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOOL "haktrace"

#define SLEEP_BUSY_NS  100000   /* after a round that found something */
#define SLEEP_IDLE_NS  20000000 /* reached by doubling over rounds that found nothing */
#define LEVEL_DEFAULT  1 /* the collector has to keep up; 3 saves about 1 to 3 % of the file */
#define REAP_EVERY_NS  50000000
#define FLUSH_EVERY_NS 1000000000
#define CLOCK_EVERY_NS 1000000000
#define STAMP_PACE     4    /* of a burst of ops, one in so many is stamped */
#define BURST_NS       1000 /* from stamp to stamp */

struct options {
    const char *output;
    const char *library;
    char **command;
    struct hakt_shm_settings shm;
    enum hakt_clock_choice clock;
    int level;
    int quiet;
};

enum {
    OPT_RING_SIZE = 256,
    OPT_MAX_THREADS,
    OPT_ON_FULL,
    OPT_CLOCK,
    OPT_LIBRARY,
    OPT_LEVEL,
    OPT_FOLLOW,
    OPT_STAMPS,
};

static const struct argp_option option_table[] = {
    {"output", 'o', "FILE", 0, "Write the trace to FILE (\"-\" = standard output)", 0},
    {"quiet", 'q', NULL, 0, "No summary at the end", 0},
    {"ring-size", OPT_RING_SIZE, "BYTES", 0,
     "Buffer of each thread, a power of two (default 1MiB; taken only as far as used)", 1},
    {"max-threads", OPT_MAX_THREADS, "N", 0,
     "Threads at one time (default 4096); more are not recorded, and counted", 1},
    {"on-full", OPT_ON_FULL, "wait|drop", 0,
     "A thread whose buffer is full waits for the collector (default), or loses ops, which are "
     "counted",
     1},
    {"clock", OPT_CLOCK, "auto|tsc|monotonic", 0,
     "Where time stamps come from (default: the CPU's time stamp counter if it can be trusted)", 1},
    {"stamps", OPT_STAMPS, "paced|all", 0,
     "Times of a program of one thread: in a burst of ops one in four is taken from the clock and "
     "the others are spread between (default), or all are",
     1},
    {"level", OPT_LEVEL, "N", 0, "Compression level of zstd (default 1; 0 = the format's own)", 1},
    {"follow", OPT_FOLLOW, "none", 0,
     "Child processes are not recorded: \"none\" is the one choice. They run without the library.",
     1},
    {"library", OPT_LIBRARY, "PATH", 0,
     "libhaktrace.so to preload (default: the one next to haktrace)", 1},
    {0}};

static void parse_size(struct argp_state *state, const char *name, const char *text, uint64_t min,
                       uint64_t max, int bytes, uint64_t *value) {
    struct hakc_err err;
    int rc = bytes ? hakc_parse_bytes(text, value, &err) : hakc_parse_count(text, value, &err);
    if (rc != 0)
        argp_error(state, "--%s: %s", name, err.msg);
    if (*value < min || *value > max)
        argp_error(state, "--%s=%s: must be %" PRIu64 " to %" PRIu64, name, text, min, max);
}

static int parse_choice(struct argp_state *state, const char *name, const char *text,
                        const char *const *choices) {
    for (int i = 0; choices[i] != NULL; i++) {
        if (strcmp(text, choices[i]) == 0)
            return i;
    }
    argp_error(state, "--%s=%s: not a choice (see --help)", name, text);
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    static const char *const on_full[] = {"wait", "drop", NULL};
    static const char *const clocks[] = {"auto", "tsc", "monotonic", NULL};
    static const char *const stamps[] = {"paced", "all", NULL};
    static const char *const follow[] = {"none", NULL};
    struct options *o = state->input;
    uint64_t n;
    char *end;

    switch (key) {
    case 'o':
        o->output = arg;
        break;
    case 'q':
        o->quiet = 1;
        break;
    case OPT_RING_SIZE:
        parse_size(state, "ring-size", arg, HAKT_RING_BYTES_MIN, HAKT_RING_BYTES_MAX, 1, &n);
        if ((n & (n - 1)) != 0)
            argp_error(state, "--ring-size=%s: must be a power of two", arg);
        o->shm.ring_bytes = n;
        break;
    case OPT_MAX_THREADS:
        parse_size(state, "max-threads", arg, 1, HAKT_SLOTS_MAX, 0, &n);
        o->shm.slots = (uint32_t)n;
        break;
    case OPT_ON_FULL:
        o->shm.on_full =
            parse_choice(state, "on-full", arg, on_full) == 0 ? HAKT_SHM_WAIT : HAKT_SHM_DROP;
        break;
    case OPT_CLOCK:
        o->clock = (enum hakt_clock_choice)parse_choice(state, "clock", arg, clocks);
        break;
    case OPT_FOLLOW:
        parse_choice(state, "follow", arg, follow);
        break;
    case OPT_STAMPS:
        o->shm.pace = parse_choice(state, "stamps", arg, stamps) == 0 ? STAMP_PACE : 1;
        break;
    case OPT_LEVEL:
        o->level = (int)strtol(arg, &end, 10);
        if (*arg == '\0' || *end != '\0' || o->level < -50 || o->level > 22)
            argp_error(state, "--level=%s: must be -50 to 22", arg);
        break;
    case OPT_LIBRARY:
        o->library = arg;
        break;
    case ARGP_KEY_ARG: /* the program: all that follows is its own */
        o->command = &state->argv[state->next - 1];
        state->next = state->argc;
        break;
    case ARGP_KEY_END:
        if (o->command == NULL)
            argp_error(state, "no program given");
        if (o->output == NULL)
            argp_error(state, "no output file given (-o FILE)");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    option_table,
    parse_option,
    "-o FILE [--] PROGRAM [ARG...]",
    "Record every allocation of PROGRAM and its threads.\v"
    "The exit code is the program's own (128 + N when signal N killed it), 126 or 127 when it "
    "could not be started, 1 when the trace could not be written to its end. The program's own "
    "children are not recorded.",
    NULL,
    NULL,
    NULL};

/* A recording under way. */
struct session {
    const struct options *opt;
    char program[PATH_MAX], library[PATH_MAX];
    struct hakt_shm *shm;
    int shm_fd;
    struct hakt_clock clock;
    struct hakt_launch launch;
    struct hakt_writer *writer;
    struct hakt_collect *collect;
    struct hakc_err write_err;  /* code != 0: the file ends there */
    char replaced_by[PATH_MAX]; /* what the program executed in its own place */
    int status;                 /* as from waitpid */
};

static uint64_t monotonic_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int to_writer(void *ctx, const struct hakt_rec *rec, uint64_t old_size,
                     struct hakc_err *err) {
    return hakt_write_sized(ctx, rec, old_size, err);
}

static char *join_command(char **argv) {
    size_t n = 1;
    for (char **a = argv; *a != NULL; a++)
        n += strlen(*a) + 1;
    char *text = malloc(n), *p = text;
    if (text == NULL)
        return NULL;
    *text = '\0';
    for (char **a = argv; *a != NULL; a++)
        p = stpcpy(stpcpy(p, a == argv ? "" : " "), *a);
    return text;
}

static int open_writer(struct session *s, struct hakc_err *err) {
    char host[256] = "";
    char *command = join_command(s->opt->command);
    struct hakt_info info = {
        .fidelity =
            HAKT_HAS_TIMES | HAKT_HAS_THREADS | HAKT_EXACT_SIZES | HAKT_EXACT_IDS | HAKT_WHOLE_LIFE,
        .start_unix_ns = s->clock.start_unix_ns,
        .page_size = (uint32_t)sysconf(_SC_PAGESIZE),
        .pid = (uint32_t)s->launch.pid,
        .command = command,
        .host = host,
        .clock = hakt_clock_name(&s->clock),
        .tool = TOOL " " HAK_VERSION,
        .source = "",
    };
    gethostname(host, sizeof(host) - 1);
    int rc = command == NULL
                 ? hakc_fail(err, HAKC_ENOMEM, "no memory for the command line")
                 : hakt_writer_open(&s->writer, s->opt->output, &info, s->opt->level, err);
    free(command);
    return rc;
}

/* Everything up to the program's first instruction. 0, or the exit code, with *err filled. */
static int start(struct session *s, struct hakc_err *err) {
    const struct options *o = s->opt;
    struct hakt_shm_settings set = o->shm;
    char shm_path[64];
    int rc;

    if ((rc = hakt_find_library(s->library, o->library, err)) != 0)
        return hakc_exit_code(rc);
    if ((rc = hakt_find_program(s->program, o->command[0], err)) != 0)
        return rc;
    if (hakt_clock_start(&s->clock, o->clock) != 0)
        return hakc_exit_code(hakc_fail(err, HAKC_EUNSUPPORTED,
                                        "--clock=tsc: this machine's time stamp counter is not "
                                        "invariant and equal on all CPUs"));
    set.clock = s->clock.kind;
    set.burst = (uint32_t)hakt_clock_span(&s->clock, BURST_NS);
    if ((rc = hakt_shm_create(&s->shm, &s->shm_fd, shm_path, &set, err)) != 0)
        return hakc_exit_code(rc);
    if ((rc = hakt_launch_fork(&s->launch, s->program, o->command, s->library, shm_path, err)) != 0)
        return hakc_exit_code(rc);
    rc = open_writer(s, err);
    struct hakt_collect_sink sink = {to_writer, s->writer};
    if (rc == 0)
        rc = hakt_collect_open(&s->collect, s->shm, &s->clock, sink, err);
    if (rc != 0) {
        hakt_launch_cancel(&s->launch);
        return hakc_exit_code(rc);
    }
    return hakt_launch_go(&s->launch, err);
}

static void flush(struct session *s) {
    if (s->write_err.code == 0 && hakt_collect_failed(s->collect, &s->write_err) == 0)
        hakt_writer_flush(s->writer, &s->write_err);
}

/* Drains until the program has ended. */
static void collect_all(struct session *s) {
    uint64_t nap = SLEEP_BUSY_NS, reaped = 0, flushed = monotonic_ns(), clocked = flushed;
    uint64_t written = 0;
    char other[PATH_MAX];

    prctl(PR_SET_TIMERSLACK, 1000);
    for (;;) {
        int more = 0;
        uint64_t handled = hakt_collect_round(s->collect, &more);
        uint64_t now = monotonic_ns();
        if (now - clocked >= CLOCK_EVERY_NS) {
            hakt_clock_update(&s->clock);
            clocked = now;
        }
        if (now - reaped >= REAP_EVERY_NS ||
            __atomic_load_n(&s->shm->want_slot, __ATOMIC_RELAXED) != 0) {
            if (hakt_launch_ended(&s->launch, &s->status))
                break;
            hakt_collect_reap(s->collect, s->launch.pid);
            if (hakt_launch_replaced(&s->launch, other))
                strcpy(s->replaced_by, other);
            reaped = now;
        }
        written += handled;
        if (now - flushed >= FLUSH_EVERY_NS && written > 0) {
            flush(s);
            flushed = now;
            written = 0;
        }
        if (more)
            continue;
        nap = handled > 0 ? SLEEP_BUSY_NS : nap * 2 > SLEEP_IDLE_NS ? SLEEP_IDLE_NS : nap * 2;
        if (handled == 0 && hakt_launch_ended(&s->launch, &s->status))
            break;
        hakt_shm_sleep(s->shm, nap);
    }
    hakt_collect_finish(s->collect);
}

static int own_code(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void say_losses(const struct hakt_collect_stats *st) {
    if (st->dropped == 0)
        return;
    fprintf(stderr, TOOL ": warning: %" PRIu64 " ops were lost", st->dropped);
    if (st->dropped_full > 0)
        fprintf(stderr, ": %" PRIu64 " for full buffers (a larger --ring-size may help)%s",
                st->dropped_full, st->drops_count > 0 ? ", by thread" : "");
    for (size_t i = 0; st->dropped_full > 0 && i < st->drops_count; i++) {
        if (i == 16) {
            fprintf(stderr, " and %zu more threads", st->drops_count - i);
            break;
        }
        fprintf(stderr, "%s %" PRIu32 ": %" PRIu64, i > 0 ? "," : "", st->drops[i].thread,
                st->drops[i].dropped);
    }
    if (st->unserved_threads > 0)
        fprintf(stderr, "; %" PRIu64 " threads found no buffer (see --max-threads)",
                st->unserved_threads);
    fputc('\n', stderr);
}

static void summary(const struct session *s, const struct hakt_collect_stats *st,
                    const struct hakt_totals *t, uint64_t bytes) {
    char size[HAKC_UNIT_LEN];
    if (__atomic_load_n(&s->shm->owner_pid, __ATOMIC_RELAXED) == 0)
        fprintf(stderr, TOOL ": %s: 0 records: the program did not load the library: %s\n",
                s->program, hakt_why_not_loaded(s->program));
    else if (t->ops == 0 && t->dropped == 0)
        fprintf(stderr,
                TOOL
                ": %s: 0 records: the library was loaded, but the program never called the "
                "malloc family through it (it allocates nothing, or brings a malloc of its own)\n",
                s->program);
    if (*s->replaced_by != '\0')
        fprintf(stderr,
                TOOL ": %s executed %s in its place, which was not recorded: to record that, give "
                     "it as the program\n",
                s->program, s->replaced_by);
    say_losses(st);
    if (s->opt->quiet)
        return;
    fprintf(stderr, TOOL ": %s: %" PRIu64 " ops, %" PRIu64 " threads, %" PRIu64 " dropped, %s",
            s->opt->output, t->ops, st->threads, t->dropped, hakc_format_bytes(size, bytes));
    if (t->ops > 0)
        fprintf(stderr, " (%.2f bytes/op)", (double)bytes / (double)t->ops);
    if (st->foreign > 0)
        fprintf(stderr, ", %" PRIu64 " foreign frees", st->foreign);
    if (WIFSIGNALED(s->status))
        fprintf(stderr, ", killed by signal %d", WTERMSIG(s->status));
    fputc('\n', stderr);
}

/* Closes the file and says how it went; the exit code. */
static int finish(struct session *s) {
    struct hakt_collect_stats st;
    struct hakt_totals end = {0}, totals = {0};
    struct hakc_err err = {0};
    struct stat file;
    uint64_t bytes;

    hakt_collect_get_stats(s->collect, &st);
    if (s->write_err.code == 0)
        hakt_collect_failed(s->collect, &s->write_err);
    end.dropped = st.dropped + st.discarded;
    end.exit_status = (uint32_t)s->status;
    end.end_reason = s->write_err.code != 0   ? HAKT_END_LIMIT
                     : WIFSIGNALED(s->status) ? HAKT_END_KILLED
                                              : HAKT_END_EXIT;
    flush(s);
    bytes = hakt_writer_bytes(s->writer); /* of a pipe: all but the index */
    int rc = hakt_writer_close(s->writer, &end, &totals, &err);
    s->writer = NULL;
    if (stat(s->opt->output, &file) == 0 && S_ISREG(file.st_mode))
        bytes = (uint64_t)file.st_size;
    if (s->write_err.code == 0 && rc != 0)
        s->write_err = err;
    summary(s, &st, &totals, bytes);
    if (s->write_err.code == 0)
        return own_code(s->status);
    hakc_err_print(TOOL, &s->write_err);
    fprintf(stderr,
            TOOL ": the trace ends there, and is whole up to there; the program ran on to its "
                 "end (exit code %d), %" PRIu64 " later records were discarded\n",
            own_code(s->status), totals.dropped - st.dropped);
    return hakc_exit_code(s->write_err.code);
}

int hakt_cmd_record(int argc, char **argv) {
    struct options opt = {.level = LEVEL_DEFAULT,
                          .shm = {.ring_bytes = HAKT_RING_BYTES_DEFAULT,
                                  .slots = HAKT_SLOTS_DEFAULT,
                                  .on_full = HAKT_SHM_WAIT,
                                  .pace = STAMP_PACE}};
    struct session s = {.opt = &opt};
    struct hakc_err err = {0};
    int code;

    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &opt);
    hakt_launch_guard();
    code = start(&s, &err);
    if (code == 0) {
        collect_all(&s);
        code = finish(&s);
    } else {
        hakc_err_print(TOOL, &err);
        if (s.writer != NULL) { /* the program never ran: leave no trace of nothing */
            hakt_writer_close(s.writer, NULL, NULL, NULL);
            if (strcmp(opt.output, "-") != 0)
                unlink(opt.output);
        }
    }
    hakt_collect_close(s.collect);
    if (s.shm != NULL)
        hakt_shm_destroy(s.shm, s.shm_fd);
    return code;
}
