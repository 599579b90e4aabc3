#include "tracer/format/encode.h"

/*
 * Which of a program's next ops is a malloc and which a free, no CPU foresees. So a record takes
 * the same path here whichever it is: it writes a value into the size column and one into the own
 * column, and moves on in one of them. The columns have room for a value more than they may hold.
 *
 * The state of the run stands in locals, which a store of a byte cannot change.
 */
static void add_run(struct hakt_encoder *e, const struct hakt_plain_rec *recs, size_t n) {
    struct hakt_enc_part *t = e->part;
    uint8_t *op = t->op + t->records, *size_end = t->size_end, *own_end = t->own_end;
    uint8_t *far_end = e->far_end, *at_end = e->at_end;
    uint64_t time = e->time, next_id = e->next_id, first_id = e->first_id;
    uint32_t allocs = t->allocs, current = e->current;
    int alone = e->npresent == 1;
    for (size_t i = 0; i < n; i++) {
        const struct hakt_plain_rec *r = &recs[i];
        unsigned is_free = r->is_free;
        uint64_t back = next_id - r->id, own = allocs - (r->id - first_id);
        int here = is_free & (r->id >= first_id);
        if (!alone) {
            struct hakt_enc_birth b = e->births[here ? r->id - first_id : 0];
            here &= b.thread == current;
            own = allocs - b.nth;
            e->births[next_id - first_id] = (struct hakt_enc_birth){current, allocs};
        }
        own = here ? own : 0;
        op[i] = (uint8_t)(is_free ? HAKT_FREE : HAKT_MALLOC);
        at_end = hakt_put_varint(at_end, r->time - time);
        time = r->time;
        uint8_t *size_next = hakt_put_varint(size_end, is_free ? 0 : r->size + 1);
        uint8_t *own_next = hakt_put_varint(own_end, own);
        size_end = is_free ? size_end : size_next;
        own_end = is_free ? own_next : own_end;
        if (__builtin_expect(is_free & !here, 0))
            far_end = hakt_put_varint(far_end, r->id == 0 ? 0 : back);
        next_id += !is_free;
        allocs += !is_free;
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
        add_run(e, recs + i, end - i);
    }
    return 0;
}
