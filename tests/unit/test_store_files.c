/* The store as a file: versions, damage, locks, full disks, several processes, merging. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "db/store_int.h"

static char dir[] = "/tmp/hak-test-files.XXXXXX";
static char path[64], path_b[64];
static struct hakc_err err;

static int set_up(void **state) {
    (void)state;
    snprintf(path, sizeof path, "%s/r.db", dir);
    snprintf(path_b, sizeof path_b, "%s/o'%%20#?.db", dir); /* a name that needs quoting */
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -f %s/*", dir);
    return system(command);
}

static int make_dir(void **state) {
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int drop_dir(void **state) {
    (void)state;
    return rmdir(dir);
}

static void ok(int rc) {
    if (rc)
        fail_msg("%d: %s", rc, err.msg);
}

static void expect_open(const char *file, enum hakd_open_mode mode, int want) {
    struct hakd *db = (struct hakd *)path;
    memset(&err, 0, sizeof err);
    int rc = hakd_open(&db, file, mode, &err);
    if (rc != want)
        fail_msg("%s: %d (%s) instead of %d", file, rc, err.msg, want);
    if (want) {
        assert_null(db);
        assert_true(err.msg[0] != '\0');
        assert_string_equal(err.file, file);
    }
    hakd_close(db);
}

static void alter(const char *file, const char *sql) {
    sqlite3 *s;
    assert_int_equal(sqlite3_open(file, &s), SQLITE_OK);
    assert_int_equal(sqlite3_exec(s, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(s);
}

/* An experiment of `runs` runs, in one transaction. 0 or a code. */
static int fill(struct hakd *db, unsigned runs, unsigned samples) {
    int64_t machine, experiment, trace, id;
    struct hakd_trace t = {.sha256 = "dd", .path = "t.zst"};
    int rc;
    if ((rc = hakd_begin(db, &err)) || (rc = hakd_put_this_machine(db, &machine, &err)))
        return rc;
    struct hakd_experiment e = {"test", "1", "test", machine, 1, 0, 0};
    if ((rc = hakd_put_experiment(db, &e, &experiment, &err)) ||
        (rc = hakd_put_trace(db, &t, &trace, &err)))
        return rc;
    for (unsigned i = 0; i < runs; i++) {
        struct hakd_run r = {.experiment = experiment,
                             .trace = i % 2 ? trace : 0,
                             .allocator = "libc",
                             .pass = "time",
                             .mode = "full-speed",
                             .repeat = i,
                             .position = i,
                             .status = "ok"};
        struct hakd_syscall s = {"mmap", "", i, 0, 4096, 10};
        if ((rc = hakd_put_run(db, &r, &id, &err)) ||
            (rc = hakd_put_metric(db, id, "wall_ns", 100 + i, NULL, &err)) ||
            (rc = hakd_put_syscall(db, id, &s, &err)))
            return rc;
        for (unsigned k = 0; k < samples; k++) {
            struct hakd_sample sample = {k, k, k, k, k, k, k};
            if ((rc = hakd_put_sample(db, id, &sample, &err)))
                return rc;
        }
    }
    return hakd_commit(db, &err);
}

static struct hakd *open_filled(const char *file, unsigned runs) {
    struct hakd *db;
    ok(hakd_open(&db, file, HAKD_WRITE, &err));
    ok(fill(db, runs, 3));
    return db;
}

static int64_t ask(struct hakd *db, const char *sql) {
    int64_t v;
    ok(hakd_query_int(db, sql, &v, &err));
    return v;
}

/* ---- versions and damage ------------------------------------------------------------------ */

static void test_versions(void **state) {
    (void)state;
    char sql[64];
    expect_open(path, HAKD_READ, HAKC_ENOENT);
    assert_int_not_equal(access(path, F_OK), 0); /* reading makes no file */
    expect_open(path, HAKD_WRITE, 0);
    expect_open(path, HAKD_READ, 0);
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", hakd_schema_version() + 1);
    alter(path, sql);
    expect_open(path, HAKD_WRITE, HAKC_EUNSUPPORTED);
    assert_non_null(strstr(err.msg, "newer"));
    expect_open(path, HAKD_READ, HAKC_EUNSUPPORTED);
    alter(path_b, "CREATE TABLE theirs (x)");
    expect_open(path_b, HAKD_WRITE, HAKC_ECORRUPT); /* another program's database is not touched */
    expect_open(path_b, HAKD_READ, HAKC_ECORRUPT);
    expect_open(dir, HAKD_READ, HAKC_EIO);
    expect_open("/nonexistent/dir/x.db", HAKD_WRITE, HAKC_EIO);
}

static void write_file(const char *file, const char *bytes, size_t n, off_t at) {
    int fd = open(file, O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
    close(fd);
}

static void count_finding(void *ctx, int is_problem, const char *text) {
    (void)text;
    *(unsigned *)ctx += (unsigned)is_problem;
}

static void test_damage(void **state) {
    (void)state;
    char junk[4096];
    memset(junk, 0x5a, sizeof junk);
    write_file(path, junk, sizeof junk, 0);
    expect_open(path, HAKD_READ, HAKC_ECORRUPT);
    expect_open(path, HAKD_WRITE, HAKC_ECORRUPT);
    hakd_close(open_filled(path_b, 40));
    struct stat st;
    assert_int_equal(stat(path_b, &st), 0);
    for (off_t at = 4096; at < st.st_size; at += 8192) /* every second page but the first */
        write_file(path_b, junk, sizeof junk, at);
    struct hakd *db;
    int64_t problems = 0;
    unsigned found = 0;
    int rc = hakd_open(&db, path_b, HAKD_READ, &err);
    if (rc == HAKC_OK) {
        rc = hakd_check(db, count_finding, &found, &problems, &err);
        hakd_close(db);
    }
    assert_true(rc == HAKC_ECORRUPT || problems > 0);
}

static void test_check(void **state) {
    (void)state;
    struct hakd *db = open_filled(path, 4);
    int64_t problems;
    unsigned found = 0;
    ok(hakd_check(db, count_finding, &found, &problems, &err));
    assert_int_equal(problems, 0);
    ok(hakd_exec(db, "PRAGMA foreign_keys = OFF; DELETE FROM run WHERE id = 2", "", &err));
    ok(hakd_exec(db, "DELETE FROM metric WHERE run_id = 3", "", &err));
    ok(hakd_check(db, count_finding, &found, &problems, &err));
    assert_int_equal(found, problems);
    assert_true(problems >= 4); /* metric, syscall and samples of run 2; run 3 without a figure */
    hakd_close(db);
}

static void test_migrations(void **state) {
    (void)state;
    struct hakd *db;
    ok(hakd_open(&db, path, HAKD_WRITE, &err));
    int now = hakd_schema_version();
    const struct hakd_migration good[] = {
        {now, "SELECT 1/0"}, /* not run again */
        {now + 1, "CREATE TABLE one (x); INSERT INTO one VALUES (1)"},
        {now + 2, "UPDATE one SET x = x + 10"},
        {0, NULL}};
    const struct hakd_migration bad[] = {
        {now + 3, "UPDATE one SET x = 99"}, {now + 4, "NONSENSE"}, {0, NULL}};
    ok(hakd_migrate(db, good, &err));
    ok(hakd_migrate(db, good, &err)); /* again: nothing to do */
    assert_int_equal(ask(db, "SELECT x FROM one"), 11);
    assert_int_equal(ask(db, "PRAGMA user_version"), now + 2);
    assert_int_not_equal(hakd_migrate(db, bad, &err), 0);
    assert_int_equal(ask(db, "SELECT x FROM one"), 11); /* all or nothing */
    assert_int_equal(ask(db, "PRAGMA user_version"), now + 2);
    assert_int_equal(hakd_migrate(db, hakd_migrations, &err), HAKC_EUNSUPPORTED);
    hakd_close(db);
}

/* ---- locks, disks, processes -------------------------------------------------------------- */

static void test_busy(void **state) {
    (void)state;
    struct hakd *a, *b, *r;
    ok(hakd_open(&a, path, HAKD_WRITE, &err));
    ok(hakd_open_wait(&b, path, HAKD_WRITE, 20, &err));
    ok(hakd_begin(a, &err));
    assert_int_equal(hakd_begin(b, &err), HAKC_EBUSY);
    assert_non_null(strstr(err.msg, "locked"));
    ok(hakd_open_wait(&r, path, HAKD_READ, 20, &err)); /* readers are not kept out */
    hakd_close(r);
    ok(hakd_commit(a, &err));
    ok(hakd_begin(b, &err));
    ok(hakd_commit(b, &err));
    hakd_close(a);
    hakd_close(b);
}

/* Runs f in a child and returns its exit code. */
static int in_child(int (*f)(void)) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(f());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int fill_beyond_limit(void) {
    struct rlimit limit = {256 * 1024, 256 * 1024};
    struct hakd *db;
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) || hakd_open(&db, path, HAKD_WRITE, &err))
        return 100;
    int rc = fill(db, 200, 500); /* about 2 MB */
    hakd_close(db);
    return -rc;
}

static void test_full_disk(void **state) {
    (void)state;
    hakd_close(open_filled(path, 4));
    assert_int_equal(in_child(fill_beyond_limit), -HAKC_EIO);
    struct hakd *db; /* what was there before is whole, what failed left nothing */
    int64_t problems;
    unsigned found;
    ok(hakd_open(&db, path, HAKD_WRITE, &err));
    ok(hakd_check(db, count_finding, &found, &problems, &err));
    assert_int_equal(problems, 0);
    assert_int_equal(ask(db, "SELECT count(*) FROM run"), 4);
    ok(fill(db, 2, 1));
    hakd_close(db);
}

enum { WRITERS = 3, ROUNDS = 8 };

static int write_rounds(void) {
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct hakd *db; /* opened each time: creation and the change to WAL race as well */
        if (hakd_open(&db, path, HAKD_WRITE, &err) || fill(db, 5, 2)) {
            fprintf(stderr, "writer: %s\n", err.msg);
            return 1;
        }
        hakd_close(db);
    }
    return 0;
}

static void test_concurrent_writers(void **state) {
    (void)state;
    pid_t pids[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            _exit(write_rounds());
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    struct hakd *db;
    ok(hakd_open(&db, path, HAKD_READ, &err));
    assert_int_equal(ask(db, "SELECT count(*) FROM experiment"), WRITERS * ROUNDS);
    assert_int_equal(ask(db, "SELECT count(*) FROM run"), WRITERS * ROUNDS * 5);
    assert_int_equal(ask(db, "SELECT count(*) FROM sample"), WRITERS * ROUNDS * 10);
    assert_int_equal(ask(db, "SELECT count(*) FROM machine"), 1);
    hakd_close(db);
}

static int try_to_write(void) {
    struct hakd *db;
    /* root may write anything: become nobody */
    if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
        return 100;
    return -hakd_open(&db, path, HAKD_WRITE, &err);
}

static int try_to_read(void) {
    struct hakd *db;
    if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
        return 100;
    int rc = hakd_open(&db, path, HAKD_READ, &err);
    if (rc)
        return -rc;
    return ask(db, "SELECT count(*) FROM run") == 4 ? 0 : 101;
}

static void test_read_only(void **state) {
    (void)state;
    hakd_close(open_filled(path, 4));
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(chmod(dir, 0555), 0);
    int written = in_child(try_to_write), read = in_child(try_to_read);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(written, -HAKC_EIO);
    assert_int_equal(read, 0);
}

/* ---- merging ------------------------------------------------------------------------------ */

static void test_merge(void **state) {
    (void)state;
    struct hakd *a = open_filled(path, 6), *b = open_filled(path_b, 4);
    struct hakd_merged added;
    ok(hakd_merge(a, path_b, &added, &err));
    assert_int_equal(added.experiments, 1);
    assert_int_equal(added.runs, 4);
    assert_int_equal(added.traces, 0); /* the same trace and machine in both */
    assert_int_equal(added.machines, 0);
    assert_int_equal(ask(a, "SELECT count(*) FROM run"), 10);
    assert_int_equal(ask(a, "SELECT sum(value) FROM metric"), 615 + 406);
    assert_int_equal(ask(a, "SELECT count(*) FROM sample"), 30);
    assert_int_equal(ask(a, "SELECT sum(calls) FROM syscall"), 15 + 6);
    ok(hakd_merge(a, path_b, &added, &err)); /* twice is once */
    assert_int_equal(added.runs + added.experiments, 0);
    assert_int_equal(ask(a, "SELECT count(*) FROM sample"), 30);
    /* the other goes on, and only what is new comes over; its end too */
    int64_t id, problems;
    struct hakd_run more = {.experiment = 1,
                            .allocator = "libc",
                            .pass = "time",
                            .mode = "m",
                            .position = 99,
                            .status = "ok"};
    ok(hakd_put_run(b, &more, &id, &err));
    ok(hakd_put_metric(b, id, "wall_ns", 7, NULL, &err));
    ok(hakd_finish_experiment(b, 1, "done", &err));
    ok(hakd_merge(a, path_b, &added, &err));
    assert_int_equal(added.runs, 1);
    assert_int_equal(ask(a, "SELECT count(*) FROM experiment WHERE state = 'done'"), 1);
    assert_int_equal(ask(a, "SELECT sum(value) FROM metric"), 615 + 406 + 7);
    /* and back: both hold the same */
    ok(hakd_merge(b, path, &added, &err));
    assert_int_equal(added.runs, 6);
    assert_int_equal(ask(b, "SELECT count(*) FROM run"), 11);
    assert_int_equal(ask(b, "SELECT count(*) FROM sample"), 30);
    unsigned found = 0;
    ok(hakd_check(a, count_finding, &found, &problems, &err));
    assert_int_equal(problems, 0);
    hakd_close(a);
    hakd_close(b);
}

/* ---- studies ------------------------------------------------------------------------------ */

/* One shard: an experiment of study "s" with a simulated run under `policy`. */
static void put_shard(const char *file, const char *policy, double faults) {
    struct hakd *db;
    struct hakd_experiment e = {.tool = "haksim", .tool_version = "0"};
    struct hakd_trace t = {.sha256 = "aa", .path = "t.zst", .version = 1};
    struct hakd_run r = {
        .allocator = "hakmem", .policy = policy, .pass = "sim", .mode = "events", .status = "ok"};
    struct hakd_oracle o = {.kind = "mean", .bytes = 7, .bound_ns = 3, .reachable_ns = UINT64_MAX};
    struct hakd_syscall call = {.call = "madvise", .detail = "X", .calls = 4, .bytes = 9};
    int64_t id;
    ok(hakd_open(&db, file, HAKD_WRITE, &err));
    ok(hakd_put_this_machine(db, &e.machine, &err));
    ok(hakd_put_study(db, "s", "haksim", &e.study, &err));
    ok(hakd_put_study(db, "s", "haksim", &id, &err)); /* the name is its identity */
    assert_int_equal(id, e.study);
    ok(hakd_put_experiment(db, &e, &r.experiment, &err));
    ok(hakd_put_trace(db, &t, &r.trace, &err));
    ok(hakd_put_run(db, &r, &id, &err));
    ok(hakd_put_metric(db, id, "predicted_faults", faults, NULL, &err));
    ok(hakd_put_syscall(db, id, &call, &err));
    o.experiment = r.experiment;
    o.trace = r.trace;
    ok(hakd_put_oracle(db, &o, &err));
    ok(hakd_finish_experiment(db, r.experiment, "done", &err));
    hakd_close(db);
}

struct read_back {
    struct hakd *db;
    char policies[64];
    double faults;
    uint64_t calls;
    int stop_after;
};

static void add_metric(void *ctx, const char *name, double value) {
    assert_string_equal(name, "predicted_faults");
    ((struct read_back *)ctx)->faults += value;
}

static void add_call(void *ctx, const struct hakd_syscall *s) {
    assert_string_equal(s->detail, "X");
    assert_true(s->bytes == 9 && s->kernel_ns == 0);
    ((struct read_back *)ctx)->calls += s->calls;
}

static int add_run(void *ctx, int64_t run, const char *policy, const char *mode) {
    struct read_back *b = ctx;
    assert_string_equal(mode, "events");
    strcat(strcat(b->policies, policy), " ");
    ok(hakd_each_metric(b->db, run, add_metric, b, &err));
    ok(hakd_each_syscall(b->db, run, add_call, b, &err));
    return --b->stop_after == 0 ? 5 : 0;
}

static void test_study_of_shards(void **state) {
    (void)state;
    struct read_back b = {0};
    struct hakd_merged added;
    put_shard(path, "never", 10);
    put_shard(path_b, "eager", 32);
    ok(hakd_open(&b.db, path, HAKD_WRITE, &err));
    ok(hakd_merge(b.db, path_b, &added, &err));
    assert_int_equal(added.studies, 0); /* of the same name */
    assert_int_equal(added.runs, 1);
    ok(hakd_merge(b.db, path_b, &added, &err)); /* twice is once */
    assert_int_equal(ask(b.db, "SELECT count(*) FROM oracle WHERE reachable_ns IS NULL"), 2);
    assert_int_equal(ask(b.db, "SELECT runs FROM v_study WHERE name = 's'"), 2);
    assert_int_equal(ask(b.db, "SELECT policies FROM v_study"), 2);
    assert_int_equal(ask(b.db, "SELECT machines FROM v_study"), 1);
    ok(hakd_each_study_run(b.db, 1, 1, 0, "sim", add_run, &b, &err));
    assert_string_equal(b.policies, "eager never "); /* the newest first */
    assert_true(b.faults == 42 && b.calls == 8);
    b.stop_after = 1;
    assert_int_equal(hakd_each_study_run(b.db, 1, 1, 0, "sim", add_run, &b, &err), 5);
    b.policies[0] = '\0';
    ok(hakd_each_study_run(b.db, 1, 1, 99, "sim", add_run, &b, &err)); /* of another library */
    ok(hakd_each_study_run(b.db, 1, 1, 0, "time", add_run, &b, &err));
    assert_string_equal(b.policies, "");
    hakd_close(b.db);
}

static void test_merge_refusals(void **state) {
    (void)state;
    struct hakd *a = open_filled(path, 2);
    struct hakd_merged added;
    hakd_close(open_filled(path_b, 2));
    assert_int_equal(hakd_merge(a, path, &added, &err), HAKC_EUSAGE); /* into itself */
    assert_int_equal(hakd_merge(a, "/nonexistent.db", &added, &err), HAKC_ENOENT);
    ok(hakd_merge(a, path_b, &added, &err));
    alter(path_b, "UPDATE run SET status = 'failed' WHERE id = 1;"
                  "INSERT INTO library (identity, name) VALUES ('x', 'y')");
    assert_int_equal(hakd_merge(a, path_b, &added, &err), HAKC_ECORRUPT);
    assert_int_equal(ask(a, "SELECT count(*) FROM library"), 0); /* nothing of it */
    assert_int_equal(ask(a, "SELECT count(*) FROM run WHERE status = 'ok'"), 4);
    ok(fill(a, 1, 1)); /* the handle is still good */
    hakd_close(a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_versions),
        TEST(test_damage),
        TEST(test_check),
        TEST(test_migrations),
        TEST(test_busy),
        TEST(test_full_disk),
        TEST(test_concurrent_writers),
        TEST(test_read_only),
        TEST(test_merge),
        TEST(test_merge_refusals),
        TEST(test_study_of_shards),
    };
    return cmocka_run_group_tests_name("store_files", tests, make_dir, drop_dir);
}
