#include "tracer/session.h"
#include "tracer/control.h"
#include "tracer/memory_room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLEEP_BUSY_NS  100000   /* after a round that found something */
#define SLEEP_DEFER_NS 1000000  /* after a round that put off what it found: the bell wakes us */
#define SLEEP_IDLE_NS  20000000 /* reached by doubling over rounds that found nothing */
#define TICK_NS        50000000 /* looks at the process, its threads, the limits */
#define FLUSH_EVERY_NS 1000000000
#define CLOCK_EVERY_NS 1000000000
#define BURST_NS       1000 /* from stamp to stamp */
#define SETTLE_US      2000 /* for ops under way when a recording stops */
#define RECORD_BYTES   80   /* of a record or event, at the most */
#define FILE_END_BYTES 1500 /* index, trailer and tail */

volatile sig_atomic_t hakt_session_snapshot, hakt_session_replaced, hakt_session_stop;

static uint64_t monotonic_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int hakt_session_open(struct hakt_session *s, const struct hakt_record_options *opt,
                      const struct hakt_clock *clock, struct hakc_err *err) {
    struct hakt_shm_settings set = opt->shm;
    *s = (struct hakt_session){.opt = opt, .shm_fd = -1, .processors.fd = -1};
    if (clock != NULL)
        s->clock = *clock;
    else if (hakt_clock_start(&s->clock, opt->clock) != 0)
        return hakc_fail(err, HAKC_EUNSUPPORTED,
                         "--clock=tsc: this machine's time stamp counter is not invariant and "
                         "equal on all CPUs");
    set.clock = s->clock.kind;
    set.burst = (uint32_t)hakt_clock_span(&s->clock, BURST_NS);
    return hakt_shm_create(&s->shm, &s->shm_fd, s->shm_path, &set, err);
}

/* How much room --max-size leaves. What a chunk takes is not known before it is compressed: where
 * it may be too much, it is written, as long as much is still to come. */
static void measure(struct hakt_session *s) {
    uint64_t room = s->opt->max_bytes - FILE_END_BYTES;
    uint64_t used = hakt_writer_bytes(s->writer) + hakt_writer_pending(s->writer);
    if (used + RECORD_BYTES >= room) {
        int rc = hakt_writer_flush(s->writer, &s->write_err);
        if (rc == 0) /* and waits for the writer's thread */
            rc = hakt_writer_flush(s->writer, &s->write_err);
        used = hakt_writer_bytes(s->writer);
        s->at_limit = rc != 0 || used + s->opt->max_bytes / 16 >= room;
    }
    s->fitting = s->at_limit ? 0 : (room - used) / RECORD_BYTES;
}

/* How many of the next n records the file takes. */
static size_t take(struct hakt_session *s, size_t n) {
    s->unflushed = 1;
    if (s->opt->max_bytes == 0)
        return n;
    if (s->fitting == 0 && !s->at_limit)
        measure(s);
    n = n < s->fitting ? n : s->fitting;
    s->fitting -= n;
    return n;
}

/* 0, or why nothing can be written: the next file could not be opened. */
static int need_writer(const struct hakt_session *s, struct hakc_err *err) {
    if (s->writer != NULL)
        return 0;
    *err = s->write_err;
    return err->code != 0 ? err->code : HAKC_EIO;
}

static int put(void *session, const struct hakt_rec *rec, uint64_t old_size, struct hakc_err *err) {
    struct hakt_session *s = session;
    int rc = need_writer(s, err);
    return rc != 0 || take(s, 1) == 0 ? rc : hakt_write_sized(s->writer, rec, old_size, err);
}

static int put_event(void *session, const struct hakt_event *event, struct hakc_err *err) {
    struct hakt_session *s = session;
    int rc = need_writer(s, err);
    return rc != 0 || take(s, 1) == 0 ? rc : hakt_write_event(s->writer, event, err);
}

static int put_plain(void *session, const struct hakt_plain_rec *recs, size_t n,
                     struct hakc_err *err) {
    struct hakt_session *s = session;
    size_t part;
    int rc = need_writer(s, err);
    for (; rc == 0 && n > 0 && (part = take(s, n)) > 0; recs += part, n -= part)
        rc = hakt_write_plain(s->writer, recs, part, err);
    return rc;
}

static struct hakt_collect_sink sink_of(struct hakt_session *s) {
    if (s->window != NULL)
        return (struct hakt_collect_sink){.put = hakt_window_put, .ctx = s->window};
    return (struct hakt_collect_sink){
        .put = put, .put_plain = put_plain, .event = put_event, .ctx = s};
}

int hakt_session_begin(struct hakt_session *s, struct hakt_target *target, const char *program,
                       const char *command, uint32_t fidelity, int more, struct hakc_err *err) {
    uint64_t backlog =
        s->opt->backlog == HAKT_BACKLOG_AUTO ? hakt_backlog_default() : s->opt->backlog;
    int rc;
    s->target = target;
    s->fidelity = fidelity;
    s->more = more;
    s->started_ns = monotonic_ns();
    snprintf(s->program, sizeof(s->program), "%s", program);
    free(s->command); /* of a try that found its file busy */
    s->command = strdup(command);
    if (s->command == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the command line");
    s->shm->status.started_unix_ns = s->clock.start_unix_ns;
    s->shm->status.backlog_max = backlog;
    if (s->processors.fd < 0)
        hakt_processors_open(&s->processors);
    if (s->opt->window_bytes > 0)
        rc = hakt_window_open(&s->window, s->opt->window_bytes, s->opt->window_ns, err);
    else
        rc = hakt_session_open_file(s, 0, err);
    if (rc == 0)
        rc = hakt_collect_open(&s->collect, s->shm, &s->clock, sink_of(s), backlog, err);
    if (rc == 0 && s->writer != NULL)
        hakt_writer_set_pause(s->writer, hakt_collect_relieve, s->collect);
    return rc;
}

int hakt_session_rotate(struct hakt_session *s, struct hakc_err *err) {
    struct hakt_totals end = {.end_reason = HAKT_END_STOPPED, .exit_status = UINT32_MAX};
    struct hakt_collect_stats st;
    struct hakt_writer *old = s->writer;
    char path[PATH_MAX];

    if (s->window != NULL)
        return hakt_session_write_window(s, HAKT_END_STOPPED, err);
    strcpy(path, s->path);
    hakt_collect_get_stats(s->collect, &st);
    end.stamped = s->shm->pace > 1 ? st.stamped : 0;
    s->ops_before = st.taken;
    s->at_limit = 0;
    s->fitting = 0;
    hakt_collect_rotate(s->collect, sink_of(s));
    s->more = 1;
    s->fidelity &= ~(uint32_t)HAKT_WHOLE_LIFE;
    int rc = hakt_session_open_file(s, hakt_collect_origin_ns(s->collect), err);
    if (rc != 0) { /* the old file ends all the same: its ids have */
        s->writer = NULL;
        strcpy(s->path, path);
    }
    int closed = hakt_writer_close(old, &end, NULL, rc == 0 ? err : NULL);
    return rc != 0 ? rc : closed;
}

/* ---- the loop ----------------------------------------------------------------------------- */

static void flush(struct hakt_session *s) {
    s->unflushed = 0;
    if (s->writer != NULL && s->write_err.code == 0 &&
        hakt_collect_failed(s->collect, &s->write_err) == 0)
        hakt_writer_flush(s->writer, &s->write_err);
}

static uint64_t file_bytes(const struct hakt_session *s) {
    return s->writer != NULL ? hakt_writer_bytes(s->writer) : 0;
}

static void publish_status(struct hakt_session *s) {
    struct hakt_shm_status *to = &s->shm->status;
    struct hakt_collect_stats st;
    hakt_collect_get_stats(s->collect, &st);
    to->ops = st.taken - s->ops_before;
    to->threads = st.threads;
    to->dropped = st.dropped;
    to->backlog_bytes = st.backlog;
    to->bytes = file_bytes(s);
    to->window_bytes = s->window != NULL ? hakt_window_bytes(s->window) : 0;
    snprintf(to->file, sizeof(to->file), "%s", s->path);
}

/* What the process runs now, where that is not what loaded the library: nobody records it. */
static void look_for_exec(struct hakt_session *s) {
    char link[64];
    struct stat st;
    snprintf(link, sizeof(link), "/proc/%d/exe", (int)s->target->pid);
    if (s->shm->exe_ino == 0 || stat(link, &st) != 0 ||
        ((uint64_t)st.st_ino == s->shm->exe_ino && (uint64_t)st.st_dev == s->shm->exe_dev))
        return;
    ssize_t n = readlink(link, s->replaced_by, sizeof(s->replaced_by) - 1);
    s->replaced_by[n > 0 ? n : 0] = '\0';
}

/* A command from outside. 1: stop. */
static int obey(struct hakt_session *s) {
    uint32_t command = __atomic_exchange_n(&s->shm->command, HAKT_COMMAND_NONE, __ATOMIC_ACQ_REL);
    struct hakc_err err = {0};
    int rc = 0;
    if (hakt_session_snapshot) {
        hakt_session_snapshot = 0;
        command = command == HAKT_COMMAND_NONE ? HAKT_COMMAND_SNAPSHOT : command;
    }
    if (command == HAKT_COMMAND_ROTATE || command == HAKT_COMMAND_SNAPSHOT)
        hakt_collect_catch_up(s->collect);
    if (command == HAKT_COMMAND_ROTATE)
        rc = hakt_session_rotate(s, &err);
    else if (command == HAKT_COMMAND_SNAPSHOT && s->window != NULL)
        rc = hakt_session_write_window(s, HAKT_END_STOPPED, &err);
    else if (command == HAKT_COMMAND_SNAPSHOT)
        command = HAKT_COMMAND_REFUSED;
    if (rc != 0)
        command = HAKT_COMMAND_FAILED;
    if (rc != 0 && s->window == NULL)
        s->write_err = err;
    else if (rc != 0)
        hakc_err_print("haktrace", &err);
    if (command != HAKT_COMMAND_NONE && command != HAKT_COMMAND_STOP) {
        publish_status(s);
        __atomic_store_n(&s->shm->command_done, command, __ATOMIC_RELEASE);
    }
    return command == HAKT_COMMAND_STOP;
}

/* Every TICK_NS. 1 with *outcome: the loop ends. */
static int tick(struct hakt_session *s, uint64_t now, enum hakt_session_outcome *outcome) {
    if (hakt_target_ended(s->target)) {
        *outcome = HAKT_SESSION_ENDED;
        return 1;
    }
    hakt_collect_reap(s->collect, s->target->pid);
    look_for_exec(s);
    if (*s->replaced_by != '\0' && s->opt->shm.follow == HAKT_FOLLOW_EXEC) {
        *outcome = HAKT_SESSION_REPLACED;
        return 1;
    }
    publish_status(s);
    if (s->at_limit || (s->opt->max_ns != 0 && now - s->started_ns >= s->opt->max_ns)) {
        *outcome = HAKT_SESSION_LIMIT;
        return 1;
    }
    return 0;
}

/* After each round. 1 with *outcome: the loop ends. */
static int attend(struct hakt_session *s, enum hakt_session_outcome *outcome) {
    if (__atomic_load_n(&s->shm->requests_asked, __ATOMIC_ACQUIRE) != s->requests_seen)
        hakt_serve_requests(s);
    if (s->replaced || hakt_session_replaced) {
        *outcome = HAKT_SESSION_REPLACED;
        return 1;
    }
    *outcome = HAKT_SESSION_STOPPED;
    if (__atomic_load_n(&s->shm->command, __ATOMIC_RELAXED) != 0 || hakt_session_snapshot)
        return obey(s);
    return hakt_session_stop;
}

enum hakt_session_outcome hakt_session_run(struct hakt_session *s) {
    uint64_t nap = SLEEP_BUSY_NS, ticked = 0, flushed = monotonic_ns(), clocked = flushed;
    enum hakt_session_outcome outcome;

    prctl(PR_SET_TIMERSLACK, 1000);
    for (;;) {
        int more = 0;
        uint64_t now = monotonic_ns();
        int busy = hakt_processors_busy(&s->processors, now, hakt_collect_at_work(s->collect),
                                        hakt_collect_waiting(s->collect));
        hakt_collect_set_busy(s->collect, busy);
        int puts_off = hakt_collect_puts_off(s->collect);
        if (puts_off)
            hakt_processors_take_turns(&s->processors, now);
        uint64_t handled = hakt_collect_round(s->collect, &more);
        now = monotonic_ns();
        if (now - clocked >= CLOCK_EVERY_NS) {
            hakt_clock_update(&s->clock);
            clocked = now;
        }
        if (now - ticked >= TICK_NS || __atomic_load_n(&s->shm->want_slot, __ATOMIC_RELAXED) != 0) {
            if (tick(s, now, &outcome))
                return outcome;
            ticked = now;
        }
        if (attend(s, &outcome))
            return outcome;
        if (now - flushed >= FLUSH_EVERY_NS && s->unflushed) {
            flush(s);
            flushed = now;
        }
        if (more)
            continue;
        if (handled > 0)
            nap = puts_off ? SLEEP_DEFER_NS : SLEEP_BUSY_NS;
        else
            nap = nap * 2 > SLEEP_IDLE_NS ? SLEEP_IDLE_NS : nap * 2;
        if (handled == 0 && hakt_target_ended(s->target))
            return HAKT_SESSION_ENDED;
        hakt_shm_sleep(s->shm, nap);
    }
}

void hakt_session_wait(struct hakt_session *s) {
    while (!hakt_session_stop && !hakt_target_ended(s->target)) {
        if (__atomic_load_n(&s->shm->requests_asked, __ATOMIC_ACQUIRE) != s->requests_seen)
            hakt_serve_requests(s);
        hakt_shm_sleep(s->shm, SLEEP_IDLE_NS);
    }
}

/* ---- the end ------------------------------------------------------------------------------ */

/* Takes the threads out of their rings; their next ops do not find the collector any more. */
static void let_go(struct hakt_session *s) {
    __atomic_store_n(&s->shm->stopped, 1, __ATOMIC_SEQ_CST);
    hakt_control_release(s->target->pid); /* where not allowed, they notice when a ring fills */
    usleep(SETTLE_US);
}

static enum hakt_end reason_of(const struct hakt_session *s, enum hakt_session_outcome outcome) {
    if (s->write_err.code != 0 || outcome == HAKT_SESSION_LIMIT)
        return HAKT_END_LIMIT;
    if (outcome == HAKT_SESSION_STOPPED)
        return HAKT_END_STOPPED;
    return s->target->status != -1 && WIFSIGNALED(s->target->status) ? HAKT_END_KILLED
                                                                     : HAKT_END_EXIT;
}

static void note_exec(struct hakt_session *s) {
    struct hakt_event e = {.kind = HAKT_EV_EXEC, .time = hakt_collect_last_ns(s->collect)};
    if (s->writer != NULL && s->write_err.code == 0)
        hakt_write_event(s->writer, &e, NULL);
}

int hakt_session_finish(struct hakt_session *s, enum hakt_session_outcome outcome,
                        struct hakc_err *err) {
    struct hakt_collect_stats st;
    struct hakt_totals end = {0}, totals = {0};
    struct hakc_err close_err = {0};
    int rc = 0;

    if (outcome == HAKT_SESSION_STOPPED || outcome == HAKT_SESSION_LIMIT)
        let_go(s);
    hakt_collect_finish(s->collect);
    if (s->at_limit && outcome == HAKT_SESSION_ENDED)
        outcome = HAKT_SESSION_LIMIT;
    if (outcome == HAKT_SESSION_STOPPED || outcome == HAKT_SESSION_LIMIT)
        hakt_shm_empty(s->shm, s->shm_fd);
    if (outcome == HAKT_SESSION_REPLACED)
        note_exec(s);
    hakt_collect_get_stats(s->collect, &st);
    if (s->write_err.code == 0)
        hakt_collect_failed(s->collect, &s->write_err);
    publish_status(s);
    if (s->window != NULL) {
        rc = hakt_session_write_window(s, reason_of(s, outcome), err);
    } else if (s->writer != NULL) {
        end.dropped = st.dropped + st.discarded;
        end.stamped = s->shm->pace > 1 ? st.stamped : 0;
        end.exit_status = s->target->status == -1 ? UINT32_MAX : (uint32_t)s->target->status;
        end.end_reason = reason_of(s, outcome);
        hakt_writer_set_drops(s->writer, st.drops, st.drops_count);
        flush(s);
        rc = hakt_writer_close(s->writer, &end, &totals, &close_err);
        s->writer = NULL;
        if (s->write_err.code == 0 && rc != 0)
            s->write_err = close_err;
    }
    if (s->write_err.code != 0) {
        *err = s->write_err;
        rc = err->code;
    }
    hakt_session_summary(s, outcome, &st, &totals);
    if (outcome == HAKT_SESSION_STOPPED)
        __atomic_store_n(&s->shm->command_done, HAKT_COMMAND_STOP, __ATOMIC_RELEASE);
    return rc;
}

void hakt_session_close(struct hakt_session *s) {
    if (s->writer != NULL)
        hakt_writer_close(s->writer, NULL, NULL, NULL);
    hakt_window_close(s->window);
    hakt_processors_close(&s->processors);
    hakt_collect_close(s->collect);
    if (s->shm != NULL)
        hakt_shm_destroy(s->shm, s->shm_fd);
    for (size_t i = 0; i < s->served_count; i++)
        hakt_target_close(&s->served[i].process);
    free(s->served);
    free(s->command);
    *s = (struct hakt_session){.shm_fd = -1, .processors.fd = -1};
}
