/* The facts of this machine. What cannot be read stays unknown: NULL. */
#include "db/store_int.h"

#include <gnu/libc-version.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { TEXT = 160 };

struct facts {
    char cpu_model[TEXT], cpu_vendor[TEXT], thp[TEXT], governor[TEXT], clocksource[TEXT];
    char libc[TEXT];
    int64_t memory_bytes; /* -1 = not known, like the following */
    int64_t hypervisor;
    struct utsname system;
    int has_system;
};

static void trim(char *s) {
    size_t n = strlen(s);
    while (n && (s[n - 1] == '\n' || s[n - 1] == ' ' || s[n - 1] == '\t'))
        s[--n] = '\0';
}

/* The first line of a file, or "" . */
static void read_line(const char *path, char out[TEXT]) {
    out[0] = '\0';
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (!fgets(out, TEXT, f))
        out[0] = '\0';
    fclose(f);
    trim(out);
}

/* Of "always [madvise] never", the choice in brackets. */
static void keep_choice(char s[TEXT]) {
    char *open = strchr(s, '['), *close = open ? strchr(open, ']') : NULL;
    if (!close)
        return;
    *close = '\0';
    memmove(s, open + 1, strlen(open + 1) + 1);
}

/* "key<blanks>: value" of /proc/cpuinfo: the first one counts. */
static void take_value(const char *line, const char *key, char out[TEXT]) {
    size_t n = strlen(key);
    if (out[0] || strncmp(line, key, n) != 0 ||
        (line[n] != '\t' && line[n] != ' ' && line[n] != ':'))
        return;
    const char *colon = strchr(line, ':');
    if (!colon)
        return;
    snprintf(out, TEXT, "%s", colon + 1 + (colon[1] == ' '));
    trim(out);
}

static void read_cpuinfo(struct facts *m) {
    FILE *f = fopen("/proc/cpuinfo", "re");
    char *line = NULL;
    size_t size = 0;
    m->hypervisor = -1;
    if (!f)
        return;
    while (getline(&line, &size, f) > 0) {
        take_value(line, "model name", m->cpu_model);
        take_value(line, "vendor_id", m->cpu_vendor);
        if (m->hypervisor < 0 && strncmp(line, "flags", 5) == 0)
            m->hypervisor = strstr(line, " hypervisor") != NULL;
    }
    free(line);
    fclose(f);
}

static void read_memory(struct facts *m) {
    FILE *f = fopen("/proc/meminfo", "re");
    char line[TEXT];
    uint64_t kib;
    m->memory_bytes = -1;
    if (!f)
        return;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "MemTotal: %" SCNu64 " kB", &kib) == 1)
            m->memory_bytes = (int64_t)(kib * 1024);
    fclose(f);
}

static void read_facts(struct facts *m) {
    memset(m, 0, sizeof *m);
    read_cpuinfo(m);
    read_memory(m);
    read_line("/sys/kernel/mm/transparent_hugepage/enabled", m->thp);
    keep_choice(m->thp);
    read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", m->governor);
    read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", m->clocksource);
    snprintf(m->libc, sizeof m->libc, "glibc %s", gnu_get_libc_version());
    m->has_system = uname(&m->system) == 0;
}

static const char *known(const char *s) {
    return s[0] ? s : NULL;
}

enum { FACTS = 15 };

/* The columns of the machine in their order, as texts (SQLite turns digits into integers), and the
 * row's identity. */
struct row {
    struct facts m;
    char digits[5][24];
    const char *column[FACTS];
    char identity[65];
};

static void fill(struct row *r) {
    struct facts *m = &r->m;
    read_facts(m);
    const int64_t numbers[] = {sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF),
                               m->memory_bytes, sysconf(_SC_PAGESIZE), m->hypervisor};
    for (unsigned i = 0; i < 5; i++)
        snprintf(r->digits[i], sizeof r->digits[i], "%" PRId64, numbers[i]);
#define NUMBER(i)     (numbers[i] >= 0 ? r->digits[i] : NULL)
#define SYSTEM(field) (m->has_system ? known(m->system.field) : NULL)
    const char *columns[FACTS] = {
        SYSTEM(nodename),
        known(m->cpu_model),
        known(m->cpu_vendor),
        SYSTEM(machine),
        NUMBER(0),
        NUMBER(1),
        NUMBER(2),
        NUMBER(3),
        SYSTEM(release),
        SYSTEM(version),
        known(m->thp),
        known(m->governor),
        known(m->clocksource),
        NUMBER(4),
        known(m->libc),
    };
#undef NUMBER
#undef SYSTEM
    memcpy(r->column, columns, sizeof columns);
    hakd_identity(r->column, FACTS, r->identity);
}

void hakd_this_machine(char identity[65]) {
    struct row r;
    fill(&r);
    memcpy(identity, r.identity, sizeof r.identity);
}

int hakd_put_this_machine(struct hakd *db, int64_t *id, struct hakc_err *err) {
    struct row r;
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_MACHINE, &b.st, err);
    if (rc)
        return rc;
    fill(&r);
    hakd_bind_text(&b, r.identity);
    for (unsigned i = 0; i < FACTS; i++)
        hakd_bind_text(&b, r.column[i]);
    return hakd_run_bound(db, &b, "storing this machine", id, err);
}

/* The rows of HAKD_ST_NEWEST, the first of which is run by run the newest. */
static int read_newest(struct hakd *db, sqlite3_stmt *st,
                       void (*metric)(void *ctx, const char *name, double value), void *ctx,
                       uint64_t *unix_ns, struct hakc_err *err) {
    int rows = 0, rc;
    for (; (rc = sqlite3_step(st)) == SQLITE_ROW; rows++) {
        *unix_ns = (uint64_t)sqlite3_column_int64(st, 0);
        metric(ctx, (const char *)sqlite3_column_text(st, 1), sqlite3_column_double(st, 2));
    }
    if (rc != SQLITE_DONE)
        return hakd_sql_error(db, "reading the newest metrics", err);
    return rows > 0 ? 0 : hakc_fail(err, HAKC_ENOENT, "no such run on this machine");
}

int hakd_newest_metrics(struct hakd *db, const char *pass, const char *mode,
                        void (*metric)(void *ctx, const char *name, double value), void *ctx,
                        uint64_t *unix_ns, struct hakc_err *err) {
    struct row r;
    struct hakd_bind b = {0};
    int rc = hakd_prepared(db, HAKD_ST_NEWEST, &b.st, err);
    if (rc)
        return rc;
    fill(&r);
    hakd_bind_text(&b, r.identity);
    hakd_bind_text(&b, pass);
    hakd_bind_text(&b, mode);
    rc = b.failed ? hakd_sql_error(db, "reading the newest metrics", err)
                  : read_newest(db, b.st, metric, ctx, unix_ns, err);
    sqlite3_reset(b.st);
    return rc;
}
