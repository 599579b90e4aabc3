#include "tracer/memory_room.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define SHARE       32
#define BACKLOG_MIN (64ull << 20)
#define BACKLOG_MAX (256ull << 20)

static uint64_t available(void) {
    FILE *f = fopen("/proc/meminfo", "re");
    char line[256];
    uint64_t kib = 0;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
            break;
    }
    if (f != NULL)
        fclose(f);
    return kib << 10;
}

/* The number in a file of a group; fallback where there is none ("max"). */
static uint64_t number(const char *root, const char *group, const char *name, uint64_t fallback) {
    char path[PATH_MAX];
    uint64_t value = fallback;
    FILE *f = NULL;
    if (snprintf(path, sizeof(path), "%s%s/%s", root, group, name) < (int)sizeof(path))
        f = fopen(path, "re");
    if (f == NULL)
        return fallback;
    if (fscanf(f, "%" SCNu64, &value) != 1)
        value = fallback;
    fclose(f);
    return value;
}

/* What a group leaves; within a container the group's name may be that of the outside, and its
 * files stand at the root. */
static uint64_t left(const char *root, const char *group, const char *limit, const char *usage) {
    uint64_t most = number(root, group, limit, UINT64_MAX);
    if (most == UINT64_MAX && *group != '\0')
        return left(root, "", limit, usage);
    uint64_t used = number(root, group, usage, 0);
    return most > used ? most - used : 0;
}

static uint64_t group_room(void) {
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX];
    uint64_t room = UINT64_MAX, more;
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        char *controllers = strchr(line, ':'), *group;
        if (controllers == NULL || (group = strchr(++controllers, ':')) == NULL)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (*controllers == '\0')
            more = left("/sys/fs/cgroup", group, "memory.max", "memory.current");
        else if (strstr(controllers, "memory") != NULL)
            more = left("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
                        "memory.usage_in_bytes");
        else
            continue;
        room = more < room ? more : room;
    }
    if (f != NULL)
        fclose(f);
    return room;
}

uint64_t hakt_memory_room(void) {
    uint64_t system = available(), group = group_room();
    return group < system ? group : system;
}

uint64_t hakt_backlog_default(void) {
    uint64_t room = hakt_memory_room(), size = room / SHARE;
    size = size < BACKLOG_MIN ? BACKLOG_MIN : size > BACKLOG_MAX ? BACKLOG_MAX : size;
    return size < room / 4 ? size : room / 4;
}
