#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>
#include "common/err.h"

static void test_fill(void **state) {
    (void)state;
    struct hakc_err e;
    memset(&e, 0x55, sizeof(e));
    assert_int_equal(hakc_fail(&e, HAKC_EUSAGE, "option %s", "--x"), HAKC_EUSAGE);
    assert_int_equal(e.code, HAKC_EUSAGE);
    assert_int_equal(e.sys_errno, 0);
    assert_int_equal(e.has_offset, 0);
    assert_string_equal(e.msg, "option --x");
    assert_string_equal(e.file, "");
    assert_int_equal(hakc_fail_at(&e, HAKC_ECORRUPT, "t.zst", 1ull << 40, "bad"), HAKC_ECORRUPT);
    assert_int_equal(e.offset, 1ull << 40);
    assert_int_equal(e.has_offset, 1);
    assert_string_equal(e.file, "t.zst");
    errno = ENOSPC;
    assert_int_equal(hakc_fail_errno(&e, HAKC_EIO, "cannot write"), HAKC_EIO);
    assert_int_equal(e.sys_errno, ENOSPC);
    assert_int_equal(errno, ENOSPC);
    assert_string_equal(e.msg, "cannot write: No space left on device");
    assert_int_equal(hakc_fail(NULL, HAKC_EIO, "x"), HAKC_EIO);
}

static void test_long_text_is_cut(void **state) {
    (void)state;
    struct hakc_err e;
    char longer[2000];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    errno = EIO;
    hakc_fail_errno(&e, HAKC_EIO, "%s", longer);
    assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
    hakc_fail_at(&e, HAKC_EIO, longer, 1, "%s", longer);
    assert_int_equal(strlen(e.file), sizeof(e.file) - 1);
}

static void test_exit_codes(void **state) {
    (void)state;
    assert_int_equal(hakc_exit_code(HAKC_OK), 0);
    assert_int_equal(hakc_exit_code(HAKC_EUSAGE), 2);
    assert_int_equal(hakc_exit_code(HAKC_ECORRUPT), 4);
    assert_int_equal(hakc_exit_code(HAKC_ETRUNCATED), 4);
    assert_int_equal(hakc_exit_code(HAKC_EIO), 1);
    assert_int_equal(hakc_exit_code(HAKC_EINTERNAL), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_long_text_is_cut),
        cmocka_unit_test(test_exit_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
