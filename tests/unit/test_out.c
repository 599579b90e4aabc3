/* The emitter: the exact text of each format, hostile strings, failures. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/out.h"

static const struct hakc_col cols[] = {
    {"name", NULL, HAKC_COL_STR, 0},          {"n", "count", HAKC_COL_INT, 0},
    {"t_ns", "median", HAKC_COL_DURATION, 0}, {"b_bytes", "peak", HAKC_COL_BYTES, 0},
    {"r", "ratio", HAKC_COL_FLOAT, 2},
};

/* A document with everything in it. */
static void write_document(struct hakc_out *o) {
    hakc_out_str(o, "title", "Title", "two words");
    hakc_out_bytes(o, "mem_bytes", "memory", 1536);
    hakc_out_section(o, "sec", "Section");
    hakc_out_null(o, "gone", "not there");
    hakc_out_bool(o, "yes", NULL, 2);
    hakc_out_section_end(o);
    hakc_out_list(o, "rows", "Rows", cols, 5);
    hakc_out_row(o);
    hakc_out_cell_str(o, "a,\"b\"");
    hakc_out_cell_uint(o, UINT64_MAX);
    hakc_out_cell_uint(o, 1500000);
    hakc_out_cell_uint(o, 2048);
    hakc_out_cell_float(o, 0.125);
    hakc_out_row(o);
    hakc_out_cell_str(o, NULL);
    hakc_out_cell_int(o, -1);
    hakc_out_cell_float(o, 2500000.5);
    hakc_out_cell_null(o);
    hakc_out_cell_float(o, NAN); /* the last cell's null and a missing cell look the same */
    hakc_out_list_end(o);
    hakc_out_note(o, "%d of %d", 1, 2);
}

static char *render(enum hakc_out_format format, void (*write)(struct hakc_out *), int want) {
    char *text;
    size_t len;
    struct hakc_out *o;
    struct hakc_err err;
    FILE *f = open_memstream(&text, &len);
    assert_int_equal(hakc_out_open(&o, f, format, 7, &err), 0);
    write(o);
    assert_int_equal(hakc_out_close(o, &err), want);
    fclose(f);
    return text;
}

static void test_table(void **state) {
    (void)state;
    char *t = render(HAKC_OUT_TABLE, write_document, 0);
    assert_string_equal(t, "Title   two words\n"
                           "memory  1.50 KiB\n"
                           "\n"
                           "Section\n"
                           "  not there  –\n"
                           "  yes        yes\n"
                           "\n"
                           "Rows\n"
                           "name                  count  median [ms]  peak [KiB]  ratio\n"
                           "a,\"b\"  18446744073709551615         1.50        2.00   0.12\n"
                           "–                        -1         2.50           –      –\n"
                           "\n"
                           "1 of 2\n");
    free(t);
}

static void test_json(void **state) {
    (void)state;
    char *t = render(HAKC_OUT_JSON, write_document, 0);
    assert_string_equal(
        t, "{\n"
           "  \"schema_version\": 7,\n"
           "  \"title\": \"two words\",\n"
           "  \"mem_bytes\": 1536,\n"
           "  \"sec\": {\n"
           "    \"gone\": null,\n"
           "    \"yes\": true\n"
           "  },\n"
           "  \"rows\": [\n"
           "    {\"name\": \"a,\\\"b\\\"\", \"n\": 18446744073709551615, \"t_ns\": 1500000, "
           "\"b_bytes\": 2048, \"r\": 0.125},\n"
           "    {\"name\": null, \"n\": -1, \"t_ns\": 2500000.5, \"b_bytes\": null, \"r\": null}\n"
           "  ],\n"
           "  \"notes\": [\"1 of 2\"]\n"
           "}\n");
    free(t);
}

static void write_keys(struct hakc_out *o) {
    hakc_out_str(o, "a", NULL, "x\ny");
    hakc_out_section(o, "s", NULL);
    hakc_out_float(o, "f", NULL, 0.1, 3);
    hakc_out_section_end(o);
    hakc_out_null(o, "gone", NULL);
    hakc_out_note(o, "hm");
}

static void test_csv(void **state) {
    (void)state;
    char *t = render(HAKC_OUT_CSV, write_document, 0);
    assert_string_equal(t, "name,n,t_ns,b_bytes,r\n"
                           "\"a,\"\"b\"\"\",18446744073709551615,1500000,2048,0.125\n"
                           ",-1,2500000.5,,\n");
    free(t);
    t = render(HAKC_OUT_CSV, write_keys, 0);
    assert_string_equal(t, "key,value\na,\"x\ny\"\ns.f,0.1\ngone,\nnote,hm\n");
    free(t);
}

static void write_hostile(struct hakc_out *o) {
    hakc_out_str(o, "k\"\\", NULL,
                 "\x1b[31m\x01\t\n"         /* control characters */
                 "\xff\xc0\xaf\xed\xa0\x80" /* never valid, overlong, a surrogate */
                 "\xe2\x82"                 /* cut short */
                 "\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void test_hostile_text(void **state) {
    (void)state;
    char *t = render(HAKC_OUT_JSON, write_hostile, 0);
    assert_non_null(strstr(t, "\"k\\\"\\\\\": \"\\u001b[31m\\u0001\\t\\n\\ufffd\\ufffd\\ufffd"
                              "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\xe2\x82\xac\xf0\x9f\x98\x80\""));
    free(t);
    t = render(HAKC_OUT_TABLE, write_hostile, 0);
    assert_null(strchr(t, 0x1b)); /* nothing that a terminal would obey */
    assert_null(strchr(t, '\t'));
    assert_null(strchr(t, 0xff));
    assert_non_null(strstr(t, "\\x1b[31m\\x01\\x09\\x0a"));
    free(t);
}

static void test_widths(void **state) {
    (void)state;
    assert_int_equal(hakc_text_width("abc"), 3);
    assert_int_equal(hakc_text_width("p\xc3\xa4th"), 4);
    assert_int_equal(hakc_text_width("a\xcc\x88"), 1);                /* a and combining dots */
    assert_int_equal(hakc_text_width("\xe6\x97\xa5\xe6\x9c\xac"), 4); /* two wide ones */
    assert_int_equal(hakc_text_width("\xff\xfe"), 2);
    assert_int_equal(hakc_text_width("\xf0\x9f\x98\x80"), 2);
}

static void write_wide(struct hakc_out *o) {
    char path[400];
    memset(path, 'p', sizeof path);
    path[399] = '\0';
    hakc_out_list(o, "rows", NULL, cols, 5);
    for (unsigned i = 0; i < 3; i++) {
        hakc_out_row(o);
        hakc_out_cell_str(o, path + 130 * i);
        hakc_out_cell_uint(o, UINT64_MAX);
    }
    hakc_out_list_end(o);
}

static void test_fits_100_columns(void **state) {
    (void)state;
    char *t = render(HAKC_OUT_TABLE, write_wide, 0), *rest = t, *line;
    unsigned lines = 0;
    while ((line = strsep(&rest, "\n")) && *line) {
        assert_true(hakc_text_width(line) <= 100);
        if (lines++) { /* the number is whole, the text says that it was cut */
            assert_non_null(strstr(line, "18446744073709551615"));
            assert_non_null(strstr(line, "\xe2\x80\xa6"));
        }
    }
    assert_int_equal(lines, 4);
    free(t);
    t = render(HAKC_OUT_JSON, write_wide, 0);
    assert_true(strlen(t) > 399 + 269 + 139);
    free(t);
}

static void write_wrong_type(struct hakc_out *o) {
    hakc_out_list(o, "rows", NULL, cols, 5);
    hakc_out_row(o);
    hakc_out_cell_int(o, 5); /* the column holds texts */
    hakc_out_list_end(o);
}
static void write_no_row(struct hakc_out *o) {
    hakc_out_list(o, "rows", NULL, cols, 5);
    hakc_out_cell_str(o, "x");
}
static void write_too_many(struct hakc_out *o) {
    hakc_out_list(o, "rows", NULL, cols, 1);
    hakc_out_row(o);
    hakc_out_cell_str(o, "x");
    hakc_out_cell_str(o, "y");
    hakc_out_list_end(o);
}
static void write_unended(struct hakc_out *o) {
    hakc_out_section(o, "s", NULL);
    hakc_out_str(o, "k", NULL, "v");
}

static void test_misuse(void **state) {
    (void)state;
    void (*const wrong[])(struct hakc_out *) = {write_wrong_type, write_no_row, write_too_many,
                                                write_unended};
    for (unsigned i = 0; i < 4; i++)
        for (int format = 0; format < 3; format++)
            free(render((enum hakc_out_format)format, wrong[i], HAKC_EINTERNAL));
}

static void test_full_disk(void **state) {
    (void)state;
    for (int format = 0; format < 3; format++) {
        struct hakc_out *o;
        struct hakc_err err = {0};
        FILE *f = fopen("/dev/full", "w");
        assert_non_null(f);
        assert_int_equal(hakc_out_open(&o, f, (enum hakc_out_format)format, 1, &err), 0);
        for (unsigned i = 0; i < 2000; i++) /* more than a buffer: fails in the middle */
            write_document(o);
        assert_int_equal(hakc_out_close(o, &err), HAKC_EIO);
        assert_int_equal(err.sys_errno, 28 /* ENOSPC */);
        assert_non_null(strstr(err.msg, "cannot write"));
        fclose(f);
    }
}

static void test_abandon(void **state) {
    (void)state;
    for (int format = 0; format < 3; format++) {
        char *text;
        size_t len;
        struct hakc_out *o;
        FILE *f = open_memstream(&text, &len);
        hakc_out_open(&o, f, (enum hakc_out_format)format, 1, NULL);
        if (format != HAKC_OUT_JSON)
            hakc_out_str(o, "k", NULL, "v");
        hakc_out_abandon(o);
        fclose(f);
        assert_int_equal(len, 0);
        free(text);
    }
    hakc_out_abandon(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),   cmocka_unit_test(test_json),
        cmocka_unit_test(test_csv),     cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_widths),  cmocka_unit_test(test_fits_100_columns),
        cmocka_unit_test(test_misuse),  cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_abandon),
    };
    return cmocka_run_group_tests_name("out", tests, NULL, NULL);
}
