/* Inside the Linux door: hak_os_memory below another root, for its test. */
#ifndef ALLOC_OS_LINUX_MEMORY_H
#define ALLOC_OS_LINUX_MEMORY_H

#include "alloc/policy/policy.h"

/* root: "" or a directory that holds proc/self/cgroup, sys/fs/cgroup, ... */
void hak_memory_read(const char *root, struct hakp_memory *out);

#endif
