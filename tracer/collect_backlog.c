#include "tracer/collect_backlog.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB    ((size_t)256 << 10)
#define QUIET   40 /* calls of hakt_store_trim */
#define SEGMENT ((size_t)16 << 10)

struct hakt_segment {
    struct hakt_segment *next;
    uint64_t used; /* words */
    uint64_t words[SEGMENT / 8 - 2];
};
_Static_assert(sizeof(struct hakt_segment) == SEGMENT, "segments fill a slab");
#define WORDS (SEGMENT / 8 - 2)

void hakt_store_init(struct hakt_store *s, uint64_t bytes_max) {
    *s = (struct hakt_store){.limit = bytes_max, .limit_max = bytes_max};
}

void hakt_store_fini(struct hakt_store *s) {
    for (size_t i = 0; i < s->slab_count; i++)
        munmap(s->slabs[i], SLAB);
    free(s->slabs);
    *s = (struct hakt_store){0};
}

void hakt_store_trim(struct hakt_store *s) {
    struct hakt_store all = *s;
    if (s->bytes != 0 || s->slab_count == 0 || ++s->quiet < QUIET)
        return;
    *s = (struct hakt_store){.limit = all.limit, .limit_max = all.limit_max, .peak = all.peak};
    hakt_store_fini(&all);
}

/* In small pages, all at once. A large page that a virtual machine's guest has not used for a while
 * its host must first find: it takes ten times as long as a small one in use before (measured 0.5
 * GB/s, 2 by single faults, 3.2 so), and a thread may be waiting. */
static uint8_t *map_slab(void) {
    uint8_t *slab = mmap(NULL, SLAB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slab == MAP_FAILED)
        return NULL;
    madvise(slab, SLAB, MADV_NOHUGEPAGE);
    madvise(slab, SLAB, MADV_POPULATE_WRITE); /* Linux 5.14; before it, page by page */
    return slab;
}

static int add_slab(struct hakt_store *s) {
    void **slabs = realloc(s->slabs, (s->slab_count + 1) * sizeof(*slabs));
    if (slabs == NULL)
        return -1;
    s->slabs = slabs;
    uint8_t *slab = map_slab();
    if (slab == NULL)
        return -1;
    s->slabs[s->slab_count++] = slab;
    for (size_t at = SLAB; at > 0; at -= SEGMENT) { /* the first one is taken first */
        struct hakt_segment *g = (struct hakt_segment *)(slab + at - SEGMENT);
        g->next = s->spare;
        s->spare = g;
    }
    return 0;
}

/* The segment last used goes first: it is still in the cache. */
static struct hakt_segment *new_segment(struct hakt_store *s) {
    if (s->spare == NULL && add_slab(s) != 0)
        return NULL;
    struct hakt_segment *g = s->spare;
    s->spare = g->next;
    g->next = NULL;
    g->used = 0;
    s->bytes += SEGMENT;
    s->quiet = 0;
    s->peak = s->bytes > s->peak ? s->bytes : s->peak;
    return g;
}

static void give_back(struct hakt_store *s, struct hakt_segment *g) {
    g->next = s->spare;
    s->spare = g;
    s->bytes -= SEGMENT;
}

/* ---- queues ------------------------------------------------------------------------------- */

uint64_t *hakt_queue_room(struct hakt_queue *q, struct hakt_store *s, uint32_t *n) {
    struct hakt_segment *g = q->last;
    if (g == NULL || WORDS - g->used < HAKT_QUEUE_ROOM) {
        if ((g != NULL && s->bytes >= s->limit) || (g = new_segment(s)) == NULL)
            return NULL;
        if (q->last != NULL)
            q->last->next = g;
        else
            q->first = g;
        q->last = g;
    }
    *n = (uint32_t)(WORDS - g->used);
    return g->words + g->used;
}

void hakt_queue_put(struct hakt_queue *q, uint32_t n) {
    q->last->used += n;
}

const uint64_t *hakt_queue_front(const struct hakt_queue *q, uint32_t *n) {
    *n = q->first != NULL ? (uint32_t)q->first->used - q->read : 0;
    return q->first != NULL ? q->first->words + q->read : NULL;
}

void hakt_queue_drop(struct hakt_queue *q, struct hakt_store *s, uint32_t n) {
    struct hakt_segment *g = q->first;
    q->read += n;
    if (q->read < g->used)
        return;
    q->read = 0;
    q->first = g->next;
    if (q->first == NULL)
        q->last = NULL;
    give_back(s, g);
}

void hakt_queue_clear(struct hakt_queue *q, struct hakt_store *s) {
    while (q->first != NULL) {
        struct hakt_segment *g = q->first;
        q->first = g->next;
        give_back(s, g);
    }
    *q = (struct hakt_queue){0};
}
