/* Groups to limit memory by, of version 2 and 1, in a tree of files that the three calls below keep
 * as the kernel keeps its own: files come and go with a group, a controller is not given on by a
 * group that has processes, a process is in one group. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "replay/cgroup.h"

static char root[] = "/tmp/hak-test-cgroup.XXXXXX";
static char top[64];      /* of the hierarchy */
static char self_in[600]; /* the group that this process is in */
static int may_enable = 1;

int __real_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);
ssize_t __real_write(int fd, const void *buf, size_t n);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_rmdir(const char *path);
ssize_t __wrap_write(int fd, const void *buf, size_t n);

static void set(const char *dir, const char *name, const char *text) {
    char path[700];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static const char *get(const char *dir, const char *name) {
    static char text[256];
    char path[700];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return NULL;
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

static int is_v2(void) {
    return get(top, "cgroup.controllers") != NULL;
}

static void memory_files(const char *dir, int there) {
    static const char *const v2[] = {"memory.max", "memory.current", "memory.events",
                                     "memory.swap.max"};
    static const char *const v1[] = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                     "memory.oom_control", "memory.swappiness"};
    for (unsigned i = 0; i < 4; i++) {
        char path[700];
        const char *name = (is_v2() ? v2 : v1)[i];
        snprintf(path, sizeof path, "%s/%s", dir, name);
        if (there)
            set(dir, name, i == 1 ? "1000000\n" : "");
        else
            unlink(path);
    }
}

static int gives_memory(const char *dir) {
    const char *given = get(dir, "cgroup.subtree_control");
    return given != NULL && strstr(given, "memory") != NULL;
}

/* ---- the kernel --------------------------------------------------------------------------------
 */

static void parent_of(const char *path, char *dir) {
    strcpy(dir, path);
    *strrchr(dir, '/') = '\0';
}

int __wrap_mkdir(const char *path, mode_t mode) {
    char dir[600];
    if (strncmp(path, top, strlen(top)) != 0 || __real_mkdir(path, mode) != 0)
        return strncmp(path, top, strlen(top)) != 0 ? __real_mkdir(path, mode) : -1;
    parent_of(path, dir);
    set(path, "cgroup.procs", "");
    if (is_v2())
        set(path, "cgroup.subtree_control", "");
    if (!is_v2() || gives_memory(dir))
        memory_files(path, 1);
    return 0;
}

int __wrap_rmdir(const char *path) {
    if (strncmp(path, top, strlen(top)) != 0)
        return __real_rmdir(path);
    if (strcmp(path, self_in) == 0) {
        errno = EBUSY;
        return -1;
    }
    char file[700];
    memory_files(path, 0);
    snprintf(file, sizeof file, "%s/cgroup.procs", path);
    unlink(file);
    snprintf(file, sizeof file, "%s/cgroup.subtree_control", path);
    unlink(file);
    return __real_rmdir(path);
}

static int fail_with(int why) {
    errno = why;
    return -1;
}

/* A group below the top whose processes keep it from giving controllers on. */
static int is_inhabited(const char *dir) {
    const char *procs = get(dir, "cgroup.procs");
    return strcmp(dir, top) != 0 &&
           (strcmp(dir, self_in) == 0 || (procs != NULL && *procs != '\0'));
}

static int control(const char *dir, const char *what) {
    char command[800], path[700];
    int on = what[0] == '+';
    if (on && is_inhabited(dir))
        return fail_with(EBUSY);
    if (!may_enable)
        return fail_with(ENOENT);
    set(dir, "cgroup.subtree_control", on ? "memory\n" : "");
    snprintf(command, sizeof command, "find %s -mindepth 1 -maxdepth 1 -type d", dir);
    FILE *f = popen(command, "r");
    while (fgets(path, sizeof path, f) != NULL) {
        path[strcspn(path, "\n")] = '\0';
        memory_files(path, on);
    }
    pclose(f);
    return 0;
}

ssize_t __wrap_write(int fd, const void *buf, size_t n) {
    char link[64], path[600] = "", text[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = '\0';
    char *name = strrchr(path, '/');
    if (name == NULL || strncmp(path, top, strlen(top)) != 0)
        return __real_write(fd, buf, n);
    *name++ = '\0';
    snprintf(text, sizeof text, "%.*s", (int)n, (const char *)buf);
    if (strcmp(name, "cgroup.subtree_control") == 0)
        return control(path, text) == 0 ? (ssize_t)n : -1;
    if (strcmp(name, "cgroup.procs") == 0) {
        if (is_v2() && gives_memory(path) && strcmp(path, top) != 0)
            return fail_with(EBUSY);
        strcpy(self_in, path);
        return (ssize_t)n;
    }
    return __real_write(fd, buf, n);
}

/* ---- the tests ---------------------------------------------------------------------------------
 */

/* A system with one hierarchy, mounted at top, this process in `group` of it. */
static void system_of(int version, const char *mount_root, const char *group) {
    char command[200], text[500], dir[600];
    snprintf(command, sizeof command, "rm -rf %s; mkdir -p %s/proc/self %s%s", root, root, top,
             strncmp(group, mount_root, strlen(mount_root)) == 0 && strcmp(mount_root, "/") != 0
                 ? group + strlen(mount_root)
                 : group);
    assert_int_equal(system(command), 0);
    snprintf(dir, sizeof dir, "%s/proc/self", root);
    if (version == 2) {
        set(top, "cgroup.controllers", "cpu memory\n");
        snprintf(
            text, sizeof text,
            "25 1 0:5 / /proc rw - proc proc rw\n30 23 0:26 %s %s rw,nosuid shared:9 - cgroup2 "
            "cgroup2 rw,nsdelegate\n",
            mount_root, top);
    } else {
        snprintf(
            text, sizeof text,
            "31 23 0:27 / /sys/x rw - cgroup cgroup rw,cpu\n30 23 0:26 %s %s rw - cgroup cgroup "
            "rw,memory\n",
            mount_root, top);
    }
    set(dir, "mountinfo", text);
    snprintf(text, sizeof text, version == 2 ? "0::%s\n" : "3:cpu:/other\n2:memory:%s\n", group);
    set(dir, "cgroup", text);
    snprintf(self_in, sizeof self_in, "%s%s", top,
             strcmp(group, "/") == 0        ? ""
             : strcmp(mount_root, "/") == 0 ? group
                                            : group + strlen(mount_root));
    if (version == 2) {
        set(top, "cgroup.subtree_control", "");
        set(self_in, "cgroup.subtree_control", "");
        if (strcmp(self_in, top) != 0)
            memory_files(self_in, 1);
    }
    set(self_in, "cgroup.procs", "");
    may_enable = 1;
}

/* Makes a group, limits it, reads of its kills, removes it: below the directory `where`. */
static void use_group(const char *where) {
    struct hakr_cgroup g;
    struct hakc_err err = {0};
    char dir[600];
    if (hakr_cgroup_make(&g, root, &err) != 0)
        fail_msg("%s", err.msg);
    parent_of(g.path, dir);
    assert_string_equal(dir, where);
    assert_int_equal(hakr_cgroup_limit(g.usage_fd, g.limit_fd, 5000), 0);
    assert_string_equal(get(g.path, is_v2() ? "memory.max" : "memory.limit_in_bytes"), "1005000");
    assert_string_equal(get(g.path, is_v2() ? "memory.swap.max" : "memory.swappiness"), "0");
    assert_int_equal(hakr_cgroup_kills(&g), 0);
    set(g.path, is_v2() ? "memory.events" : "memory.oom_control",
        is_v2() ? "low 0\nhigh 0\nmax 17\noom 4\noom_kill 3\noom_group_kill 0\n"
                : "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    assert_int_equal(hakr_cgroup_kills(&g), 3);
    char before[600], group[600];
    strcpy(before, self_in);
    strcpy(group, g.path);
    assert_int_equal(hakr_cgroup_join(g.join_fd), 0); /* as the child does */
    assert_string_equal(self_in, group);
    strcpy(self_in, before);
    hakr_cgroup_remove(&g);
    assert_int_equal(access(group, F_OK), -1);
    assert_string_equal(g.path, "");
    hakr_cgroup_remove(&g); /* of none: nothing */
}

static void test_v2_at_the_top(void **state) {
    (void)state;
    system_of(2, "/", "/");
    use_group(top);
    assert_string_equal(self_in, top);
}

/* A scope of its own, delegated: this process goes into a group below, and back. */
static void test_v2_delegated(void **state) {
    (void)state;
    char scope[128], leaf[200];
    system_of(2, "/", "/user.slice/run-1.scope");
    snprintf(scope, sizeof scope, "%s/user.slice/run-1.scope", top);
    snprintf(leaf, sizeof leaf, "%s/hakreplay-%d-self", scope, (int)getpid());
    use_group(scope);
    assert_string_equal(self_in, leaf);
    use_group(scope); /* the next run's, from where it is now */
    assert_string_equal(self_in, leaf);
    hakr_cgroup_go_back();
    assert_string_equal(self_in, scope);
    assert_int_equal(access(leaf, F_OK), -1);
    assert_false(gives_memory(scope));
    use_group(scope); /* and all over again */
    hakr_cgroup_go_back();
    hakr_cgroup_go_back();
    assert_string_equal(self_in, scope);
}

/* Others are in the same group: it stays as it was, and what to do is said. The way out is the top,
 * for who may write there. */
static void test_v2_not_alone(void **state) {
    (void)state;
    char scope[128];
    struct hakr_cgroup g;
    struct hakc_err err = {0};
    system_of(2, "/", "/shell.scope");
    snprintf(scope, sizeof scope, "%s/shell.scope", top);
    set(scope, "cgroup.procs", "4711\n");
    use_group(top);
    assert_string_equal(self_in, scope);
    may_enable = 0; /* the top gives nothing on */
    system_of(2, "/", "/shell.scope");
    set(scope, "cgroup.procs", "4711\n");
    may_enable = 0;
    assert_int_equal(hakr_cgroup_make(&g, root, &err), HAKC_EREFUSED);
    assert_non_null(strstr(err.msg, "other processes are in its group"));
    assert_non_null(strstr(err.msg, "systemd-run"));
    assert_string_equal(self_in, scope);
    assert_string_equal(g.path, "");
    char command[200];
    snprintf(command, sizeof command, "[ -z \"$(find %s -name 'hakreplay-*')\" ]", top);
    assert_int_equal(system(command), 0); /* nothing is left behind */
}

/* In a container the mount shows a part of the hierarchy, and /proc names the whole. */
static void test_v2_in_a_container(void **state) {
    (void)state;
    char own[128];
    system_of(2, "/docker/abc", "/docker/abc/app");
    snprintf(own, sizeof own, "%s/app", top);
    use_group(own);
    hakr_cgroup_go_back();
    system_of(2, "/docker/abc", "/docker/abc");
    use_group(top);
}

static void test_v1(void **state) {
    (void)state;
    char own[128];
    system_of(1, "/", "/jobs/7");
    snprintf(own, sizeof own, "%s/jobs/7", top);
    use_group(own);
    assert_string_equal(self_in, own);
    system_of(1, "/", "/");
    use_group(top);
}

static void test_none(void **state) {
    (void)state;
    struct hakr_cgroup g;
    struct hakc_err err = {0};
    char dir[600];
    system_of(2, "/", "/");
    snprintf(dir, sizeof dir, "%s/proc/self", root);
    set(dir, "mountinfo", "25 1 0:5 / /proc rw - proc proc rw\n");
    assert_int_equal(hakr_cgroup_make(&g, root, &err), HAKC_EREFUSED);
    assert_non_null(strstr(err.msg, "no cgroup with a memory limit can be made here"));
    hakr_cgroup_remove(&g);
}

static int make_root(void **state) {
    (void)state;
    if (mkdtemp(root) == NULL)
        return -1;
    snprintf(top, sizeof top, "%s/cgroup", root);
    return 0;
}

static int drop_root(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v2_at_the_top),
        cmocka_unit_test(test_v2_delegated),
        cmocka_unit_test(test_v2_not_alone),
        cmocka_unit_test(test_v2_in_a_container),
        cmocka_unit_test(test_v1),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, make_root, drop_root);
}
