/*
 * The simulator: what release policies would do over a recorded stream of allocations.
 *
 * First pass   the trace drives the allocator's own core (alloc/heap.h) on a system that only keeps
 *              books (os_sim.c), under the policy `never`. What it leaves is the stream of span
 *              events: a span goes into use, is touched up to a page, becomes free. It is
 *              thousands of times shorter than the trace.
 * Evaluation   a policy runs over that stream: alloc/spans.c and alloc/policy, the very code of the
 *              allocator, over light records. Exact because of placement invariance (spans.h):
 *              which span is reused does not depend on the policy. Each TAKEN event says which span
 *              it was, so a violation would be seen, and is an error.
 * Full run     the allocator in full under one policy, with books kept page by page: the check.
 *
 * Glossary
 *   figures      what one policy would have cost over one trace (struct haks_figures).
 *   resident     pages of spans that were touched and not given back, and those of the
 *                allocator's own records (own_pages.h). Pages given to MADV_FREE stay in it:
 *                nothing takes them in a system without pressure; lazy counts them.
 *   fault        the first touch of a page that is not resident. A program is taken to touch
 *                every page of what it asked for, but of a calloc's, as hakreplay does.
 *   op           a call of the malloc family, counted from 0 in the trace's order.
 *
 * Determinism: figures depend on trace and policy alone; integers throughout.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stddef.h>
#include <stdint.h>
#include "alloc/policy/policy.h"
#include "common/err.h"
#include "sim/heat.h"

/* The door's calls, as the account pass of hakreplay sees them. */
enum haks_call {
    HAKS_RESERVE,  /* mmap, PROT_NONE */
    HAKS_COMMIT,   /* mprotect, read and write */
    HAKS_DONTNEED, /* madvise */
    HAKS_FREE,     /* madvise */
    HAKS_UNMAP,    /* mmap, PROT_NONE over the old mapping */
    HAKS_RELEASE,  /* munmap */
    HAKS_MAP,      /* mmap, read and write, where RELEASE was */
    HAKS_POPULATE, /* madvise */
    HAKS_HUGE,     /* madvise */
    HAKS_MOVE,     /* mremap */
    HAKS_CALLS
};

/* Name of the system call, and its advice or deciding flag ("" if none). */
const char *haks_call_name(enum haks_call call);
const char *haks_call_detail(enum haks_call call);

#define HAKS_UNKNOWN UINT64_MAX

struct haks_figures {
    uint64_t calls[HAKS_CALLS], bytes[HAKS_CALLS]; /* bytes: lengths of the calls */
    uint64_t rounds;                               /* of release */
    uint64_t released_bytes;  /* that were resident, by DONTNEED, FREE and UNMAP */
    uint64_t populated_bytes; /* that were not resident */
    uint64_t moved_bytes;     /* resident, by MOVE */
    uint64_t faults;
    struct haks_heat_counts heat; /* how much of the work finds the caches warm */
    uint64_t peak_resident_bytes, end_resident_bytes, peak_lazy_bytes;
    uint64_t mean_resident_bytes;      /* weighted by ops */
    uint64_t mean_resident_time_bytes; /* weighted by time; HAKS_UNKNOWN without times */
    uint64_t cost_ns;                  /* predicted CPU time in the kernel (cost_model.h) */
    struct haks_cost_split {           /* of it, by cause; each with the pages of its calls */
        uint64_t fault_ns, release_ns, map_ns, populate_ns, move_ns;
    } cost;
};

/* What a pass over the trace found. */
struct haks_pass {
    uint64_t records, ops, threads, spans, events;
    uint64_t parallel_milli;     /* how many threads' worth of ops run side by side, in thousandths:
                                    1 / sum of the squares of the threads' shares */
    uint64_t end_time;           /* ns, of the last record */
    int has_times;               /* the trace has them */
    int rebuilt;                 /* the trace has no trailer: its recording was cut short */
    uint64_t dropped;            /* ops that the recorder lost; UINT64_MAX = not known */
    uint64_t wall_ns;            /* what the pass took */
    uint64_t cpu_ns;             /* and in CPU time */
    uint64_t page_size;          /* of the books: this machine's */
    struct haks_figures fixed;   /* first pass: the calls that no policy changes */
    struct haks_figures figures; /* full run: everything */
};

/* All calls that give back, and all that map or commit (also MOVE). */
uint64_t haks_release_calls(const struct haks_figures *f);
uint64_t haks_map_calls(const struct haks_figures *f);

struct haks_stream;
struct haks_costs; /* cost_model.h */

/*
 * Both run the core in a forked child, because a process has one core. trace: a file of
 * tracer/format. They show a progress line. HAKC_ECORRUPT and HAKC_ETRUNCATED as the reader says;
 * HAKC_ECHILD if the child died; HAKC_EINTERNAL if *stop became nonzero (stop: NULL = never).
 */

/* First pass. The stream is the caller's, to be closed with haks_stream_close. */
int haks_first_pass(const char *trace, struct haks_pass *pass, struct haks_stream **stream,
                    const volatile int *stop, struct hakc_err *err);

/* The allocator in full under a policy: pass->figures. */
int haks_full_run(const char *trace, const struct haks_costs *costs, const struct hakp_spec *policy,
                  struct haks_pass *pass, const volatile int *stop, struct hakc_err *err);

/* Evaluates a policy on a stream. Any number of threads may evaluate one stream at a time.
 * HAKC_ENOMEM; HAKC_EREFUSED if placement depends on this policy (then run it in full). */
int haks_evaluate(const struct haks_stream *stream, const struct haks_pass *pass,
                  const struct haks_costs *costs, const struct hakp_spec *policy,
                  struct haks_figures *out, struct hakc_err *err);

/* Evaluates n policies on `jobs` threads (0 = one a core), of which the caller is one. rc[i] (rc
 * may be NULL) is what haks_evaluate says of policy i, HAKC_EINTERNAL for those not begun when
 * *stop (NULL = never) became nonzero. All are tried; returns 0 or the code of the first that
 * failed, with *err. Memory: a record of 80 bytes for each span and job. */
int haks_evaluate_all(const struct haks_stream *stream, const struct haks_pass *pass,
                      const struct haks_costs *costs, const struct hakp_spec *policies, size_t n,
                      unsigned jobs, struct haks_figures *out, int *rc, const volatile int *stop,
                      struct hakc_err *err);

void haks_stream_close(struct haks_stream *stream); /* NULL is fine */

/* Sentence naming the first figure in which two differ, or NULL. In buf. cost_ns is included. */
const char *haks_figures_differ(const struct haks_figures *a, const struct haks_figures *b,
                                char *buf, size_t len);

/* A list as --policy takes it: policies separated by commas; "key=value" without a policy's name
 * belongs to the policy before it. Appends to *list (owned by the caller, free()); equal policies
 * are kept once. HAKC_EUSAGE, HAKC_ENOMEM. */
int haks_policy_list(const char *text, struct hakp_spec **list, size_t *n, struct hakc_err *err);

#endif
