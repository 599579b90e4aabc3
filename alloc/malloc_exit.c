/*
 * The statistics at the end of the process that HAKMEM_STATS asks for. Two things are in the way of
 * a line that simply prints them: many programs close standard error before the last of their exit
 * handlers has run (all of coreutils do), and several processes that end together write to one
 * file. So standard error is kept under another number, and a document is one write.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "alloc/malloc_exit.h"
#include "alloc/malloc_report.h"
#include "alloc/malloc_settings.h"
#include "alloc/malloc_thread.h"

#define KEPT_FROM 500 /* descriptors that programs do not give out themselves, and expect free */
#define SLACK     ((size_t)16 << 10) /* what other threads may add while we count */

#define LOOK_EACH 64 /* slow paths: a look at standard error is a system call */

_Atomic(int) hak_exit_kept = -1; /* a duplicate of standard error */
static struct stat kept_is;      /* what both were when the process began */

static bool to_stderr(const char *where) {
    return where[0] == '1' && where[1] == '\0';
}

void hak_exit_keep_stderr(void) {
    const char *where = hak_os_env("HAKMEM_STATS");
    if (!where || !to_stderr(where))
        return;
    int saved = errno, kept = -1;
    if (fstat(STDERR_FILENO, &kept_is) == 0)
        for (int from = KEPT_FROM; kept < 0 && from > 9; from /= 2) /* RLIMIT_NOFILE may be low */
            kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, from);
    hak_exit_kept = kept;
    errno = saved;
}

/* fd is what standard error was: a program may close either, and open a file of its own there. */
static bool is_stderr(const struct stat *is) {
    return is->st_dev == kept_is.st_dev && is->st_ino == kept_is.st_ino &&
           is->st_rdev == kept_is.st_rdev;
}

static bool was_stderr(int fd) {
    struct stat is;
    return fd >= 0 && fstat(fd, &is) == 0 && is_stderr(&is);
}

/* A daemon that puts another file in the place of standard error wants to be rid of the old one:
 * who reads the pipe that it was waits for its end. (One that has merely closed it may be about to
 * exit, as coreutils are.) */
void hak_exit_look(void) {
    static _Atomic(uint32_t) calls;
    struct stat is;
    if (atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) % LOOK_EACH != 0)
        return;
    int saved = errno;
    if (fstat(STDERR_FILENO, &is) == 0 && !is_stderr(&is)) {
        int kept = atomic_exchange(&hak_exit_kept, -1);
        if (was_stderr(kept))
            syscall(SYS_close, kept); /* libc's is a cancellation point, and malloc is none */
    }
    errno = saved;
}

static void print(int fd) {
    struct hak_text t = {0}; /* counts */
    hak_report_json(&t);
    size_t len = t.used + SLACK;
    char *buf = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buf == MAP_FAILED)
        return;
    t = (struct hak_text){.buf = buf, .len = len};
    hak_report_json(&t);
    if (t.used <= len)
        hak_report_write(fd, buf, t.used);
    munmap(buf, len);
}

/* Runs after the program's own exit handlers, while its other threads may still run. */
__attribute__((destructor)) static void stats_at_exit(void) {
    const char *where = hak_settings.stats;
    int saved = errno, fd;
    if (!where[0] && !hak_os_env("HAKMEM_STATS"))
        return;
    hak_thread_init(); /* a process that never allocated says so */
    if (!where[0])
        return;
    if (to_stderr(where)) {
        fd = was_stderr(hak_exit_kept) ? hak_exit_kept : STDERR_FILENO;
        if (was_stderr(fd))
            print(fd);
    } else if ((fd = open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) >= 0) {
        print(fd);
        close(fd);
    }
    errno = saved;
}
