/*
 * How much memory this process may take without harm to others.
 */
#ifndef TRACER_MEMORY_ROOM_H
#define TRACER_MEMORY_ROOM_H

#include <stdint.h>

/* Bytes that the system has available, and no more than its control group (v1 or v2) and those that
 * this one lies in leave it; 0 = not known. root: "", or a folder that holds proc/meminfo,
 * sys/fs/cgroup, ... */
uint64_t hakt_memory_room(const char *root);

/* The size of a backlog where none is asked for: a 32nd of that, 64 MiB to 256 MiB, but never more
 * than a quarter of it. */
uint64_t hakt_backlog_default(void);

#endif
