/*
 * Release policies: when an allocator gives free pages back to the system, how many, and how.
 *
 * A policy is pure. It sees times and page counts that its host passes in, and answers with a
 * target; it reads no clock, no environment and no memory of the host, allocates nothing, has no
 * globals, uses no floating point and is given no pointer values. So one object code runs inside
 * libhakmem and inside the simulator, and the same events give the same answers. docs/policies.md
 * describes each policy for its user.
 *
 * Glossary
 *   span    a run of pages that becomes free as one (a 64 KiB slab, or a larger object).
 *   dirty   free, still resident.      purged  free, given back, address range kept.
 *   target  what the host must bring about: it releases dirty spans, oldest first, until the
 *           target holds. The host never releases more than that.
 *
 * Threads: a struct hakp_policy is not synchronised; the host calls it under its own lock.
 */
#ifndef ALLOC_POLICY_POLICY_H
#define ALLOC_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hakp_kind {
    HAKP_EAGER = 0,   /* give back at once */
    HAKP_NEVER = 1,   /* give nothing back */
    HAKP_PARTIAL = 2, /* hysteresis: let n spans gather, then give all back in one round */
    HAKP_DECAY = 3,   /* what may stay dirty falls along a curve over ns since it became dirty */
    HAKP_DELAY = 4,   /* give a span back when it has been dirty for ns */
    HAKP_DEMAND = 5,  /* keep what the peak of use over the last ns would need */
    HAKP_BOUNCE = 6,  /* keep the last n spans of each kind, give the others back at once */
    HAKP_REPORT_2025 = 7, /* the first HAKMEM: populate at acquisition, unmap at once when free */
    HAKP_PRESSURE = 8,    /* keep all until memory is short, then give back what is too much */
    HAKP_ADAPT = 9,       /* give back at once, but what then came back soon is kept next time */
    HAKP_REST = 10,       /* keep all while spans come and go, give back when they rest */
    HAKP_BUDGET = 11,     /* give back when a burst ends, for at most so much of the time */
    HAKP_KIND_COUNT
};

enum hakp_how {
    HAKP_DONTNEED = 0, /* MADV_DONTNEED: gone now, zero when touched again */
    HAKP_FREE = 1,     /* MADV_FREE: the kernel takes it when it needs it */
    HAKP_UNMAP = 2,    /* the mapping goes too */
};

struct hakp_catalogue; /* policy_kinds.h */

/* A policy with its parameters, as one string names it: "partial:n=100,how=free". Which policy
 * takes which of them stands in policy_keys.c; what a policy does not take is 0. */
struct hakp_spec {
    const struct hakp_catalogue *catalogue; /* whose kind it is; NULL: libhakmem's own policies */
    enum hakp_kind kind;
    enum hakp_how how;
    uint64_t n;  /* spans: partial, to gather; bounce, to keep of a kind. pressure, budget: % */
    uint64_t ns; /* of the policies that go by time: ms= in their description */
    uint64_t max_bytes;  /* more dirty bytes than this start a round as well (0 = no such limit) */
    uint64_t keep_bytes; /* dirty bytes that stay, the youngest */
    uint64_t huge_bytes; /* who holds so much gets huge pages where they fit (0 = nobody) */
    uint64_t min_bytes;  /* spans of less address space than this are never given back, not even at
                            TRIM or OOM (0 = all may be) */
    uint64_t stall; /* pressure: percent of time that tasks may wait for memory (0 = no matter) */
    uint64_t rss_bytes; /* pressure: what active and dirty pages may come to (0 = no such limit) */
    uint64_t populate;  /* 1: bring a span's pages in when it goes into use */
};

/* How short memory is, as the host last saw it; 0 = not known, or no limit. */
struct hakp_memory {
    uint64_t limit_bytes; /* what limits this process: a cgroup's limit or its own */
    uint64_t used_bytes;  /* what counts against it */
    uint64_t stall;       /* hundredths of a percent of the last seconds in which tasks waited for
                             memory (the kernel's pressure stall information) */
};

/* What the host tells. */
enum hakp_event_kind {
    HAKP_EV_DIRTY,    /* a span became dirty (it is counted in dirty_*) */
    HAKP_EV_REUSED,   /* a dirty span was taken again (it is no longer counted) */
    HAKP_EV_TICK,     /* the time asked for by next_tick_ns has come, and no other event tells it */
    HAKP_EV_PRESSURE, /* somebody says that the system is short of memory */
    HAKP_EV_OOM,      /* a map call failed: every policy answers keep_pages 0 */
    HAKP_EV_THREAD_EXIT, /* a thread has handed back its caches */
    HAKP_EV_TRIM,        /* the program asked (malloc_trim): keep_pages 0 as well */
    HAKP_EV_RETURNED, /* a span that was given back is taken again; only where target.hear_returns
                       */
    HAKP_EV_START, /* the host begins (now_ns is 0: for the first target; and again when the first
                      span is wanted, with the time), or its clock is another one */
};

struct hakp_event {
    enum hakp_event_kind kind;
    uint64_t now_ns;      /* the host's clock, never decreasing; real or virtual */
    uint64_t span_pages;  /* pages of the span the event is about; 0 if none */
    uint64_t dirty_pages; /* after the event; only spans of at least min_bytes are counted */
    uint64_t dirty_spans;
    uint64_t active_pages;     /* pages in spans that are in use */
    uint64_t peak_pages;       /* the most that active_pages was since the event before this one */
    uint64_t oldest_ns;        /* when the oldest dirty span became so; UINT64_MAX: there is none */
    uint64_t since_ns;         /* REUSED, RETURNED: when the span became dirty; else 0 */
    uint64_t page_size;        /* bytes, constant */
    struct hakp_memory memory; /* as of the last time that a target asked for it */
};

/* What the policy wants. Valid until the next event. */
struct hakp_target {
    uint64_t keep_pages; /* release oldest first while more than this is dirty */
    uint64_t max_age_ns; /* release what has been dirty for longer (UINT64_MAX = no limit) */
    uint64_t kind_spans; /* DIRTY: of the spans of its kind, release all but the last so many that
                            became free (UINT64_MAX = no limit) */
    enum hakp_how how;
    bool hear_returns;     /* to be told RETURNED */
    bool watch;            /* look at limits and pressure (struct hakp_memory) before that TICK */
    uint64_t next_tick_ns; /* to be told of an event at or after this time, of TICK if there is no
                              other (UINT64_MAX = never) */
    bool populate;         /* MADV_POPULATE_WRITE a span at acquisition */
    uint64_t huge_bytes;   /* MADV_HUGEPAGE on fresh SuperSlabs where the process has so much in
                              small slabs; where a quarter of it, if few size classes share one, and
                              under large objects (0 = never) */
    bool supers;           /* START: each size class, in powers of two, lives in 2 MiB SuperSlabs of
                              its own, whose mapping comes and goes with them (report-2025). What the
                              host's first START says holds for the process */
    uint64_t cache_bytes;  /* what each thread may cache of a size class's free blocks
                                (0 = nothing, UINT64_MAX = the host's own default) */
};

#define HAKP_STATE 72

struct hakp_policy {
    struct hakp_spec spec;
    uint64_t state[HAKP_STATE]; /* the kind's own */
};

/* Parses "NAME", "NAME:VALUE" (the policy's main parameter) or "NAME:key=value,key=value". Bytes
 * take B, KiB, MiB, GiB, kB, MB, GB and bare K, M, G (1024); durations ns, us, ms, s, m, h, and a
 * bare number is milliseconds. Returns 0, or -1 with a sentence in
 * why (may be NULL) that names the wrong word; *spec is then unchanged. */
int hakp_parse(const char *text, struct hakp_spec *spec, char *why, size_t why_len);

/* The canonical string of a spec: parses back to an equal spec; equal specs give equal strings.
 * Returns its length, as snprintf does. */
int hakp_format(const struct hakp_spec *spec, char *buf, size_t len);

/* True: what this policy's target asks for (placement, huge pages) is not in the events of another
 * policy's run, and what it does can be told only by running the allocator in full. */
bool hakp_own_placement(const struct hakp_spec *spec);

/* Names of the policies, for --help: NULL past the last. */
const char *hakp_name(unsigned kind);
const char *hakp_help(unsigned kind);

void hakp_init(struct hakp_policy *p, const struct hakp_spec *spec);

/* Tells the policy and receives its target. */
void hakp_event(struct hakp_policy *p, const struct hakp_event *ev, struct hakp_target *out);

#endif
