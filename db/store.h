/*
 * The store: where every result goes, one SQLite file in WAL mode. docs/schema.md is the contract
 * of the tables; this header is how the tools write them. Queries are SQL (hakdb, or any client).
 *
 * A result leads back to what made it:
 *   experiment (one call of a tool: its version, arguments, seed, machine, start; it may belong to
 *     │         a study, which joins the calls of many processes or machines under one name)
 *     └ run (one allocator x policy x trace x pass x repeat, in a fresh process; or one simulated
 *       │    policy over one trace)
 *       ├ metric   (named raw figures, each with its unit)
 *       ├ syscall  (memory system calls by call and advice)
 *       └ sample   (resident and live memory over the run)
 * and from the run to trace (content hash), library (path, build id, version, hash), machine.
 *
 * Strings passed in are copied. NULL strings become SQL NULL: "not known", never invented.
 * One handle belongs to one thread. Several processes may write one file: a locked database is
 * waited for (10 s), then HAKC_EBUSY.
 */
#ifndef DB_STORE_H
#define DB_STORE_H

#include <stdint.h>
#include "common/err.h"
#include "db/metrics.h" /* the names that hakd_put_metric takes */

struct hakd;

enum hakd_open_mode {
    HAKD_READ = 0,  /* must exist; never changes the file */
    HAKD_WRITE = 1, /* creates it, migrates it to this build's schema version */
};

int hakd_open(struct hakd **db, const char *path, enum hakd_open_mode mode, struct hakc_err *err);
void hakd_close(struct hakd *db); /* rolls back an open transaction; NULL is fine */

/* The same with a time of one's own to wait for another process's lock, also in later calls. */
int hakd_open_wait(struct hakd **db, const char *path, enum hakd_open_mode mode, unsigned ms,
                   struct hakc_err *err);

/* The schema version that this build writes. */
int hakd_schema_version(void);

/* A transaction around many puts: much faster, and all or nothing. Not nested. */
int hakd_begin(struct hakd *db, struct hakc_err *err);
int hakd_commit(struct hakd *db, struct hakc_err *err);
/* Undoes what a failure has left open. Nothing where no transaction is. */
void hakd_rollback(struct hakd *db);

/* The following find an equal row or make one, and return its id in *id. */

struct hakd_trace {
    const char *sha256; /* of the file: the trace's identity */
    const char *path;   /* where it was seen last */
    const char *command, *host, *clock, *tool, *source;
    uint32_t version, fidelity; /* enum hakt_fidelity */
    uint64_t records, ops, allocs, threads, duration_ns, start_unix_ns, dropped;
    uint64_t peak_live_bytes, peak_live_objects;
};
int hakd_put_trace(struct hakd *db, const struct hakd_trace *t, int64_t *id, struct hakc_err *err);

struct hakd_library {
    const char *name;     /* "hakmem", "mimalloc", "libc", "null", ... */
    const char *path;     /* of the file that malloc resolved into */
    const char *build_id; /* hex of the ELF note, or NULL */
    const char *version;  /* what the library itself says, or its package, or NULL */
    const char *sha256;   /* of the file */
};
int hakd_put_library(struct hakd *db, const struct hakd_library *l, int64_t *id,
                     struct hakc_err *err);

/* This machine, read from the system: CPU, cores, memory, kernel, THP, governor, clock source,
 * page size, libc version. What cannot be read is NULL. */
int hakd_put_this_machine(struct hakd *db, int64_t *id, struct hakc_err *err);

/* A study: experiments that belong together, perhaps of many processes and machines. The name is
 * its identity: equal names are one study, also when databases merge. */
int hakd_put_study(struct hakd *db, const char *name, const char *tool, int64_t *id,
                   struct hakc_err *err);

/* One call of a tool. args is the command line, for repeating it. Gets a UUID, so that databases
 * merge. Set finished with hakd_finish_experiment: "done", "interrupted" or "failed". */
struct hakd_experiment {
    const char *tool, *tool_version, *args;
    int64_t machine;
    uint64_t seed;
    int64_t study;            /* 0 = none */
    uint64_t started_unix_ns; /* 0 = now */
};
int hakd_put_experiment(struct hakd *db, const struct hakd_experiment *e, int64_t *id,
                        struct hakc_err *err);
int hakd_finish_experiment(struct hakd *db, int64_t id, const char *state, struct hakc_err *err);

struct hakd_run {
    int64_t experiment, trace; /* trace 0 = none (a benchmark) */
    int64_t library;           /* 0 = none (simulated) */
    const char *allocator;     /* the name as the user gave it: "hakmem", "jemalloc:..." */
    const char *policy;        /* canonical policy string, or NULL */
    const char *env;           /* the variant's environment "A=1 B=2", or NULL */
    const char *pass;          /* "time", "latency", "account", "sim", "control" */
    const char *mode;     /* how it was driven: "full-speed", "recorded-times", "events", "full" */
    int64_t repeat;       /* 0.. within its pass */
    int64_t position;     /* place in the interleaved order of the experiment, 0.. */
    const char *status;   /* "ok", "failed", "crashed", "timeout", "wrong-library" */
    const char *error;    /* a sentence, where status is not ok */
    const char *counting; /* how system calls were counted: "seccomp", "ptrace", "model", NULL */
};
int hakd_put_run(struct hakd *db, const struct hakd_run *r, int64_t *id, struct hakc_err *err);

/* Names and units stand in docs/schema.md; a figure that could not be measured is not put. */
int hakd_put_metric(struct hakd *db, int64_t run, const char *name, double value, const char *unit,
                    struct hakc_err *err);

struct hakd_syscall {
    const char *call;   /* "madvise", "mmap", ... */
    const char *detail; /* the advice or the decisive flags: "MADV_DONTNEED", "PROT_NONE"; or "" */
    uint64_t calls, errors, bytes;
    uint64_t kernel_ns; /* UINT64_MAX = not measured */
};
int hakd_put_syscall(struct hakd *db, int64_t run, const struct hakd_syscall *s,
                     struct hakc_err *err);

/* UINT64_MAX = not known, in all but op and resident_bytes. */
struct hakd_sample {
    uint64_t op;                          /* ops done in all threads */
    uint64_t time_ns;                     /* since the start of the run */
    uint64_t resident_bytes;              /* anonymous memory of the allocator alone */
    uint64_t live_bytes;                  /* asked for and not freed */
    uint64_t recorded_ns;                 /* the trace's time at that place */
    uint64_t lazy_free_bytes, huge_bytes; /* of resident: given to MADV_FREE; in huge pages */
};
int hakd_put_sample(struct hakd *db, int64_t run, const struct hakd_sample *s,
                    struct hakc_err *err);

/* One thread of a run. */
struct hakd_thread {
    int64_t thread;
    uint64_t ops, minor_faults, major_faults;
    uint64_t syscalls; /* UINT64_MAX = not counted */
    uint64_t blocked_waits;
    uint64_t end_ns; /* of its stream, after the start of the run */
};
int hakd_put_thread(struct hakd *db, int64_t run, const struct hakd_thread *t,
                    struct hakc_err *err);

/* Latencies of one kind of op and size class. */
struct hakd_latency {
    const char *op;
    uint64_t size_max_bytes, ops;
    double p50_ns, p90_ns, p99_ns, p999_ns, max_ns, mean_ns;
};
int hakd_put_latency(struct hakd *db, int64_t run, const struct hakd_latency *l,
                     struct hakc_err *err);

/* The system calls of one class that ops of one kind and size made. */
struct hakd_cause {
    const char *op;
    uint64_t size_max_bytes; /* 0 = an op without a size */
    struct hakd_syscall call;
    uint64_t first_thread, first_op; /* of the first of them; UINT64_MAX = not in an op */
};
int hakd_put_cause(struct hakd *db, int64_t run, const struct hakd_cause *c, struct hakc_err *err);

/* One of the slowest ops, and what a run that looked into it (the one it is stored with) found. */
struct hakd_slow_op {
    int64_t thread;
    uint64_t op; /* counted from 0 in its thread */
    const char *kind;
    uint64_t size_bytes;
    double latency_ns;
    uint64_t minor_faults, major_faults, syscalls, syscall_ns; /* UINT64_MAX = not known */
};
int hakd_put_slow_op(struct hakd *db, int64_t run, const struct hakd_slow_op *s,
                     struct hakc_err *err);
int hakd_put_slow_call(struct hakd *db, int64_t run, const struct hakd_slow_op *s,
                       const struct hakd_syscall *call, struct hakc_err *err);

/* What the oracle says of a trace for one memory bound (sim/oracle.h). */
struct hakd_oracle {
    int64_t experiment, trace;
    const char *kind;      /* of the bound: "mean" (by ops), "mean-time", "peak" */
    uint64_t bytes;        /* the bound */
    uint64_t bound_ns;     /* no schedule costs less; UINT64_MAX = none is possible */
    uint64_t reachable_ns; /* a schedule that knows the future costs this; UINT64_MAX = not found */
};
int hakd_put_oracle(struct hakd *db, const struct hakd_oracle *o, struct hakc_err *err);

/* ---- reading back ------------------------------------------------------------------------- */

/* Calls fn for each ok run of a pass that a study holds over a trace, made by a library (0 = any);
 * the newest first. A nonzero return of fn ends it and is returned. */
typedef int hakd_run_fn(void *ctx, int64_t run, const char *policy, const char *mode);
int hakd_each_study_run(struct hakd *db, int64_t study, int64_t trace, int64_t library,
                        const char *pass, hakd_run_fn *fn, void *ctx, struct hakc_err *err);

/* A figure over the ok repeats of an allocator under a policy on a trace, in the newest experiment
 * of hakreplay that has it. HAKC_ENOENT if there is none. */
struct hakd_spread {
    double median, least, most;
};
int hakd_newest_spread(struct hakd *db, int64_t trace, const char *allocator, const char *policy,
                       const char *pass, const char *name, struct hakd_spread *out,
                       struct hakc_err *err);

/* The figures and the system calls of a run. */
typedef void hakd_metric_fn(void *ctx, const char *name, double value);
typedef void hakd_syscall_fn(void *ctx, const struct hakd_syscall *s);
int hakd_each_metric(struct hakd *db, int64_t run, hakd_metric_fn *fn, void *ctx,
                     struct hakc_err *err);
int hakd_each_syscall(struct hakd *db, int64_t run, hakd_syscall_fn *fn, void *ctx,
                      struct hakc_err *err);

/* The metrics of the newest run of that pass and mode that went well on this machine, as it is set
 * up now (hakd_put_this_machine): each is passed to `metric`. *unix_ns: when that experiment
 * started. HAKC_ENOENT if there is none. A database opened for reading will do. */
int hakd_newest_metrics(struct hakd *db, const char *pass, const char *mode,
                        void (*metric)(void *ctx, const char *name, double value), void *ctx,
                        uint64_t *unix_ns, struct hakc_err *err);

/* ---- whole databases ---------------------------------------------------------------------- */

struct hakd_merged {
    int64_t experiments, runs, traces, libraries, machines, studies; /* rows that were added */
};

/* Adds what the database at `other` holds and this one does not: experiments by their UUID, runs
 * by their place in the experiment, traces by hash, libraries and machines by identity, studies by
 * name. All or
 * nothing; twice gives the same as once. The other file is not changed; it must have this build's
 * schema version. */
int hakd_merge(struct hakd *db, const char *other, struct hakd_merged *added, struct hakc_err *err);

/* Called for each thing that hakd_check finds. A problem means that figures may be wrong; else it
 * is a hint (an experiment that never finished). */
typedef void hakd_finding(void *ctx, int is_problem, const char *text);

/* SQLite's integrity check, foreign keys, rows whose run or experiment is gone, runs that claim
 * success without a figure. *problems counts; 0 unless the check itself failed. */
int hakd_check(struct hakd *db, hakd_finding *found, void *ctx, int64_t *problems,
               struct hakc_err *err);

#endif
