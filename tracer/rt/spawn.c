#include "tracer/rt/rt.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * How a process gets a collector: by starting one (LD_PRELOAD alone, in a service file), or by
 * asking the one of the process it came from. And the environment, which says so.
 *
 * A guest that starts a process must leave no mark on its host. So: raw clones without an exit
 * signal, which the host's wait() does not see and for which no SIGCHLD comes; the first clone ends
 * at once, so the collector is nobody's child (init's, or a subreaper's); it leaves the session and
 * holds none of the host's files open, so that nobody waits for it at the other end of a pipe; none
 * is started by a host that would adopt it (PID 1 of a container, a subreaper); no atfork handlers
 * run; a collector that does not come up is waited for for 5 s and then done without.
 */
#define SPAWN_MS  5000
#define ASK_TRIES 1000 /* of 5 ms */
#define ARGS_MAX  64
#define NOTIFY_FD 3

/* ---- the environment ------------------------------------------------------------------------ */

char **hakt_env(const char *name) {
    size_t n = strlen(name);
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            return e;
    }
    return NULL;
}

void hakt_env_remove(const char *name) {
    char **e = hakt_env(name);
    while (e != NULL && *e != NULL) {
        e[0] = e[1];
        e++;
    }
}

static int names_this_library(const char *path, size_t n) {
    static const char name[] = "libhaktrace.so";
    size_t m = sizeof(name) - 1;
    return n >= m && strncmp(path + n - m, name, m) == 0 && (n == m || path[n - m - 1] == '/');
}

void hakt_env_remove_preload(void) {
    char **e = hakt_env("LD_PRELOAD");
    char *at = e != NULL ? *e + strlen("LD_PRELOAD=") : NULL;
    while (at != NULL && *at != '\0') {
        size_t n = 0;
        while (at[n] != '\0' && at[n] != ':' && at[n] != ' ')
            n++;
        if (names_this_library(at, n)) {
            size_t skip = n + (at[n] != '\0');
            memmove(at, at + skip, strlen(at + skip) + 1);
            break;
        }
        at += n + (at[n] != '\0');
    }
    if (e == NULL)
        return;
    size_t length = strlen(*e);
    if ((*e)[length - 1] == ':' || (*e)[length - 1] == ' ')
        (*e)[--length] = '\0';
    if (length == strlen("LD_PRELOAD="))
        hakt_env_remove("LD_PRELOAD");
}

/* ---- starting one ------------------------------------------------------------------------- */

/* Appends text; 0 if it does not fit. */
static int append(char *to, size_t room, const char *text, size_t n) {
    size_t have = strlen(to);
    if (have + n + 1 > room)
        return 0;
    memcpy(to + have, text, n);
    to[have + n] = '\0';
    return 1;
}

void hakt_env_mark_more(void) {
    static const char more[] = "--more";
    static char entry[4096]; /* outlives us in the environment */
    char **options = hakt_env(HAKT_OPTIONS_ENV);
    const char *old = options != NULL ? *options + strlen(HAKT_OPTIONS_ENV "=") : NULL;
    if (old == NULL || strncmp(old, more, sizeof(more) - 1) == 0)
        return;
    entry[0] = '\0';
    if (append(entry, sizeof(entry), HAKT_OPTIONS_ENV "=", strlen(HAKT_OPTIONS_ENV "=")) &&
        append(entry, sizeof(entry), more, sizeof(more) - 1) &&
        append(entry, sizeof(entry), " ", 1) && append(entry, sizeof(entry), old, strlen(old)))
        *options = entry;
}

/* haktrace: as the environment says, or in the folder beside this library's, or in this one's. */
static int find_tool(char path[4096]) {
    static const char *const places[] = {"../bin/haktrace", "haktrace"};
    char **named = hakt_env(HAKT_TOOL_ENV);
    Dl_info self;
    *path = '\0';
    if (named != NULL)
        return append(path, 4096, *named + strlen(HAKT_TOOL_ENV "="),
                      strlen(*named + strlen(HAKT_TOOL_ENV "="))) &&
               syscall(SYS_faccessat, AT_FDCWD, path, X_OK) == 0;
    if (dladdr((void *)(uintptr_t)find_tool, &self) == 0)
        return 0;
    size_t folder = strlen(self.dli_fname);
    while (folder > 0 && self.dli_fname[folder - 1] != '/')
        folder--;
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        *path = '\0';
        if (append(path, 4096, self.dli_fname, folder) &&
            append(path, 4096, places[i], strlen(places[i])) &&
            syscall(SYS_faccessat, AT_FDCWD, path, X_OK) == 0)
            return 1;
    }
    return 0;
}

static char *decimal(char text[16], uint32_t n) {
    char *p = text + 15;
    *p = '\0';
    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return p;
}

/* In the collector to be: fork's private copy of the host, in which everything may be changed. */
static _Noreturn void become_collector(const char *tool, const char *output, int notify,
                                       uint32_t pid) {
    static char name[] = "haktrace", command[] = "start", ready[] = "--notify", to[] = "-o";
    char number[16], *args[ARGS_MAX + 8];
    char **options = hakt_env(HAKT_OPTIONS_ENV);
    uint64_t none = 0;
    size_t n = 0;

    syscall(SYS_setsid);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
    notify = (int)syscall(SYS_fcntl, notify, F_DUPFD, NOTIFY_FD + 1); /* it may be one of 0 to 2 */
    int null = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0; fd++)
        syscall(SYS_dup3, null, fd, 0);
    syscall(SYS_dup3, notify, NOTIFY_FD, 0);
    syscall(SYS_close_range, NOTIFY_FD + 1, ~0u, 0);
    args[n++] = name;
    args[n++] = command;
    args[n++] = ready;
    args[n++] = to;
    args[n++] = (char *)(uintptr_t)output;
    for (char *p = options != NULL ? *options + strlen(HAKT_OPTIONS_ENV "=") : NULL;
         p != NULL && *p != '\0' && n < ARGS_MAX;) {
        args[n++] = p;
        p = strchr(p, ' ');
        while (p != NULL && *p == ' ')
            *p++ = '\0';
    }
    args[n++] = decimal(number, pid);
    args[n] = NULL;
    hakt_env_remove("LD_PRELOAD");
    hakt_env_remove(HAKT_OUTPUT_ENV);
    syscall(SYS_execve, tool, args, environ);
    syscall(SYS_exit_group, 127);
    __builtin_unreachable();
}

static void say(char problem[HAKT_PROBLEM], const char *text) {
    *problem = '\0';
    append(problem, HAKT_PROBLEM, text, strlen(text));
}

/* Reads the name of the collector's memory, or why there is none. */
static int read_name(int fd, char path[HAKT_SHM_PATH], char problem[HAKT_PROBLEM]) {
    struct timespec ts = {SPAWN_MS / 1000, 0};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct hakt_notify n;
    if (syscall(SYS_ppoll, &p, 1, &ts, NULL, 8) != 1) {
        say(problem, "the collector did not come up within 5 s");
        return 0;
    }
    if (syscall(SYS_read, fd, &n, sizeof(n)) != sizeof(n)) {
        say(problem, "the collector ended at once: see whether `haktrace start` takes what "
                     "HAKTRACE_OPTIONS says");
        return 0;
    }
    n.path[HAKT_SHM_PATH - 1] = n.problem[HAKT_PROBLEM - 1] = '\0';
    memcpy(path, n.path, HAKT_SHM_PATH);
    memcpy(problem, n.problem, HAKT_PROBLEM);
    return *path != '\0';
}

/* Would orphans become children of this very process? Its wait() would then see our collector. */
static int adopts_orphans(uint32_t pid) {
    int adopts = 0;
    return pid == 1 || (syscall(SYS_prctl, PR_GET_CHILD_SUBREAPER, &adopts) == 0 && adopts != 0);
}

int hakt_spawn_collector(const char *output, char path[HAKT_SHM_PATH], char problem[HAKT_PROBLEM]) {
    char tool[4096];
    int ends[2], ok = 0;
    uint32_t self = (uint32_t)syscall(SYS_getpid);
    uint64_t all = ~(uint64_t)0, before = 0;

    if (adopts_orphans(self)) {
        say(problem,
            "it adopts orphans (process 1 of a container, or a subreaper), so the collector "
            "would be its child: run haktrace -- PROGRAM in its place");
        return 0;
    }
    if (!find_tool(tool)) {
        say(problem, "no haktrace was found, beside the library or as HAKTRACE_TOOL names it");
        return 0;
    }
    if (syscall(SYS_pipe2, ends, O_CLOEXEC) != 0) {
        say(problem, "no pipe to a collector could be had");
        return 0;
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
    long child = syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (child == 0) {
        if (syscall(SYS_clone, 0, 0, 0, 0, 0) == 0)
            become_collector(tool, output, ends[1], self);
        syscall(SYS_exit_group, 0);
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
    syscall(SYS_close, ends[1]);
    if (child > 0) {
        while (syscall(SYS_wait4, child, NULL, __WALL, NULL) < 0 && errno == EINTR)
            continue;
        ok = read_name(ends[0], path, problem);
    } else {
        say(problem, "no collector could be started: the process may not fork");
    }
    syscall(SYS_close, ends[0]);
    return ok;
}

/* ---- asking for one ------------------------------------------------------------------------ */

static struct hakt_shm_request *claim_request(struct hakt_shm *shm) {
    for (unsigned i = 0; i < HAKT_SHM_REQUESTS; i++) {
        uint32_t free = HAKT_REQUEST_FREE;
        if (__atomic_compare_exchange_n(&shm->requests[i].state, &free, HAKT_REQUEST_CLAIMED, 0,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return &shm->requests[i];
    }
    return NULL;
}

static int collector_lives(const struct hakt_shm *shm) {
    return syscall(SYS_kill, shm->collector_pid, 0) == 0 || errno != ESRCH;
}

static int pending(uint32_t state) {
    return state == HAKT_REQUEST_ASKED || state == HAKT_REQUEST_TAKEN;
}

int hakt_ask_collector(struct hakt_shm *shm, int executed, char path[HAKT_SHM_PATH]) {
    struct timespec ms5 = {0, 5000000};
    struct hakt_shm_request *r = NULL;
    uint32_t state = HAKT_REQUEST_ASKED;

    for (int i = 0; i < ASK_TRIES && r == NULL && collector_lives(shm); i++) {
        r = claim_request(shm);
        if (r == NULL)
            nanosleep(&ms5, NULL);
    }
    if (r != NULL) {
        r->pid = (uint32_t)syscall(SYS_getpid);
        r->executed = (uint32_t)executed;
        __atomic_store_n(&r->state, HAKT_REQUEST_ASKED, __ATOMIC_RELEASE);
        __atomic_fetch_add(&shm->requests_asked, 1, __ATOMIC_SEQ_CST);
        hakt_ring_bell(shm);
        for (int i = 0; i < ASK_TRIES && pending(state) && collector_lives(shm); i++) {
            syscall(SYS_futex, &r->state, FUTEX_WAIT, state, &ms5, NULL, 0);
            state = __atomic_load_n(&r->state, __ATOMIC_ACQUIRE);
        }
        if (state == HAKT_REQUEST_GRANTED)
            memcpy(path, r->path, HAKT_SHM_PATH);
        __atomic_store_n(&r->state, HAKT_REQUEST_FREE, __ATOMIC_RELEASE);
    }
    if (state != HAKT_REQUEST_GRANTED)
        __atomic_fetch_add(&shm->children_unserved, 1, __ATOMIC_RELAXED);
    return state == HAKT_REQUEST_GRANTED;
}
