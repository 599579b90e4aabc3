/* Huge pages, as long as they come quickly. */
#include <errno.h>
#include <sys/mman.h>
#include "alloc/os.h"
#include "alloc/os_linux_huge.h"

static struct hak_pace pace;

static uint64_t get(const _Atomic(uint64_t) *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void set(_Atomic(uint64_t) *word, uint64_t v) {
    atomic_store_explicit(word, v, memory_order_relaxed);
}

bool hak_pace_refuses(const struct hak_pace *p, uint64_t now_ns) {
    return now_ns < get(&p->until);
}

bool hak_pace_wants_look(const struct hak_pace *p, uint64_t now_ns) {
    return now_ns - get(&p->looked) >= HAK_PACE_FRESH;
}

bool hak_pace_note(struct hak_pace *p, uint64_t now_ns, uint64_t took_ns) {
    uint64_t wait = get(&p->wait);
    bool quick = took_ns <= HAK_PACE_SLOW;
    set(&p->looked, now_ns);
    if (quick) {
        set(&p->wait, 0);
        return true;
    }
    wait = wait == 0 ? HAK_PACE_FIRST : wait < HAK_PACE_MOST / 2 ? wait * 2 : HAK_PACE_MOST;
    set(&p->wait, wait);
    set(&p->until, now_ns + wait);
    return false;
}

int hak_os_huge(void *p, size_t bytes) {
    int saved = errno, rc;
    if (hak_pace_refuses(&pace, hak_os_now()))
        return EBUSY;
    rc = madvise(p, bytes, MADV_HUGEPAGE) ? errno : 0;
    errno = saved;
    return rc;
}

bool hak_os_huge_try(void *p) {
    uint64_t before = hak_os_now(), after;
    if (!hak_pace_wants_look(&pace, before))
        return !hak_pace_refuses(&pace, before);
    atomic_fetch_or_explicit((_Atomic(char) *)p, 0, memory_order_relaxed);
    after = hak_os_now();
    return hak_pace_note(&pace, after, after - before);
}
