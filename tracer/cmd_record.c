/*
 * haktrace -o FILE [OPTION...] -- PROGRAM [ARG...]: records a program.
 */
#include "tracer/cmd_record.h"
#include "common/err.h"
#include "tracer/launch.h"
#include "tracer/record_options.h"
#include "tracer/session.h"

#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOOL "haktrace"

struct options {
    struct hakt_record_options record;
    const char *library;
    char **command;
};

enum {
    OPT_LIBRARY = 512,
};

static const struct argp_option option_table[] = {
    {"library", OPT_LIBRARY, "PATH", 0,
     "libhaktrace.so to preload (default: the one next to haktrace)", 3},
    {0}};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->record;
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
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp_child children[] = {{&hakt_record_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    option_table,
    parse_option,
    "-o FILE [--] PROGRAM [ARG...]",
    "Record every allocation of PROGRAM and its threads.\v"
    "The exit code is the program's own (128 + N when signal N killed it), 126 or 127 when it "
    "could not be started, 1 when the trace could not be written to its end.",
    children,
    NULL,
    NULL};

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

static void snapshot_wanted(int sig) {
    (void)sig;
    hakt_session_snapshot = 1;
}

/* Everything up to the program's first instruction. 0, or the exit code, with *err filled. */
static int start(struct hakt_session *s, struct hakt_target *target, const struct options *o,
                 struct hakc_err *err) {
    struct sigaction snapshot = {.sa_handler = snapshot_wanted};
    char program[PATH_MAX], library[PATH_MAX];
    struct hakt_launch launch;
    char *command = join_command(o->command);
    int rc;

    if ((rc = hakt_find_library(library, o->library, err)) != 0 || command == NULL) {
        free(command);
        return hakc_exit_code(command == NULL ? HAKC_ENOMEM : rc);
    }
    if ((rc = hakt_find_program(program, o->command[0], err)) != 0)
        goto out;
    if ((rc = hakt_session_open(s, &o->record, NULL, err)) != 0 ||
        (rc = hakt_launch_fork(&launch, program, o->command, library, s->shm_path, err)) != 0) {
        rc = hakc_exit_code(rc);
        goto out;
    }
    if (o->record.window_bytes > 0)
        sigaction(SIGUSR2, &snapshot, NULL); /* and no longer passed on */
    hakt_target_open(target, launch.pid, 1);
    rc = hakt_session_begin(s, target, program, command,
                            HAKT_HAS_TIMES | HAKT_HAS_THREADS | HAKT_EXACT_SIZES | HAKT_EXACT_IDS |
                                HAKT_WHOLE_LIFE,
                            0, err);
    if (rc != 0) {
        hakt_launch_cancel(&launch);
        rc = hakc_exit_code(rc);
    } else {
        rc = hakt_launch_go(&launch, err);
    }
out:
    free(command);
    return rc;
}

static int own_code(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* From the program's first instruction to its last, and to the end of the files. */
static int record(struct hakt_session *s, struct hakt_target *target) {
    struct hakc_err err = {0};
    enum hakt_session_outcome outcome = hakt_session_run(s);
    int rc = hakt_session_finish(s, outcome, &err);
    hakt_session_wait(s);
    hakt_launch_forget();
    size_t going_on = hakt_serve_wait(s);
    if (going_on > 0 && !s->opt->quiet)
        fprintf(stderr, TOOL ": %zu processes that came of it go on, and are recorded on\n",
                going_on);
    if (rc == 0)
        return own_code(target->status);
    hakc_err_print(TOOL, &err);
    fprintf(stderr,
            TOOL ": the trace ends there, and is whole up to there; the program ran on to its "
                 "end (exit code %d), later records were discarded\n",
            own_code(target->status));
    return hakc_exit_code(rc);
}

int hakt_cmd_record(int argc, char **argv) {
    static struct hakt_session s;
    struct options opt = {0};
    struct hakt_target target = {.pid_fd = -1};
    struct hakc_err err = {0};
    int code;

    argp_err_exit_status = 2;
    hakt_record_defaults(&opt.record);
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &opt);
    hakt_launch_guard();
    s.shm_fd = -1;
    code = start(&s, &target, &opt, &err);
    if (code == 0) {
        code = record(&s, &target);
    } else {
        hakc_err_print(TOOL, &err);
        hakt_session_discard(&s);
    }
    hakt_session_close(&s);
    hakt_target_close(&target);
    return code;
}
