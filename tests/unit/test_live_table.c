/* The collector's table of live objects, held against an array that says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "tracer/live_table.h"

#define PLACES 60000u

struct object {
    uint64_t id, size; /* id 0 = none */
};

static uint64_t next_random(uint64_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Sizes around the bound from which they stand apart, and small ones. */
static uint64_t some_size(uint64_t r) {
    static const uint64_t edges[] = {0, HAKT_LIVE_SIZE_MAX - 1, HAKT_LIVE_SIZE_MAX,
                                     HAKT_LIVE_SIZE_MAX + 1, UINT64_MAX - 1};
    return r % 8 < 5 ? edges[r % 8] : r >> 8 & 0xfff;
}

/* By the quick way, if that will have it, or by the full one. */
static int add(struct hakt_live *t, uint64_t addr, struct object o, unsigned quick,
               uint64_t *done) {
    uint64_t id = o.id, size = o.size;
    if (quick && hakt_live_quick(t, addr, 0, &id, &size)) {
        assert_true(id == o.id && size == o.size);
        ++*done;
        return t->count >= t->grow_at ? hakt_live_grow(t) : 0;
    }
    return hakt_live_add(t, addr, o.id, o.size);
}

static int take(struct hakt_live *t, uint64_t addr, uint64_t *id, uint64_t *size, unsigned quick,
                uint64_t *done) {
    if (quick && hakt_live_quick(t, addr, 1, id, size)) {
        ++*done;
        return 1;
    }
    return hakt_live_take(t, addr, id, size);
}

static void check_against_model(uint64_t first, uint64_t step, unsigned seed) {
    struct hakt_live t;
    struct object *model = calloc(PLACES, sizeof(*model));
    uint64_t x = seed, id = 0, size = 0, live = 0, added = 0, taken = 0;
    assert_non_null(model);
    assert_int_equal(hakt_live_init(&t), 0);
    for (uint64_t i = 1; i < 600000; i++) {
        uint64_t r = next_random(&x);
        struct object *m = &model[r % PLACES];
        uint64_t addr = first + r % PLACES * step;
        /* mostly allocations first, so that the table grows; mostly frees at the end */
        if ((r >> 32) % 100 < (i < 300000 ? 70 : 30)) {
            struct object o = {i, some_size(r >> 16)};
            assert_int_equal(add(&t, addr, o, r >> 60 & 1, &added), m->id != 0);
            live += m->id == 0;
            *m = m->id == 0 ? o : *m;
        } else {
            assert_int_equal(take(&t, addr, &id, &size, r >> 60 & 1, &taken), m->id != 0);
            if (m->id != 0) {
                assert_int_equal(id, m->id);
                assert_true(size == m->size);
                m->id = 0;
                live--;
            }
        }
        assert_int_equal(t.count, live);
    }
    for (uint64_t k = 0; k < PLACES; k++) {
        assert_int_equal(hakt_live_take(&t, first + k * step, &id, &size), model[k].id != 0);
        assert_true(model[k].id == 0 || (id == model[k].id && size == model[k].size));
    }
    assert_true(added > 100 && taken > 100);
    assert_int_equal(t.count, 0);
    assert_int_equal(hakc_map_count(&t.large), 0);
    hakt_live_fini(&t);
    free(model);
}

static void dense_tiny_objects(void **state) {
    (void)state;
    check_against_model(0x7f0000000010, 16, 1);
    check_against_model(0x1001, 1, 2);
}

static void neighbours_and_pages(void **state) {
    (void)state;
    check_against_model(0x555500000010, 112, 3);
    check_against_model(0x7f0000000010, 4096, 4);
    check_against_model(0xff000000000000, 1u << 21, 5);
}

static void too_many_allocations_is_said(void **state) {
    struct hakt_live t;
    uint64_t id = 0, size = 0;
    (void)state;
    assert_int_equal(hakt_live_init(&t), 0);
    assert_int_equal(hakt_live_add(&t, 64, HAKT_LIVE_ID_LIMIT - 1, 7), 0);
    assert_int_equal(hakt_live_add(&t, 128, HAKT_LIVE_ID_LIMIT, 7), HAKC_EUNSUPPORTED);
    assert_int_equal(hakt_live_take(&t, 128, &id, &size), 0);
    assert_int_equal(hakt_live_take(&t, 0, &id, &size), 0);
    assert_int_equal(hakt_live_take(&t, 64, &id, &size), 1);
    assert_true(id == HAKT_LIVE_ID_LIMIT - 1 && size == 7);
    hakt_live_fini(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_tiny_objects),
        cmocka_unit_test(neighbours_and_pages),
        cmocka_unit_test(too_many_allocations_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
