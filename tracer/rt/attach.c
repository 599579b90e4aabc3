#include "tracer/rt/rt.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Finding the collector's memory and giving rings to threads. All of it is off the hot path and
 * may use system calls, but no allocation: it runs inside malloc.
 *
 * fork: the threads' own state lives in memory that a child finds cleared (MADV_WIPEONFORK, also
 * for raw clone), so a child's first op comes into make_room, which sees `alive` gone and makes
 * the child dormant. A vfork child shares its parent's memory and thread-local storage: what it
 * does to the heap it does to the parent's, and it is recorded as such.
 */
int hakt_active;
int hakt_threaded;
static struct hakt_ring no_ring; /* limit 0: every op is slow */
__thread struct hakt_ring *hakt_my_ring = &no_ring;

static struct {
    struct hakt_shm *shm;
    struct hakt_ring *rings; /* one for each slot */
    uint32_t attached;       /* threads that ever got a ring */
    uint32_t *alive;         /* 1 in the process that records, 0 in its forked children */
} rt;

/* A thread that found no slot tries again only now and then. */
static __thread uint32_t skip_attach;
static __thread uint8_t counted_unserved;
#define SKIP_ATTACH 1024
#define SLOT_WAITS  200 /* of 1 ms */

static int env_is(const char *entry, const char *name) {
    size_t n = strlen(name);
    return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

static char **env_entry(const char *name) {
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        if (env_is(*e, name))
            return e;
    }
    return NULL;
}

static void env_remove(const char *name) {
    char **e = env_entry(name);
    while (e != NULL && *e != NULL) {
        e[0] = e[1];
        e++;
    }
}

/* Children of the program run untraced: our traces leave its environment. The launcher put the
 * library first in LD_PRELOAD; what the user had preloaded stays, in place. */
static void clean_environment(void) {
    env_remove(HAKT_SHM_ENV);
    char **e = env_entry("LD_PRELOAD");
    if (e == NULL)
        return;
    char *list = *e + strlen("LD_PRELOAD=");
    char *rest = strchr(list, ':');
    if (rest == NULL)
        env_remove("LD_PRELOAD");
    else
        memmove(list, rest + 1, strlen(rest + 1) + 1);
}

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

static void forked_child(void) {
    __atomic_store_n(&hakt_active, 0, __ATOMIC_RELAXED);
    hakt_my_ring = &no_ring;
}

static int map_rings(uint32_t slots) {
    size_t bytes = 4096 + slots * sizeof(struct hakt_ring);
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED)
        return 0;
    madvise(p, bytes, MADV_DONTDUMP);
    /* A kernel before 4.14: fork() at least tells us. */
    if (madvise(p, bytes, MADV_WIPEONFORK) != 0 && pthread_atfork(NULL, NULL, forked_child) != 0) {
        munmap(p, bytes);
        return 0;
    }
    rt.alive = (uint32_t *)p;
    rt.rings = (struct hakt_ring *)(p + 4096);
    return 1;
}

/* Joins the collector that the environment names, if there is one and it has no program yet. */
static void rt_start(void) {
    static int started;
    char **e;
    uint32_t nobody = 0;
    int saved = errno;

    if (__atomic_exchange_n(&started, 1, __ATOMIC_SEQ_CST) != 0)
        return;
    e = env_entry(HAKT_SHM_ENV);
    if (e == NULL)
        return;
    rt.shm = map_shm(*e + strlen(HAKT_SHM_ENV "="));
    clean_environment();
    if (rt.shm != NULL && map_rings(rt.shm->slot_count) &&
        __atomic_compare_exchange_n(&rt.shm->owner_pid, &nobody, (uint32_t)getpid(), 0,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        *rt.alive = 1;
        __atomic_store_n(&hakt_active, 1, __ATOMIC_RELEASE);
    }
    errno = saved;
}

/* The program's first op may come before this constructor: see hakt_early_start. */
__attribute__((constructor(101))) static void rt_constructor(void) {
    hakt_real_resolve();
    rt_start();
}

void hakt_early_start(void) {
    if (environ != NULL)
        rt_start();
}

static struct hakt_shm_slot *claim_slot(uint32_t *number) {
    struct hakt_shm *shm = rt.shm;
    struct hakt_shm_slot *slots = hakt_shm_slots(shm);
    uint32_t hint = __atomic_load_n(&shm->slot_hint, __ATOMIC_RELAXED);
    for (uint32_t k = 0; k < shm->slot_count; k++) {
        uint32_t i = (hint + k) % shm->slot_count, was = HAKT_SLOT_FREE;
        if (__atomic_load_n(&slots[i].state, __ATOMIC_RELAXED) == HAKT_SLOT_FREE &&
            __atomic_compare_exchange_n(&slots[i].state, &was, HAKT_SLOT_CLAIMED, 0,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            *number = i;
            return &slots[i];
        }
    }
    return NULL;
}

/* As claim_slot; where the collector's settings allow waiting, waits a moment for slots of threads
 * that have ended. */
static struct hakt_shm_slot *claim_slot_patiently(uint32_t *number) {
    struct timespec ms = {0, 1000000};
    struct hakt_shm_slot *slot = claim_slot(number);
    int tries = rt.shm->on_full == HAKT_SHM_WAIT && !counted_unserved ? SLOT_WAITS : 0;
    while (slot == NULL && tries-- > 0) {
        __atomic_store_n(&rt.shm->want_slot, 1, __ATOMIC_SEQ_CST);
        hakt_ring_bell(rt.shm);
        nanosleep(&ms, NULL);
        slot = claim_slot(number);
    }
    return slot;
}

static int unserved(void) {
    if (!counted_unserved) {
        counted_unserved = 1;
        __atomic_fetch_add(&rt.shm->threads_unserved, 1, __ATOMIC_RELAXED);
    }
    skip_attach = SKIP_ATTACH;
    return 0;
}

static int attach_thread(void) {
    struct hakt_shm *shm = rt.shm;
    uint32_t number = 0;
    struct hakt_shm_slot *slot;

    /* In a vfork child before its parent thread's first op: the ring would bear the child's id. */
    if ((uint32_t)syscall(SYS_getpid) != __atomic_load_n(&shm->owner_pid, __ATOMIC_RELAXED))
        return 0;
    slot = claim_slot_patiently(&number);
    if (slot == NULL)
        return unserved();
    struct hakt_ring *r = &rt.rings[number];
    if (r->recs == NULL &&
        mprotect(hakt_shm_ring(shm, number), shm->ring_bytes, PROT_READ | PROT_WRITE) != 0) {
        __atomic_store_n(&slot->state, HAKT_SLOT_FREE, __ATOMIC_RELEASE);
        return unserved();
    }
    /* Well before this thread's first record: what the first thread has under way is long settled
     * when it can hear from this one. */
    if (__atomic_fetch_add(&rt.attached, 1, __ATOMIC_SEQ_CST) > 0)
        __atomic_store_n(&hakt_threaded, 1, __ATOMIC_SEQ_CST);
    hakt_ring_bind(r, shm, number);
    slot->tid = (uint32_t)syscall(SYS_gettid);
    __atomic_store_n(&slot->state, HAKT_SLOT_ATTACHED, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&shm->attach_seq, 1, __ATOMIC_SEQ_CST);
    hakt_my_ring = r;
    return 1;
}

/* With every signal blocked: a handler that allocates meanwhile would attach a second ring. */
static int attach_undisturbed(void) {
    uint64_t all = ~(uint64_t)0, before = 0;
    if (skip_attach > 0) {
        skip_attach--;
        return 0;
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
    int ok = hakt_my_ring != &no_ring || attach_thread();
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
    return ok;
}

/* Attaches the thread, makes room, or says 0: this op is not recorded. Keeps errno. */
static int make_room(void) {
    int saved = errno, ok = 0;

    if (*rt.alive == 0) { /* a forked child */
        forked_child();
        return 0;
    }
    if (hakt_my_ring == &no_ring) {
        ok = attach_undisturbed();
        if (!ok)
            __atomic_fetch_add(&rt.shm->ops_unserved, 1, __ATOMIC_RELAXED);
    } else {
        enum hakt_ring_room room = hakt_ring_make_room(hakt_my_ring);
        ok = room == HAKT_ROOM;
        if (room == HAKT_ROOM_COLLECTOR)
            __atomic_store_n(&hakt_active, 0, __ATOMIC_RELAXED);
    }
    errno = saved;
    return ok;
}

int hakt_record_slow(unsigned op, unsigned align_log2, const void *ptr, uint64_t size,
                     int consumes) {
    if (!make_room())
        return 0;
    hakt_ring_put_any(hakt_my_ring, op, align_log2, (uintptr_t)ptr, size, hakt_stamp_for(consumes));
    return 1;
}
