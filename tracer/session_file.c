/*
 * The files of a session: opening one, writing a window into one, and what is said at the end.
 */
#include "common/units.h"
#include "tracer/program_file.h"
#include "tracer/session.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOOL            "haktrace"
#define CPUS_FOR_THREAD 4 /* the collector and two threads of the program have one each */

/* Compressing a chunk takes longer than a ring lasts. A thread of its own does it where there is a
 * core for it; else the rings are looked after in between. */
static void keep_up(struct hakt_session *s) {
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) >= CPUS_FOR_THREAD &&
        hakt_writer_use_thread(s->writer) == 0)
        return;
    if (s->collect != NULL)
        hakt_writer_set_pause(s->writer, hakt_collect_relieve, s->collect);
}

int hakt_session_open_file(struct hakt_session *s, uint64_t origin_ns, struct hakc_err *err) {
    char host[256] = "";
    struct hakt_info info = {
        .fidelity = s->fidelity | (s->shm->pace > 1 ? HAKT_PACED_TIMES : 0),
        .start_unix_ns = s->clock.start_unix_ns + origin_ns,
        .page_size = (uint32_t)sysconf(_SC_PAGESIZE),
        .pid = (uint32_t)s->target->pid,
        .command = s->command,
        .host = host,
        .clock = hakt_clock_name(&s->clock),
        .tool = TOOL " " HAK_VERSION,
        .source = "",
    };
    gethostname(host, sizeof(host) - 1);
    int rc = hakt_output_name(s->path, s->opt->output, s->target->pid, s->program,
                              info.start_unix_ns, s->more, err);
    if (rc == 0)
        rc = hakt_writer_open(&s->writer, s->path, &info, s->opt->level, err);
    if (rc == 0)
        keep_up(s);
    return rc;
}

void hakt_session_discard(struct hakt_session *s) {
    struct stat st;
    if (s->writer != NULL && strcmp(s->opt->output, "-") != 0 && lstat(s->path, &st) == 0 &&
        S_ISREG(st.st_mode))
        unlink(s->path);
}

int hakt_session_write_window(struct hakt_session *s, enum hakt_end reason, struct hakc_err *err) {
    struct hakt_totals end = {.end_reason = reason, .exit_status = UINT32_MAX};
    struct hakt_collect_stats st;
    hakt_collect_get_stats(s->collect, &st);
    end.dropped = st.dropped;
    if (s->target->status != -1)
        end.exit_status = (uint32_t)s->target->status;
    if (hakt_window_start_ns(s->window) != 0)
        s->fidelity &= ~(uint32_t)HAKT_WHOLE_LIFE;
    int rc = hakt_session_open_file(s, hakt_window_start_ns(s->window), err);
    if (rc != 0)
        return rc;
    rc = hakt_window_write(s->window, s->writer, err);
    int closed = hakt_writer_close(s->writer, &end, NULL, rc == 0 ? err : NULL);
    s->writer = NULL;
    s->more = 1;
    return rc != 0 ? rc : closed;
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

/* The library was loaded. */
static void say_why_nothing(const char *program, uint64_t ops) {
    struct hakt_program_file file;
    char records[32] = "";
    hakt_program_file_read(&file, program);
    if (ops == 0)
        strcpy(records, "0 records: ");
    if (*file.allocator != '\0')
        fprintf(stderr,
                TOOL ": %s: %sit has an allocator of its own linked into it (%s), which cannot be "
                     "recorded%s\n",
                program, records, file.allocator,
                ops > 0 ? ": the recording holds the calls of its libraries alone" : "");
    else if (ops == 0 && file.is_elf && !file.imports_malloc)
        fprintf(stderr,
                TOOL ": %s: %sthe library was loaded, but the program has no calls of the malloc "
                     "family that a library could take: if it allocates, then by an allocator of "
                     "its own that is linked into it, which cannot be recorded\n",
                program, records);
    else if (ops == 0)
        fprintf(stderr,
                TOOL ": %s: %sthe library was loaded, but the program never called the malloc "
                     "family through it (it allocates nothing, or brings a malloc of its own)\n",
                program, records);
}

/* Why there is nothing, or less than one may think. */
static void say_what_is_missing(const struct hakt_session *s, uint64_t ops, uint64_t dropped) {
    uint32_t unserved = __atomic_load_n(&s->shm->children_unserved, __ATOMIC_RELAXED);
    if (__atomic_load_n(&s->shm->owner_pid, __ATOMIC_RELAXED) == 0)
        fprintf(stderr, TOOL ": %s: 0 records: the program did not load the library: %s\n",
                s->program, hakt_why_not_loaded(s->program));
    else if (*s->shm->other_malloc == '\0' && dropped == 0)
        say_why_nothing(s->program, ops);
    if (*s->shm->other_malloc != '\0')
        fprintf(stderr,
                TOOL ": %s brings a malloc of its own, in %s: what it serves was not recorded\n",
                s->program, s->shm->other_malloc);
    if (*s->replaced_by != '\0' && s->opt->shm.follow != HAKT_FOLLOW_EXEC)
        fprintf(stderr,
                TOOL ": %s executed %s in its place, which was not recorded: to record that, give "
                     "it as the program, or use --follow=exec\n",
                s->program, s->replaced_by);
    if (unserved > 0)
        fprintf(stderr, TOOL ": warning: %" PRIu32 " processes found no collector\n", unserved);
}

void hakt_session_summary(const struct hakt_session *s, enum hakt_session_outcome outcome,
                          const struct hakt_collect_stats *st, const struct hakt_totals *totals) {
    uint64_t bytes = totals->file_bytes, ops = totals->ops > 0 ? totals->ops : st->ops;
    char size[HAKC_UNIT_LEN];
    struct stat file;

    if (outcome == HAKT_SESSION_ENDED)
        say_what_is_missing(s, ops, st->dropped);
    say_losses(st);
    if (s->opt->quiet)
        return;
    if (s->window != NULL && stat(s->path, &file) == 0)
        bytes = (uint64_t)file.st_size;
    fprintf(stderr, TOOL ": %s: %" PRIu64 " ops, %" PRIu64 " threads, %" PRIu64 " dropped, %s",
            strcmp(s->opt->output, "-") == 0 ? "-" : s->path, ops, st->threads, st->dropped,
            hakc_format_bytes(size, bytes));
    if (s->window == NULL && ops > 0)
        fprintf(stderr, " (%.2f bytes/op)", (double)bytes / (double)ops);
    if (st->foreign > 0)
        fprintf(stderr, ", %" PRIu64 " foreign frees", st->foreign);
    if (s->window != NULL)
        fprintf(stderr, ", of which the last are in the file");
    if (s->target->status != -1 && WIFSIGNALED(s->target->status))
        fprintf(stderr, ", killed by signal %d", WTERMSIG(s->target->status));
    if (outcome == HAKT_SESSION_STOPPED)
        fprintf(stderr, ", stopped");
    if (outcome == HAKT_SESSION_LIMIT)
        fprintf(stderr, ", ended by a limit%s", s->target->ended ? "" : ": the program goes on");
    fputc('\n', stderr);
}
