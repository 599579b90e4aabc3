/*
 * Collectors for the processes that come of a traced one (forks, and what they execute).
 */
#include "tracer/launch.h"
#include "tracer/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Unless whoever asked has given up. */
static void answer(struct hakt_shm_request *r, uint32_t state) {
    uint32_t taken = HAKT_REQUEST_TAKEN;
    if (__atomic_compare_exchange_n(&r->state, &taken, state, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED))
        syscall(SYS_futex, &r->state, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void on_signal(int sig) {
    if (sig == SIGUSR2)
        hakt_session_snapshot = 1;
    else if (sig == SIGUSR1)
        hakt_session_replaced = 1;
    else
        hakt_session_stop = 1;
}

void hakt_collector_signals(int ends_by_signal) {
    static const int ending[] = {SIGINT, SIGTERM, SIGHUP};
    static const int ignored[] = {SIGQUIT, SIGPIPE, SIGXFSZ};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, note = {.sa_handler = on_signal};
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
        sigaction(ending[i], ends_by_signal ? &note : &ignore, NULL);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
        sigaction(ignored[i], &ignore, NULL);
    sigaction(SIGUSR1, &note, NULL);
    sigaction(SIGUSR2, &note, NULL);
    sigaction(SIGCHLD, &plain, NULL);
}

/* In the forked collector. Nothing of the other session's is touched but the request; its files
 * are closed unwritten. */
static _Noreturn void serve(const struct hakt_session *of, struct hakt_shm_request *request) {
    static struct hakt_session s;
    struct hakt_target target;
    struct hakc_err err = {0};
    char program[PATH_MAX], command[4096];
    int rc;

    syscall(SYS_close_range, 3u, ~0u, 0u);
    hakt_collector_signals(of->ends_by_signal);
    hakt_session_replaced = hakt_session_snapshot = hakt_session_stop = 0;
    hakt_target_open(&target, (pid_t)request->pid, 0);
    hakt_describe_process(target.pid, program, command, sizeof(command));
    rc = hakt_session_open(&s, of->opt, &of->clock, &err);
    s.ends_by_signal = of->ends_by_signal;
    if (rc == 0)
        rc = hakt_session_begin(&s, &target, program, command,
                                HAKT_HAS_TIMES | HAKT_HAS_THREADS | HAKT_EXACT_SIZES |
                                    HAKT_EXACT_IDS | (request->executed ? HAKT_WHOLE_LIFE : 0),
                                1, &err);
    if (rc == 0) {
        memcpy(request->path, s.shm_path, HAKT_SHM_PATH);
        answer(request, HAKT_REQUEST_GRANTED);
        enum hakt_session_outcome outcome = hakt_session_run(&s);
        rc = hakt_session_finish(&s, outcome, &err);
        if (outcome != HAKT_SESSION_ENDED)
            hakt_session_wait(&s);
        hakt_serve_wait(&s);
    } else {
        answer(request, HAKT_REQUEST_REFUSED);
    }
    if (rc != 0)
        hakc_err_print("haktrace", &err);
    exit(hakc_exit_code(rc));
}

/* The process that asks may have been recorded before it executed another program. */
static void end_recording_of(struct hakt_session *s, pid_t pid) {
    if (pid == s->target->pid)
        s->replaced = 1;
    for (size_t i = 0; i < s->served_count; i++) {
        if (s->served[i].process.pid == pid && s->served[i].collector != 0)
            kill(s->served[i].collector, SIGUSR1);
    }
}

static struct hakt_served *new_served(struct hakt_session *s) {
    struct hakt_served *more = realloc(s->served, (s->served_count + 1) * sizeof(*more));
    if (more == NULL)
        return NULL;
    s->served = more;
    return &more[s->served_count];
}

/* Forgets collectors that have ended. */
static void reap(struct hakt_session *s) {
    for (size_t i = 0; i < s->served_count;) {
        struct hakt_served *v = &s->served[i];
        if (waitpid(v->collector, NULL, WNOHANG) == v->collector) {
            hakt_target_close(&v->process);
            *v = s->served[--s->served_count];
        } else {
            i++;
        }
    }
}

void hakt_serve_requests(struct hakt_session *s) {
    s->requests_seen = __atomic_load_n(&s->shm->requests_asked, __ATOMIC_ACQUIRE);
    reap(s);
    for (unsigned i = 0; i < HAKT_SHM_REQUESTS; i++) {
        struct hakt_shm_request *r = &s->shm->requests[i];
        if (__atomic_load_n(&r->state, __ATOMIC_ACQUIRE) != HAKT_REQUEST_ASKED)
            continue;
        /* Not asked again while its collector starts. */
        uint32_t asked = HAKT_REQUEST_ASKED;
        if (!__atomic_compare_exchange_n(&r->state, &asked, HAKT_REQUEST_TAKEN, 0, __ATOMIC_ACQ_REL,
                                         __ATOMIC_RELAXED))
            continue;
        struct hakt_served *v = new_served(s);
        pid_t pid = (pid_t)r->pid, collector = v != NULL ? fork() : -1;
        if (collector == 0)
            serve(s, r);
        if (collector < 0) {
            answer(r, HAKT_REQUEST_REFUSED);
            continue;
        }
        end_recording_of(s, pid);
        v->collector = collector;
        hakt_target_open(&v->process, pid, 0);
        s->served_count++;
    }
}

size_t hakt_serve_wait(struct hakt_session *s) {
    size_t going_on = 0;
    for (size_t i = 0; i < s->served_count; i++) {
        struct hakt_served *v = &s->served[i];
        if (hakt_session_stop)
            kill(v->collector, SIGTERM);
        else if (!hakt_target_ended(&v->process)) {
            going_on += waitpid(v->collector, NULL, WNOHANG) == 0;
            continue;
        }
        while (waitpid(v->collector, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    s->served_count = 0;
    return going_on;
}
