/*
 * How short memory is, as Linux tells: the limits of the cgroup (version 2, or 1) and of its
 * parents, the process's own limits, and the pressure stall information.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "alloc/os.h"
#include "alloc/os_linux_memory.h"
#include "alloc/put_text.h"

#define TEXT                                                                                       \
    4096 /* of a file: memory.stat is the longest, and what is read of it stands in front */

/* By the system's own calls: libc's are cancellation points, and a thread that is cancelled here,
 * inside malloc, would leave the pool locked. */
static size_t read_file(const char *path, char *buf, size_t len) {
    long n = -1;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = syscall(SYS_read, fd, buf, len - 1);
        syscall(SYS_close, fd);
    }
    buf[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static size_t read_in(const char *dir, const char *name, char *buf, size_t len) {
    char path[512];
    struct hak_text t = {.buf = path, .len = sizeof path - 1};
    hak_text(&t, "%s/%s", dir, name);
    buf[0] = '\0';
    if (t.used > t.len)
        return 0;
    path[t.used] = '\0';
    return read_file(path, buf, len);
}

/* The number that text starts with; UINT64_MAX for "max" and other words. */
static uint64_t number(const char *text) {
    uint64_t v = 0;
    if (*text < '0' || *text > '9')
        return UINT64_MAX;
    for (; *text >= '0' && *text <= '9'; text++)
        v = v > (UINT64_MAX - 9) / 10 ? UINT64_MAX - 9 : v * 10 + (uint64_t)(*text - '0');
    return v;
}

static uint64_t number_in(const char *dir, const char *name) {
    char text[64];
    return read_in(dir, name, text, sizeof text) ? number(text) : UINT64_MAX;
}

/* The value of a "key value" line of memory.stat; 0 if there is none. */
static uint64_t stat_in(const char *dir, const char *key) {
    char text[TEXT];
    read_in(dir, "memory.stat", text, sizeof text);
    const char *at = text;
    size_t n = strlen(key);
    while (at && strncmp(at, key, n) != 0) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    return at ? number(at + n) : 0;
}

/* Takes over a limit that is nearer to being reached than the one that is known. */
static void consider(struct hakp_memory *m, uint64_t limit, uint64_t used) {
    if (limit >= UINT64_MAX / 128 || limit < 128 || used > limit * 2)
        return;
    if (m->limit_bytes == 0 || used / (limit / 128) > m->used_bytes / (m->limit_bytes / 128)) {
        m->limit_bytes = limit;
        m->used_bytes = used;
    }
}

/* "some avg10=1.25 ..." in hundredths. */
static uint64_t stall_of(const char *text) {
    const char *at = strstr(text, "some avg10=");
    if (!at)
        return 0;
    at += strlen("some avg10=");
    uint64_t whole = number(at), part = 0;
    at = strchr(at, '.');
    if (at && at[1] >= '0' && at[1] <= '9' && at[2] >= '0' && at[2] <= '9')
        part = (uint64_t)(at[1] - '0') * 10 + (uint64_t)(at[2] - '0');
    return whole <= 100 ? whole * 100 + part : 0;
}

static void consider_group(struct hakp_memory *m, const char *dir, const char *max,
                           const char *current, const char *cache) {
    uint64_t limit = number_in(dir, max), high = number_in(dir, "memory.high");
    uint64_t used = number_in(dir, current);
    limit = limit < high ? limit : high;
    if (limit == UINT64_MAX || used == UINT64_MAX)
        return;
    uint64_t idle = stat_in(dir, cache); /* the page cache that goes before anybody is killed */
    consider(m, limit, used > idle ? used - idle : 0);
}

/* The group at mount + path, and those it lies in. */
static void consider_groups(struct hakp_memory *m, const char *mount, const char *path,
                            const char *const names[3]) {
    char dir[512];
    struct hak_text t = {.buf = dir, .len = sizeof dir - 1};
    hak_text(&t, "%s%s", mount, path);
    if (t.used > t.len)
        return;
    dir[t.used] = '\0';
    for (size_t end = t.used, least = strlen(mount); end >= least; end--) {
        if (dir[end] != '\0' && dir[end] != '/')
            continue;
        dir[end] = '\0';
        consider_group(m, dir, names[0], names[1], names[2]);
        char text[256];
        if (m->stall == 0 && read_in(dir, "memory.pressure", text, sizeof text))
            m->stall = stall_of(text);
        if (end == 0)
            break;
    }
}

static void read_cgroup(struct hakp_memory *m, const char *root) {
    static const char *const v2[3] = {"memory.max", "memory.current", "inactive_file "};
    static const char *const v1[3] = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                      "total_inactive_file "};
    char text[TEXT], mount[256];
    read_in(root, "proc/self/cgroup", text, sizeof text);
    for (char *line = text, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        char *one = strstr(line, ":memory:");
        bool two = strncmp(line, "0::", 3) == 0;
        struct hak_text t = {.buf = mount, .len = sizeof mount - 1};
        hak_text(&t, "%s/sys/fs/cgroup%s", root, two ? "" : "/memory");
        if ((!two && !one) || t.used > t.len)
            continue;
        mount[t.used] = '\0';
        consider_groups(m, mount, two ? line + 3 : one + 8, two ? v2 : v1);
    }
}

/* Resident memory against the limits that the process has set on itself. */
static void read_limits(struct hakp_memory *m, const char *root) {
    char text[128];
    struct rlimit r;
    read_in(root, "proc/self/statm", text, sizeof text);
    const char *at = strchr(text, ' ');
    uint64_t resident = at ? number(at + 1) * hak_os_page_size() : 0;
    if (getrlimit(RLIMIT_AS, &r) == 0)
        consider(m, r.rlim_cur, resident);
    if (getrlimit(RLIMIT_DATA, &r) == 0)
        consider(m, r.rlim_cur, resident);
}

void hak_memory_read(const char *root, struct hakp_memory *out) {
    char text[256];
    int saved = errno;
    *out = (struct hakp_memory){0};
    read_cgroup(out, root);
    read_limits(out, root);
    if (out->stall == 0 && read_in(root, "proc/pressure/memory", text, sizeof text))
        out->stall = stall_of(text);
    errno = saved;
}

void hak_os_memory(struct hakp_memory *out) {
    hak_memory_read("", out);
}
