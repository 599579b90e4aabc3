/* Names of the door's calls (those of hakreplay's account pass), and the comparison of figures. */
#include <stdio.h>

#include "sim/sim.h"

static const struct {
    const char *name, *detail;
} calls[HAKS_CALLS] = {
    [HAKS_RESERVE] = {"mmap", "ANON PROT_NONE"},
    [HAKS_COMMIT] = {"mprotect", "PROT_READ|PROT_WRITE"},
    [HAKS_DONTNEED] = {"madvise", "MADV_DONTNEED"},
    [HAKS_FREE] = {"madvise", "MADV_FREE"},
    [HAKS_UNMAP] = {"mmap", "FIXED ANON PROT_NONE"},
    [HAKS_RELEASE] = {"munmap", ""},
    [HAKS_MAP] = {"mmap", "ANON RW"},
    [HAKS_POPULATE] = {"madvise", "MADV_POPULATE_WRITE"},
    [HAKS_HUGE] = {"madvise", "MADV_HUGEPAGE"},
    [HAKS_MOVE] = {"mremap", ""},
};

const char *haks_call_name(enum haks_call call) {
    return calls[call].name;
}

const char *haks_call_detail(enum haks_call call) {
    return calls[call].detail;
}

uint64_t haks_release_calls(const struct haks_figures *f) {
    return f->calls[HAKS_DONTNEED] + f->calls[HAKS_FREE] + f->calls[HAKS_UNMAP] +
           f->calls[HAKS_RELEASE];
}

uint64_t haks_map_calls(const struct haks_figures *f) {
    return f->calls[HAKS_RESERVE] + f->calls[HAKS_COMMIT] + f->calls[HAKS_MOVE] +
           f->calls[HAKS_MAP];
}

static const char *say(char *buf, size_t len, const char *what, const char *detail, uint64_t a,
                       uint64_t b) {
    snprintf(buf, len, "%s%s%s: %llu and %llu", what, *detail != '\0' ? " " : "", detail,
             (unsigned long long)a, (unsigned long long)b);
    return buf;
}

/* What tells a call from the others. */
static const char *call_label(unsigned c) {
    return calls[c].detail[0] != '\0' ? calls[c].detail : calls[c].name;
}

const char *haks_figures_differ(const struct haks_figures *a, const struct haks_figures *b,
                                char *buf, size_t len) {
    const struct {
        const char *name;
        uint64_t a, b;
    } fields[] = {
        {"rounds", a->rounds, b->rounds},
        {"released bytes", a->released_bytes, b->released_bytes},
        {"populated bytes", a->populated_bytes, b->populated_bytes},
        {"moved bytes", a->moved_bytes, b->moved_bytes},
        {"faults", a->faults, b->faults},
#define COUNT(member, name) {name, a->heat.member, b->heat.member},
        HAKS_HEAT_COUNTS(COUNT)
#undef COUNT
            {"peak resident bytes", a->peak_resident_bytes, b->peak_resident_bytes},
        {"resident bytes at the end", a->end_resident_bytes, b->end_resident_bytes},
        {"peak lazy bytes", a->peak_lazy_bytes, b->peak_lazy_bytes},
        {"mean resident bytes by ops", a->mean_resident_bytes, b->mean_resident_bytes},
        {"mean resident bytes by time", a->mean_resident_time_bytes, b->mean_resident_time_bytes},
        {"cost in ns", a->cost_ns, b->cost_ns},
    };
    for (unsigned c = 0; c < HAKS_CALLS; c++) {
        if (a->calls[c] != b->calls[c])
            return say(buf, len, "calls of", call_label(c), a->calls[c], b->calls[c]);
        if (a->bytes[c] != b->bytes[c])
            return say(buf, len, "bytes of", call_label(c), a->bytes[c], b->bytes[c]);
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (fields[i].a != fields[i].b)
            return say(buf, len, fields[i].name, "", fields[i].a, fields[i].b);
    return NULL;
}
