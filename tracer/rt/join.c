#include "tracer/rt/join.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Finding the collector's memory, and letting go of it.
 *
 * A process joins a collector at its first op (whose memory the environment names, or which it
 * starts itself), when `haktrace start` offers one, and as a child that is to be followed. What was
 * joined before stays mapped: a thread may be writing into it.
 *
 * fork: the threads' own state lives in memory that a child finds cleared (MADV_WIPEONFORK, also
 * for raw clone), so a child's first op comes into make_room (attach.c), which sees `alive` gone
 * and asks for a collector, or makes the child dormant. Where fork was called in the middle of a
 * wrapper, by a signal handler, the rest of that op is lost (after_fork). A vfork child shares its
 * parent's memory and thread-local storage: what it does to the heap it does to the parent's, and
 * it is recorded as such.
 */
struct hakt_control hakt_control = {
    .magic = HAKT_CONTROL_MAGIC, .version = HAKT_CONTROL_VERSION, .active = 1};
int hakt_threaded;
uint64_t hakt_owners[1 << HAKT_OWNERS_LOG2];
static struct hakt_ring no_ring; /* limit 0: every op is slow */
__thread struct hakt_ring *hakt_my_ring = &no_ring;

struct hakt_rt hakt_rt;

void hakt_go_dormant(void) {
    __atomic_store_n(&hakt_control.active, 0, __ATOMIC_RELAXED);
    hakt_my_ring = &no_ring;
}

/*
 * In a forked child, whose rings the kernel has cleared. A signal handler may have forked in the
 * middle of a wrapper, and return into it: what is left to do of that op goes to memory that nobody
 * reads, also what was on its way to the parent's ring.
 */
static void after_fork(void) {
    static struct hakt_shm nobody;
    static struct hakt_shm_slot nobodys;
    struct hakt_ring *r = hakt_my_ring;
    uint64_t number = (uint64_t)(r - hakt_rt.rings);
    if (r == &no_ring || r->words != NULL || hakt_rt.shm == NULL ||
        number >= hakt_rt.shm->slot_count)
        return;
    uint64_t *words = hakt_shm_ring(hakt_rt.shm, (uint32_t)number);
    if (mmap(words, hakt_rt.shm->ring_bytes, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
        return;
    nobody.stopped = 1; /* there is no waiting for room */
    r->shm = &nobody;
    r->slot = &nobodys;
    r->heartbeat = &nobody.heartbeat;
    r->log2 = (uint8_t)hakt_shm_ring_log2(hakt_rt.shm);
    r->mask = (1u << r->log2) - 1;
    r->words = words;
}

/* ---- joining ------------------------------------------------------------------------------ */

/* Maps the whole of it: reserved, but out of reach (so that mlockall and core dumps pass by), the
 * rings become accessible when a thread takes them. NULL if there is no valid memory there. */
static struct hakt_shm *map_shm(const char *path) {
    struct hakt_shm *shm = MAP_FAILED;
    struct stat st;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_size > sizeof(*shm))
        shm = mmap(NULL, (size_t)st.st_size, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    syscall(SYS_close, fd);
    if (shm == MAP_FAILED)
        return NULL;
    size_t size = (size_t)st.st_size;
    if (mprotect(shm, sizeof(*shm), PROT_READ | PROT_WRITE) != 0 || shm->magic != HAKT_SHM_MAGIC ||
        shm->version != HAKT_SHM_VERSION || shm->total_bytes != size ||
        mprotect(shm, shm->rings_offset, PROT_READ | PROT_WRITE) != 0) {
        munmap(shm, size);
        return NULL;
    }
    madvise(shm, size, MADV_DONTDUMP);
    return shm;
}

static int map_rings(uint32_t slots) {
    size_t bytes = 4096 + slots * sizeof(struct hakt_ring);
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED)
        return 0;
    madvise(p, bytes, MADV_DONTDUMP);
    /* A kernel before 4.14: fork() at least tells us. */
    if (madvise(p, bytes, MADV_WIPEONFORK) != 0 &&
        pthread_atfork(NULL, NULL, hakt_go_dormant) != 0) {
        munmap(p, bytes);
        return 0;
    }
    hakt_rt.alive = (uint32_t *)p;
    hakt_rt.rings = (struct hakt_ring *)(p + 4096);
    hakt_control.ring_stride = sizeof(struct hakt_ring);
    hakt_control.limit_offset = offsetof(struct hakt_ring, limit);
    hakt_control.end_offset = offsetof(struct hakt_ring, end);
    hakt_control.ring_count = slots;
    __atomic_store_n(&hakt_control.rings, (uint64_t)(uintptr_t)hakt_rt.rings, __ATOMIC_RELEASE);
    return 1;
}

static void note_executable(struct hakt_shm *shm) {
    struct stat st;
    const char *other = hakt_other_malloc();
    if (other != NULL && strlen(other) < sizeof(shm->other_malloc))
        memcpy(shm->other_malloc, other, strlen(other) + 1);
    if (syscall(SYS_newfstatat, AT_FDCWD, "/proc/self/exe", &st, 0) == 0) {
        shm->exe_dev = (uint64_t)st.st_dev;
        shm->exe_ino = (uint64_t)st.st_ino;
    }
}

/* Another recording begins: of the former's memory stay the rings that a thread may yet write into
 * (their pages were given back by its collector), and the rest goes. */
static void leave(struct hakt_shm *old) {
    uint64_t kept = old->rings_offset + hakt_rt.rings_used * old->ring_bytes;
    if (kept < old->total_bytes)
        munmap((char *)old + kept, old->total_bytes - kept);
    hakt_rt.rings_used = 0;
}

/* Joins the collector whose memory this is, if it has no program yet. 1 if it did. */
static int join_shm(struct hakt_shm *shm) {
    uint32_t nobody = 0, pid = (uint32_t)syscall(SYS_getpid);
    if (!map_rings(shm->slot_count))
        return 0;
    note_executable(shm);
    if (hakt_rt.shm != NULL && hakt_rt.shm != shm)
        leave(hakt_rt.shm);
    hakt_rt.shm = shm;
    if (!__atomic_compare_exchange_n(&shm->owner_pid, &nobody, pid, 0, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST))
        return 0;
    hakt_rt.attached = 0;
    hakt_control.problem[0] = '\0';
    __atomic_store_n(hakt_rt.alive, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&hakt_control.active, 1, __ATOMIC_RELEASE);
    return 1;
}

static int join_path(const char *path) {
    struct hakt_shm *shm = map_shm(path);
    if (path != hakt_control.path)
        memcpy(hakt_control.path, path, strlen(path) + 1);
    return shm != NULL && join_shm(shm);
}

/* The memory that the environment names is another process's, from which this one came by fork
 * and exec, or whose image it was. */
static int join_as_descendant(struct hakt_shm *shm) {
    char path[HAKT_SHM_PATH];
    return shm->follow == HAKT_FOLLOW_EXEC && hakt_ask_collector(shm, 1, path) && join_path(path);
}

/* Whoever is not to be recorded runs with the environment that it would have had. */
static void clean_environment(uint32_t follow) {
    if (follow == HAKT_FOLLOW_EXEC)
        return;
    hakt_env_remove(HAKT_SHM_ENV);
    hakt_env_remove(HAKT_OUTPUT_ENV);
    hakt_env_remove(HAKT_OPTIONS_ENV);
    hakt_env_remove(HAKT_TOOL_ENV);
    hakt_env_remove_preload();
}

/* Joins the collector that the environment names, or starts one where it says so. */
static void rt_start(void) {
    char **by_name = hakt_env(HAKT_SHM_ENV), **output = hakt_env(HAKT_OUTPUT_ENV);
    char path[HAKT_SHM_PATH];
    int saved = errno, ok = 0;

    if (__atomic_exchange_n(&hakt_rt.started, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    if (by_name != NULL) {
        const char *name = *by_name + strlen(HAKT_SHM_ENV "=");
        struct hakt_shm *shm = strlen(name) < HAKT_SHM_PATH ? map_shm(name) : NULL;
        if (shm != NULL)
            memcpy(hakt_control.path, name, strlen(name) + 1);
        ok = shm != NULL &&
             (__atomic_load_n(&shm->owner_pid, __ATOMIC_SEQ_CST) == 0 ? join_shm(shm)
                                                                      : join_as_descendant(shm));
        clean_environment(shm != NULL ? shm->follow : HAKT_FOLLOW_NONE);
    } else if (output != NULL) {
        ok = hakt_spawn_collector(*output + strlen(HAKT_OUTPUT_ENV "="), path,
                                  hakt_control.problem) &&
             join_path(path);
        clean_environment(ok ? hakt_rt.shm->follow : HAKT_FOLLOW_NONE);
        hakt_env_mark_more();
    }
    if (!ok)
        hakt_go_dormant();
    errno = saved;
}

/* The program's first op may come before this constructor: see hakt_early_start. */
__attribute__((constructor(101))) static void rt_constructor(void) {
    hakt_real_resolve();
    pthread_atfork(NULL, NULL, after_fork);
    rt_start();
}

void hakt_early_start(void) {
    if (environ != NULL)
        rt_start();
}

/* In a forked child: a collector of its own, where children are followed. */
static int join_as_child(void) {
    char path[HAKT_SHM_PATH];
    struct hakt_shm *shm = hakt_rt.shm;
    hakt_my_ring = &no_ring;
    hakt_threaded = 0;
    return shm->follow != HAKT_FOLLOW_NONE && hakt_ask_collector(shm, 0, path) && join_path(path);
}

int hakt_join(void) {
    uint32_t offered = __atomic_load_n(&hakt_control.generation, __ATOMIC_ACQUIRE);
    uint32_t pid = (uint32_t)syscall(SYS_getpid);
    uint32_t who = __atomic_load_n(&hakt_rt.joining, __ATOMIC_RELAXED);
    int ok;

    if (!__atomic_load_n(&hakt_rt.started, __ATOMIC_SEQ_CST))
        return 0; /* before libc knows the environment */
    /* another pid: a thread of the process that this one was forked from */
    if (who == pid || !__atomic_compare_exchange_n(&hakt_rt.joining, &who, pid, 0, __ATOMIC_SEQ_CST,
                                                   __ATOMIC_SEQ_CST))
        return 0;
    if (offered != hakt_control.joined) {
        hakt_control.joined = offered;
        ok = join_path(hakt_control.path);
    } else if (hakt_rt.alive != NULL && *hakt_rt.alive == 0) {
        ok = join_as_child();
    } else {
        ok = hakt_rt.alive != NULL && *hakt_rt.alive != 0 && !hakt_rt.shm->stopped;
    }
    if (!ok)
        hakt_go_dormant();
    __atomic_store_n(&hakt_rt.joining, 0, __ATOMIC_SEQ_CST);
    return ok;
}

int hakt_is_joined(void) {
    return hakt_rt.alive != NULL && __atomic_load_n(hakt_rt.alive, __ATOMIC_ACQUIRE) != 0 &&
           __atomic_load_n(&hakt_rt.shm->stopped, __ATOMIC_RELAXED) == 0 &&
           __atomic_load_n(&hakt_control.generation, __ATOMIC_ACQUIRE) == hakt_control.joined;
}
