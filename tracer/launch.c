#include "tracer/launch.h"
#include "tracer/rt/trace_shm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIBRARY "libhaktrace.so"

#ifndef HAK_PREFIX
#define HAK_PREFIX "/usr/local"
#endif

/* ---- finding things ----------------------------------------------------------------------- */

static int is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int join(char out[PATH_MAX], const char *dir, const char *rest) {
    return snprintf(out, PATH_MAX, "%s/%s", dir, rest) < PATH_MAX;
}

static int own_folder(char out[PATH_MAX]) {
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (n <= 0)
        return 0;
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (slash != NULL)
        *slash = '\0';
    return slash != NULL;
}

int hakt_find_library(char path[PATH_MAX], const char *asked, struct hakc_err *err) {
    char dir[PATH_MAX], found[PATH_MAX];
    int ok;
    if (asked != NULL) {
        ok = strlen(asked) < PATH_MAX && is_file(asked);
        if (ok)
            strcpy(found, asked);
    } else {
        int have = own_folder(dir);
        ok = (have && join(found, dir, "../lib/" LIBRARY) && is_file(found)) ||
             (have && join(found, dir, LIBRARY) && is_file(found)) ||
             (join(found, HAK_PREFIX "/lib", LIBRARY) && is_file(found));
    }
    if (!ok || realpath(found, path) == NULL)
        return hakc_fail(err, HAKC_ENOENT, "%s is not there: %s", asked != NULL ? asked : LIBRARY,
                         asked != NULL ? "give another --library"
                                       : "build it, or name it with --library=PATH");
    if (strpbrk(path, ": ") != NULL)
        return hakc_fail(err, HAKC_EUSAGE,
                         "%s: LD_PRELOAD cannot carry a path with a colon or a space", path);
    return 0;
}

static int runnable(const char *path) {
    return is_file(path) && access(path, X_OK) == 0;
}

int hakt_find_program(char path[PATH_MAX], const char *name, struct hakc_err *err) {
    int seen = 0;
    if (strchr(name, '/') != NULL) {
        if (runnable(name) && strlen(name) < PATH_MAX) {
            strcpy(path, name);
            return 0;
        }
        seen = access(name, F_OK) == 0;
    } else {
        const char *dirs = getenv("PATH");
        dirs = dirs != NULL ? dirs : "/usr/local/bin:/usr/bin:/bin";
        for (const char *d = dirs, *end; d != NULL; d = *end == ':' ? end + 1 : NULL) {
            end = strchrnul(d, ':');
            int n =
                snprintf(path, PATH_MAX, "%.*s%s%s", (int)(end - d), d, end > d ? "/" : "./", name);
            if (n >= PATH_MAX)
                continue;
            if (runnable(path))
                return 0;
            seen |= is_file(path);
        }
    }
    hakc_fail(err, HAKC_ENOENT, "%s: %s", name,
              seen ? "it cannot be executed (is it a program, with execute permission?)"
                   : "no such program");
    return seen ? HAKT_EXIT_NOT_RUNNABLE : HAKT_EXIT_NOT_FOUND;
}

/* ---- signals ------------------------------------------------------------------------------ */

/* SIGCHLD is there to end a sleep at once, and because it may have come to us ignored: then there
 * would be no status to wait for. */
static const int passed_on[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
#define PASSED_ON (sizeof(passed_on) / sizeof(passed_on[0]))
static struct sigaction before[PASSED_ON];
static struct sigaction before_guard;
static volatile pid_t program_pid;

/* A signal of the terminal goes to the whole foreground group, the program has it already. */
static void pass_on(int sig, siginfo_t *info, void *context) {
    int saved = errno;
    (void)context;
    if (info->si_code <= 0 && program_pid > 0)
        kill(program_pid, sig);
    errno = saved;
}

void hakt_launch_guard(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGXFSZ, &ignore, &before_guard);
}

static void signals_ours(void) {
    struct sigaction sa = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < PASSED_ON; i++)
        sigaction(passed_on[i], &sa, &before[i]);
}

static void signals_as_before(void) {
    for (size_t i = 0; i < PASSED_ON; i++)
        sigaction(passed_on[i], &before[i], NULL);
    sigaction(SIGXFSZ, &before_guard, NULL);
}

/* ---- starting ----------------------------------------------------------------------------- */

static int set_environment(const char *library, const char *shm_path) {
    const char *old = getenv("LD_PRELOAD");
    char *list;
    if (old == NULL || *old == '\0')
        return setenv("LD_PRELOAD", library, 1) | setenv(HAKT_SHM_ENV, shm_path, 1);
    if (asprintf(&list, "%s:%s", library, old) < 0)
        return -1;
    int rc = setenv("LD_PRELOAD", list, 1) | setenv(HAKT_SHM_ENV, shm_path, 1);
    free(list);
    return rc;
}

static _Noreturn void child(struct hakt_launch *l, int go, int status, const char *program,
                            char **argv, const char *library, const char *shm_path) {
    char word;
    close(l->go_fd);
    close(l->status_fd);
    signals_as_before();
    if (read(go, &word, 1) != 1)
        _exit(HAKT_EXIT_NOT_RUNNABLE); /* called off */
    if (set_environment(library, shm_path) == 0)
        execv(program, argv);
    if (errno == ENOEXEC) /* a script without #! */
        execvp(program, argv);
    int e = errno;
    if (write(status, &e, sizeof(e)) != sizeof(e))
        _exit(HAKT_EXIT_NOT_RUNNABLE);
    _exit(e == ENOENT ? HAKT_EXIT_NOT_FOUND : HAKT_EXIT_NOT_RUNNABLE);
}

int hakt_launch_fork(struct hakt_launch *l, const char *program, char **argv, const char *library,
                     const char *shm_path, struct hakc_err *err) {
    int go[2], status[2];
    if (pipe2(go, O_CLOEXEC) != 0)
        return hakc_fail_errno(err, HAKC_EIO, "pipe");
    if (pipe2(status, O_CLOEXEC) != 0) {
        int rc = hakc_fail_errno(err, HAKC_EIO, "pipe");
        close(go[0]);
        close(go[1]);
        return rc;
    }
    snprintf(l->program, sizeof(l->program), "%s", program);
    l->go_fd = go[1];
    l->status_fd = status[0];
    signals_ours();
    l->pid = fork();
    if (l->pid == 0)
        child(l, go[0], status[1], program, argv, library, shm_path);
    close(go[0]);
    close(status[1]);
    if (l->pid < 0) {
        int rc = hakc_fail_errno(err, HAKC_EIO, "fork");
        signals_as_before();
        close(l->go_fd);
        close(l->status_fd);
        return rc;
    }
    program_pid = l->pid;
    signal(SIGPIPE, SIG_IGN); /* a reader of the trace that goes away is an error of writing */
    return 0;
}

static void gone(struct hakt_launch *l) {
    int status;
    close(l->status_fd);
    while (waitpid(l->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    program_pid = 0;
}

void hakt_describe_process(pid_t pid, char program[PATH_MAX], char *command, size_t room) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(path, program, PATH_MAX - 1);
    program[n > 0 ? n : 0] = '\0';
    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    FILE *f = fopen(path, "rbe");
    size_t got = f != NULL ? fread(command, 1, room - 1, f) : 0;
    if (f != NULL)
        fclose(f);
    while (got > 0 && command[got - 1] == '\0')
        got--;
    for (size_t i = 0; i < got; i++)
        command[i] = command[i] == '\0' ? ' ' : command[i];
    command[got] = '\0';
}

int hakt_launch_go(struct hakt_launch *l, struct hakc_err *err) {
    int failed_errno = 0;
    ssize_t n;
    if (write(l->go_fd, "g", 1) != 1)
        failed_errno = errno;
    close(l->go_fd);
    while ((n = read(l->status_fd, &failed_errno, sizeof(failed_errno))) < 0 && errno == EINTR)
        continue;
    if (n <= 0 && failed_errno == 0) {
        close(l->status_fd);
        return 0;
    }
    gone(l);
    errno = failed_errno;
    hakc_fail_errno(err, HAKC_ENOENT, "cannot start %s%s", l->program,
                    failed_errno == ENOENT ? " (the interpreter that its first line names?)" : "");
    return failed_errno == ENOENT ? HAKT_EXIT_NOT_FOUND : HAKT_EXIT_NOT_RUNNABLE;
}

void hakt_launch_cancel(struct hakt_launch *l) {
    close(l->go_fd);
    gone(l);
}

void hakt_launch_forget(void) {
    program_pid = 0;
}
