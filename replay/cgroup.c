#include "replay/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REMOVE_TRIES 100 /* 10 ms apart: a group is busy until its last process is reaped */

/* Where a hierarchy is mounted, and which part of it. */
struct mount {
    char root[256], at[256];
};

/* The mount of version 2, or of version 1's memory controller. */
static int find_mount(const char *root, int version, struct mount *m) {
    char line[1024], type[32], options[256], file[300];
    snprintf(file, sizeof file, "%s/proc/self/mountinfo", root);
    FILE *f = fopen(file, "re");
    int found = 0;
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        const char *dash = strstr(line, " - ");
        if (dash == NULL || sscanf(line, "%*s %*s %*s %255s %255s", m->root, m->at) != 2 ||
            sscanf(dash, " - %31s %*s %255s", type, options) != 2)
            continue;
        if (version == 2)
            found = strcmp(type, "cgroup2") == 0;
        else
            for (char *o = strtok(options, ","); o != NULL && !found; o = strtok(NULL, ","))
                found = strcmp(type, "cgroup") == 0 && strcmp(o, "memory") == 0;
    }
    if (f != NULL)
        fclose(f);
    return found;
}

/* This process's own group in it, as a path in the file system; the top of the mount if it lies
 * elsewhere. */
static void own_group(const char *root_dir, int version, const struct mount *m, char *path,
                      size_t len) {
    char line[1024], file[300];
    snprintf(file, sizeof file, "%s/proc/self/cgroup", root_dir);
    FILE *f = fopen(file, "re");
    snprintf(path, len, "%s", m->at);
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        int is = version == 2 ? controllers[1] == '\0' : strstr(controllers + 1, "memory") != NULL;
        size_t root = strcmp(m->root, "/") == 0 ? 0 : strlen(m->root);
        if (is && strncmp(group, m->root, root) == 0)
            snprintf(path, len, "%s%s", m->at, strcmp(group, "/") == 0 ? "" : group + root);
    }
    if (f != NULL)
        fclose(f);
}

static int open_in(const char *dir, const char *name, int flags) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return open(path, flags | O_CLOEXEC);
}

static int lacks(const char *dir, const char *name) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) != 0;
}

/* 0 or errno. */
static int put(const char *dir, const char *name, const char *text) {
    int fd = open_in(dir, name, O_WRONLY), why = 0;
    if (fd < 0)
        return errno;
    if (write(fd, text, strlen(text)) < 0)
        why = errno;
    close(fd);
    return why;
}

/* ---- version 2: a group of one's own for the groups below to get a controller ------------------
 */

static char left[440]; /* the group that this process was in at first; "" = it still is */
static char leaf[512]; /* the one it is in since */

void hakr_cgroup_go_back(void) {
    if (left[0] == '\0')
        return;
    put(left, "cgroup.subtree_control", "-memory"); /* or it takes no process */
    put(left, "cgroup.procs", "0");
    rmdir(leaf);
    left[0] = '\0';
}

/* Gives the groups below dir the memory controller. 0 or errno. */
static int enable_memory(const char *dir) {
    static int at_exit;
    int why = put(dir, "cgroup.subtree_control", "+memory");
    if (why != EBUSY || left[0] != '\0')
        return why;
    snprintf(leaf, sizeof leaf, "%.440s/hakreplay-%d-self", dir, (int)getpid());
    if (mkdir(leaf, 0755) != 0)
        return errno;
    why = put(leaf, "cgroup.procs", "0");
    if (why != 0) {
        rmdir(leaf);
        return why;
    }
    snprintf(left, sizeof left, "%s", dir);
    why = put(dir, "cgroup.subtree_control", "+memory");
    if (why != 0) /* there are other processes as well */
        hakr_cgroup_go_back();
    else if (!at_exit)
        at_exit = atexit(hakr_cgroup_go_back) == 0;
    return why;
}

/* Which numbers of processes are ours to judge: the inode of the namespace that they count in. */
static unsigned long pid_namespace(void) {
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? (unsigned long)st.st_ino : 0;
}

/* Removes the groups that a hakreplay which was killed could not remove. One that is in use is
 * busy, so it stays, whoever's it is. */
static void remove_stale(const char *dir) {
    DIR *d = opendir(dir);
    const struct dirent *e;
    while (d != NULL && (e = readdir(d)) != NULL) {
        unsigned long ns;
        int pid, end = 0;
        if (sscanf(e->d_name, "hakreplay-%lu-%d-%*u%n", &ns, &pid, &end) == 2 &&
            e->d_name[end] == '\0' && end != 0 && pid > 0 && ns == pid_namespace() &&
            kill(pid, 0) != 0 && errno == ESRCH)
            unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
    }
    if (d != NULL)
        closedir(d);
}

static int make_below(struct hakr_cgroup *g, const char *dir) {
    static unsigned made;
    remove_stale(dir);
    snprintf(g->path, sizeof g->path, "%.440s/hakreplay-%lu-%d-%u", dir, pid_namespace(),
             (int)getpid(), made++);
    int why = 0;
    if (mkdir(g->path, 0755) != 0)
        return -1;
    if (g->version == 2 && lacks(g->path, "memory.max"))
        why = enable_memory(dir);
    put(g->path, g->version == 2 ? "memory.swap.max" : "memory.swappiness", "0");
    g->join_fd = open_in(g->path, "cgroup.procs", O_WRONLY);
    g->usage_fd =
        open_in(g->path, g->version == 2 ? "memory.current" : "memory.usage_in_bytes", O_RDONLY);
    g->limit_fd =
        open_in(g->path, g->version == 2 ? "memory.max" : "memory.limit_in_bytes", O_WRONLY);
    if (g->join_fd >= 0 && g->usage_fd >= 0 && g->limit_fd >= 0)
        return 0;
    why = why != 0 ? why : errno;
    hakr_cgroup_remove(g);
    errno = why;
    return -1;
}

int hakr_cgroup_make(struct hakr_cgroup *g, const char *root, struct hakc_err *err) {
    struct mount m;
    char dir[512];
    int why = ENOENT;
    for (int version = 2; version >= 1; version--) {
        *g = (struct hakr_cgroup){.join_fd = -1, .usage_fd = -1, .limit_fd = -1};
        g->version = version;
        if (!find_mount(root, version, &m))
            continue;
        own_group(root, version, &m, dir, sizeof dir);
        if (version == 2 && left[0] != '\0')
            snprintf(dir, sizeof dir, "%s", left);
        if (make_below(g, dir) == 0)
            return 0;
        int own = errno;
        if (make_below(g, m.at) == 0)
            return 0;
        if (why != EBUSY) /* which tells most of what to do */
            why = own == EBUSY ? own : errno;
    }
    g->path[0] = '\0';
    errno = why;
    return hakc_fail(
        err, HAKC_EREFUSED,
        "--limit-by=cgroup: no cgroup with a memory limit can be made here (%s): run it "
        "as root, or as 'systemd-run --user --scope -p Delegate=yes hakreplay ...'",
        why == EBUSY ? "other processes are in its group" : strerror(why));
}

int hakr_cgroup_join(int join_fd) {
    return write(join_fd, "0", 1) == 1 ? 0 : -1;
}

int hakr_cgroup_limit(int usage_fd, int limit_fd, uint64_t bytes) {
    char text[32];
    ssize_t n = pread(usage_fd, text, sizeof text - 1, 0);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    int len =
        snprintf(text, sizeof text, "%llu", strtoull(text, NULL, 10) + (unsigned long long)bytes);
    return write(limit_fd, text, (size_t)len) == len ? 0 : -1;
}

uint64_t hakr_cgroup_kills(const struct hakr_cgroup *g) {
    char text[1024];
    if (g->path[0] == '\0')
        return 0;
    int fd = open_in(g->path, g->version == 2 ? "memory.events" : "memory.oom_control", O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *at = strstr(text, "oom_kill ");
    return at != NULL ? strtoull(at + strlen("oom_kill "), NULL, 10) : 0;
}

void hakr_cgroup_remove(struct hakr_cgroup *g) {
    int *const fds[] = {&g->join_fd, &g->usage_fd, &g->limit_fd};
    for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (g->path[0] != '\0' && *fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
    for (int i = 0; g->path[0] != '\0' && i < REMOVE_TRIES; i++) {
        if (rmdir(g->path) == 0 || errno != EBUSY)
            break;
        usleep(10000);
    }
    g->path[0] = '\0';
}
