/*
 * A cgroup for one run, to limit its memory as a container is limited: what exceeds the limit is
 * not refused but killed. Version 1 (the memory controller) and version 2 of cgroups, wherever this
 * process may make a group below its own or at the top of the mount.
 *
 * Version 2 lets a group that has processes give no controller to those below it. So where this
 * process is alone in a group that was delegated to it (systemd-run --scope -p Delegate=yes), it
 * moves into one below, and back when it ends.
 *
 * The parent makes the group and removes it (a parent that is killed cannot: the next one that
 * makes a group removes what was left); the child joins before exec, and sets the limit when
 * the region begins: what the group holds by then, the driver's tables among it, is on top of the
 * limit.
 */
#ifndef REPLAY_CGROUP_H
#define REPLAY_CGROUP_H

#include <stdint.h>
#include "common/err.h"

struct hakr_cgroup {
    char path[512]; /* "" = none */
    int join_fd, usage_fd, limit_fd;
    int version;
};

/* HAKC_EREFUSED where no group can be made, with what to do. root stands before "/proc": "" but in
 * tests. One thread, and the same root in each call. */
int hakr_cgroup_make(struct hakr_cgroup *g, const char *root, struct hakc_err *err);

/* Child, between fork and exec or later; system calls only. 0 or -1. */
int hakr_cgroup_join(int join_fd);

/* Child: the group may hold `bytes` more than it does now. 0 or -1. */
int hakr_cgroup_limit(int usage_fd, int limit_fd, uint64_t bytes);

/* How many processes of the group the kernel has killed for want of memory; 0 if it does not tell.
 */
uint64_t hakr_cgroup_kills(const struct hakr_cgroup *g);

/* Back into the group that this process was in at first, if it has left it. At exit of itself. */
void hakr_cgroup_go_back(void);

/* Once the child is gone. Does nothing where there is no group. */
void hakr_cgroup_remove(struct hakr_cgroup *g);

#endif
