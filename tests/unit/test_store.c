/* The store: what is put comes back, what must fail fails, views compute what they say. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "db/metrics.h"
#include "db/store_int.h"

static char dir[] = "/tmp/hak-test-store.XXXXXX";
static char path[64];
static struct hakc_err err;

static int set_up(void **state) {
    (void)state;
    snprintf(path, sizeof path, "%s/r.db", dir);
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

static struct hakd *open_new(void) {
    struct hakd *db;
    ok(hakd_open(&db, path, HAKD_WRITE, &err));
    return db;
}

static double ask(struct hakd *db, const char *sql) {
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    double v = sqlite3_column_type(st, 0) == SQLITE_NULL ? NAN : sqlite3_column_double(st, 0);
    sqlite3_finalize(st);
    return v;
}

static void assert_answer(struct hakd *db, const char *sql, double want) {
    double got = ask(db, sql);
    if (isnan(want) ? !isnan(got) : !(fabs(got - want) < 1e-9))
        fail_msg("%s: %g is not %g", sql, got, want);
}

static int64_t new_experiment(struct hakd *db) {
    int64_t machine, id;
    ok(hakd_put_this_machine(db, &machine, &err));
    struct hakd_experiment e = {"test", "1", "test --all", machine, 42, 0, 0};
    ok(hakd_put_experiment(db, &e, &id, &err));
    return id;
}

static struct hakd_run new_run(int64_t experiment, int64_t trace, const char *allocator,
                               int64_t repeat) {
    return (struct hakd_run){.experiment = experiment,
                             .trace = trace,
                             .allocator = allocator,
                             .pass = "time",
                             .mode = "full-speed",
                             .repeat = repeat,
                             .position = repeat,
                             .status = "ok"};
}

static int64_t put_run(struct hakd *db, const struct hakd_run *r) {
    int64_t id;
    ok(hakd_put_run(db, r, &id, &err));
    return id;
}

static void test_rows_once(void **state) {
    (void)state;
    struct hakd *db = open_new();
    int64_t a, b, c;
    ok(hakd_put_this_machine(db, &a, &err));
    ok(hakd_put_this_machine(db, &b, &err));
    assert_int_equal(a, b);
    assert_answer(db, "SELECT page_size FROM machine", (double)sysconf(_SC_PAGESIZE));
    assert_answer(db, "SELECT libc LIKE 'glibc %' FROM machine", 1);

    struct hakd_library l = {"libc", "/lib/libc.so.6", NULL, "2.36", NULL};
    ok(hakd_put_library(db, &l, &a, &err));
    ok(hakd_put_library(db, &l, &b, &err));
    l.version = NULL;
    l.build_id = "2.36"; /* the same texts in other places are another library */
    ok(hakd_put_library(db, &l, &c, &err));
    assert_int_equal(a, b);
    assert_int_not_equal(a, c);
    l.build_id = "";
    ok(hakd_put_library(db, &l, &b, &err));
    l.build_id = NULL;
    ok(hakd_put_library(db, &l, &c, &err));
    assert_int_not_equal(b, c); /* NULL is not "" */

    struct hakd_trace t = {
        .sha256 = "aa", .path = "x.zst", .ops = 5, .peak_live_bytes = UINT64_MAX};
    ok(hakd_put_trace(db, &t, &a, &err));
    t.path = "moved/x.zst";
    ok(hakd_put_trace(db, &t, &b, &err));
    assert_int_equal(a, b);
    assert_answer(db, "SELECT path = 'moved/x.zst' FROM trace", 1);
    assert_answer(db, "SELECT peak_live_bytes FROM trace", NAN);
    assert_answer(db, "SELECT ops FROM trace", 5);
    hakd_close(db);
}

static void test_refusals(void **state) {
    (void)state;
    struct hakd *db = open_new();
    int64_t id, e = new_experiment(db);
    struct hakd_trace t = {.sha256 = NULL};
    assert_int_equal(hakd_put_trace(db, &t, &id, &err), HAKC_EUSAGE);
    t = (struct hakd_trace){.sha256 = "b", .records = (uint64_t)INT64_MAX + 1};
    assert_int_equal(hakd_put_trace(db, &t, &id, &err), HAKC_EUSAGE);
    assert_non_null(strstr(err.msg, "records"));
    struct hakd_run r = new_run(e, 0, "libc", 0);
    r.status = "fine";
    assert_int_equal(hakd_put_run(db, &r, &id, &err), HAKC_EUSAGE);
    r.status = "ok";
    r.pass = "warmup";
    assert_int_equal(hakd_put_run(db, &r, &id, &err), HAKC_EUSAGE);
    r.pass = "time";
    r.trace = 77; /* no such trace */
    assert_int_equal(hakd_put_run(db, &r, &id, &err), HAKC_EUSAGE);
    r.trace = 0;
    int64_t run = put_run(db, &r);
    assert_int_equal(put_run(db, &r), run); /* an equal one is found */
    r.status = "failed";
    assert_int_equal(hakd_put_run(db, &r, &id, &err), HAKC_EUSAGE); /* a contradiction is not */
    assert_int_equal(hakd_put_metric(db, run, "wall_ns", NAN, "ns", &err), HAKC_EUSAGE);
    assert_int_equal(hakd_put_metric(db, run, "wall_ns", 1, "ms", &err), HAKC_EUSAGE);
    assert_int_equal(hakd_put_metric(db, run, "my_own", 1, NULL, &err), HAKC_EUSAGE);
    assert_int_equal(hakd_put_metric(db, 999, "wall_ns", 1, "ns", &err), HAKC_EUSAGE);
    ok(hakd_put_metric(db, run, "my_own", 1, "apples", &err));
    ok(hakd_put_metric(db, run, HAKD_M_WALL_NS, 1, NULL, &err));
    assert_int_equal(hakd_put_metric(db, run, HAKD_M_WALL_NS, 2, NULL, &err), HAKC_EUSAGE);
    struct hakd_syscall s = {"mmap", NULL, 1, 0, UINT64_MAX, UINT64_MAX};
    assert_int_equal(hakd_put_syscall(db, run, &s, &err), HAKC_EUSAGE);
    assert_non_null(strstr(err.msg, "bytes"));
    assert_int_equal(hakd_finish_experiment(db, 55, "done", &err), HAKC_ENOENT);
    assert_int_equal(hakd_finish_experiment(db, e, "over", &err), HAKC_EUSAGE);
    ok(hakd_finish_experiment(db, e, "done", &err));
    struct hakd_experiment x = {"t", NULL, NULL, 1, UINT64_MAX, 0, 0};
    assert_int_equal(hakd_put_experiment(db, &x, &id, &err), HAKC_EUSAGE);
    assert_non_null(strstr(err.msg, "seed"));
    assert_answer(db, "SELECT count(*) FROM run", 1);
    assert_answer(db, "SELECT count(*) FROM metric", 2);
    hakd_close(db);
}

static void test_transactions(void **state) {
    (void)state;
    struct hakd *db = open_new(), *reader;
    assert_int_equal(hakd_commit(db, &err), HAKC_EINTERNAL);
    ok(hakd_begin(db, &err));
    assert_int_equal(hakd_begin(db, &err), HAKC_EINTERNAL);
    new_experiment(db);
    ok(hakd_open(&reader, path, HAKD_READ, &err));
    assert_answer(reader, "SELECT count(*) FROM experiment", 0);
    ok(hakd_commit(db, &err));
    assert_answer(reader, "SELECT count(*) FROM experiment", 1);
    assert_int_equal(hakd_begin(reader, &err), HAKC_EINTERNAL);
    int64_t id;
    assert_int_equal(hakd_put_this_machine(reader, &id, &err), HAKC_EIO); /* read-only */
    ok(hakd_begin(db, &err));
    new_experiment(db);
    hakd_close(db); /* rolls back */
    assert_answer(reader, "SELECT count(*) FROM experiment", 1);
    hakd_close(reader);
    hakd_close(NULL);
}

static void test_hostile_names(void **state) {
    (void)state;
    static const char *const names[] = {"'; DROP TABLE run; --", "%s%n", "a\"b", "\xff\xfe", ""};
    struct hakd *db = open_new();
    int64_t e = new_experiment(db);
    for (unsigned i = 0; i < 5; i++) {
        struct hakd_run r = new_run(e, 0, names[i], i);
        r.policy = r.env = names[i];
        int64_t run = put_run(db, &r);
        ok(hakd_put_metric(db, run, names[i], i, "x", &err));
        struct hakd_syscall s = {names[i], names[i], 1, 0, 0, 5};
        ok(hakd_put_syscall(db, run, &s, &err));
        sqlite3_stmt *st;
        assert_int_equal(
            sqlite3_prepare_v2(db->sql,
                               "SELECT count(*) FROM run WHERE allocator = ?1 AND policy "
                               "= ?1",
                               -1, &st, NULL),
            SQLITE_OK);
        sqlite3_bind_text(st, 1, names[i], -1, SQLITE_STATIC);
        assert_int_equal(sqlite3_step(st), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(st, 0), 1);
        sqlite3_finalize(st);
    }
    assert_answer(db, "SELECT count(*) FROM run", 5);
    hakd_close(db);
}

static void test_samples_keep_order(void **state) {
    (void)state;
    struct hakd *db = open_new();
    int64_t e = new_experiment(db);
    struct hakd_run ra = new_run(e, 0, "a", 0), rb = new_run(e, 0, "b", 1);
    int64_t a = put_run(db, &ra), b = put_run(db, &rb);
    for (unsigned i = 0; i < 10; i++) {
        struct hakd_sample s = {100 - i, i ? i : UINT64_MAX, 4096 * i, i % 2 ? UINT64_MAX : 4096, i,
                                i,       UINT64_MAX};
        ok(hakd_put_sample(db, i % 3 ? a : b, &s, &err)); /* two runs in turns */
    }
    assert_answer(db, "SELECT sum(seq) FROM sample WHERE run_id = 1", 0 + 1 + 2 + 3 + 4 + 5);
    assert_answer(db, "SELECT op FROM sample WHERE run_id = 2 ORDER BY seq LIMIT 1 OFFSET 2", 94);
    assert_answer(db, "SELECT time_ns FROM sample WHERE run_id = 2 AND seq = 0", NAN);
    assert_answer(db, "SELECT overhead FROM v_memory WHERE op = 96", 4);
    assert_answer(db, "SELECT overhead FROM v_memory WHERE op = 97", NAN);
    hakd_close(db);
}

/* Values chosen so that a mean, a wrong middle or a failed run would show. */
static void test_views(void **state) {
    (void)state;
    static const double libc[] = {100, 300, 200, 1000}, hakmem[] = {90, 50, 5000};
    struct hakd *db = open_new();
    int64_t trace, e = new_experiment(db);
    struct hakd_trace t = {.sha256 = "cc", .path = "t.zst"};
    ok(hakd_put_trace(db, &t, &trace, &err));
    for (unsigned i = 0; i < 4; i++) {
        struct hakd_run r = new_run(e, trace, "libc", i);
        ok(hakd_put_metric(db, put_run(db, &r), "wall_ns", libc[i], "ns", &err));
    }
    for (unsigned i = 0; i < 3; i++) {
        struct hakd_run r = new_run(e, trace, "hakmem", i);
        r.policy = "eager";
        ok(hakd_put_metric(db, put_run(db, &r), "wall_ns", hakmem[i], "ns", &err));
    }
    struct hakd_run account = new_run(e, trace, "hakmem", 0), sim = account;
    account.policy = sim.policy = "eager";
    account.pass = "account";
    sim.pass = "sim";
    ok(hakd_put_metric(db, put_run(db, &account), "minor_faults", 200, "faults", &err));
    ok(hakd_put_metric(db, put_run(db, &sim), "predicted_faults", 190, "faults", &err));
    struct hakd_run crashed = new_run(e, trace, "mimalloc", 0);
    put_run(db, &crashed);
    crashed.position = 1;
    crashed.status = "crashed";
    put_run(db, &crashed);
    assert_answer(db, "SELECT wall_ns FROM v_compare WHERE allocator = 'libc'", 250);
    assert_answer(db, "SELECT wall_ns FROM v_compare WHERE allocator = 'hakmem'", 90);
    assert_answer(db, "SELECT time_to_libc FROM v_compare WHERE allocator = 'hakmem'", 90 / 250.0);
    assert_answer(db, "SELECT minor_faults FROM v_compare WHERE allocator = 'hakmem'", 200);
    assert_answer(db, "SELECT time_to_libc FROM v_compare WHERE allocator = 'mimalloc'", NAN);
    assert_answer(db, "SELECT failed_runs FROM v_compare WHERE allocator = 'mimalloc'", 1);
    assert_answer(db, "SELECT count(*) FROM v_fidelity", 1);
    assert_answer(db, "SELECT relative_error FROM v_fidelity", -0.05);
    assert_answer(db, "SELECT count(*) FROM v_run WHERE trace_path = 't.zst' AND machine_id = 1",
                  11);
    assert_answer(db, "SELECT ok_runs FROM v_experiment", 10);
    /* a failed run of libc takes every ratio away */
    struct hakd_run bad = new_run(e, trace, "libc", 9);
    bad.status = "timeout";
    put_run(db, &bad);
    assert_answer(db, "SELECT time_to_libc FROM v_compare WHERE allocator = 'hakmem'", NAN);
    hakd_close(db);
}

/* Every listed metric is distinct and its unit follows from its name. */
static void test_metric_list(void **state) {
    (void)state;
    for (const struct hakd_metric_def *d = hakd_metric_defs; d->name; d++) {
        for (const struct hakd_metric_def *k = d + 1; k->name; k++)
            assert_string_not_equal(d->name, k->name);
        assert_string_equal(hakd_metric_unit(d->name), d->unit);
        const char *tail = strrchr(d->name, '_');
        if (tail && strcmp(tail, "_bytes") == 0)
            assert_string_equal(d->unit, "bytes");
        if (tail && strcmp(tail, "_ns") == 0)
            assert_string_equal(d->unit, "ns");
    }
    assert_null(hakd_metric_unit("nonsense"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_rows_once),     TEST(test_refusals),           TEST(test_transactions),
        TEST(test_hostile_names), TEST(test_samples_keep_order), TEST(test_views),
        TEST(test_metric_list),
    };
    return cmocka_run_group_tests_name("store", tests, make_dir, drop_dir);
}
