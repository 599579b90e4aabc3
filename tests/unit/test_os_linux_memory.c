/* Limits and pressure, from a tree of files that stands for /proc and /sys. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "alloc/os_linux_memory.h"

static char root[64];

static void put(const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        mkdir(path, 0777);
        *at = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int fresh(void **state) {
    (void)state;
    strcpy(root, "/tmp/test_os_memory.XXXXXX");
    return mkdtemp(root) == NULL;
}

static int clear(void **state) {
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static struct hakp_memory look(void) {
    struct hakp_memory m;
    hak_memory_read(root, &m);
    return m;
}

static void nothing_is_known(void **state) {
    (void)state;
    struct hakp_memory m = look();
    assert_int_equal(m.stall, 0);
    assert_int_equal(m.used_bytes, 0);
    put("proc/self/cgroup", "0::/a\n");
    put("sys/fs/cgroup/a/memory.max", "max\n");
    put("sys/fs/cgroup/a/memory.current", "1000000\n");
    assert_int_equal(look().used_bytes, 0);
}

/* The nearest limit of a group and of those it lies in; page cache that can go does not count. */
static void groups(void **state) {
    (void)state;
    put("proc/self/cgroup", "0::/outer/inner\n");
    put("sys/fs/cgroup/outer/memory.max", "1000000000\n");
    put("sys/fs/cgroup/outer/memory.current", "700000000\n");
    put("sys/fs/cgroup/outer/inner/memory.max", "max\n");
    put("sys/fs/cgroup/outer/inner/memory.current", "5000\n");
    assert_int_equal(look().limit_bytes, 1000000000);
    assert_int_equal(look().used_bytes, 700000000);
    put("sys/fs/cgroup/outer/inner/memory.high", "600000000\n");
    put("sys/fs/cgroup/outer/inner/memory.current", "590000000\n");
    assert_int_equal(look().limit_bytes, 600000000);
    put("sys/fs/cgroup/outer/inner/memory.stat", "anon 5\nfile 7\ninactive_file 300000000\nx 1\n");
    assert_int_equal(look().limit_bytes, 1000000000);
    put("sys/fs/cgroup/outer/memory.stat", "inactive_file 600000000\n");
    assert_int_equal(look().limit_bytes, 600000000);
    assert_int_equal(look().used_bytes, 290000000);
}

static void version_1(void **state) {
    (void)state;
    put("proc/self/cgroup", "12:cpu,cpuacct:/x\n4:memory:/job\n");
    put("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "200000000\n");
    put("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "150000000\n");
    put("sys/fs/cgroup/memory/job/memory.stat", "cache 3\ntotal_inactive_file 20000000\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    put("sys/fs/cgroup/memory/memory.usage_in_bytes", "900000000\n");
    assert_int_equal(look().limit_bytes, 200000000);
    assert_int_equal(look().used_bytes, 130000000);
}

static void stalls(void **state) {
    (void)state;
    put("proc/pressure/memory",
        "some avg10=12.34 avg60=0.00 avg300=0.00 total=0\nfull avg10=9.00\n");
    assert_int_equal(look().stall, 1234);
    put("proc/self/cgroup", "0::/g\n"); /* the group's own stands above the machine's */
    put("sys/fs/cgroup/g/memory.pressure", "some avg10=3.07 avg60=0.00 avg300=0.00 total=0\n");
    assert_int_equal(look().stall, 307);
    put("sys/fs/cgroup/g/memory.pressure", "nonsense");
    assert_int_equal(look().stall, 1234);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_known, fresh, clear),
        cmocka_unit_test_setup_teardown(groups, fresh, clear),
        cmocka_unit_test_setup_teardown(version_1, fresh, clear),
        cmocka_unit_test_setup_teardown(stalls, fresh, clear),
    };
    return cmocka_run_group_tests_name("os_linux_memory", tests, NULL, NULL);
}
