#include "tracer/rt/ring.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPIN_PAUSES   100     /* short: the collector may need this very CPU */
#define WAIT_NS       5000000 /* one futex wait; then the collector's pulse is felt */
#define STALLED_WAITS 2000    /* waits without a heartbeat before a living collector is given up */

static inline void cpu_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("" : : : "memory");
#endif
}

void hakt_ring_bell(struct hakt_shm *shm) {
    if (__atomic_load_n(&shm->sleeping, __ATOMIC_SEQ_CST) != 0 &&
        __atomic_exchange_n(&shm->sleeping, 0, __ATOMIC_SEQ_CST) != 0) {
        __atomic_fetch_add(&shm->bell, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, &shm->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

uint64_t hakt_ring_now(const struct hakt_ring *r) {
    struct timespec ts;
    if (r->clock == HAKT_SHM_TSC)
        return hakt_ring_tsc();
    clock_gettime(CLOCK_MONOTONIC, &ts); /* the vDSO: no system call */
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void hakt_ring_write_any(struct hakt_ring *r, const struct hakt_shm_rec *rec) {
    uint64_t w[HAKT_SHM_WORDS_MAX];
    unsigned n = hakt_shm_encode(rec, w);
    hakt_shm_commit(r->words, r->log2, hakt_ring_reserve(r, n), w, n);
}

void hakt_ring_put_any(struct hakt_ring *r, unsigned op, unsigned align_log2, uint64_t ptr,
                       uint64_t size, enum hakt_stamp stamp) {
    if (r->clock == HAKT_SHM_TSC) {
        hakt_ring_put(r, op, align_log2, ptr, size, stamp);
        return;
    }
    if (stamp == HAKT_STAMP_PACED && hakt_ring_spares(r)) {
        hakt_ring_write(r, op, align_log2, ptr, size, 0, 0);
        return;
    }
    uint64_t time = hakt_ring_now(r);
    hakt_ring_stamped(r, time);
    hakt_ring_write(r, op, align_log2, ptr, size, 1, time);
}

/* New limit after a look at the tail: half a ring on, so that a filling ring is noticed before it
 * is full, but never into the slack. 1 if there is room. */
static int raise_limit(struct hakt_ring *r) {
    uint64_t size = (uint64_t)r->mask + 1;
    uint64_t head = __atomic_load_n(&r->head, __ATOMIC_RELAXED);
    uint64_t end = __atomic_load_n(&r->slot->tail, __ATOMIC_ACQUIRE) + size - HAKT_SHM_SLACK;
    uint64_t half = head + size / 2;
    if (__atomic_load_n(&r->shm->stopped, __ATOMIC_RELAXED) != 0)
        end = half = 0;
    __atomic_store_n(&r->end, end < half ? end : half, __ATOMIC_RELAXED);
    __atomic_store_n(&r->limit, r->clock == HAKT_SHM_TSC ? r->end : 0, __ATOMIC_RELAXED);
    return head < end;
}

void hakt_ring_bind(struct hakt_ring *r, struct hakt_shm *shm, uint32_t slot) {
    r->shm = shm;
    r->slot = &hakt_shm_slots(shm)[slot];
    r->words = hakt_shm_ring(shm, slot);
    r->log2 = (uint8_t)hakt_shm_ring_log2(shm);
    r->mask = (1u << r->log2) - 1;
    r->clock = shm->clock;
    r->heartbeat = &shm->heartbeat;
    r->burst = shm->burst;
    r->pace = (uint8_t)shm->pace;
    r->spare = 0;
    r->last = 0;
    r->gave_up = 0;
    r->head = __atomic_load_n(&r->slot->tail, __ATOMIC_ACQUIRE);
    raise_limit(r);
}

static int collector_is_dead(const struct hakt_shm *shm) {
    return syscall(SYS_kill, shm->collector_pid, 0) != 0 && errno == ESRCH;
}

static enum hakt_ring_room lose_one(struct hakt_ring *r, enum hakt_ring_room why) {
    __atomic_fetch_add(&r->slot->dropped, 1, __ATOMIC_RELAXED);
    return why;
}

/* Sleeps until the collector made room or says nothing for WAIT_NS. */
static void wait_for_room(struct hakt_ring *r) {
    struct timespec ts = {0, WAIT_NS};
    uint32_t wake = __atomic_load_n(&r->slot->wake, __ATOMIC_SEQ_CST);
    __atomic_store_n(&r->slot->waiting, 1, __ATOMIC_SEQ_CST);
    hakt_ring_bell(r->shm);
    if (!raise_limit(r))
        syscall(SYS_futex, &r->slot->wake, FUTEX_WAIT, wake, &ts, NULL, 0);
}

enum hakt_ring_room hakt_ring_make_room(struct hakt_ring *r) {
    struct hakt_shm *shm = r->shm;
    uint64_t pulse = __atomic_load_n(&shm->heartbeat, __ATOMIC_RELAXED);
    unsigned stalled = 0;

    if (__atomic_load_n(&shm->stopped, __ATOMIC_RELAXED) != 0)
        return HAKT_ROOM_COLLECTOR;
    if (__atomic_load_n(&r->head, __ATOMIC_RELAXED) < r->end) /* limit is 0 */
        return HAKT_ROOM;
    if (raise_limit(r)) {
        if (r->head - __atomic_load_n(&r->slot->tail, __ATOMIC_RELAXED) >= r->mask / 4)
            hakt_ring_bell(shm);
        return HAKT_ROOM;
    }
    if (shm->on_full == HAKT_SHM_DROP || (r->gave_up && r->gave_up_at == pulse)) {
        if (__atomic_load_n(&r->slot->waiting, __ATOMIC_RELAXED) == 0)
            __atomic_store_n(&r->slot->waiting, 1, __ATOMIC_RELAXED);
        hakt_ring_bell(shm);
        return lose_one(r, HAKT_ROOM_DROPPED);
    }
    hakt_ring_bell(shm);
    for (int i = 0; i < SPIN_PAUSES; i++) {
        cpu_pause();
        if ((i & 31) == 0 && raise_limit(r))
            return HAKT_ROOM;
    }
    for (;;) {
        wait_for_room(r);
        if (raise_limit(r))
            return HAKT_ROOM;
        if (__atomic_load_n(&r->shm->stopped, __ATOMIC_RELAXED) != 0) /* a fork changes r->shm */
            return HAKT_ROOM_COLLECTOR;
        if (collector_is_dead(shm))
            return lose_one(r, HAKT_ROOM_COLLECTOR);
        uint64_t now = __atomic_load_n(&shm->heartbeat, __ATOMIC_RELAXED);
        stalled = now == pulse ? stalled + 1 : 0;
        pulse = now;
        if (stalled >= STALLED_WAITS) {
            r->gave_up = 1;
            r->gave_up_at = now;
            return lose_one(r, HAKT_ROOM_DROPPED);
        }
    }
}
