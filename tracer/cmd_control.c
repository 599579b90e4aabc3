/*
 * haktrace start | stop | status | rotate | snapshot PID: a program that runs with the library.
 */
#include "common/out.h"
#include "common/units.h"
#include "tracer/commands.h"
#include "tracer/control.h"
#include "tracer/launch.h"
#include "tracer/session.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOTIFY_FD   3     /* tracer/rt/spawn.c */
#define ANSWER_MS   10000 /* for a command to be carried out */
#define FIRST_OP_MS 2000  /* for a process to join */

static void sleep_ms(unsigned ms) {
    struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&ts, NULL);
}

/* The one argument of all these commands. */
static error_t parse_pid(int key, const char *arg, struct argp_state *state, pid_t *pid) {
    if (key == ARGP_KEY_ARG && *pid != 0)
        argp_error(state, "one PID at a time");
    if (key == ARGP_KEY_ARG)
        *pid = (pid_t)hakt_cmd_number(state, "PID", arg, 1, 1u << 30);
    if (key == ARGP_KEY_END && *pid == 0)
        argp_error(state, "no PID given");
    return key == ARGP_KEY_ARG || key == ARGP_KEY_END ? 0 : ARGP_ERR_UNKNOWN;
}

/* ---- start -------------------------------------------------------------------------------- */

enum {
    OPT_NOTIFY = 512,
    OPT_FOREGROUND,
    OPT_MORE,
};

struct start_options {
    struct hakt_record_options record;
    pid_t pid;
    int notify, foreground;
    int more; /* another process has the file of that name */
};

static const struct argp_option start_table[] = {
    {"foreground", OPT_FOREGROUND, NULL, 0, "Stay, until the recording ends", 0},
    {"notify", OPT_NOTIFY, NULL, OPTION_HIDDEN, "", 0},
    {"more", OPT_MORE, NULL, OPTION_HIDDEN, "", 0},
    {0}};

static error_t parse_start(int key, char *arg, struct argp_state *state) {
    struct start_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->record;
        break;
    case OPT_NOTIFY:
        o->notify = 1;
        break;
    case OPT_MORE:
        o->more = 1;
        break;
    case OPT_FOREGROUND:
        o->foreground = 1;
        break;
    default:
        return parse_pid(key, arg, state, &o->pid);
    }
    return 0;
}

static const struct argp_child start_children[] = {{&hakt_record_argp, 0, NULL, 0}, {0}};
static const struct argp start_argp = {
    start_table,
    parse_start,
    "-o FILE PID",
    "Record a program that runs with libhaktrace.so preloaded.\v"
    "Objects that were allocated before are unknown: their frees are marked foreign. The collector "
    "runs in the background until the program ends, `haktrace stop PID`, or SIGINT, SIGTERM or "
    "SIGHUP "
    "to it (with --foreground, Ctrl-C). The program goes on.",
    start_children,
    NULL,
    NULL};

/* What the collector in the background tells the haktrace that started it. */
struct report {
    int code;
    char text[512];
};

static void report(int fd, int code, const char *text) {
    struct report r = {.code = code};
    snprintf(r.text, sizeof(r.text), "%s", text);
    if (write(fd, &r, sizeof(r)) != sizeof(r))
        return; /* nobody waits any more */
}

static int notify(const char *path, const char *problem) {
    struct hakt_notify n = {0};
    snprintf(n.path, sizeof(n.path), "%s", path);
    snprintf(n.problem, sizeof(n.problem), "%s", problem);
    ssize_t written = write(NOTIFY_FD, &n, sizeof(n));
    close(NOTIFY_FD);
    return written == (ssize_t)sizeof(n) ? 0 : -1;
}

/* Makes the process join: by the library that waits for our word, or one that sleeps. */
static int offer(const struct start_options *o, struct hakt_session *s, struct hakc_err *err) {
    if (o->notify)
        return notify(s->shm_path, "") == 0
                   ? 0
                   : hakc_fail_errno(err, HAKC_EIO, "telling process %d", (int)o->pid);
    return hakt_control_offer(o->pid, s->shm_path, err);
}

/* Everything up to the offer. */
static int begin(const struct start_options *o, struct hakt_session *s, struct hakt_target *target,
                 struct hakc_err *err) {
    char program[PATH_MAX], command[4096];
    uint32_t fidelity = HAKT_HAS_TIMES | HAKT_HAS_THREADS | HAKT_EXACT_SIZES | HAKT_EXACT_IDS |
                        (o->notify ? HAKT_WHOLE_LIFE : 0);
    /* One that the program started itself ends with it: a service's stop goes to all of its
     * processes, and what the program does then is to be recorded. */
    hakt_collector_signals(!o->notify);
    hakt_target_open(target, o->pid, 0);
    hakt_describe_process(o->pid, program, command, sizeof(command));
    int rc = hakt_session_open(s, &o->record, NULL, err);
    if (rc == 0) {
        s->ends_by_signal = !o->notify;
        rc = hakt_session_begin(s, target, program, command, fidelity, o->more, err);
        /* Of several programs that run with the same environment, one has the name as it is. */
        if (rc == HAKC_EBUSY && o->notify)
            rc = hakt_session_begin(s, target, program, command, fidelity, 1, err);
    }
    if (rc != 0 && o->notify)
        notify("", err->msg);
    return rc;
}

/* Records; tells `fd` (-1 = nobody) once the process has joined, or why not. The exit code. */
static int record(const struct start_options *o, int fd) {
    static struct hakt_session s;
    struct hakt_target target;
    struct hakc_err err = {0};
    int rc = begin(o, &s, &target, &err);
    if (rc == 0 && (rc = offer(o, &s, &err)) != 0)
        hakt_session_discard(&s);
    if (rc == 0) {
        for (int ms = 0; ms < FIRST_OP_MS && s.shm->owner_pid == 0 && !hakt_target_ended(&target);
             ms++)
            sleep_ms(1);
        if (fd >= 0)
            report(fd, 0, s.shm->owner_pid != 0 ? "" : "it has made no call of malloc yet");
        enum hakt_session_outcome outcome = hakt_session_run(&s);
        rc = hakt_session_finish(&s, outcome, &err);
        if (outcome != HAKT_SESSION_ENDED && o->record.shm.follow != HAKT_FOLLOW_NONE)
            hakt_session_wait(&s);
        hakt_serve_wait(&s);
    }
    if (rc != 0 && fd >= 0)
        report(fd, rc, err.msg);
    if (rc != 0 && fd < 0)
        hakc_err_print("haktrace start", &err);
    hakt_session_close(&s);
    hakt_target_close(&target);
    return hakc_exit_code(rc);
}

/* The collector keeps nothing of where it was started but the standard error. */
static int start_in_background(const struct start_options *o) {
    struct report r;
    int ends[2];
    struct hakc_err err = {0};
    if (pipe(ends) != 0)
        return hakt_cmd_fail((hakc_fail_errno(&err, HAKC_EIO, "pipe"), &err));
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        setsid();
        if (freopen("/dev/null", "r", stdin) == NULL || freopen("/dev/null", "w", stdout) == NULL ||
            freopen("/dev/null", "w", stderr) == NULL)
            _exit(1);
        _exit(record(o, ends[1]));
    }
    close(ends[1]);
    if (pid < 0)
        return hakt_cmd_fail((hakc_fail_errno(&err, HAKC_EIO, "fork"), &err));
    ssize_t n = read(ends[0], &r, sizeof(r));
    close(ends[0]);
    if (n != sizeof(r))
        return hakt_cmd_fail((hakc_fail(&err, HAKC_EIO, "the collector died"), &err));
    if (r.code != 0)
        return hakt_cmd_fail((hakc_fail(&err, r.code, "%s", r.text), &err));
    if (!o->record.quiet)
        fprintf(stderr, "haktrace: process %d is recorded, by process %d%s%s\n", (int)o->pid,
                (int)pid, *r.text != '\0' ? "; " : "", r.text);
    return 0;
}

int hakt_cmd_start(int argc, char **argv) {
    struct start_options o = {0};
    hakt_record_defaults(&o.record);
    argp_parse(&start_argp, argc, argv, 0, NULL, &o);
    return o.foreground || o.notify ? record(&o, -1) : start_in_background(&o);
}

/* ---- stop, status, rotate, snapshot --------------------------------------------------------- */

struct control_options {
    pid_t pid;
    int json;
};

static const struct argp_option status_table[] = {{"json", 'j', NULL, 0, "Print JSON", 0}, {0}};

static error_t parse_control(int key, char *arg, struct argp_state *state) {
    struct control_options *o = state->input;
    switch (key) {
    case 'j':
        o->json = 1;
        break;
    default:
        return parse_pid(key, arg, state, &o->pid);
    }
    return 0;
}

static int collector_lives(const struct hakt_shm *shm) {
    return kill((pid_t)shm->collector_pid, 0) == 0 || errno != ESRCH;
}

static void bell(struct hakt_shm *shm) {
    __atomic_fetch_add(&shm->bell, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &shm->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int send_command(int argc, char **argv, const struct argp *argp, uint32_t command,
                        const char *what) {
    struct control_options o = {0};
    struct hakc_err err = {0};
    struct hakt_shm *shm;
    argp_parse(argp, argc, argv, 0, NULL, &o);
    if (hakt_control_open_shm(o.pid, &shm, &err) != 0)
        return hakt_cmd_fail(&err);
    __atomic_store_n(&shm->command_done, HAKT_COMMAND_NONE, __ATOMIC_RELAXED);
    __atomic_store_n(&shm->command, command, __ATOMIC_RELEASE);
    bell(shm);
    int ms = 0;
    uint32_t answer;
    while ((answer = __atomic_load_n(&shm->command_done, __ATOMIC_ACQUIRE)) == HAKT_COMMAND_NONE &&
           ms++ < ANSWER_MS && collector_lives(shm))
        sleep_ms(1);
    int done = answer == command;
    if (done)
        fprintf(stderr, "haktrace: process %d: %s: %" PRIu64 " ops so far, %s\n", (int)o.pid, what,
                shm->status.ops, shm->status.file);
    else if (answer == HAKT_COMMAND_FAILED)
        hakc_fail(&err, HAKC_EIO,
                  "process %d: the next file could not be written; what was recorded before is "
                  "complete, what comes is lost: stop it, and start another recording",
                  (int)o.pid);
    else if (answer == HAKT_COMMAND_REFUSED)
        hakc_fail(&err, HAKC_EIO, "process %d: it is not recorded into a window (--window)",
                  (int)o.pid);
    else
        hakc_fail(&err, HAKC_EIO, "process %d: its collector, process %u, does not answer",
                  (int)o.pid, shm->collector_pid);
    hakt_control_close_shm(shm);
    return done ? 0 : hakt_cmd_fail(&err);
}

static const struct argp stop_argp = {
    NULL,  parse_control,
    "PID", "End the recording of a process; it goes on, with the library dormant.",
    NULL,  NULL,
    NULL};
static const struct argp rotate_argp = {
    NULL,
    parse_control,
    "PID",
    "Go on with the recording of a process in a new file. What is alive at that moment is unknown "
    "to the new one: its frees are marked foreign there.",
    NULL,
    NULL,
    NULL};
static const struct argp snapshot_argp = {
    NULL,  parse_control,
    "PID", "Write the window of a flight recorder (haktrace --window) into a file, and go on.",
    NULL,  NULL,
    NULL};
static const struct argp status_argp = {
    status_table, parse_control, "PID", "Tell whether a process is being recorded, and how far.",
    NULL,         NULL,          NULL};

int hakt_cmd_stop(int argc, char **argv) {
    return send_command(argc, argv, &stop_argp, HAKT_COMMAND_STOP, "stopped");
}

int hakt_cmd_rotate(int argc, char **argv) {
    return send_command(argc, argv, &rotate_argp, HAKT_COMMAND_ROTATE, "goes on in");
}

int hakt_cmd_snapshot(int argc, char **argv) {
    return send_command(argc, argv, &snapshot_argp, HAKT_COMMAND_SNAPSHOT, "written");
}

static int print_status(const struct control_options *o, const struct hakt_shm *shm,
                        struct hakc_err *err) {
    const struct hakt_shm_status *st = &shm->status;
    struct hakc_out *out;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t unix_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    int rc = hakc_out_open(&out, stdout, o->json ? HAKC_OUT_JSON : HAKC_OUT_TABLE, 1, err);
    if (rc != 0)
        return rc;
    hakc_out_int(out, "pid", "process", o->pid);
    hakc_out_str(out, "state", "state", collector_lives(shm) ? "recorded" : "collector died");
    hakc_out_uint(out, "collector_pid", "collector", shm->collector_pid);
    hakc_out_str(out, "file", "file", st->file);
    hakc_out_duration(out, "elapsed_ns", "for",
                      unix_ns > st->started_unix_ns ? unix_ns - st->started_unix_ns : 0);
    hakc_out_uint(out, "ops", "ops", st->ops);
    hakc_out_uint(out, "threads", "threads", st->threads);
    hakc_out_uint(out, "dropped", "dropped", st->dropped);
    hakc_out_bytes(out, "backlog_bytes", "backlog", st->backlog_bytes);
    hakc_out_bytes(out, "backlog_max_bytes", "backlog at most", st->backlog_max);
    if (st->window_bytes > 0)
        hakc_out_bytes(out, "window_bytes", "window", st->window_bytes);
    else
        hakc_out_bytes(out, "file_bytes", "written", st->bytes);
    return hakc_out_close(out, err);
}

int hakt_cmd_status(int argc, char **argv) {
    struct control_options o = {0};
    struct hakc_err err = {0};
    struct hakt_shm *shm;
    argp_parse(&status_argp, argc, argv, 0, NULL, &o);
    int rc = hakt_control_open_shm(o.pid, &shm, &err);
    if (rc == 0) {
        rc = print_status(&o, shm, &err);
        hakt_control_close_shm(shm);
    }
    return rc == 0 ? hakt_cmd_end_output() : hakt_cmd_fail(&err);
}
