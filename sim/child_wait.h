/* Waiting for a process of one's own that does a part of the work. */
#ifndef SIM_CHILD_WAIT_H
#define SIM_CHILD_WAIT_H

#include <sys/types.h>

/* Waits until it has ended: 0 and its *status, or an errno value. Once *stop (NULL = never) is
 * nonzero it is sent SIGTERM, once, and waited for all the same: a signal that was for the caller
 * alone ends both. */
int haks_wait_child(pid_t pid, const volatile int *stop, int *status);

#endif
