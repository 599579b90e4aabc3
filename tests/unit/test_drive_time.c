/* The time pass's own code: of any stream, exactly its ops in order, with size, slot and touch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "replay/drive_time.h"

#define OPS   20000
#define SLOTS 97

/* What the driver did: for each call of the allocator the argument, and the cursor then. */
static struct call {
    uint64_t arg, cursor;
    int is_free;
} calls[OPS];
static size_t n_calls;
static struct hakr_shm_thread thread;
static char pages[3 * PAGE] __attribute__((aligned(PAGE)));
static size_t failing; /* every so many mallocs give NULL; 0 = none does */

/* Gives a block that ends with the page, so that one byte more lies in the next. */
static void *fake_malloc(size_t size) {
    assert_int_equal((uintptr_t)__builtin_frame_address(0) % 16, 0); /* the stack is aligned */
    assert_true(n_calls < OPS);
    calls[n_calls++] = (struct call){size, thread.cursor, 0};
    if (failing != 0 && n_calls % failing == 0)
        return NULL;
    return pages + (n_calls % 2 ? PAGE - size : PAGE + 1 - size);
}

static void fake_free(void *p) {
    assert_true(n_calls < OPS);
    calls[n_calls++] = (struct call){(uint64_t)(uintptr_t)p, thread.cursor, 1};
}

static uint64_t nulls, others;

static void fake_null(struct hakr_shm_thread *t) {
    assert_ptr_equal(t, &thread);
    nulls++;
}

static const uint64_t *fake_other(const struct hakr_drive *d, struct hakr_shm_thread *t, uint64_t x,
                                  const uint64_t *w, const uint64_t *words) {
    assert_null(d);
    assert_ptr_equal(t, &thread);
    assert_true(w > words && w[-1] == x);
    assert_int_equal(t->cursor, (uintptr_t)w);
    others++;
    return hakr_word_kind(x) == HAKR_END ? NULL : w;
}

static uint64_t seed_state;

static uint32_t rnd(uint32_t n) {
    seed_state = seed_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(seed_state >> 33) % n;
}

/* As the planner does. Returns how many simple ops there are. */
static uint64_t bundle(uint64_t *w, uint64_t n) {
    uint64_t simple = 0;
    for (uint64_t i = 0; i < n;) {
        unsigned pattern = 1, ops = 0;
        while (pattern < HAKR_PATTERN_FULL && hakr_simple_bit(w[i + ops]) >= 0)
            pattern = pattern << 1 | (unsigned)hakr_simple_bit(w[i + ops++]);
        if (ops != 0)
            w[i] |= hakr_bundle_field(pattern);
        simple += ops;
        i += ops != 0 ? ops : 1;
    }
    return simple;
}

/* A stream of n words, in which about one in `other` is no simple op. */
static uint64_t random_stream(uint64_t *w, uint64_t n, uint32_t other) {
    uint64_t simple = 0;
    for (uint64_t i = 0; i + 1 < n; i++) {
        uint64_t slot = (uint64_t)rnd(SLOTS) << 32;
        if (rnd(other) == 0) {
            w[i] = HAKR_CALLOC | slot;
            continue;
        }
        simple++;
        w[i] = rnd(2) == 0 ? HAKR_FREE | slot
                           : HAKR_MALLOC | (uint64_t)(1 + rnd(PAGE)) << HAKR_SIZE_SHIFT | slot;
    }
    w[n - 1] = HAKR_END;
    assert_int_equal(bundle(w, n), simple);
    return simple;
}

static void expect_calls(const uint64_t *w, uint64_t n, void **slots) {
    size_t k = 0, made = 0;
    for (uint64_t i = 0; i < n; i++) {
        unsigned kind = hakr_word_kind(w[i]);
        uint32_t slot = hakr_word_slot(w[i]);
        if (kind != HAKR_MALLOC && kind != HAKR_FREE)
            continue;
        const struct call *c = &calls[k++];
        assert_int_equal(c->is_free, kind == HAKR_FREE);
        assert_int_equal(c->cursor, (uintptr_t)(w + i + 1));
        if (kind == HAKR_FREE) {
            assert_int_equal(c->arg, (uintptr_t)slots[slot]);
            continue;
        }
        uint64_t size = hakr_word_size(w[i]);
        assert_int_equal(c->arg, size);
        made++;
        slots[slot] = failing != 0 && k % failing == 0
                          ? NULL
                          : pages + (k % 2 ? PAGE - size : PAGE + 1 - size);
    }
    assert_int_equal(k, n_calls);
    assert_true(made > 0);
}

static void run_random(hakr_time_code *code, uint32_t other) {
    uint64_t *w = calloc(OPS + HAKR_TAIL_WORDS, sizeof *w);
    void *slots[SLOTS] = {0}, *want[SLOTS] = {0};
    struct hakr_time_links links = {NULL, fake_other, fake_null, fake_malloc, fake_free};
    uint64_t simple = random_stream(w, OPS, other);
    n_calls = nulls = others = 0;
    code(slots, &thread, w, &links);
    assert_int_equal(n_calls, simple);
    assert_int_equal(others, OPS - simple);
    expect_calls(w, OPS, want);
    assert_memory_equal(slots, want, sizeof slots);
    free(w);
}

static void test_random(void **state) {
    (void)state;
    static const uint32_t others_in[] = {2, 5, 12, 100, OPS * 10};
    for (size_t i = 0; i < sizeof others_in / sizeof *others_in; i++)
        for (int far = 0; far < 2; far++) {
            seed_state = i + 1;
            failing = 0;
            run_random(far ? hakr_time_far : hakr_time_near, others_in[i]);
            assert_int_equal(nulls, 0);
            failing = 5;
            run_random(far ? hakr_time_far : hakr_time_near, others_in[i]);
            assert_true(nulls > 0);
        }
    failing = 0;
}

/* A block's first byte is written, and the first of its second page if it reaches that: no other.
 */
static void test_touch(void **state) {
    (void)state;
    void *slots[1];
    struct hakr_time_links links = {NULL, fake_other, fake_null, fake_malloc, fake_free};
    for (uint64_t size = 1; size <= PAGE; size += 15) {
        uint64_t w[2 + HAKR_TAIL_WORDS] = {HAKR_MALLOC | size << HAKR_SIZE_SHIFT, HAKR_END};
        bundle(w, 2);
        for (size_t crosses = 0; crosses < 2; crosses++) {
            memset(pages, 0, sizeof pages);
            n_calls = crosses;
            hakr_time_near(slots, &thread, w, &links);
            uint64_t first = PAGE + crosses - size;
            for (uint64_t i = 0; i < sizeof pages; i++)
                assert_int_equal(pages[i], i == first || (crosses && i == PAGE));
        }
    }
}

static void expect_aligned(const struct hakr_time_site *s, const struct hakr_time_site *end) {
    assert_true(s < end);
    for (; s < end; s++)
        assert_int_equal((s->at + 5) % 32, 0);
}

/* Every call of the allocator ends where 32 bytes begin, which it costs less to return to. */
static void test_aligned(void **state) {
    (void)state;
    expect_aligned(hakr_time_near_sites, hakr_time_near_sites_end);
    expect_aligned(hakr_time_far_sites, hakr_time_far_sites_end);
    assert_int_equal((uintptr_t)hakr_time_near % 64, 0);
    assert_int_equal((uintptr_t)hakr_time_far % 64, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aligned),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_touch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
