#include "tracer/session.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void hakt_target_open(struct hakt_target *t, pid_t pid, int is_child) {
    *t = (struct hakt_target){.pid = pid, .is_child = is_child, .pid_fd = -1, .status = -1};
    if (!is_child)
        t->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
}

void hakt_target_close(struct hakt_target *t) {
    if (t->pid_fd >= 0)
        close(t->pid_fd);
    t->pid_fd = -1;
}

int hakt_target_ended(struct hakt_target *t) {
    if (t->ended)
        return 1;
    if (t->is_child) {
        pid_t got = waitpid(t->pid, &t->status, WNOHANG);
        t->ended = got == t->pid || (got < 0 && errno == ECHILD);
    } else if (t->pid_fd >= 0) { /* true of a zombie, too */
        struct pollfd p = {.fd = t->pid_fd, .events = POLLIN};
        t->ended = poll(&p, 1, 0) == 1;
    } else {
        t->ended = kill(t->pid, 0) != 0 && errno == ESRCH;
    }
    return t->ended;
}
