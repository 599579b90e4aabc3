/* Memory system calls: class, bytes, names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <cmocka.h>
#include "replay/sysclass.h"

static void expect(long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
                   enum hakr_sysclass want, uint64_t want_bytes) {
    uint64_t a[6] = {a0, a1, a2, a3, 0, 0}, bytes = 77;
    assert_int_equal(hakr_sys_classify(nr, a, 0x10000, &bytes), want);
    assert_int_equal(bytes, want_bytes);
}

static void test_classes(void **state) {
    (void)state;
    const uint64_t rw = PROT_READ | PROT_WRITE, anon = MAP_PRIVATE | MAP_ANONYMOUS;
    expect(SYS_mmap, 0, 4096, rw, anon, HAKR_SYS_MMAP_RW, 4096);
    expect(SYS_mmap, 0, 4096, PROT_NONE, anon | MAP_NORESERVE, HAKR_SYS_MMAP_NONE, 4096);
    expect(SYS_mmap, 1 << 20, 8192, rw, anon | MAP_FIXED, HAKR_SYS_MMAP_FIXED_RW, 8192);
    expect(SYS_mmap, 1 << 20, 8192, 0, anon | MAP_FIXED, HAKR_SYS_MMAP_FIXED_NONE, 8192);
    expect(SYS_mmap, 0, 1 << 21, rw, anon | MAP_HUGETLB, HAKR_SYS_MMAP_HUGETLB, 1 << 21);
    expect(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, HAKR_SYS_MMAP_FILE, 4096);
    expect(SYS_mmap, 0, 4096, PROT_READ, anon, HAKR_SYS_MMAP_OTHER, 4096);
    expect(SYS_munmap, 4096, 8192, 0, 0, HAKR_SYS_MUNMAP, 8192);
    expect(SYS_mremap, 4096, 8192, 16384, 1, HAKR_SYS_MREMAP, 16384);
    expect(SYS_madvise, 4096, 8192, MADV_DONTNEED, 0, HAKR_SYS_MADV_DONTNEED, 8192);
    expect(SYS_madvise, 4096, 8192, MADV_FREE, 0, HAKR_SYS_MADV_FREE, 8192);
    expect(SYS_madvise, 4096, 8192, MADV_HUGEPAGE, 0, HAKR_SYS_MADV_HUGEPAGE, 8192);
    expect(SYS_madvise, 4096, 8192, 23, 0, HAKR_SYS_MADV_POPULATE_WRITE, 8192);
    expect(SYS_madvise, 4096, 8192, 4711, 0, HAKR_SYS_MADV_OTHER, 8192);
    expect(SYS_mprotect, 4096, 8192, rw, 0, HAKR_SYS_MPROTECT_RW, 8192);
    expect(SYS_mprotect, 4096, 8192, 0, 0, HAKR_SYS_MPROTECT_NONE, 8192);
    expect(SYS_brk, 0, 9, 0, 0, HAKR_SYS_BRK_QUERY, 0);
    expect(SYS_brk, 0x13000, 9, 0, 0, HAKR_SYS_BRK_GROW, 0x3000);
    expect(SYS_brk, 0xf000, 9, 0, 0, HAKR_SYS_BRK_SHRINK, 0x1000);
    expect(SYS_mlockall, 3, 9, 0, 0, HAKR_SYS_MLOCK, 0);
    expect(SYS_munlock, 4096, 8192, 0, 0, HAKR_SYS_MUNLOCK, 8192);
}

/* Every class has a name of its own: a row in the accounts. */
static void test_names(void **state) {
    (void)state;
    for (unsigned i = 0; i < HAKR_SYS_COUNT; i++) {
        assert_non_null(hakr_sys_call(i));
        for (unsigned k = 0; k < i; k++)
            assert_true(strcmp(hakr_sys_call(i), hakr_sys_call(k)) != 0 ||
                        strcmp(hakr_sys_detail(i), hakr_sys_detail(k)) != 0);
    }
    assert_string_equal(hakr_sys_call(HAKR_SYS_COUNT), "?");
}

static void test_releases(void **state) {
    (void)state;
    assert_true(hakr_sys_releases(HAKR_SYS_MUNMAP));
    assert_true(hakr_sys_releases(HAKR_SYS_MADV_DONTNEED));
    assert_true(hakr_sys_releases(HAKR_SYS_BRK_SHRINK));
    assert_false(hakr_sys_releases(HAKR_SYS_BRK_GROW));
    assert_false(hakr_sys_releases(HAKR_SYS_MMAP_RW));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_releases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
