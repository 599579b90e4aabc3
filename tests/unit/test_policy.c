/* The policies under a false clock: strings, and tables of events to targets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "alloc/policy/policy.h"

static struct hakp_spec parsed(const char *text) {
    struct hakp_spec spec;
    char why[200] = "";
    if (hakp_parse(text, &spec, why, sizeof why) != 0)
        fail_msg("%s: %s", text, why);
    return spec;
}

static void test_names(void **state) {
    (void)state;
    unsigned n = 0;
    for (; hakp_name(n) != NULL; n++) {
        struct hakp_spec spec = parsed(hakp_name(n));
        assert_int_equal(spec.kind, n);
        assert_non_null(hakp_help(n));
    }
    assert_int_equal(n, HAKP_KIND_COUNT);
    assert_null(hakp_help(n));
}

static void test_canonical(void **state) {
    (void)state;
    static const struct {
        const char *text, *canonical;
    } cases[] = {
        {"eager", "eager"},
        {"never", "never"},
        {"partial", "partial:n=100"},
        {"partial:100", "partial:n=100"},
        {"partial:n=7", "partial:n=7"},
        {"partial:7,how=free", "partial:n=7,how=free"},
        {"partial:how=free,max=8192K,n=7", "partial:n=7,max=8MiB,how=free"},
        {"partial:max=0", "partial:n=100"},
        {"partial:keep=1M,max=2M", "partial:n=100,max=2MiB,keep=1MiB"},
        {"partial:how=unmap,n=4294967295", "partial:n=4294967295,how=unmap"},
        {"eager:how=dontneed", "eager"},
        {"eager:min=65536", "eager:min=64KiB"},
        {"eager:min=64K,how=free", "eager:how=free,min=64KiB"},
        {"eager:min=0", "eager"},
        {"never:min=1GB", "never:min=1000000000B"},
        {"never:min=3M", "never:min=3MiB"},
        {"never:min=2048G", "never:min=2048GiB"},
        {"never:min=5kB", "never:min=5000B"},
        {"eager:min=18446744073709551615B", "eager:min=18446744073709551615B"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100], again[100];
        struct hakp_spec a = parsed(cases[i].text), b;
        assert_int_equal(hakp_format(&a, text, sizeof text), strlen(cases[i].canonical));
        assert_string_equal(text, cases[i].canonical);
        b = parsed(text);
        assert_int_equal(a.kind, b.kind);
        assert_int_equal(a.how, b.how);
        assert_int_equal(a.n, b.n);
        assert_int_equal(a.min_bytes, b.min_bytes);
        assert_int_equal(a.max_bytes, b.max_bytes);
        assert_int_equal(a.keep_bytes, b.keep_bytes);
        hakp_format(&b, again, sizeof again);
        assert_string_equal(again, text);
    }
}

static void test_format_truncates(void **state) {
    (void)state;
    struct hakp_spec spec = parsed("partial:100,how=free");
    char buf[9] = "????????";
    assert_int_equal(hakp_format(&spec, buf, 8), 22);
    assert_string_equal(buf, "partial");
    assert_int_equal(buf[8], '\0');
    assert_int_equal(hakp_format(&spec, NULL, 0), 22);
}

static void test_rejects(void **state) {
    (void)state;
    static const struct {
        const char *text, *names; /* names: what the sentence must point at */
    } cases[] = {
        {"", "\"\""},
        {"eagre", "\"eagre\""},
        {"Eager", "\"Eager\""},
        {"eager ", "\"eager \""},
        {"eager:", "\"eager:\""},
        {"eager:100", "\"100\""},
        {"eager:n=1", "\"n\""},
        {"partial:", "\"partial:\""},
        {"partial:0", "\"0\""},
        {"partial:-1", "\"-1\""},
        {"partial:1.5", "\"1.5\""},
        {"partial:4294967296", "\"4294967296\""},
        {"partial:99999999999999999999", "\"99999999999999999999\""},
        {"partial:n=", "\"\""},
        {"partial:10,20", "\"20\""},
        {"partial:10,n=20", "\"n\""},
        {"partial:n=10,", "\"partial:n=10,\""},
        {"partial:n=10,,how=free", "\"partial:n=10,\""},
        {"partial:how=later", "\"later\""},
        {"partial:max=1MiB,max=2MiB", "\"max\""},
        {"partial:max=much", "\"much\""},
        {"eager:max=1MiB", "\"max\""},
        {"partial:how=free,how=free", "\"how\""},
        {"partial:min=64Kib", "\"64Kib\""},
        {"partial:min=64 KiB", "\"64 KiB\""},
        {"partial:min=-1", "\"-1\""},
        {"partial:min=18446744073709551615K", "\"18446744073709551615K\""},
        {"partial:=3", "\"\""},
        {"partial:ms=3", "\"ms\""},
        {"partial:n=3=4", "\"3=4\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hakp_spec spec, before;
        char why[200] = "", tiny[6];
        memset(&spec, 0x5a, sizeof spec);
        before = spec;
        if (hakp_parse(cases[i].text, &spec, why, sizeof why) != -1)
            fail_msg("accepted: %s", cases[i].text);
        if (strstr(why, cases[i].names) == NULL)
            fail_msg("%s: \"%s\" does not name %s", cases[i].text, why, cases[i].names);
        assert_memory_equal(&spec, &before, sizeof spec);
        assert_int_equal(hakp_parse(cases[i].text, &spec, tiny, sizeof tiny), -1);
        assert_true(strlen(tiny) < sizeof tiny);
        assert_int_equal(hakp_parse(cases[i].text, &spec, NULL, 0), -1);
    }
}

/* ---- events to targets ---------------------------------------------------------------------- */

#define ALL UINT64_MAX

struct step {
    enum hakp_event_kind kind;
    uint64_t dirty_spans; /* after the event, before the target is carried out */
    uint64_t keep;
};

static void run_steps(const char *text, const struct step *steps, size_t n) {
    struct hakp_spec spec = parsed(text);
    struct hakp_policy p;
    struct hakp_target t;
    hakp_init(&p, &spec);
    for (size_t i = 0; i < n; i++) {
        struct hakp_event ev = {.kind = steps[i].kind,
                                .now_ns = i * 1000,
                                .span_pages = 16,
                                .dirty_pages = steps[i].dirty_spans * 16,
                                .dirty_spans = steps[i].dirty_spans,
                                .active_pages = 1000,
                                .page_size = 4096};
        memset(&t, 0x5a, sizeof t);
        hakp_event(&p, &ev, &t);
        if (t.keep_pages != steps[i].keep)
            fail_msg("%s, step %zu: keeps %llu pages", text, i, (unsigned long long)t.keep_pages);
        assert_int_equal(t.how, spec.how);
        assert_int_equal(t.max_age_ns, ALL);
        assert_int_equal(t.next_tick_ns, ALL);
        assert_int_equal(t.cache_bytes, ALL);
        assert_false(t.populate);
        assert_false(t.huge_pages);
    }
}
#define RUN(text, steps) run_steps(text, steps, sizeof steps / sizeof steps[0])

static void test_eager(void **state) {
    (void)state;
    static const struct step steps[] = {
        {HAKP_EV_DIRTY, 1, 0},    {HAKP_EV_REUSED, 0, 0}, {HAKP_EV_TICK, 0, 0},
        {HAKP_EV_PRESSURE, 5, 0}, {HAKP_EV_OOM, 5, 0},    {HAKP_EV_THREAD_EXIT, 5, 0},
        {HAKP_EV_TRIM, 5, 0},
    };
    RUN("eager", steps);
    RUN("eager:how=unmap", steps);
}

static void test_never(void **state) {
    (void)state;
    static const struct step steps[] = {
        {HAKP_EV_DIRTY, 1000000, ALL},    {HAKP_EV_REUSED, 999999, ALL}, {HAKP_EV_TICK, 9999, ALL},
        {HAKP_EV_PRESSURE, 9999, ALL},    {HAKP_EV_OOM, 9999, 0},        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_THREAD_EXIT, 9999, ALL}, {HAKP_EV_TRIM, 9999, 0},       {HAKP_EV_DIRTY, 1, ALL},
    };
    RUN("never", steps);
    RUN("never:how=free", steps);
}

static void test_partial(void **state) {
    (void)state;
    static const struct step steps[] = {
        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_DIRTY, 2, ALL},
        {HAKP_EV_REUSED, 1, ALL},
        {HAKP_EV_DIRTY, 2, ALL}, /* three became dirty, but only two are there */
        {HAKP_EV_TICK, 2, ALL},
        {HAKP_EV_THREAD_EXIT, 2, ALL},
        {HAKP_EV_DIRTY, 3, 0},
        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_PRESSURE, 1, 0},
        {HAKP_EV_DIRTY, 1, ALL},
        {HAKP_EV_DIRTY, 2, ALL},
        {HAKP_EV_DIRTY, 3, 0},
        /* the release failed: the next round waits for three more, not for one */
        {HAKP_EV_DIRTY, 4, ALL},
        {HAKP_EV_DIRTY, 5, ALL},
        {HAKP_EV_DIRTY, 6, 0},
        {HAKP_EV_TRIM, 1, 0},
        {HAKP_EV_OOM, 1, 0},
        {HAKP_EV_REUSED, 0, ALL},
    };
    static const struct step ones[] = {
        {HAKP_EV_DIRTY, 1, 0}, {HAKP_EV_REUSED, 0, ALL}, {HAKP_EV_DIRTY, 1, 0}};
    static const struct step bytes[] = {
        {HAKP_EV_DIRTY, 1, ALL}, /* 16 pages: exactly 64 KiB */
        {HAKP_EV_DIRTY, 1, ALL}, /* 32 became dirty, but only 16 are there */
        {HAKP_EV_DIRTY, 2, 0},   {HAKP_EV_DIRTY, 3, ALL}, /* the release failed */
        {HAKP_EV_DIRTY, 4, 0},
    };
    static const struct step kept[] = {{HAKP_EV_DIRTY, 1, ALL},
                                       {HAKP_EV_DIRTY, 2, 2}, /* 8 KiB stay */
                                       {HAKP_EV_PRESSURE, 2, 2},
                                       {HAKP_EV_TRIM, 2, 0}};
    RUN("partial:n=1000,max=64KiB", bytes);
    RUN("partial:n=2,keep=8KiB", kept);
    RUN("partial:3", steps);
    RUN("partial:3,how=unmap,min=1MiB", steps);
    RUN("partial:1", ones);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_rejects), cmocka_unit_test(test_format_truncates),
        cmocka_unit_test(test_eager),   cmocka_unit_test(test_never),
        cmocka_unit_test(test_partial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
