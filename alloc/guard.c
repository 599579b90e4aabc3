/* See guard.h. */
#include "alloc/guard.h"
#include <string.h>
#include "alloc/fork_lock.h"

#define TRAILER   (2 * sizeof(uintptr_t)) /* the size, and at least a word of pattern before it */
#define END       0xe5                    /* behind a block in use */
#define FREED     0xdf                    /* in a block that waits */
#define FILL_MOST ((size_t)64 << 10)      /* so much of a freed block is filled and checked */

static struct hak_fork_lock lock;
static void *queue[HAK_QUARANTINE];
static unsigned oldest, waiting; /* blocks in the queue */
static size_t waiting_bytes;

/* What the word says: in use (the size), or waiting. */
static uintptr_t encode(const void *p, size_t size) {
    return hak_safe.key ^ (uintptr_t)p ^ size;
}

#define WAITING (SIZE_MAX - 1)

static uintptr_t *word_of(const void *p) {
    return (uintptr_t *)((uintptr_t)p + hak_usable_size(p)) - 1;
}

static void *seal(void *p, size_t size) {
    if (!p)
        return NULL;
    uintptr_t *word = word_of(p);
    *word = encode(p, size);
    memset((char *)p + size, END, (size_t)((char *)word - (char *)p) - size);
    return p;
}

/* The size that p was asked for with; dies where that or the guard is gone. */
static size_t unseal(const char *call, const void *p) {
    char what[64] = "";
    const struct hak_slab *s = hak_slab_lookup(p);
    const char *end, *why = ": not a block";
    size_t n = 0;
    if (s && s->use != HAK_UNIT_FREE && !hak_safe_start(s - s->back, p)) {
        why = s->use == HAK_UNIT_LARGE ? ": pointer into a large block"
                                       : ": not the start of a block";
    } else if (s && s->use != HAK_UNIT_FREE) {
        const uintptr_t *word = word_of(p);
        size_t size = *word ^ hak_safe.key ^ (uintptr_t)p;
        end = (const char *)word;
        why = size == WAITING                          ? ": the block is free already"
              : size > (size_t)(end - (const char *)p) ? ": written past the end of the block"
                                                       : NULL;
        for (const char *q = (const char *)p + (why ? 0 : size); !why && q < end; q++)
            if (*(const unsigned char *)q != END)
                why = ": written past the end of the block";
        n = size;
    }
    if (why) {
        size_t k = strlen(call);
        memcpy(what, call, k);
        memcpy(what + k, why, strlen(why) + 1);
        hak_os_die(what, p);
    }
    return n;
}

static size_t filled(const uintptr_t *word, const void *p) {
    size_t n = (size_t)((const char *)word - (const char *)p);
    return n < FILL_MOST ? n : FILL_MOST;
}

static void leave(struct hak_heap *h, void *p) {
    const uintptr_t *word = word_of(p);
    const unsigned char *bytes = p;
    if (*word != encode(p, WAITING))
        hak_os_die("a block was written to after it was freed", p);
    for (size_t i = 0, n = filled(word, p); i < n; i++)
        if (bytes[i] != FREED)
            hak_os_die("a block was written to after it was freed", p);
    hak_heap_free(h, p);
}

/* The oldest block leaves the queue; under the lock. */
static void *pop_oldest(void) {
    void *p = queue[oldest];
    oldest = (oldest + 1) % HAK_QUARANTINE;
    waiting--;
    waiting_bytes -= hak_usable_size(p);
    return p;
}

/* Puts p last in the queue. Returns the block that had to leave for it, or NULL. */
static void *push_youngest(void *p) {
    void *old = NULL;
    hak_lock_take(&lock);
    if (waiting == HAK_QUARANTINE)
        old = pop_oldest();
    queue[(oldest + waiting++) % HAK_QUARANTINE] = p;
    waiting_bytes += hak_usable_size(p);
    hak_lock_drop(&lock);
    return old;
}

/* A block that has to leave because too many bytes wait, or NULL. */
static void *pop_surplus(void) {
    void *old = NULL;
    hak_lock_take(&lock);
    if (waiting_bytes > HAK_QUARANTINE_BYTES)
        old = pop_oldest();
    hak_lock_drop(&lock);
    return old;
}

static bool fits(size_t size) {
    return size <= PTRDIFF_MAX - TRAILER;
}

void *hak_guard_alloc(struct hak_heap *h, size_t size) {
    return fits(size) ? seal(hak_heap_alloc(h, size + TRAILER), size) : NULL;
}

void *hak_guard_calloc(struct hak_heap *h, size_t size) {
    void *p = fits(size) ? hak_heap_calloc(h, size + TRAILER) : NULL;
    return seal(p, size);
}

void *hak_guard_aligned(struct hak_heap *h, size_t align, size_t size) {
    return fits(size) ? seal(hak_heap_alloc_aligned(h, align, size + TRAILER), size) : NULL;
}

void hak_guard_free(struct hak_heap *h, void *p) {
    if (!p)
        return;
    unseal("free()", p);
    uintptr_t *word = word_of(p);
    memset(p, FREED, filled(word, p));
    *word = encode(p, WAITING);
    void *old = push_youngest(p);
    if (!old)
        old = pop_surplus();
    for (; old; old = pop_surplus())
        leave(h, old);
}

/* Always another block: who still uses the old one is seen. */
void *hak_guard_realloc(struct hak_heap *h, void *p, size_t size) {
    if (!p)
        return hak_guard_alloc(h, size);
    size_t had = unseal("realloc()", p);
    void *q = NULL;
    if (size > 0 && !(q = hak_guard_alloc(h, size)))
        return NULL;
    if (q)
        memcpy(q, p, size < had ? size : had);
    hak_guard_free(h, p);
    return q;
}

size_t hak_guard_usable(const void *p) {
    return unseal("malloc_usable_size()", p);
}

void hak_guard_fork_prepare(void) {
    hak_lock_fork_prepare(&lock);
}

void hak_guard_fork_parent(void) {
    hak_lock_fork_parent(&lock);
}

void hak_guard_fork_child(void) {
    hak_lock_fork_child(&lock);
}
