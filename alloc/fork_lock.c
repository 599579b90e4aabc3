/* See fork_lock.h. */
#include "alloc/fork_lock.h"
#include <stdbool.h>
#include "alloc/os.h"

/* Looks at a lock that is taken, before sleeping, lie further and further apart, so that its holder
 * keeps the line of memory for a while. */
#define LONGEST 256

__thread uint32_t hak_lock_id;
static _Atomic(uint32_t) last_id;

static uint32_t my_id(void) {
    while (hak_lock_id == 0) /* 0 comes up again after 2^31 threads */
        hak_lock_id = atomic_fetch_add_explicit(&last_id, 2, memory_order_relaxed) + 2;
    return hak_lock_id;
}

static void rest(void) {
#ifdef __x86_64__
    __builtin_ia32_pause();
#else
    __asm__ volatile("" ::: "memory");
#endif
}

static bool take_if(struct hak_fork_lock *l, uint32_t is, uint32_t shall) {
    return atomic_compare_exchange_strong_explicit(&l->word, &is, shall, memory_order_acquire,
                                                   memory_order_relaxed);
}

void hak_lock_wait(struct hak_fork_lock *l) {
    uint32_t me = my_id(), is;
    for (unsigned wait = 1; wait <= LONGEST; wait *= 2) {
        for (unsigned i = 0; i < wait; i++)
            rest();
        if (atomic_load_explicit(&l->word, memory_order_relaxed) == 0 && take_if(l, 0, me))
            return;
    }
    /* whoever has slept cannot know whether others do */
    while (!take_if(l, 0, me | 1)) {
        is = atomic_load_explicit(&l->word, memory_order_relaxed);
        if (is != 0 && ((is & 1) || take_if(l, is, is | 1)))
            hak_os_wait(&l->word, is | 1, UINT64_MAX);
    }
}

void hak_lock_wake(struct hak_fork_lock *l) {
    hak_os_wake(&l->word);
}

/* A handler that comes between the others' frames here finds the lock its own, and only counts. */
void hak_lock_fork_prepare(struct hak_fork_lock *l) {
    if ((atomic_load_explicit(&l->word, memory_order_relaxed) & ~1u) == my_id())
        l->forks++;
    else
        hak_lock_take(l);
}

void hak_lock_fork_parent(struct hak_fork_lock *l) {
    if (l->forks > 0)
        l->forks--;
    else
        hak_lock_drop(l);
}

/* Nobody is asleep here. */
void hak_lock_fork_child(struct hak_fork_lock *l) {
    if (l->forks > 0)
        l->forks--;
    else
        atomic_store_explicit(&l->word, 0, memory_order_relaxed);
}
