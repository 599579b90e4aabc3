/* What is read from a program's file: of sound ones, and of ones cut or changed anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/unit/trace_random.h"
#include "tracer/program_file.h"

static char path[] = "/tmp/hak-program-XXXXXX";

static void put(const char *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static char *own_bytes(size_t *n) {
    FILE *f = fopen("/proc/self/exe", "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*n);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

static void test_own(void **state) {
    (void)state;
    struct hakt_program_file p;
    hakt_program_file_read(&p, "/proc/self/exe");
    assert_true(p.is_elf && p.is_dynamic && p.imports_malloc);
    assert_string_equal(p.allocator, "");
    hakt_program_file_read(&p, "/nonexistent/program");
    assert_false(p.is_elf);
    put("#!/bin/sh\n", 10);
    hakt_program_file_read(&p, path);
    assert_false(p.is_elf);
}

static void test_cut(void **state) {
    (void)state;
    struct hakt_program_file p;
    size_t n;
    char *bytes = own_bytes(&n);
    for (size_t cut = 0; cut < n; cut = cut < 200 ? cut + 1 : cut + n / 50) {
        put(bytes, cut);
        hakt_program_file_read(&p, path);
        assert_int_equal(p.is_elf, cut >= sizeof(Elf64_Ehdr));
    }
    free(bytes);
}

/* In the headers, where numbers and offsets are. */
static void test_changed(void **state) {
    (void)state;
    struct trace_random g = {.state = 5};
    struct hakt_program_file p;
    size_t n;
    char *bytes = own_bytes(&n);
    Elf64_Ehdr head;
    memcpy(&head, bytes, sizeof(head));
    size_t sections = head.e_shnum * sizeof(Elf64_Shdr);
    assert_true(sections > 0 && head.e_shoff + sections <= n);
    put(bytes, n);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    for (int i = 0; i < 300; i++) {
        for (int k = 0; k < 4; k++) {
            uint64_t r = random_next(&g);
            size_t at = k == 0 && i % 3 == 0 ? r % sizeof(head) : head.e_shoff + r % sections;
            memset(&r, (int)(r >> 40), sizeof(r));
            assert_true(pwrite(fd, &r, 1 + (size_t)(i + k) % 4, (off_t)at) > 0);
        }
        hakt_program_file_read(&p, path);
        assert_true(memchr(p.allocator, '\0', sizeof(p.allocator)) != NULL);
        assert_true(pwrite(fd, bytes, sizeof(head), 0) == sizeof(head));
        assert_true(pwrite(fd, bytes + head.e_shoff, n - head.e_shoff, (off_t)head.e_shoff) > 0);
        assert_int_equal(ftruncate(fd, (off_t)n), 0);
    }
    close(fd);
    free(bytes);
}

static int set_up(void **state) {
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_own), cmocka_unit_test(test_cut),
                                       cmocka_unit_test(test_changed)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
