#include "tracer/format/encode.h"

/* A varint below 2^14; p has room for two bytes. */
static inline uint8_t *put_short(uint8_t *p, uint64_t v) {
    unsigned two = v >= 0x80;
    p[0] = (uint8_t)((v & 0x7f) | two << 7);
    p[1] = (uint8_t)(v >> 7);
    return p + 1 + two;
}

/*
 * Which of a program's next ops is a malloc and which a free, no CPU foresees. So a record takes
 * the same path here whichever it is: it writes a value into the size column and one into the own
 * column, and moves on in one of them. The columns have room for a value more than they may hold.
 * What is chosen is chosen by masks, which a compiler does not make branches of.
 *
 * The state of the run stands in locals, which a store of a byte cannot change.
 */
__attribute__((always_inline)) static inline void
add_run(struct hakt_encoder *e, const struct hakt_plain_rec *recs, size_t n, int alone) {
    struct hakt_enc_part *t = e->part;
    uint8_t *op = t->op + t->records, *size_end = t->size_end, *own_end = t->own_end;
    uint8_t *far_end = e->far_end, *at_end = e->at_end;
    uint64_t time = e->time, next_id = e->next_id, first_id = e->first_id;
    uint32_t allocs = t->allocs, current = e->current;
    for (size_t i = 0; i < n; i++) {
        const struct hakt_plain_rec *r = &recs[i];
        uint64_t is_free = r->is_free, frees = 0 - is_free, back = next_id - r->id, own = back;
        uint64_t here = frees & (0 - (uint64_t)(r->id >= first_id));
        if (!alone) {
            struct hakt_enc_birth b = e->births[(r->id - first_id) & here];
            here &= 0 - (uint64_t)(b.thread == current);
            own = allocs - b.nth;
            e->births[next_id - first_id] = (struct hakt_enc_birth){current, allocs};
        }
        uint64_t size = (r->size + 1) & ~frees, since = r->time - time;
        own &= here;
        time = r->time;
        op[i] = (uint8_t)(HAKT_FREE & frees);
        if (__builtin_expect((size | own | since) < 1u << 14, 1)) {
            at_end = put_short(at_end, since);
            size_end += (size_t)(put_short(size_end, size) - size_end) & ~frees;
            own_end += (size_t)(put_short(own_end, own) - own_end) & frees;
        } else {
            at_end = hakt_put_varint(at_end, since);
            size_end += (size_t)(hakt_put_varint(size_end, size) - size_end) & ~frees;
            own_end += (size_t)(hakt_put_varint(own_end, own) - own_end) & frees;
        }
        if (__builtin_expect((frees & ~here) != 0, 0))
            far_end = hakt_put_varint(far_end, r->id == 0 ? 0 : back);
        next_id += 1 - is_free;
        allocs += 1 - (uint32_t)is_free;
    }
    t->records += (uint32_t)n;
    t->allocs = allocs;
    t->size_end = size_end;
    t->own_end = own_end;
    e->far_end = far_end;
    e->at_end = at_end;
    e->time = time;
    e->next_id = next_id;
    e->run += (uint32_t)n;
    e->n += (uint32_t)n;
}

int hakt_encoder_add_plain(struct hakt_encoder *e, const struct hakt_plain_rec *recs, size_t n) {
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && recs[end].thread == recs[i].thread; end++)
            continue;
        if (hakt_encoder_begin_run(e, recs[i].thread, (uint32_t)(end - i), recs[i].time) != 0)
            return HAKC_ENOMEM;
        if (e->npresent == 1)
            add_run(e, recs + i, end - i, 1);
        else
            add_run(e, recs + i, end - i, 0);
    }
    return 0;
}
