/* Policies as strings: names, parameters, the canonical string, messages. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/policy_host.h"

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
        {"decay", "decay:ms=1000"},
        {"decay:10", "decay:ms=10"},
        {"decay:10ms,how=unmap", "decay:ms=10,how=unmap"},
        {"decay:ms=2s,keep=1MiB,max=8M", "decay:ms=2000,max=8MiB,keep=1MiB"},
        {"delay:1500us", "delay:ms=1500us"},
        {"delay:3000us,max=1K", "delay:ms=3,max=1KiB"},
        {"delay:1001ns", "delay:ms=1001ns"},
        {"demand:2m", "demand:ms=120000"},
        {"demand:ms=1h,min=1M", "demand:ms=3600000,min=1MiB"},
        {"bounce", "bounce:n=4"},
        {"bounce:7,max=3MiB", "bounce:n=7,max=3MiB"},
        {"report-2025", "report-2025"},
        {"pressure", "pressure:pct=80"},
        {"pressure:90,stall=0,ms=1s,rss=1GiB,huge=8MiB",
         "pressure:pct=90,stall=0,ms=1000,rss=1GiB,huge=8MiB"},
        {"eager:populate=0", "eager"},
        {"adapt", "adapt:ms=300"},
        {"adapt:200,keep=2MiB", "adapt:ms=200,keep=2MiB"},
        {"rest", "rest:ms=10"},
        {"budget", "budget:pct=2"},
        {"budget:3,ms=50,keep=256KiB,huge=1MiB", "budget:pct=3,ms=50,huge=1MiB"},
        {"eager:populate=1", "eager:populate=1"},
        {"report-2025:how=unmap", "report-2025"},
        {"report-2025:how=dontneed", "report-2025:how=dontneed"},
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
        assert_int_equal(a.ns, b.ns);
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
        {"decay:0", "\"0\""},
        {"decay:999ns", "\"999ns\""},
        {"decay:1.5ms", "\"1.5ms\""},
        {"decay:10 ms", "\"10 ms\""},
        {"decay:ms=3d", "\"3d\""},
        {"decay:n=3", "\"n\""},
        {"delay:keep=1MiB", "\"keep\""},
        {"delay:99999999999h", "\"99999999999h\""},
        {"delay:700000h", "\"700000h\""},
        {"bounce:keep=1MiB", "\"keep\""},
        {"bounce:4294967296", "\"4294967296\""},
        {"bounce:1s", "\"1s\""},
        {"report-2025:3", "\"3\""},
        {"pressure:101", "\"101\""},
        {"pressure:0", "\"0\""},
        {"budget:101", "\"101\""},
        {"budget:10ms", "\"10ms\""},
        {"pressure:stall=101", "\"101\""},
        {"never:huge=two", "\"two\""},
        {"never:rss=1MiB", "\"rss\""},
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_format_truncates),
        cmocka_unit_test(test_rejects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
