#include "tracer/collect_backlog.h"
#include "tracer/rt/trace_shm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLAB    ((size_t)2 << 20) /* a huge page, where the system gives them */
#define QUIET   40                /* calls of hakt_store_trim */
#define SEGMENT ((size_t)16 << 10)

/*
 * A record in a segment: two bytes that say how long each number is, and the numbers.
 *
 *   bits 0-3, 4-7, 8-11   bytes of pointer, size and time
 *   bit 12                a free, else a malloc
 *   bit 13                stamped
 *   bit 14                another op, or an alignment: two bytes more, op and log2
 *
 * The pointer is the distance to that of the record before, in steps of 8 bytes, its sign in bit 0;
 * of a pointer that is no multiple of 8 all 8 bytes stand there, as bit 15 says. The time is what
 * was added since the record before. Numbers are written and read 8 bytes at a time, without a
 * branch on their length; what is written too much is written over.
 */
#define LEN_PTR(c)  ((c)&15u)
#define LEN_SIZE(c) ((c) >> 4 & 15u)
#define LEN_TIME(c) ((c) >> 8 & 15u)
#define IS_FREE     (1u << 12)
#define IS_STAMPED  (1u << 13)
#define IS_OTHER    (1u << 14)
#define IS_WHOLE    (1u << 15)
#define RECORD_MAX  (2 + 2 + 3 * 8)

struct hakt_segment {
    struct hakt_segment *next;
    uint32_t used, records; /* records: still to be taken */
    uint8_t data[SEGMENT - 16];
};
_Static_assert(sizeof(struct hakt_segment) == SEGMENT, "segments fill a slab");
#define DATA_MAX (sizeof(((struct hakt_segment *)0)->data) - HAKT_TAKEN_MAX * RECORD_MAX - 8)

void hakt_store_init(struct hakt_store *s, uint64_t bytes_max) {
    *s = (struct hakt_store){.bytes_max = bytes_max};
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
    *s = (struct hakt_store){.bytes_max = all.bytes_max, .peak = all.peak};
    hakt_store_fini(&all);
}

/* 2 MiB on a boundary of it. */
static uint8_t *map_slab(void) {
    uint8_t *p = mmap(NULL, 2 * SLAB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    uint8_t *slab = p + (SLAB - (uintptr_t)p % SLAB) % SLAB;
    if (slab != p)
        munmap(p, (size_t)(slab - p));
    munmap(slab + SLAB, (size_t)(p + 2 * SLAB - (slab + SLAB)));
    madvise(slab, SLAB, MADV_HUGEPAGE); /* a wish: works without */
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
    g->used = g->records = 0;
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

/* ---- writing ------------------------------------------------------------------------------ */

static inline unsigned bytes_of(uint64_t v) {
    return (71u - (unsigned)__builtin_clzll(v | 1)) >> 3;
}

static inline uint8_t *put_number(uint8_t *p, uint64_t v, unsigned bytes) {
    memcpy(p, &v, 8);
    return p + bytes;
}

static uint8_t *pack(struct hakt_queue *q, uint8_t *p, const struct hakt_taken *t) {
    uint64_t ptr = q->write_ptr, time = q->write_time;
    for (uint32_t i = t->at; i < t->n; i++) {
        unsigned op = t->op[i] & ~HAKT_STAMPED, align = t->align[i];
        int64_t steps = (int64_t)(t->ptr[i] - ptr) >> 3;
        uint64_t distance = (uint64_t)steps << 1 ^ -(uint64_t)(steps < 0);
        uint64_t added = t->time[i] - time;
        unsigned code = (unsigned)(t->op[i] >= HAKT_STAMPED) * IS_STAMPED;
        ptr = t->ptr[i];
        time = t->time[i];
        if (__builtin_expect((ptr & 7) != 0, 0)) {
            code |= IS_WHOLE;
            distance = ptr;
            ptr = 0;
        }
        unsigned n1 = bytes_of(distance), n2 = bytes_of(t->size[i]), n3 = bytes_of(added);
        code |= n1 | n2 << 4 | n3 << 8;
        uint8_t *numbers = p + 2;
        if (__builtin_expect((op & ~(unsigned)HAKT_SHM_FREE) != 0 || align != 0, 0)) {
            code |= IS_OTHER;
            *numbers++ = (uint8_t)op;
            *numbers++ = (uint8_t)align;
        } else {
            code |= (unsigned)(op == HAKT_SHM_FREE) * IS_FREE;
        }
        p[0] = (uint8_t)code;
        p[1] = (uint8_t)(code >> 8);
        p = put_number(put_number(put_number(numbers, distance, n1), t->size[i], n2), added, n3);
    }
    q->write_ptr = ptr;
    q->write_time = time;
    return p;
}

int hakt_queue_reserve(struct hakt_queue *q, struct hakt_store *s) {
    struct hakt_segment *g = q->last, *more;
    if (g != NULL && g->used <= DATA_MAX)
        return 0;
    if ((g != NULL && s->bytes >= s->bytes_max) || (more = new_segment(s)) == NULL)
        return 1;
    if (g != NULL) {
        g->next = more;
    } else {
        q->first = more;
        q->read = more->data;
        q->read_ptr = q->write_ptr = q->read_time = q->write_time = 0;
    }
    q->last = more;
    return 0;
}

void hakt_queue_put(struct hakt_queue *q, struct hakt_taken *t) {
    struct hakt_segment *g = q->last;
    g->used = (uint32_t)(pack(q, g->data + g->used, t) - g->data);
    g->records += t->n - t->at;
    q->records += t->n - t->at;
    t->at = t->n = 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

static inline uint64_t get_number(const uint8_t **p, unsigned bytes) {
    uint64_t v;
    memcpy(&v, *p, 8);
    *p += bytes;
    return v & (~0ull >> (64 - 8 * bytes));
}

static const uint8_t *unpack(struct hakt_queue *q, const uint8_t *p, struct hakt_taken *t,
                             uint32_t n) {
    uint64_t ptr = q->read_ptr, time = q->read_time;
    for (uint32_t i = 0; i < n; i++) {
        unsigned code = p[0] | (unsigned)p[1] << 8;
        p += 2;
        t->op[i] = code & IS_FREE ? HAKT_SHM_FREE : HAKT_SHM_MALLOC;
        t->align[i] = 0;
        if (__builtin_expect(code & IS_OTHER, 0)) {
            t->op[i] = *p++;
            t->align[i] = *p++;
        }
        t->op[i] |= (uint8_t)((code / IS_STAMPED & 1) * HAKT_STAMPED);
        uint64_t distance = get_number(&p, LEN_PTR(code));
        t->size[i] = get_number(&p, LEN_SIZE(code));
        time += get_number(&p, LEN_TIME(code));
        ptr += (distance >> 1 ^ (0 - (distance & 1))) << 3;
        t->ptr[i] = ptr;
        t->time[i] = time;
        if (__builtin_expect(code & IS_WHOLE, 0)) {
            t->ptr[i] = distance;
            ptr = 0;
        }
    }
    q->read_ptr = ptr;
    q->read_time = time;
    return p;
}

void hakt_queue_take(struct hakt_queue *q, struct hakt_store *s, struct hakt_taken *t) {
    struct hakt_segment *g = q->first;
    t->at = t->n = 0;
    if (q->records == 0)
        return;
    t->n = g->records < HAKT_TAKEN_MAX ? g->records : HAKT_TAKEN_MAX;
    q->read = unpack(q, q->read, t, t->n);
    g->records -= t->n;
    q->records -= t->n;
    if (g->records > 0)
        return;
    q->first = g->next;
    give_back(s, g);
    if (q->first == NULL)
        q->last = NULL;
    else
        q->read = q->first->data;
}

void hakt_queue_clear(struct hakt_queue *q, struct hakt_store *s) {
    while (q->first != NULL) {
        struct hakt_segment *g = q->first;
        q->first = g->next;
        give_back(s, g);
    }
    *q = (struct hakt_queue){0};
}
