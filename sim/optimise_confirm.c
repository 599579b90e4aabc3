/* Confirming a choice: hakreplay runs it in the real library, and the database tells what it saw.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cmdline.h"
#include "db/metrics.h"
#include "db/store.h"
#include "sim/child_wait.h"
#include "sim/optimise_report.h"

#define FIGURES 5 /* of a trace */

/* hakreplay beside this very program, else by PATH. */
static void find_replay(char *path, size_t len) {
    ssize_t n = readlink("/proc/self/exe", path, len - sizeof "hakreplay");
    char *slash;
    if (n > 0) {
        path[n] = '\0';
        slash = strrchr(path, '/');
        if (slash != NULL) {
            strcpy(slash + 1, "hakreplay");
            if (access(path, X_OK) == 0)
                return;
        }
    }
    snprintf(path, len, "hakreplay");
}

/* In the child: its table goes nowhere, its messages and its progress where ours go. */
static void become(char *const *argv, const volatile int *stop) {
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        dup2(nowhere, STDOUT_FILENO);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (*stop) /* a signal that came before this: hakreplay would not hear of it */
        _exit(1);
    execvp(argv[0], argv);
    fprintf(stderr, "haksim optimise: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static int replay(char *const *argv, const volatile int *stop, struct hakc_err *err) {
    int status;
    pid_t pid = fork();
    if (pid == 0)
        become(argv, stop);
    if (pid < 0)
        return hakc_fail_errno(err, HAKC_ECHILD, "no process for hakreplay");
    errno = haks_wait_child(pid, stop, &status);
    if (errno != 0)
        return hakc_fail_errno(err, HAKC_ECHILD, "hakreplay was lost");
    if (*stop)
        return hakc_fail(err, HAKC_EINTERNAL, "interrupted");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return hakc_fail(err, HAKC_ECHILD, "hakreplay failed (%s %d); its message is above",
                         WIFEXITED(status) ? "exit code" : "signal",
                         WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return 0;
}

/* The simulated policies read the time of each op. Without times there is nothing but the real one.
 */
static const char *clock_of(const struct haks_subject *s) {
    return s->pass.has_times ? "exact" : "real";
}

static int replay_trace(const struct haks_findings *f, const struct haks_subject *s,
                        unsigned repeats, const volatile int *stop, struct hakc_err *err) {
    char path[4096], policy[256], times[48], clock[32], *db = NULL;
    int rc;
    find_replay(path, sizeof path);
    snprintf(policy, sizeof policy, "--policy=%s", haks_findings_policy(f, f->choice.policy));
    snprintf(times, sizeof times, "--account-repeats=%u", repeats);
    snprintf(clock, sizeof clock, "--clock=%s", clock_of(s));
    if (asprintf(&db, "--db=%s", f->db) < 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory to start hakreplay");
    char *const argv[] = {
        path,           (char[]){"--alloc=hakmem"}, policy, (char[]){"--passes=account"},
        times,          (char[]){"--no-control"},   clock,  db,
        (char[]){"--"}, (char *)(uintptr_t)s->path, NULL};
    rc = replay(argv, stop, err);
    free(db);
    return rc;
}

/* Reads the measured figures of one trace beside those predicted. (Time in the kernel: of the
 * account pass, which takes that of each call and of the faults; a process's system time is sampled
 * at the ticks of the clock, a handful in a short run.) */
static int read_back(const struct haks_findings *f, const struct haks_subject *s, struct hakd *db,
                     struct haks_confirmed *out, struct hakc_err *err) {
    const struct haks_row *r = &s->rows[f->choice.policy];
    int by_time = r->f.mean_resident_time_bytes != HAKS_UNKNOWN;
    const struct {
        const char *name, *unit;
        uint64_t predicted;
    } figures[FIGURES] = {
        {HAKD_M_RELEASE_CALLS, HAKD_UNIT_CALLS, haks_release_calls(&r->f)},
        {HAKD_M_MINOR_FAULTS, HAKD_UNIT_FAULTS, r->f.faults},
        {HAKD_M_PEAK_RESIDENT_BYTES, HAKD_UNIT_BYTES, r->f.peak_resident_bytes},
        {by_time ? HAKD_M_MEAN_RESIDENT_TIME_BYTES : HAKD_M_MEAN_RESIDENT_BYTES, HAKD_UNIT_BYTES,
         by_time ? r->f.mean_resident_time_bytes : r->f.mean_resident_bytes},
        {HAKD_M_KERNEL_NS, HAKD_UNIT_NS, r->f.cost_ns},
    };
    for (unsigned i = 0; i < FIGURES; i++) {
        struct hakd_spread seen = {NAN, NAN, NAN};
        int rc = hakd_newest_spread(db, s->trace, "hakmem", r->policy, "account", figures[i].name,
                                    &seen, err);
        if (rc != 0 && rc != HAKC_ENOENT)
            return rc;
        out[i] = (struct haks_confirmed){
            s->name,     figures[i].name, figures[i].unit, (double)figures[i].predicted,
            seen.median, seen.least,      seen.most};
    }
    return 0;
}

int haks_confirm(const struct haks_findings *f, unsigned repeats, struct haks_confirmed **out,
                 size_t *n, const volatile int *stop, struct hakc_err *err) {
    struct hakd *db = NULL;
    int rc = 0;
    *n = 0;
    *out = calloc(f->n_traces * FIGURES, sizeof **out);
    if (*out == NULL)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for %zu traces", f->n_traces);
    for (size_t i = 0; rc == 0 && i < f->n_traces; i++)
        rc = replay_trace(f, &f->traces[i], repeats, stop, err);
    if (rc == 0)
        rc = hakd_open(&db, f->db, HAKD_READ, err);
    for (size_t i = 0; rc == 0 && i < f->n_traces; i++) {
        rc = read_back(f, &f->traces[i], db, *out + *n, err);
        *n += FIGURES;
    }
    hakd_close(db);
    return rc;
}

/* ---- the lines ------------------------------------------------------------------------------ */

const char *haks_findings_policy(const struct haks_findings *f, size_t policy) {
    return f->traces[0].rows[policy].policy;
}

/* NAME=VALUE or --name=VALUE, quoted where a shell needs it. */
static char *quoted(const char *name, const char *value) {
    char *word, *text;
    if (asprintf(&word, "%s%s", name, value) < 0)
        return NULL;
    text = hakc_cmdline(1, &word);
    free(word);
    return text;
}

char *haks_findings_deploy(const struct haks_findings *f) {
    char *policy = quoted("", haks_findings_policy(f, f->choice.policy)), *line = NULL;
    if (policy != NULL &&
        asprintf(&line, "HAKMEM_POLICY=%s LD_PRELOAD=libhakmem.so PROGRAM", policy) < 0)
        line = NULL;
    free(policy);
    return line;
}

/* The policy, and the two ends of all there are, each once. */
static char *beside_others(const char *policy) {
    char *list;
    int n = asprintf(&list, "%s%s%s", policy, strcmp(policy, "eager") != 0 ? ",eager" : "",
                     strcmp(policy, "never") != 0 ? ",never" : "");
    return n >= 0 ? list : NULL;
}

char *haks_findings_confirm(const struct haks_findings *f, const struct haks_subject *s) {
    char *trace = quoted("", s->path), *line = NULL, *list, *db;
    db = f->db != NULL ? quoted("--db=", f->db) : strdup("--no-db");
    list = beside_others(haks_findings_policy(f, f->choice.policy));
    if (trace != NULL && db != NULL && list != NULL &&
        asprintf(&line,
                 "hakreplay %s --alloc=hakmem --policy=%s --account-repeats=%u --clock=%s %s",
                 trace, list, HAKS_CONFIRM_REPEATS, clock_of(s), db) < 0)
        line = NULL;
    free(trace);
    free(db);
    free(list);
    return line;
}
