#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/cmdline.h"

static char *join(int n, const char *const *words) {
    return hakc_cmdline(n, (char *const *)(uintptr_t)words);
}

static void plain_words_stay(void **state) {
    const char *const words[] = {"hakreplay", "/tmp/t.zst", "--alloc=libc,x=/a/b.so", "-r", "3"};
    char *text = join(5, words);
    (void)state;
    assert_string_equal(text, "hakreplay /tmp/t.zst --alloc=libc,x=/a/b.so -r 3");
    free(text);
    text = join(0, words);
    assert_string_equal(text, "");
    free(text);
}

/* What a shell makes of the text is what went in. */
static void a_shell_gives_the_words_back(void **state) {
    const char *const words[] = {"printf", "%s|", "my trace.zst",    "A=1;B=2",    "it's",
                                 "",       "'",   "$HOME `x` \"q\"", "two\nlines", "*",
                                 "=ls",    "~",   "\xff!#"};
    const char *want = "my trace.zst|A=1;B=2|it's||'|$HOME `x` \"q\"|two\nlines|*|=ls|~|\xff!#|";
    char got[256] = "";
    (void)state;
    char *text = join(sizeof words / sizeof *words, words);
    FILE *f = popen(text, "r");
    assert_non_null(f);
    got[fread(got, 1, sizeof got - 1, f)] = '\0';
    assert_int_equal(pclose(f), 0);
    assert_string_equal(got, want);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_words_stay),
        cmocka_unit_test(a_shell_gives_the_words_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
