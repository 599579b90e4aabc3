/*
 * A lock that fork takes, so that the child finds what it guards in order, and that does not hang
 * where a signal handler forks. What a thread has to do with the lock is noted in a variable of its
 * own: where the frame below the handler holds the lock, waiting for that frame would be for ever,
 * and its change is finished by that frame itself, in parent and child.
 */
#ifndef ALLOC_FORK_LOCK_H
#define ALLOC_FORK_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/single_threaded.h>

/* NEAR: the thread is about to take the lock, or has just let it go. */
enum hak_hold { HAK_HOLD_NONE, HAK_HOLD_NEAR, HAK_HOLD_HELD };

struct hak_fork_lock {
    pthread_mutex_t mutex;
    enum hak_hold before; /* fork: of the forking thread */
    bool inside;          /* fork holds it for the frame below */
};
#define HAK_FORK_LOCK_INIT                                                                         \
    { .mutex = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP }

/* mine: a thread-local variable, one for each lock. */
static inline void hak_lock_take(struct hak_fork_lock *l, volatile enum hak_hold *mine) {
    *mine = HAK_HOLD_NEAR;
    pthread_mutex_lock(&l->mutex);
    *mine = HAK_HOLD_HELD;
}

static inline void hak_lock_drop(struct hak_fork_lock *l, volatile enum hak_hold *mine) {
    *mine = HAK_HOLD_NEAR;
    pthread_mutex_unlock(&l->mutex);
    *mine = HAK_HOLD_NONE;
}

/* Call around fork(2), from pthread_atfork handlers. The frame below a handler that forks has the
 * lock, if it is near it, the lock is taken, and nobody else is there. (With other threads about, a
 * handler that comes in that short moment may wait for itself; POSIX allows fork in no handler of
 * such a program.) */
static inline void hak_lock_fork_prepare(struct hak_fork_lock *l, volatile enum hak_hold *mine) {
    enum hak_hold before = *mine;
    bool inside = before == HAK_HOLD_HELD;
    if (before == HAK_HOLD_NEAR && __libc_single_threaded) {
        inside = pthread_mutex_trylock(&l->mutex) != 0;
        if (!inside)
            pthread_mutex_unlock(&l->mutex);
    }
    if (!inside)
        hak_lock_take(l, mine);
    l->inside = inside;
    l->before = before;
}

static inline void hak_lock_fork_parent(struct hak_fork_lock *l, volatile enum hak_hold *mine) {
    enum hak_hold before = l->before;
    if (l->inside)
        return;
    hak_lock_drop(l, mine);
    *mine = before;
}

static inline void hak_lock_fork_child(struct hak_fork_lock *l, volatile enum hak_hold *mine) {
    pthread_mutex_t fresh = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
    if (l->inside)
        return;
    l->mutex = fresh;
    *mine = l->before;
}

#endif
