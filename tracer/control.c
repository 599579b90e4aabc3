#include "tracer/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define LIBRARY "libhaktrace.so"

static int peek(pid_t pid, uint64_t from, void *to, size_t n) {
    struct iovec here = {to, n}, there = {(void *)(uintptr_t)from, n};
    return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)n ? 0 : -1;
}

static int poke(pid_t pid, uint64_t to, const void *from, size_t n) {
    struct iovec here = {(void *)(uintptr_t)from, n}, there = {(void *)(uintptr_t)to, n};
    return process_vm_writev(pid, &here, 1, &there, 1, 0) == (ssize_t)n ? 0 : -1;
}

/* The magic in a piece of the process's memory: its address, 0 = not there, UINT64_MAX = not
 * permitted. */
static uint64_t search(pid_t pid, uint64_t start, uint64_t end) {
    static const char magic[] = HAKT_CONTROL_MAGIC;
    size_t n = (size_t)(end - start);
    uint64_t found = 0;
    char *copy = n < (16u << 20) ? malloc(n) : NULL;
    if (copy == NULL)
        return 0;
    if (peek(pid, start, copy, n) != 0)
        found = errno == EPERM ? UINT64_MAX : 0;
    else {
        char *at = memmem(copy, n, magic, sizeof(magic) - 1);
        found = at != NULL ? start + (uint64_t)(at - copy) : 0;
    }
    free(copy);
    return found;
}

static int ends_with_library(const char *line) {
    const char *name = strstr(line, "/" LIBRARY);
    return name != NULL && (name[strlen("/" LIBRARY)] == '\n' || name[strlen("/" LIBRARY)] == ' ');
}

int hakt_control_find(pid_t pid, uint64_t *address, struct hakt_control *control,
                      struct hakc_err *err) {
    char path[64], line[PATH_MAX + 128], access[8];
    uint64_t start, end, found = 0;
    int loaded = 0;

    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return hakc_fail(err, errno == ENOENT ? HAKC_ENOENT : HAKC_EIO,
                         errno == ENOENT
                             ? "there is no process %d"
                             : "process %d: not permitted "
                               "(it needs the right to trace it: the same user, or root)",
                         (int)pid);
    while (found == 0 && fgets(line, sizeof(line), f) != NULL) {
        if (!ends_with_library(line) ||
            sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &start, &end, access) != 3)
            continue;
        loaded = 1;
        if (access[1] == 'w')
            found = search(pid, start, end);
    }
    fclose(f);
    if (found == UINT64_MAX)
        return hakc_fail(err, HAKC_EIO,
                         "process %d: not permitted: as a debugger, this needs the same user and "
                         "/proc/sys/kernel/yama/ptrace_scope 0, or root",
                         (int)pid);
    if (found == 0 || peek(pid, found, control, sizeof(*control)) != 0)
        return hakc_fail(err, HAKC_ENOENT,
                         loaded ? "process %d: its " LIBRARY " is not of this version"
                                : "process %d has not loaded " LIBRARY
                                  ": start it with LD_PRELOAD=/path/to/" LIBRARY,
                         (int)pid);
    if (control->version != HAKT_CONTROL_VERSION)
        return hakc_fail(err, HAKC_EUNSUPPORTED,
                         "process %d: its " LIBRARY " is of another version", (int)pid);
    *address = found;
    return 0;
}

/* The recording that the process is in, by a collector that lives: its shared memory. NULL: there
 * is none, *died says whether its collector has. */
static struct hakt_shm *map_recording(pid_t pid, struct hakt_control *c, int *died) {
    struct hakt_shm *shm = MAP_FAILED;
    struct stat st;
    c->path[sizeof(c->path) - 1] = '\0';
    int fd = c->active && *c->path != '\0' ? open(c->path, O_RDWR | O_CLOEXEC) : -1;
    *died = 0;
    if (fd < 0) {
        *died = c->active && *c->path != '\0' && errno == ENOENT;
        return NULL;
    }
    if (fstat(fd, &st) == 0 && (size_t)st.st_size >= sizeof(*shm))
        shm = mmap(NULL, sizeof(*shm), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shm == MAP_FAILED || shm->magic != HAKT_SHM_MAGIC || shm->version != HAKT_SHM_VERSION) {
        *died = 1; /* the collector's number is another process's by now */
        if (shm != MAP_FAILED)
            hakt_control_close_shm(shm);
        return NULL;
    }
    if (shm->owner_pid == (uint32_t)pid && !shm->stopped)
        return shm;
    hakt_control_close_shm(shm);
    return NULL;
}

/* Each thread's next op finds no room in its ring, and looks around. */
static void close_rings(pid_t pid, const struct hakt_control *c) {
    uint64_t zero = 0;
    for (uint32_t i = 0; c->rings != 0 && i < c->ring_count; i++) {
        uint64_t ring = c->rings + (uint64_t)i * c->ring_stride, limit;
        if (peek(pid, ring + c->limit_offset, &limit, sizeof(limit)) != 0)
            return;
        if (limit == 0)
            continue;
        poke(pid, ring + c->limit_offset, &zero, sizeof(zero));
        poke(pid, ring + c->end_offset, &zero, sizeof(zero));
    }
}

int hakt_control_offer(pid_t pid, const char *shm_path, struct hakc_err *err) {
    struct hakt_control c = {0};
    uint64_t at;
    uint32_t one = 1;
    int died = 0;
    char path[HAKT_SHM_PATH] = "";
    int rc = hakt_control_find(pid, &at, &c, err);
    if (rc != 0)
        return rc;
    struct hakt_shm *shm = map_recording(pid, &c, &died);
    if (shm != NULL)
        hakt_control_close_shm(shm);
    if (c.active && !died)
        return hakc_fail(err, HAKC_EIO, "process %d is being recorded (haktrace status %d)",
                         (int)pid, (int)pid);
    snprintf(path, sizeof(path), "%s", shm_path);
    c.generation++;
    if (poke(pid, at + offsetof(struct hakt_control, path), path, sizeof(path)) != 0 ||
        poke(pid, at + offsetof(struct hakt_control, generation), &c.generation,
             sizeof(c.generation)) != 0 ||
        poke(pid, at + offsetof(struct hakt_control, active), &one, sizeof(one)) != 0)
        return hakc_fail_errno(err, HAKC_EIO, "process %d", (int)pid);
    if (died)
        close_rings(pid, &c);
    return 0;
}

void hakt_control_release(pid_t pid) {
    struct hakt_control c = {0};
    uint64_t at;
    uint32_t none = 0;
    if (hakt_control_find(pid, &at, &c, NULL) != 0)
        return;
    poke(pid, at + offsetof(struct hakt_control, active), &none, sizeof(none));
    close_rings(pid, &c);
}

int hakt_control_open_shm(pid_t pid, struct hakt_shm **shm, struct hakc_err *err) {
    struct hakt_control c = {0};
    uint64_t at;
    int died;
    int rc = hakt_control_find(pid, &at, &c, err);
    if (rc != 0)
        return rc;
    *shm = map_recording(pid, &c, &died);
    if (*shm != NULL)
        return 0;
    c.problem[sizeof(c.problem) - 1] = '\0';
    if (died)
        return hakc_fail(err, HAKC_ENOENT,
                         "process %d is not being recorded: its collector has died (haktrace start "
                         "begins another recording)",
                         (int)pid);
    return hakc_fail(err, HAKC_ENOENT, "process %d is not being recorded%s%s", (int)pid,
                     *c.problem != '\0' ? ": " : "", c.problem);
}

void hakt_control_close_shm(struct hakt_shm *shm) {
    munmap(shm, sizeof(*shm));
}
