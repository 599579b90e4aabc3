#include "sim/child_wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 100 /* at *stop: a signal may come just before the wait */

/* poll, as waitpid goes on after a signal (SA_RESTART). Without pidfds there is nothing but the
 * time to wait for. */
static void wait_a_while(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    poll(&p, fd >= 0, LOOK_MS);
}

int haks_wait_child(pid_t pid, const volatile int *stop, int *status) {
    int told = 0, rc = 0, fd = (int)syscall(SYS_pidfd_open, pid, 0);
    pid_t ended;
    while ((ended = waitpid(pid, status, WNOHANG)) == 0) {
        if (!told && stop != NULL && *stop)
            told = kill(pid, SIGTERM) == 0;
        wait_a_while(fd);
    }
    if (ended < 0)
        rc = errno;
    if (fd >= 0)
        close(fd);
    return rc;
}
