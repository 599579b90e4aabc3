/* How much memory the collector may take, from a tree of files that stands for /proc and /sys. */
#include "tracer/memory_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define KIB (1ull << 10)

static char root[64];

static void put(const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        mkdir(path, 0755);
        *at = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state) {
    (void)state;
    strcpy(root, "/tmp/memory_room.XXXXXX");
    if (mkdtemp(root) == NULL)
        return -1;
    put("proc/meminfo", "MemTotal:  900 kB\nMemAvailable:    800 kB\n");
    return 0;
}

static int teardown(void **state) {
    char command[100];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static void no_groups(void **state) {
    (void)state;
    assert_int_equal(hakt_memory_room(root), 800 * KIB);
    put("proc/meminfo", "");
    assert_int_equal(hakt_memory_room(root), 0);
}

static void version_2(void **state) {
    (void)state;
    put("proc/self/cgroup", "0::/outer/inner\n");
    put("sys/fs/cgroup/outer/inner/memory.max", "max\n");
    put("sys/fs/cgroup/outer/inner/memory.current", "90000\n");
    assert_int_equal(hakt_memory_room(root), 800 * KIB);
    put("sys/fs/cgroup/outer/inner/memory.max", "100000\n");
    assert_int_equal(hakt_memory_room(root), 10000);
    put("sys/fs/cgroup/outer/inner/memory.stat", "anon 5\nactive_file 7\ninactive_file 1000\n");
    assert_int_equal(hakt_memory_room(root), 11000);
    put("sys/fs/cgroup/outer/memory.max", "200000\n"); /* the one it lies in leaves less */
    put("sys/fs/cgroup/outer/memory.current", "199000\n");
    assert_int_equal(hakt_memory_room(root), 1000);
    put("sys/fs/cgroup/outer/memory.current", "300000\n");
    assert_int_equal(hakt_memory_room(root), 0);
}

static void version_1(void **state) {
    (void)state;
    put("proc/self/cgroup", "12:cpu,cpuacct:/x\n4:memory:/job\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/memory.usage_in_bytes", "5\n");
    put("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "70000\n");
    put("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "60000\n");
    put("sys/fs/cgroup/memory/job/memory.stat", "inactive_file 9\ntotal_inactive_file 500\n");
    assert_int_equal(hakt_memory_room(root), 10500);
}

/* A container: the group is named as outside, and its files stand at the mount. */
static void in_a_container(void **state) {
    (void)state;
    put("proc/self/cgroup", "0::/docker/0123\n");
    put("sys/fs/cgroup/memory.max", "50000\n");
    put("sys/fs/cgroup/memory.current", "10000\n");
    assert_int_equal(hakt_memory_room(root), 40000);
}

static void the_backlog_fits(void **state) {
    (void)state;
    uint64_t room = hakt_memory_room(""), size = hakt_backlog_default();
    assert_true(room > 0);
    assert_true(size > 0 && size <= 256u << 20 && size <= room / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_groups, setup, teardown),
        cmocka_unit_test_setup_teardown(version_2, setup, teardown),
        cmocka_unit_test_setup_teardown(version_1, setup, teardown),
        cmocka_unit_test_setup_teardown(in_a_container, setup, teardown),
        cmocka_unit_test(the_backlog_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
