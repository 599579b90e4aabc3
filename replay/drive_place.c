/*
 * Puts the code of the time pass to where it reaches the allocator by direct calls, and warms it.
 *
 * No unwinder knows the copy: a walk up the stack from the allocator ends at it, and what lies
 * above is hakreplay's own. To register it (__register_frame) would do harm, since the unwinder
 * then allocates when it first looks: in the allocator, in the region.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "replay/drive_time.h"

/* Below this the slot table stays in the second-level cache by itself. */
#define SLOTS_IN_CACHE (UINT64_C(512) << 10)

#define CALL_LENGTH 5
#define TRIES       2048 /* places to look at on each side, */
#define STEP        (INT64_C(1) << 19)
#define REHEARSED   64u /* bundles at a time, and */
#define REHEARSALS  2u  /* how often each: 0.2 ms together */

static void note_null(struct hakr_shm_thread *t) {
    note_failed(t);
}

static struct hakr_time_links links = {
    .run_other = hakr_run_other, .note_null = note_null, .do_malloc = malloc, .do_free = free};
static hakr_time_code *code;
static char *copy; /* the code where it is no longer in the program; NULL = it is */
static size_t copy_bytes;
static const struct hakr_time_site *sites, *sites_end;

/* Whether a call anywhere in [at, at + bytes) reaches `target`. */
static int reaches(uintptr_t at, size_t bytes, uintptr_t target) {
    uintptr_t far = target > at ? target - at : at + bytes - target;
    return far < INT32_MAX;
}

/* Shared memory, which is in nobody's books, within reach of malloc and free; NULL = none. It lies
 * above the libraries if it can, where the kernel places nothing: what an allocator maps comes to
 * lie as it would without. */
static void *map_near(size_t bytes) {
    uintptr_t to = (uintptr_t)links.do_malloc, to2 = (uintptr_t)links.do_free;
    for (intptr_t i = 1; i < 2 * TRIES; i++) {
        uintptr_t hint = to + (uintptr_t)((i < TRIES ? i : TRIES - i) * STEP);
        void *p = mmap((void *)(hint & ~(uintptr_t)(PAGE - 1)), bytes, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (p == MAP_FAILED)
            continue;
        if (reaches((uintptr_t)p, bytes, to) && reaches((uintptr_t)p, bytes, to2))
            return p;
        munmap(p, bytes);
    }
    return NULL;
}

/* Gives the copy up: the code runs in the program itself. */
static void leave_copy(void) {
    munmap(copy, copy_bytes);
    copy = NULL;
}

size_t hakr_time_place(const struct hakr_drive *d) {
    int far = d->ctl->n_slots * sizeof(void *) > SLOTS_IN_CACHE;
    const char *from = far ? (const char *)hakr_time_far : (const char *)hakr_time_near;
    const char *end = far ? hakr_time_far_end : hakr_time_near_end;
    links.drive = d;
    code = far ? hakr_time_far : hakr_time_near;
    sites = far ? hakr_time_far_sites : hakr_time_near_sites;
    sites_end = far ? hakr_time_far_sites_end : hakr_time_near_sites_end;
    copy_bytes = (size_t)(end - from);
    copy = map_near(copy_bytes);
    if (copy == NULL)
        return 0;
    memcpy(copy, from, copy_bytes);
    return copy_bytes;
}

/* ---- rehearsal --------------------------------------------------------------------------------
 */

static char stand_in_block[64];

static void *stand_in_malloc(size_t size) {
    (void)size;
    return stand_in_block;
}

static void stand_in_free(void *p) {
    (void)p;
}

static const uint64_t *stand_in_other(const struct hakr_drive *d, struct hakr_shm_thread *t,
                                      uint64_t x, const uint64_t *w, const uint64_t *words) {
    (void)d, (void)t, (void)x, (void)w, (void)words;
    return NULL; /* the stream's end */
}

/* Runs the blocks of all bundles of the greatest length, in an order without a pattern. */
static void rehearse(void) {
    static const struct hakr_time_links stand_ins = {.run_other = stand_in_other,
                                                     .note_null = note_null,
                                                     .do_malloc = stand_in_malloc,
                                                     .do_free = stand_in_free};
    static uint64_t words[REHEARSED * HAKR_BUNDLE_MAX + HAKR_TAIL_WORDS];
    static struct hakr_shm_thread thread;
    void *slots[1] = {NULL};
    const unsigned first = 1u << HAKR_BUNDLE_MAX;
    const uint64_t any = HAKR_MALLOC | (uint64_t)sizeof stand_in_block << HAKR_SIZE_SHIFT;
    unsigned at = 0, n = 0;
    for (unsigned i = 0; i < REHEARSALS * first; i++) {
        at = (at * 5 + 3) & (first - 1); /* each once before one comes again */
        if (first + at > HAKR_PATTERN_MAX)
            continue;
        uint64_t *w = &words[n++ * HAKR_BUNDLE_MAX];
        for (unsigned k = 0; k < HAKR_BUNDLE_MAX; k++)
            w[k] = any;
        w[0] |= hakr_bundle_field(first + at);
        if (n == REHEARSED) { /* HAKR_END follows */
            ((hakr_time_code *)copy)(slots, &thread, words, &stand_ins);
            n = 0;
        }
    }
}

/* Makes the calls of the copy direct ones. */
static void patch(void) {
    for (const struct hakr_time_site *s = sites; s < sites_end; s++) {
        char *behind = copy + s->at + CALL_LENGTH;
        uintptr_t target = s->is_free ? (uintptr_t)links.do_free : (uintptr_t)links.do_malloc;
        int32_t distance = (int32_t)(target - (uintptr_t)behind);
        memcpy(behind - sizeof distance, &distance, sizeof distance);
    }
}

void hakr_time_warm(void) {
    if (copy == NULL)
        return;
    if (mprotect(copy, copy_bytes, PROT_READ | PROT_EXEC) != 0) {
        leave_copy();
        return;
    }
    rehearse();
    if (mprotect(copy, copy_bytes, PROT_READ | PROT_WRITE) != 0) {
        leave_copy();
        return;
    }
    patch();
    if (mprotect(copy, copy_bytes, PROT_READ | PROT_EXEC) != 0)
        leave_copy();
    else
        code = (hakr_time_code *)copy;
}

void hakr_drive_time(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words) {
    code(d->slots, t, words, &links);
}
