/*
 * The recording of one process: its shared memory, its collector, its file or window, and the loop
 * that drains until the process ends, a limit is reached or somebody says so.
 *
 * Processes that come of the traced one, and are followed, ask in its shared memory; for each, this
 * process forks a collector, which has a session of its own (serve.c).
 *
 * Threads: a process that runs a session has one thread, and one session.
 */
#ifndef TRACER_SESSION_H
#define TRACER_SESSION_H

#include "common/err.h"
#include "tracer/collect.h"
#include "tracer/collect_clock.h"
#include "tracer/format/trace.h"
#include "tracer/processors.h"
#include "tracer/record_options.h"
#include "tracer/window.h"

#include <limits.h>
#include <signal.h>
#include <sys/types.h>

/* A process that is being recorded; our child, or another one's. */
struct hakt_target {
    pid_t pid;
    int is_child; /* waitpid tells how it ended */
    int pid_fd;   /* of one that is not; -1 where the kernel has none */
    int ended;
    int status; /* as from waitpid; -1 = not known */
};

void hakt_target_open(struct hakt_target *t, pid_t pid, int is_child);
void hakt_target_close(struct hakt_target *t);
/* Has it ended? Never blocks. */
int hakt_target_ended(struct hakt_target *t);

/* A collector that was forked for a descendant. */
struct hakt_served {
    pid_t collector;
    struct hakt_target process;
};

enum hakt_session_outcome {
    HAKT_SESSION_ENDED,    /* the process has */
    HAKT_SESSION_REPLACED, /* it executed a program that another collector records now */
    HAKT_SESSION_STOPPED,  /* by command */
    HAKT_SESSION_LIMIT,    /* --max-size, --max-time */
};

struct hakt_session {
    const struct hakt_record_options *opt;
    struct hakt_target *target;
    char program[PATH_MAX];
    char *command;       /* owned */
    uint32_t fidelity;   /* enum hakt_fidelity */
    int more;            /* not the recording's first file: see hakt_output_name */
    uint64_t ops_before; /* of the files before this one */
    char path[PATH_MAX];
    struct hakt_shm *shm;
    int shm_fd;
    char shm_path[HAKT_SHM_PATH];
    struct hakt_clock clock;
    struct hakt_writer *writer;
    struct hakt_window *window;
    struct hakt_collect *collect;
    struct hakt_processors processors;
    int at_limit;              /* the file has --max-size: records are passed over */
    uint64_t fitting;          /* so many more records are below --max-size, whatever they are */
    int unflushed;             /* records or events went to the writer since its last flush */
    struct hakc_err write_err; /* code != 0: the file ends there */
    int replaced;              /* the process executed another program that asked for a collector */
    char replaced_by[PATH_MAX]; /* or one that did not, and is not recorded */
    struct hakt_served *served;
    size_t served_count;
    int ends_by_signal; /* SIGINT, SIGTERM and SIGHUP set hakt_session_stop, in all collectors */
    uint32_t requests_seen;
    uint64_t started_ns; /* CLOCK_MONOTONIC */
};

/* Set by signal handlers: write the window; the process executes something else by now; end the
 * recording, as `haktrace stop` does. */
extern volatile sig_atomic_t hakt_session_snapshot, hakt_session_replaced, hakt_session_stop;

/* Clock (a running one may be given) and shared memory. */
int hakt_session_open(struct hakt_session *s, const struct hakt_record_options *opt,
                      const struct hakt_clock *clock, struct hakc_err *err);

/* File (or window) and collector. command is copied. */
int hakt_session_begin(struct hakt_session *s, struct hakt_target *target, const char *program,
                       const char *command, uint32_t fidelity, int more, struct hakc_err *err);

/* Drains. */
enum hakt_session_outcome hakt_session_run(struct hakt_session *s);

/* After run: takes the program's threads out of their rings if it lives, drains the last, writes
 * the file to its end. Says on standard error what was lost, and how much was recorded unless
 * quiet. 0, or a negative code with *err filled. */
int hakt_session_finish(struct hakt_session *s, enum hakt_session_outcome outcome,
                        struct hakc_err *err);

/* Serves the descendants of the process until it has ended, or hakt_session_stop. */
void hakt_session_wait(struct hakt_session *s);

void hakt_session_close(struct hakt_session *s);

/* After begin, in place of run and finish: the process was never recorded. Removes the file, unless
 * it is a device or a pipe. */
void hakt_session_discard(struct hakt_session *s);

/* ---- for session.c, serve.c and session_file.c ------------------------------------------------
 */

/* A collector's own signals. It ends with its process, not with a terminal or a service's stop;
 * or ends_by_signal. */
void hakt_collector_signals(int ends_by_signal);

/* Requests that are in the shared memory: forks a collector for each. */
void hakt_serve_requests(struct hakt_session *s);

/* Waits for the collectors of processes that have ended; with hakt_session_stop, ends the others
 * too. How many go on. */
size_t hakt_serve_wait(struct hakt_session *s);

/* Opens the next file; begins the collector anew on it. */
int hakt_session_rotate(struct hakt_session *s, struct hakc_err *err);
int hakt_session_write_window(struct hakt_session *s, enum hakt_end reason, struct hakc_err *err);
void hakt_session_summary(const struct hakt_session *s, enum hakt_session_outcome outcome,
                          const struct hakt_collect_stats *st, const struct hakt_totals *totals);
int hakt_session_open_file(struct hakt_session *s, uint64_t origin_ns, struct hakc_err *err);

#endif
