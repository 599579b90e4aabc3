/*
 * A lock that fork takes, so that the child finds what it guards in order, and that does not hang
 * where a signal handler forks. Its word says who holds it, in one atomic step with taking it: so a
 * handler knows whether the frame below it holds the lock, with other threads about as well.
 * Waiting for that frame would be for ever; its change is finished by that frame itself, in parent
 * and child.
 */
#ifndef ALLOC_FORK_LOCK_H
#define ALLOC_FORK_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

struct hak_fork_lock {
    _Atomic(uint32_t) word; /* 0: free; else its thread's id, and 1 if others may sleep */
    uint32_t forks;         /* under way over the frame that holds it; the holder's own */
};

/* Ids are even, not 0, and never given twice (but for 2^31 threads). 0: not given yet. */
extern __thread uint32_t hak_lock_id
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

/* What the quick way below could not do: gives the thread its id, waits. */
void hak_lock_wait(struct hak_fork_lock *l);
void hak_lock_wake(struct hak_fork_lock *l);

static inline void hak_lock_take(struct hak_fork_lock *l) {
    uint32_t nobody = 0, me = hak_lock_id;
    if (__builtin_expect(me == 0 || !atomic_compare_exchange_strong_explicit(&l->word, &nobody, me,
                                                                             memory_order_acquire,
                                                                             memory_order_relaxed),
                         0))
        hak_lock_wait(l);
}

static inline void hak_lock_drop(struct hak_fork_lock *l) {
    if (__builtin_expect(atomic_exchange_explicit(&l->word, 0, memory_order_release) & 1, 0))
        hak_lock_wake(l);
}

/* Call around fork(2), from pthread_atfork handlers. */
void hak_lock_fork_prepare(struct hak_fork_lock *l);
void hak_lock_fork_parent(struct hak_fork_lock *l);
void hak_lock_fork_child(struct hak_fork_lock *l);

#endif
