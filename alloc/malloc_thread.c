#include <errno.h>
#include <pthread.h>
#include <unistd.h>
#include "alloc/malloc_background.h"
#include "alloc/malloc_exit.h"
#include "alloc/malloc_settings.h"
#include "alloc/fork_lock.h"
#include "alloc/guard.h"
#include "alloc/malloc_checked.h"
#include "alloc/malloc_thread.h"

__thread struct hak_heap *hak_my_heap = (struct hak_heap *)&hak_empty_heap;
__thread struct hak_heap *hak_checked_heap = (struct hak_heap *)&hak_empty_heap;
static __thread bool ended;

/* In the child of a fork, see there. */
static __thread struct hak_heap *put_aside;
static _Atomic(bool) start_again;

static pthread_key_t key;
static bool have_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct hak_fork_lock late_lock;
static struct hak_heap *late_heap;

/* Our key was made early, so this runs before most other destructors. What they still do frees as
 * any foreign thread would, and allocates from the late heap. */
static void thread_end(void *heap) {
    ended = true;
    if (put_aside)
        start_again = false;
    put_aside = NULL;
    hak_my_heap = hak_checked_heap = (struct hak_heap *)&hak_empty_heap;
    hak_heap_retire(heap);
    hak_background_thread_ends();
}

/* In the order in which they are taken elsewhere: a late thread frees while it holds its heap. */
static void fork_prepare(void) {
    hak_lock_fork_prepare(&late_lock);
    hak_guard_fork_prepare();
    hak_core_fork_prepare();
}

static void fork_parent(void) {
    hak_core_fork_parent();
    hak_guard_fork_parent();
    hak_lock_fork_parent(&late_lock);
}

static void set_own(struct hak_heap *h) {
    *(hak_safe.level ? &hak_checked_heap : &hak_my_heap) = h;
}

/* The background thread is started anew, but not from here: fork may have been called by a signal
 * handler, over a frame of ours that is half done, and pthread_create allocates. So the heap is put
 * aside, and the first allocation that misses it is at the door, where nothing is under way. A
 * child that never comes there (it calls exec) needs no such thread either. */
static void fork_child(void) {
    struct hak_heap *mine = put_aside ? put_aside : hak_thread_own();
    hak_guard_fork_child();
    hak_core_fork_child(mine == &hak_empty_heap ? NULL : mine);
    if (late_heap)
        late_heap->state = HAK_HEAP_LIVE; /* nobody else was inside: fork holds its lock */
    hak_lock_fork_child(&late_lock);
    if (!hak_background_forked() || ended) /* ended: nobody would tell it that the main thread is */
        return;
    start_again = true;
    if (mine != &hak_empty_heap) {
        put_aside = mine;
        set_own((struct hak_heap *)&hak_empty_heap);
    }
}

static void start_background_again(void) {
    if (atomic_exchange(&start_again, false))
        hak_background_start();
}

static void init(void) {
    hak_settings_read();
    hak_safe_init(hak_settings.safe);
    hak_core_init(&hak_settings.policy);
    have_key = pthread_key_create(&key, thread_end) == 0;
}

struct hak_heap *hak_thread_own(void) {
    return hak_safe.level ? hak_checked_heap : hak_my_heap;
}

void hak_thread_init(void) {
    pthread_once(&once, init);
}

struct hak_heap *hak_thread_heap(bool *late) {
    struct hak_heap *h = hak_thread_own();
    *late = false;
    if (h != &hak_empty_heap)
        return h;
    if (put_aside) {
        set_own(h = put_aside);
        put_aside = NULL;
        start_background_again();
        return h;
    }
    hak_thread_init();
    if (ended) {
        *late = true;
        hak_lock_take(&late_lock);
        if (!late_heap)
            late_heap = hak_heap_new();
        if (!late_heap)
            hak_lock_drop(&late_lock);
        return late_heap;
    }
    h = hak_heap_new();
    if (!h)
        return NULL;
    /* before setspecific, which may allocate */
    set_own(h);
    if (have_key)
        pthread_setspecific(key, h);
    if (start_again)
        start_background_again();
    return h;
}

void hak_thread_late_done(void) {
    hak_lock_drop(&late_lock);
}

/* A thread that frees and never allocates: a consumer. It starts no background thread: libc frees
 * what ended threads leave behind under a lock that pthread_create wants. */
struct hak_heap *hak_thread_frees(const void *p) {
    enum { OFTEN = 64 };
    static __thread unsigned frees;
    struct hak_heap *none = (struct hak_heap *)&hak_empty_heap;
    if (!p || ended || start_again || (++frees < OFTEN && !put_aside))
        return none;
    frees = 0; /* again later, if there is no memory now */
    int saved = errno;
    bool late;
    struct hak_heap *h = hak_thread_heap(&late);
    errno = saved;
    return h ? h : none;
}

/* The first constructor of the process (module.mk: initfirst), so that our fork handlers run after
 * everybody else's have finished with the heap. Not in init: registering may allocate. */
__attribute__((constructor(101))) static void start(int argc, char **argv, char **envp) {
    (void)argc, (void)argv;
    if (!environ) /* we come before libc's own constructor, which sets the same */
        environ = envp;
    pthread_atfork(fork_prepare, fork_parent, fork_child);
    hak_exit_keep_stderr();
    if (hak_os_env("HAKMEM_SAFE")) {
        hak_thread_init();
        hak_checked_install();
    }
    if (hak_os_env("HAKMEM_BACKGROUND")) {
        hak_thread_init();
        hak_background_start();
    }
}
