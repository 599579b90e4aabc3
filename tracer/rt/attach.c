#include "tracer/rt/join.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A thread that found no slot tries again only now and then. */
static __thread uint32_t skip_attach;
static __thread uint8_t counted_unserved;
#define SKIP_ATTACH 1024
#define SLOT_WAITS  200 /* of 1 ms */

static struct hakt_shm_slot *claim_slot(uint32_t *number) {
    struct hakt_shm *shm = hakt_rt.shm;
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
    int tries = hakt_rt.shm->on_full == HAKT_SHM_WAIT && !counted_unserved ? SLOT_WAITS : 0;
    while (slot == NULL && tries-- > 0) {
        __atomic_store_n(&hakt_rt.shm->want_slot, 1, __ATOMIC_SEQ_CST);
        hakt_ring_bell(hakt_rt.shm);
        nanosleep(&ms, NULL);
        slot = claim_slot(number);
    }
    return slot;
}

static int unserved(void) {
    if (!counted_unserved) {
        counted_unserved = 1;
        __atomic_fetch_add(&hakt_rt.shm->threads_unserved, 1, __ATOMIC_RELAXED);
    }
    skip_attach = SKIP_ATTACH;
    return 0;
}

/* A number that no thread had before, also none of an earlier recording. */
static uint32_t new_owner(void) {
    static uint32_t last;
    uint32_t n = __atomic_load_n(&last, __ATOMIC_RELAXED);
    while (n < HAKT_OWNER_LIMIT - 1) {
        if (__atomic_compare_exchange_n(&last, &n, n + 1, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return n + 1;
    }
    return HAKT_OWNER_NOBODY;
}

static int attach_thread(void) {
    struct hakt_shm *shm = hakt_rt.shm;
    uint32_t number = 0;
    struct hakt_shm_slot *slot;

    /* In a vfork child before its parent thread's first op: the ring would bear the child's id. */
    if ((uint32_t)syscall(SYS_getpid) != __atomic_load_n(&shm->owner_pid, __ATOMIC_RELAXED))
        return 0;
    slot = claim_slot_patiently(&number);
    if (slot == NULL)
        return unserved();
    struct hakt_ring *r = &hakt_rt.rings[number];
    if (r->words == NULL &&
        mprotect(hakt_shm_ring(shm, number), shm->ring_bytes, PROT_READ | PROT_WRITE) != 0) {
        __atomic_store_n(&slot->state, HAKT_SLOT_FREE, __ATOMIC_RELEASE);
        return unserved();
    }
    uint32_t used = __atomic_load_n(&hakt_rt.rings_used, __ATOMIC_RELAXED);
    while (number >= used && !__atomic_compare_exchange_n(&hakt_rt.rings_used, &used, number + 1, 0,
                                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
    /* Well before this thread's first record: what the first thread has under way is long settled
     * when it can hear from this one. */
    if (__atomic_fetch_add(&hakt_rt.attached, 1, __ATOMIC_SEQ_CST) > 0)
        __atomic_store_n(&hakt_threaded, 1, __ATOMIC_SEQ_CST);
    hakt_ring_bind(r, shm, number);
    r->owner = new_owner();
    slot->tid = (uint32_t)syscall(SYS_gettid);
    __atomic_fetch_add(&shm->attach_seq, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&slot->state, HAKT_SLOT_ATTACHED, __ATOMIC_SEQ_CST);
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
    int ok = hakt_my_ring->shm == hakt_rt.shm || attach_thread();
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
    return ok;
}

/* Joins, attaches the thread, makes room, or says 0: this op is not recorded. Keeps errno. */
static int make_room(void) {
    int saved = errno, ok;

    if (!hakt_is_joined()) {
        ok = hakt_join();
        errno = saved;
        if (!ok)
            return 0;
    }
    if (hakt_my_ring->shm != hakt_rt.shm) { /* none, or one of a recording that has ended */
        ok = attach_undisturbed();
        if (!ok)
            __atomic_fetch_add(&hakt_rt.shm->ops_unserved, 1, __ATOMIC_RELAXED);
    } else {
        enum hakt_ring_room room = hakt_ring_make_room(hakt_my_ring);
        ok = room == HAKT_ROOM;
        if (room == HAKT_ROOM_COLLECTOR &&
            hakt_is_joined()) /* else a child by now, see after_fork */
            hakt_go_dormant();
    }
    errno = saved;
    return ok;
}

int hakt_record_slow(unsigned op, unsigned align_log2, const void *ptr, uint64_t size) {
    int room = make_room();
    /* Also of an op that is lost the page must know. */
    enum hakt_stamp stamp = hakt_stamp_for(hakt_my_ring, ptr);
    if (!room)
        return 0;
    hakt_ring_put_any(hakt_my_ring, op, align_log2, (uintptr_t)ptr, size, stamp);
    return 1;
}

/* Two records side by side, so that no handler's comes between. */
void hakt_record_memory(unsigned op, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    int saved = errno;
    if (hakt_is_joined() && hakt_rt.shm->record_mmap &&
        ((hakt_my_ring->shm == hakt_rt.shm && hakt_ring_has_room(hakt_my_ring)) || make_room())) {
        struct hakt_ring *r = hakt_my_ring;
        struct hakt_shm_rec first = {hakt_ring_now(r), a, b, (uint8_t)op, 0, 1};
        struct hakt_shm_rec second = {0, c, d, HAKT_SHM_MORE, 0, 0};
        uint64_t w[2][HAKT_SHM_WORDS_MAX];
        unsigned n = hakt_shm_encode(&first, w[0]), more = hakt_shm_encode(&second, w[1]);
        uint64_t i = hakt_ring_reserve(r, n + more);
        hakt_shm_commit(r->words, r->log2, i + n, w[1], more);
        hakt_shm_commit(r->words, r->log2, i, w[0], n);
    }
    errno = saved;
}
