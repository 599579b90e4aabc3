#include "tracer/memory_room.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SHARE       32
#define BACKLOG_MIN (64ull << 20)
#define BACKLOG_MAX (256ull << 20)
#define PATH_LEN    4096

/* The number behind `key` in a file; fallback where there is none ("max"). */
static uint64_t number(const char *path, const char *key, uint64_t fallback) {
    char line[256];
    uint64_t value = fallback;
    size_t n = strlen(key);
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, key, n) == 0) {
            if (sscanf(line + n, "%" SCNu64, &value) != 1)
                value = fallback;
            break;
        }
    }
    if (f != NULL)
        fclose(f);
    return value;
}

static uint64_t number_in(const char *dir, const char *name, const char *key, uint64_t fallback) {
    char path[PATH_LEN];
    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
        return fallback;
    return number(path, key, fallback);
}

/* A version of control groups. */
struct version {
    const char *mount, *limit, *usage;
    const char *idle; /* in memory.stat: the page cache that goes before anybody is killed */
};
static const struct version v1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                  "memory.usage_in_bytes", "total_inactive_file "};
static const struct version v2 = {"/sys/fs/cgroup", "memory.max", "memory.current",
                                  "inactive_file "};

/* What a group leaves, and each that it lies in, up to the mount. Within a container the name may
 * be that of the outside, and the group's files stand there. */
static uint64_t left(const char *root, const struct version *v, const char *group) {
    char dir[PATH_LEN];
    uint64_t room = UINT64_MAX;
    size_t top = strlen(root) + strlen(v->mount);
    if (snprintf(dir, sizeof(dir), "%s%s%s", root, v->mount, group) >= (int)sizeof(dir))
        return room;
    for (char *end = dir + strlen(dir); end >= dir + top; end--) {
        if (*end != '\0' && *end != '/')
            continue;
        *end = '\0';
        uint64_t most = number_in(dir, v->limit, "", UINT64_MAX);
        uint64_t used = number_in(dir, v->usage, "", 0);
        uint64_t idle = number_in(dir, "memory.stat", v->idle, 0);
        used -= idle < used ? idle : used;
        if (most != UINT64_MAX && (most > used ? most - used : 0) < room)
            room = most > used ? most - used : 0;
    }
    return room;
}

static uint64_t group_room(const char *root) {
    char line[PATH_LEN];
    uint64_t room = UINT64_MAX, more;
    FILE *f = NULL;
    if (snprintf(line, sizeof(line), "%s/proc/self/cgroup", root) < (int)sizeof(line))
        f = fopen(line, "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        char *controllers = strchr(line, ':'), *group;
        if (controllers == NULL || (group = strchr(++controllers, ':')) == NULL)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (*controllers != '\0' && strstr(controllers, "memory") == NULL)
            continue;
        more = left(root, *controllers == '\0' ? &v2 : &v1, group);
        room = more < room ? more : room;
    }
    if (f != NULL)
        fclose(f);
    return room;
}

uint64_t hakt_memory_room(const char *root) {
    uint64_t system = number_in(root, "proc/meminfo", "MemAvailable:", 0) << 10;
    uint64_t group = group_room(root);
    return group < system ? group : system;
}

uint64_t hakt_backlog_default(void) {
    uint64_t room = hakt_memory_room(""), size = room / SHARE;
    size = size < BACKLOG_MIN ? BACKLOG_MIN : size > BACKLOG_MAX ? BACKLOG_MAX : size;
    return size < room / 4 ? size : room / 4;
}
