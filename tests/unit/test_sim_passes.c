/* Random traces: every policy gives the same figures by events and by a full run. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "sim/cost_model.h"
#include "sim/sim.h"
#include "tracer/format/trace.h"

static char path[64];

static uint32_t rnd(uint32_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 17;
    return *x ^= *x << 5;
}

/* What a random program does. */
struct shape {
    uint32_t seed, ops, slots, threads;
    uint32_t large_share; /* of 256 allocations, how many are above 64 KiB */
    int times;
};

struct program {
    struct hakt_writer *w;
    struct shape shape;
    uint64_t id[4096], now;
    uint32_t x;
};

static void put(struct program *p, struct hakt_rec r) {
    struct hakc_err err = {0};
    r.time = p->now;
    if (hakt_write(p->w, &r, &err) != 0)
        fail_msg("%s", err.msg);
}

static uint64_t random_size(struct program *p) {
    uint32_t r = rnd(&p->x);
    if (r % 256 < p->shape.large_share)
        return 65537 + rnd(&p->x) % 3000000;
    switch (r >> 8 & 7) {
    case 0:
        return rnd(&p->x) % 65536; /* medium ones, and 0 */
    case 1:
        return rnd(&p->x) % 9000;
    default:
        return rnd(&p->x) % 700;
    }
}

static void step(struct program *p) {
    uint32_t r = rnd(&p->x), thread = rnd(&p->x) % p->shape.threads;
    uint64_t *slot = &p->id[rnd(&p->x) % p->shape.slots];
    p->now += p->shape.times ? r % 1000 : 0;
    if (p->shape.times && r % 5000 == 7)
        p->now += (uint64_t)20 << 32; /* a long rest */
    if (r % 2000 == 11 && p->shape.threads > 1) {
        put(p, (struct hakt_rec){.op = HAKT_THREAD_END, .thread = thread});
    } else if (*slot == 0 || r % 8 == 0) {
        static const uint8_t ops[] = {HAKT_MALLOC, HAKT_MALLOC, HAKT_CALLOC, HAKT_MEMALIGN};
        uint8_t op = *slot != 0 ? HAKT_REALLOC : ops[r >> 4 & 3];
        struct hakt_rec rec = {.op = op, .thread = thread, .old_id = *slot};
        rec.size = random_size(p);
        rec.align_log2 = op == HAKT_MEMALIGN ? 4 + rnd(&p->x) % 14 : 0;
        if (r % 64 == 40) {
            rec.flags = HAKT_REC_FAILED;
        } else {
            rec.id = hakt_writer_next_id(p->w);
            *slot = rec.id;
        }
        put(p, rec);
    } else {
        put(p, (struct hakt_rec){.op = HAKT_FREE, .thread = thread, .old_id = *slot});
        *slot = 0;
    }
}

/* Swells and empties by turns, so that spans come and go. */
static void write_trace(const struct shape *shape) {
    static struct program p;
    struct hakt_info info = {.fidelity = HAKT_EXACT_SIZES | HAKT_EXACT_IDS | HAKT_HAS_THREADS,
                             .command = "",
                             .host = "",
                             .clock = "none",
                             .tool = "test",
                             .source = ""};
    struct hakc_err err = {0};
    memset(&p, 0, sizeof p);
    p.shape = *shape;
    p.x = shape->seed;
    info.fidelity |= shape->times ? HAKT_HAS_TIMES : 0;
    if (hakt_writer_open(&p.w, path, &info, 1, &err) != 0)
        fail_msg("%s", err.msg);
    for (uint32_t t = 0; t < shape->threads; t++)
        put(&p, (struct hakt_rec){.op = HAKT_THREAD_START, .thread = t});
    for (uint32_t i = 0; i < shape->ops; i++) {
        step(&p);
        if (i % (shape->ops / 4) == shape->ops / 4 - 1) { /* nearly all goes */
            for (uint32_t s = 0; s < shape->slots; s++) {
                if (p.id[s] == 0 || s % 97 == 0)
                    continue;
                put(&p, (struct hakt_rec){.op = HAKT_FREE, .old_id = p.id[s]});
                p.id[s] = 0;
            }
        }
    }
    assert_int_equal(hakt_writer_close(p.w, NULL, NULL, &err), 0);
}

static const char *const policies[] = {"never",
                                       "eager",
                                       "partial:3",
                                       "partial:40",
                                       "eager:how=free",
                                       "eager:how=unmap",
                                       "partial:7,how=unmap",
                                       "partial:5,how=free,min=128KiB",
                                       "decay:2ms",
                                       "decay:300us,how=unmap",
                                       "delay:1ms",
                                       "delay:50us,how=free",
                                       "demand:1ms",
                                       "demand:200us,max=1MiB,keep=256KiB",
                                       "bounce:3",
                                       "bounce:1,how=unmap,max=1MiB",
                                       "pressure:rss=2MiB",
                                       "rest:ms=1,keep=64KiB",
                                       "budget:pct=50,ms=1,keep=64KiB",
                                       "adapt:1ms,keep=64KiB",
                                       "decay:1ms,populate=1"};

/* The policy that moves placement: the stream is refused, and the full run maps what it unmapped.
 */
static void check_own_placement(const struct haks_stream *stream, const struct haks_pass *pass) {
    struct hakp_spec spec;
    struct haks_figures f;
    struct haks_pass full;
    struct hakc_err err = {0};
    assert_int_equal(hakp_parse("report-2025", &spec, NULL, 0), 0);
    assert_int_equal(haks_evaluate(stream, pass, &haks_costs_reference, &spec, &f, &err),
                     HAKC_EREFUSED);
    assert_non_null(strstr(err.msg, "full"));
    if (haks_full_run(path, &haks_costs_reference, &spec, &full, NULL, &err) != 0)
        fail_msg("%s", err.msg);
    assert_true(full.figures.calls[HAKS_RELEASE] > 20);
    assert_true(full.figures.calls[HAKS_MAP] <= full.figures.calls[HAKS_RELEASE]);
    assert_true(full.figures.calls[HAKS_POPULATE] >= full.figures.calls[HAKS_MAP]);
    assert_int_equal(full.figures.calls[HAKS_UNMAP], 0);
}

static void check_shape(const struct shape *shape, uint64_t *releases) {
    struct haks_pass pass, full;
    struct haks_stream *stream;
    struct hakc_err err = {0};
    write_trace(shape);
    if (haks_first_pass(path, &pass, &stream, NULL, &err) != 0)
        fail_msg("%s", err.msg);
    assert_true(pass.events > 0);
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        struct hakp_spec spec;
        struct haks_figures f;
        char buf[160];
        assert_int_equal(hakp_parse(policies[i], &spec, NULL, 0), 0);
        if (haks_evaluate(stream, &pass, &haks_costs_reference, &spec, &f, &err) != 0)
            fail_msg("%s: %s", policies[i], err.msg);
        if (haks_full_run(path, &haks_costs_reference, &spec, &full, NULL, &err) != 0)
            fail_msg("%s: %s", policies[i], err.msg);
        if (haks_figures_differ(&f, &full.figures, buf, sizeof buf) != NULL)
            fail_msg("seed %u, %s: %s", shape->seed, policies[i], buf);
        assert_int_equal(full.ops, pass.ops);
        if (spec.kind == HAKP_NEVER)
            assert_int_equal(haks_release_calls(&f), 0);
        *releases += haks_release_calls(&f);
    }
    check_own_placement(stream, &pass);
    haks_stream_close(stream);
}

static void test_events_equal_full(void **state) {
    (void)state;
    uint64_t releases = 0;
    for (uint32_t seed = 1; seed <= 2; seed++) {
        check_shape(&(struct shape){seed, 20000, 500, 1, 4, 1}, &releases);
        check_shape(&(struct shape){seed + 50, 20000, 3000, 6, 1, 0}, &releases);
        check_shape(&(struct shape){seed + 90, 12000, 60, 2, 128, 1}, &releases);
    }
    assert_true(releases > 1000); /* else the comparison says nothing */
}

/* Many policies on several threads: each as it would be alone; one that fails fails alone, and is
 * what the whole returns; nothing is begun after a stop. */
static void test_evaluate_all(void **state) {
    (void)state;
    enum { N = sizeof policies / sizeof policies[0] };
    struct hakp_spec spec[N + 1];
    struct haks_figures all[N + 1], one;
    struct haks_pass pass;
    struct haks_stream *stream;
    struct hakc_err err = {0};
    volatile int stop = 0;
    int rc[N + 1];
    char buf[160];
    write_trace(&(struct shape){7, 20000, 500, 2, 8, 1});
    assert_int_equal(haks_first_pass(path, &pass, &stream, NULL, &err), 0);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(hakp_parse(policies[i], &spec[i], NULL, 0), 0);
    for (unsigned jobs = 0; jobs <= 3; jobs++) {
        memset(all, 0xff, sizeof all);
        assert_int_equal(haks_evaluate_all(stream, &pass, &haks_costs_reference, spec, N, jobs, all,
                                           jobs == 1 ? NULL : rc, &stop, &err),
                         0);
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(
                haks_evaluate(stream, &pass, &haks_costs_reference, &spec[i], &one, &err), 0);
            if (haks_figures_differ(&one, &all[i], buf, sizeof buf) != NULL)
                fail_msg("%u jobs, %s: %s", jobs, policies[i], buf);
        }
    }
    spec[N] = spec[0];
    assert_int_equal(hakp_parse("report-2025", &spec[0], NULL, 0), 0);
    assert_int_equal(haks_evaluate_all(stream, &pass, &haks_costs_reference, spec, N + 1, 2, all,
                                       rc, &stop, &err),
                     HAKC_EREFUSED);
    assert_true(strstr(err.msg, "--mode=full") != NULL);
    assert_int_equal(rc[0], HAKC_EREFUSED);
    for (size_t i = 1; i <= N; i++)
        assert_int_equal(rc[i], 0);
    stop = 1;
    assert_int_equal(
        haks_evaluate_all(stream, &pass, &haks_costs_reference, spec, N, 2, all, rc, &stop, &err),
        HAKC_EINTERNAL);
    assert_int_equal(rc[N - 1], HAKC_EINTERNAL);
    haks_stream_close(stream);
}

static void test_no_ops(void **state) {
    (void)state;
    struct hakt_info info = {.command = "", .host = "", .clock = "", .tool = "", .source = ""};
    struct hakt_writer *w;
    struct haks_pass pass;
    struct haks_stream *stream;
    struct haks_figures f;
    struct hakp_spec spec = {.kind = HAKP_EAGER};
    assert_int_equal(hakt_writer_open(&w, path, &info, 1, NULL), 0);
    assert_int_equal(hakt_writer_close(w, NULL, NULL, NULL), 0);
    assert_int_equal(haks_first_pass(path, &pass, &stream, NULL, NULL), 0);
    assert_int_equal(pass.ops, 0);
    assert_int_equal(haks_evaluate(stream, &pass, &haks_costs_reference, &spec, &f, NULL), 0);
    assert_int_equal(f.faults, 0);
    assert_int_equal(f.mean_resident_bytes, 0);
    haks_stream_close(stream);
}

/* Release calls under eager of a trace in which thread 1 uses a block and ends, and thread 0 then
 * makes `ops_after` ops. */
static uint64_t releases_at_thread_end(unsigned ops_after) {
    struct hakt_info info = {.command = "", .host = "", .clock = "", .tool = "", .source = ""};
    struct hakt_rec recs[] = {{.op = HAKT_MALLOC, .id = 1, .size = 5000},
                              {.op = HAKT_MALLOC, .id = 2, .size = 5000, .thread = 1},
                              {.op = HAKT_FREE, .old_id = 2, .thread = 1},
                              {.op = HAKT_THREAD_END, .thread = 1},
                              {.op = HAKT_FREE, .old_id = 1}};
    struct hakp_spec spec = {.kind = HAKP_EAGER};
    struct haks_pass pass, full;
    struct haks_stream *stream;
    struct haks_figures f;
    struct hakt_writer *w;
    assert_int_equal(hakt_writer_open(&w, path, &info, 1, NULL), 0);
    for (unsigned i = 0; i < 4 + ops_after; i++)
        assert_int_equal(hakt_write(w, &recs[i], NULL), 0);
    assert_int_equal(hakt_writer_close(w, NULL, NULL, NULL), 0);
    assert_int_equal(haks_first_pass(path, &pass, &stream, NULL, NULL), 0);
    assert_int_equal(haks_evaluate(stream, &pass, &haks_costs_reference, &spec, &f, NULL), 0);
    assert_int_equal(haks_full_run(path, &haks_costs_reference, &spec, &full, NULL, NULL), 0);
    assert_null(haks_figures_differ(&f, &full.figures, (char[160]){0}, 160));
    haks_stream_close(stream);
    return haks_release_calls(&f);
}

/* A thread that ends hands its caches back; the end of the process does not. */
static void test_thread_end(void **state) {
    (void)state;
    assert_int_equal(releases_at_thread_end(1), 1);
    assert_int_equal(releases_at_thread_end(0), 0);
}

/* The trace names an object that is not live. */
static void test_contradiction(void **state) {
    (void)state;
    struct hakt_info info = {.command = "", .host = "", .clock = "", .tool = "", .source = ""};
    struct hakt_rec recs[] = {{.op = HAKT_MALLOC, .id = 1, .size = 10},
                              {.op = HAKT_FREE, .old_id = 1},
                              {.op = HAKT_FREE, .old_id = 1}};
    struct hakt_writer *w;
    struct haks_pass pass;
    struct haks_stream *stream;
    struct hakc_err err = {0};
    assert_int_equal(hakt_writer_open(&w, path, &info, 1, NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(hakt_write(w, &recs[i], NULL), 0);
    assert_int_equal(hakt_writer_close(w, NULL, NULL, NULL), 0);
    assert_int_equal(haks_first_pass(path, &pass, &stream, NULL, &err), HAKC_ECORRUPT);
    assert_null(stream);
    assert_non_null(strstr(err.msg, "record 2"));
    assert_string_equal(err.file, path);
}

static void test_stop(void **state) {
    (void)state;
    volatile int stop = 1;
    struct haks_pass pass;
    struct haks_stream *stream;
    struct hakc_err err = {0};
    write_trace(&(struct shape){1, 1000, 100, 1, 4, 1});
    assert_int_equal(haks_first_pass(path, &pass, &stream, &stop, &err), HAKC_EINTERNAL);
    assert_non_null(strstr(err.msg, "interrupted"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_equal_full),
        cmocka_unit_test(test_evaluate_all),
        cmocka_unit_test(test_no_ops),
        cmocka_unit_test(test_thread_end),
        cmocka_unit_test(test_contradiction),
        cmocka_unit_test(test_stop),
    };
    int rc, fd;
    strcpy(path, "/tmp/test_sim_passes.XXXXXX");
    fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return rc;
}
