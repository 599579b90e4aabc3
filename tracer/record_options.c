#include "tracer/record_options.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LEVEL_DEFAULT 1 /* the collector has to keep up; 3 saves about 1 to 3 % of the file */
#define STAMP_PACE    4 /* of a burst of ops, one in so many is stamped */
#define BACKLOG_MAX   (1ull << 40)
#define WINDOW_BYTES  (256ull << 20) /* of a window that is given in time */

enum {
    OPT_RING_SIZE = 256,
    OPT_BACKLOG,
    OPT_MAX_THREADS,
    OPT_ON_FULL,
    OPT_CLOCK,
    OPT_LEVEL,
    OPT_FOLLOW,
    OPT_STAMPS,
    OPT_MAX_SIZE,
    OPT_MAX_TIME,
    OPT_WINDOW,
    OPT_MMAP,
};

static const struct argp_option option_table[] = {
    {"output", 'o', "FILE", 0,
     "Write the trace to FILE (\"-\" = standard output). %h, %p, %t, %n become the host, the pid, "
     "the start time, the program's name",
     0},
    {"quiet", 'q', NULL, 0, "No summary at the end", 0},
    {"follow", OPT_FOLLOW, "none|fork|exec", 0,
     "Also record the children: none (default), forks, or forks and what any of them executes. "
     "Each gets a file of its own: without %p in FILE, the pid is put before its last dot",
     1},
    {"max-size", OPT_MAX_SIZE, "BYTES", 0,
     "End the recording when the file has that size; the program goes on", 1},
    {"max-time", OPT_MAX_TIME, "TIME", 0, "End the recording after that time (10s, 5m, 2h)", 1},
    {"window", OPT_WINDOW, "TIME|BYTES", 0,
     "Flight recorder: keep the last TIME or BYTES in memory; write them at the program's end, at "
     "`haktrace snapshot PID`, and on SIGUSR2 to haktrace",
     1},
    {"mmap", OPT_MMAP, NULL, 0,
     "Also record the program's own mmap, munmap, mremap, madvise, mprotect and brk, as events", 1},
    {"ring-size", OPT_RING_SIZE, "BYTES", 0,
     "Buffer of each thread, a power of two (default 1MiB; taken only as far as used)", 2},
    {"backlog", OPT_BACKLOG, "BYTES", 0,
     "Memory for records that wait to be resolved and compressed, some 10 bytes each: so far the "
     "program may run ahead of the recorder (default: a 32nd of what is available, 64MiB to "
     "256MiB; taken only as far as used)",
     2},
    {"max-threads", OPT_MAX_THREADS, "N", 0,
     "Threads at one time (default 4096); more are not recorded, and counted", 2},
    {"on-full", OPT_ON_FULL, "wait|drop", 0,
     "A thread whose buffer is full waits for the collector (default), or loses ops, which are "
     "counted",
     2},
    {"clock", OPT_CLOCK, "auto|tsc|monotonic", 0,
     "Where time stamps come from (default: the CPU's time stamp counter if it can be trusted)", 2},
    {"stamps", OPT_STAMPS, "paced|all", 0,
     "Times: in a burst of ops one in four is taken from the clock and the others are placed "
     "between (default), or all are",
     2},
    {"level", OPT_LEVEL, "N", 0, "Compression level of zstd (default 1; 0 = the format's own)", 2},
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

static void parse_time(struct argp_state *state, const char *name, const char *text, uint64_t *ns) {
    struct hakc_err err;
    if (hakc_parse_duration(text, ns, &err) != 0)
        argp_error(state, "--%s: %s", name, err.msg);
    if (*ns == 0)
        argp_error(state, "--%s=%s: must be more than nothing", name, text);
}

/* A time has a unit of time, a size none or one of bytes. */
static void parse_window(struct argp_state *state, const char *text,
                         struct hakt_record_options *o) {
    struct hakc_err err;
    if (hakc_parse_bytes(text, &o->window_bytes, &err) == 0) {
        if (o->window_bytes < 1u << 16)
            argp_error(state, "--window=%s: must be at least 64KiB", text);
        return;
    }
    parse_time(state, "window", text, &o->window_ns);
    o->window_bytes = WINDOW_BYTES;
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
    static const char *const follow[] = {"none", "fork", "exec", NULL};
    struct hakt_record_options *o = state->input;
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
    case OPT_BACKLOG:
        parse_size(state, "backlog", arg, 0, BACKLOG_MAX, 1, &o->backlog);
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
    case OPT_FOLLOW: /* in the order of enum hakt_shm_follow */
        o->shm.follow = (uint32_t)parse_choice(state, "follow", arg, follow);
        break;
    case OPT_STAMPS:
        o->shm.pace = parse_choice(state, "stamps", arg, stamps) == 0 ? STAMP_PACE : 1;
        break;
    case OPT_LEVEL:
        o->level = (int)strtol(arg, &end, 10);
        if (*arg == '\0' || *end != '\0' || o->level < -50 || o->level > 22)
            argp_error(state, "--level=%s: must be -50 to 22", arg);
        break;
    case OPT_MAX_SIZE:
        parse_size(state, "max-size", arg, 4096, UINT64_MAX, 1, &o->max_bytes);
        break;
    case OPT_MAX_TIME:
        parse_time(state, "max-time", arg, &o->max_ns);
        break;
    case OPT_WINDOW:
        parse_window(state, arg, o);
        break;
    case OPT_MMAP:
        o->shm.record_mmap = 1;
        break;
    case ARGP_KEY_END:
        if (o->output == NULL)
            argp_error(state, "no output file given (-o FILE)");
        if (strcmp(o->output, "-") == 0 && (o->shm.follow != HAKT_FOLLOW_NONE || o->window_bytes))
            argp_error(state, "--follow and --window need files: not -o -");
        if (o->window_bytes > 0 && o->max_bytes > 0)
            argp_error(state, "--max-size does not go with --window, which is a limit itself");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

const struct argp hakt_record_argp = {option_table, parse_option, NULL, NULL, NULL, NULL, NULL};

void hakt_record_defaults(struct hakt_record_options *o) {
    *o = (struct hakt_record_options){.level = LEVEL_DEFAULT,
                                      .backlog = HAKT_BACKLOG_AUTO,
                                      .shm = {.ring_bytes = HAKT_RING_BYTES_DEFAULT,
                                              .slots = HAKT_SLOTS_DEFAULT,
                                              .on_full = HAKT_SHM_WAIT,
                                              .pace = STAMP_PACE}};
}

/* ---- names -------------------------------------------------------------------------------- */

/* One expansion of %letter. 0, or -1: there is none such. */
static int expand(char *to, size_t room, char letter, pid_t pid, const char *program,
                  uint64_t start_unix_ns) {
    const char *slash = strrchr(program, '/');
    time_t seconds = (time_t)(start_unix_ns / 1000000000u);
    struct tm tm;
    *to = '\0';
    switch (letter) {
    case 'h':
        return gethostname(to, room) == 0 || *to != '\0' ? 0 : -1;
    case 'p':
        snprintf(to, room, "%d", (int)pid);
        return 0;
    case 't':
        gmtime_r(&seconds, &tm);
        return strftime(to, room, "%Y%m%d-%H%M%S", &tm) > 0 ? 0 : -1;
    case 'n':
        snprintf(to, room, "%s", slash != NULL ? slash + 1 : program);
        return 0;
    case '%':
        snprintf(to, room, "%%");
        return 0;
    default:
        return -1;
    }
}

/* Puts .TEXT before the last dot of the name proper, or behind it. */
static int insert_before_ending(char path[PATH_MAX], const char *text) {
    char *name = strrchr(path, '/'), ending[PATH_MAX];
    char *dot = strrchr(name != NULL ? name + 1 : path, '.');
    if (dot == NULL || dot == path || dot[-1] == '/')
        dot = path + strlen(path);
    strcpy(ending, dot);
    return snprintf(dot, (size_t)(path + PATH_MAX - dot), ".%s%s", text, ending) <
           path + PATH_MAX - dot;
}

static int make_unused(char path[PATH_MAX]) {
    char plain[PATH_MAX], number[16];
    strcpy(plain, path);
    for (int i = 2; access(path, F_OK) == 0; i++) {
        strcpy(path, plain);
        snprintf(number, sizeof(number), "%d", i);
        if (!insert_before_ending(path, number))
            return 0;
    }
    return 1;
}

int hakt_output_name(char path[PATH_MAX], const char *template, pid_t pid, const char *program,
                     uint64_t start_unix_ns, int more, struct hakc_err *err) {
    char part[256];
    size_t at = 0;
    int has_pid = 0, fits = 1;

    for (const char *c = template; *c != '\0' && fits; c++) {
        part[0] = *c;
        part[1] = '\0';
        has_pid |= *c == '%' && c[1] == 'p';
        if (*c == '%' && c[1] == '\0')
            return hakc_fail(err, HAKC_EUSAGE, "%s: a single %% at the end; %%%% stands for one",
                             template);
        if (*c == '%' && expand(part, sizeof(part), *++c, pid, program, start_unix_ns) != 0)
            return hakc_fail(err, HAKC_EUSAGE,
                             "%s: %%%c has no meaning in a file's name (%%h, %%p, "
                             "%%t, %%n, %%%%)",
                             template, *c);
        fits = at + strlen(part) < PATH_MAX - 1;
        if (fits) {
            strcpy(path + at, part);
            at += strlen(part);
        }
    }
    path[at] = '\0';
    if (more && !has_pid) {
        snprintf(part, sizeof(part), "%d", (int)pid);
        fits &= insert_before_ending(path, part);
    }
    if (!fits || (more && !make_unused(path)))
        return hakc_fail(err, HAKC_EUSAGE, "%s: the file's name is too long", template);
    return 0;
}
