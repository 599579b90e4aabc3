#include "replay/probe.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "replay/drive.h"
#include "replay/environ.h"
#include "replay/raw.h"

#define MOST_NS    UINT64_C(10000000000)
#define LOOK_US    2000
#define TEXT_BYTES (256u << 10)

/* The end of a process that had no good one. */
static void say_end(int wstatus, int late, char why[64]) {
    why[0] = '\0';
    if (late)
        snprintf(why, 64, "no end after %d s", (int)(MOST_NS / 1000000000u));
    else if (WIFSIGNALED(wstatus))
        snprintf(why, 64, "ended by signal %d (%.30s)", WTERMSIG(wstatus),
                 strsignal(WTERMSIG(wstatus)));
    else if (WEXITSTATUS(wstatus) != 0)
        snprintf(why, 64, "exit code %d", WEXITSTATUS(wstatus));
}

static void become_probe(int fd, const char *program, const char *argument, char *const env[]) {
    static char name[] = "hakreplay", mode[] = "--probe";
    char *own[] = {name, mode, NULL};
    char *other[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)argument, NULL};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (program != NULL)
        execve(program, other, env);
    else
        execve("/proc/self/exe", own, env);
    _exit(127);
}

static char *text_of(int fd) {
    struct stat st;
    char *text = NULL;
    if (fstat(fd, &st) == 0) {
        size_t len = (size_t)st.st_size < TEXT_BYTES ? (size_t)st.st_size : TEXT_BYTES;
        text = calloc(1, len + 1);
        if (text != NULL && pread(fd, text, len, 0) < 0)
            text[0] = '\0';
    }
    return text;
}

int hakr_probe(const char *library, const char *const *env, const char *program,
               const char *argument, char **text, char why[64], struct hakc_err *err) {
    char *preload;
    char **all = hakr_environment(library, env, &preload);
    int fd = memfd_create("hakreplay-probe", MFD_CLOEXEC), wstatus = 0, late = 0;
    pid_t pid = -1;
    *text = NULL;
    if (all != NULL && fd >= 0 && fcntl(fd, F_SETFL, O_APPEND) == 0)
        pid = fork();
    if (pid == 0)
        become_probe(fd, program, argument, all);
    if (pid > 0) {
        uint64_t deadline = hakr_now() + MOST_NS;
        while (waitpid(pid, &wstatus, WNOHANG) == 0) {
            late = hakr_now() > deadline;
            if (late)
                kill(pid, SIGKILL);
            usleep(LOOK_US);
        }
        say_end(wstatus, late, why);
        *text = text_of(fd);
    }
    if (fd >= 0)
        close(fd);
    free(preload);
    free(all);
    return *text != NULL ? 0
                         : hakc_fail_errno(err, HAKC_EIO, "a process to look at a library with");
}

/* ---- the process that is looked at ------------------------------------------------------------
 */

static void *find(const char *name) {
    return dlsym(RTLD_DEFAULT, name);
}

static void tell_hakmem(void) {
    char text[1024];
    size_t len = sizeof text;
    hakr_hakmem_ctl *ctl;
    *(void **)&ctl = find("hakmem_ctl");
    if (ctl == NULL || ctl("version", text, &len, NULL, 0) != 0)
        return;
    printf("probe: hakmem %.*s\n", (int)sizeof text, text);
    len = sizeof text;
    if (ctl("policy.problem", text, &len, NULL, 0) == 0 && text[0] != '\0')
        printf("probe: problem %.*s\n", (int)sizeof text, text);
}

static void tell_mimalloc(void) {
    int (*version)(void);
    *(void **)&version = find("mi_version");
    if (version == NULL)
        return;
    int v = version(); /* 209 = 2.0.9, since version 3 with two digits each: 30403 */
    if (v >= 10000)
        printf("probe: mimalloc %d.%d.%d\n", v / 10000, v / 100 % 100, v % 100);
    else
        printf("probe: mimalloc %d.%d.%d\n", v / 100, v / 10 % 10, v % 10);
}

static void tell_jemalloc(void) {
    int (*ctl)(const char *, void *, size_t *, void *, size_t);
    const char *version;
    size_t len = sizeof version;
    *(void **)&ctl = find("mallctl");
    if (ctl != NULL && ctl("version", (void *)&version, &len, NULL, 0) == 0)
        printf("probe: jemalloc %s\n", version);
}

static void tell_tcmalloc(void) {
    const char *(*version)(int *, int *, const char **);
    int major, minor;
    const char *patch;
    *(void **)&version = find("tc_version");
    if (version != NULL)
        printf("probe: tcmalloc %s\n", version(&major, &minor, &patch));
}

int hakr_probe_main(void) {
    void *volatile p = malloc(100); /* some set themselves up with the first block alone */
    free(p);
    tell_hakmem();
    tell_mimalloc();
    tell_jemalloc();
    tell_tcmalloc();
    return fflush(stdout) != 0;
}
