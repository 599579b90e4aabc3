/*
 * Whether an experiment that is "running" still is: its tool notes which process it is, and a
 * process that is gone has been killed, or had no room to say how it ended.
 */
#include "db/store_int.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BOOT = 40, SPACE = 40 };

struct writer {
    char boot[BOOT];   /* of the kernel */
    char space[SPACE]; /* the process's id is of this name space */
    long pid;
    unsigned long long start; /* clock ticks after the boot, so that an id used again differs */
};

/* When process pid was started, 0 = it is dead and only waited for. Returns 0, or -1 where /proc
 * does not tell: it may be mounted to hide those of other users. */
static int look_at(long pid, unsigned long long *start) {
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return -1;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    char *at = strrchr(text, ')'), state = 0; /* the name may hold anything */
    if (!at || sscanf(at,
                      ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
                      " %*d %*d %llu",
                      &state, start) != 2)
        return -1;
    if (state == 'Z' || state == 'X')
        *start = 0;
    return 0;
}

/* This process; 0, or -1 where /proc does not tell. */
static int look_at_self(struct writer *w) {
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    int told = f && fscanf(f, "%39s", w->boot) == 1;
    if (f)
        fclose(f);
    ssize_t n = readlink("/proc/self/ns/pid", w->space, sizeof w->space - 1);
    w->space[n > 0 ? n : 0] = '\0';
    w->pid = (long)getpid();
    return look_at(w->pid, &w->start) == 0 && told && n > 0 ? 0 : -1;
}

void hakd_writer(char text[HAKD_WRITER]) {
    struct writer w;
    text[0] = '\0';
    if (look_at_self(&w) == 0)
        snprintf(text, HAKD_WRITER, "%s %s %ld %llu", w.boot, w.space, w.pid, w.start);
}

int hakd_writer_is_gone(const char *text, int on_this_machine) {
    struct writer self, w;
    unsigned long long start;
    if (look_at_self(&self) != 0 ||
        sscanf(text, "%39s %39s %ld %llu", w.boot, w.space, &w.pid, &w.start) != 4)
        return 0;
    if (strcmp(w.boot, self.boot) != 0)
        return on_this_machine; /* which has been booted since */
    if (strcmp(w.space, self.space) != 0)
        return 0;
    if (kill((pid_t)w.pid, 0) != 0 && errno == ESRCH)
        return 1;
    return look_at(w.pid, &start) == 0 && start != w.start;
}

/* state_now(state, writer, identity of the machine) */
static void state_now(sqlite3_context *ctx, int n, sqlite3_value **args) {
    (void)n;
    const char *state = (const char *)sqlite3_value_text(args[0]);
    const char *writer = (const char *)sqlite3_value_text(args[1]);
    const char *machine = (const char *)sqlite3_value_text(args[2]);
    char identity[65];
    int gone = 0;
    if (state && writer && strcmp(state, "running") == 0) {
        hakd_this_machine(identity);
        gone = hakd_writer_is_gone(writer, machine && strcmp(machine, identity) == 0);
    }
    if (state)
        sqlite3_result_text(ctx, gone ? "interrupted" : state, -1, SQLITE_TRANSIENT);
}

int hakd_add_state_now(struct hakd *db) {
    return sqlite3_create_function(db->sql, "state_now", 3, SQLITE_UTF8 | SQLITE_DIRECTONLY, NULL,
                                   state_now, NULL, NULL);
}

int hakd_note_gone(struct hakd *db, struct hakc_err *err) {
    return hakd_exec(db,
                     "UPDATE experiment SET state = 'interrupted' WHERE state = 'running' AND"
                     " state_now(state, writer, (SELECT identity FROM machine m"
                     " WHERE m.id = machine_id)) = 'interrupted'",
                     "storing which experiments were interrupted", err);
}
