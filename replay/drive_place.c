/*
 * Puts the code of the time pass to where it reaches the allocator by direct calls.
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

static void note_null(struct hakr_shm_thread *t) {
    note_failed(t);
}

static struct hakr_time_links links = {
    .run_other = hakr_run_other, .note_null = note_null, .do_malloc = malloc, .do_free = free};
static hakr_time_code *code;

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

/* Copies the code; NULL if it has to stay where it is. */
static void *copy_near(const char *from, size_t bytes, const struct hakr_time_site *site,
                       const struct hakr_time_site *end) {
    char *to = map_near(bytes);
    if (to == NULL)
        return NULL;
    memcpy(to, from, bytes);
    for (; site < end; site++) {
        uintptr_t target = site->is_free ? (uintptr_t)links.do_free : (uintptr_t)links.do_malloc;
        int32_t distance = (int32_t)(target - (uintptr_t)(to + site->at + CALL_LENGTH));
        memcpy(to + site->at + CALL_LENGTH - sizeof distance, &distance, sizeof distance);
    }
    if (mprotect(to, bytes, PROT_READ | PROT_EXEC) == 0)
        return to;
    munmap(to, bytes);
    return NULL;
}

size_t hakr_time_place(const struct hakr_drive *d) {
    int far = d->ctl->n_slots * sizeof(void *) > SLOTS_IN_CACHE;
    const char *from = far ? (const char *)hakr_time_far : (const char *)hakr_time_near;
    const char *end = far ? hakr_time_far_end : hakr_time_near_end;
    links.drive = d;
    void *copy =
        copy_near(from, (size_t)(end - from), far ? hakr_time_far_sites : hakr_time_near_sites,
                  far ? hakr_time_far_sites_end : hakr_time_near_sites_end);
    code = copy != NULL ? (hakr_time_code *)copy : far ? hakr_time_far : hakr_time_near;
    return copy != NULL ? (size_t)(end - from) : 0;
}

void hakr_drive_time(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words) {
    code(d->slots, t, words, &links);
}
