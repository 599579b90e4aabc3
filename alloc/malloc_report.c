/* See malloc_report.h. */
#include "alloc/malloc_report.h"
#include <errno.h>
#include <unistd.h>
#include "alloc/census.h"
#include "alloc/malloc_settings.h"
#include "alloc/malloc_thread.h"

#define THREADS_STEP 16 /* heaps looked at in one walk: they lie on the stack */

static uint64_t unit_bytes(uint64_t units) {
    return units << HAK_UNIT_SHIFT;
}

/* Blocks that a class has out, without those on lists. The two were not read at one moment. */
static uint64_t in_use(const struct hak_census_class *c) {
    return c->out > c->cached ? c->out - c->cached : 0;
}

static void fill_stats(struct hakmem_stats *out, const struct hak_census *census) {
    struct hak_core_stats s;
    uint64_t page = hak_os_page_size();
    hak_core_stats(&s);
    *out = (struct hakmem_stats){
        .version = HAKMEM_STATS_VERSION,
        .size = sizeof *out,
        .committed_bytes = s.committed_bytes,
        .active_bytes = s.active_pages * page,
        .dirty_bytes = s.dirty_pages * page,
        .dirty_spans = s.dirty_spans,
        .release_rounds = s.release_rounds,
        .release_calls = s.release_calls,
        .release_failures = s.release_failures,
        .released_spans = s.released_spans,
        .released_bytes = s.released_pages * page,
        .heaps = s.heaps,
        .retired_heaps = s.retired_heaps,
        .large_objects = census->large_objects,
        .large_bytes = census->large_pages * page,
        .lazy_spans = census->free_spans[HAK_SPAN_LAZY],
        .purged_spans = census->free_spans[HAK_SPAN_PURGED],
        .unmapped_spans = census->free_spans[HAK_SPAN_UNMAPPED],
        .policy_switches = s.policy_switches,
    };
    for (unsigned c = 1; c < HAK_CLASSES; c++) {
        const struct hak_census_class *of = &census->class[c];
        out->slab_spans += of->slabs;
        out->slab_bytes += unit_bytes(of->units);
        out->used_bytes += in_use(of) * hak_class_size(c);
        out->cached_bytes += of->cached * hak_class_size(c);
    }
    out->used_bytes += out->large_bytes;
}

void hak_report_stats(struct hakmem_stats *out) {
    struct hak_census census;
    hak_thread_init();
    hak_census(&census);
    fill_stats(out, &census);
}

size_t hak_report_classes(struct hakmem_class *out, size_t n) {
    struct hak_census census;
    size_t found = 0;
    hak_thread_init();
    hak_census(&census);
    for (unsigned c = 1; c < HAK_CLASSES; c++) {
        const struct hak_census_class *of = &census.class[c];
        if (of->slabs == 0)
            continue;
        if (found < n)
            out[found] = (struct hakmem_class){.block_bytes = hak_class_size(c),
                                               .slabs = of->slabs,
                                               .slab_bytes = unit_bytes(of->units),
                                               .blocks = of->capacity,
                                               .used = in_use(of),
                                               .cached = of->cached};
        found++;
    }
    return found;
}

size_t hak_report_threads(struct hakmem_thread *out, size_t first, size_t n) {
    struct hak_census_heap heaps[THREADS_STEP];
    hak_thread_init();
    size_t all = hak_census_heaps(NULL, 0, 0);
    for (size_t i = 0; i < n && first + i < all; i += THREADS_STEP) {
        size_t k = n - i < THREADS_STEP ? n - i : THREADS_STEP;
        hak_census_heaps(heaps, (uint32_t)(first + i), (uint32_t)k);
        for (size_t j = 0; j < k && first + i + j < all; j++) {
            const struct hak_census_heap *h = &heaps[j];
            out[i + j] = (struct hakmem_thread){
                .number = h->number,
                .state = h->state == HAK_HEAP_LIVE   ? HAKMEM_THREAD_LIVE
                         : h->state == HAK_HEAP_DEAD ? HAKMEM_THREAD_FORKED
                                                     : HAKMEM_THREAD_ENDED,
                .slabs = h->slabs,
                .slab_bytes = unit_bytes(h->units),
                .used_bytes = h->out_bytes > h->cached_bytes ? h->out_bytes - h->cached_bytes : 0,
                .cached_bytes = h->cached_bytes};
        }
    }
    return all;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

/* Text of the environment: quotes and control characters are not let through. */
static void json_string(struct hak_text *t, const char *s) {
    char one[2] = "";
    hak_text(t, "\"");
    for (; *s; s++) {
        one[0] = (unsigned char)*s < 32 ? '?' : *s;
        hak_text(t, *s == '"' || *s == '\\' ? "\\%s" : "%s", one);
    }
    hak_text(t, "\"");
}

static void json_stats(struct hak_text *t, const struct hakmem_stats *s) {
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {
        {"committed_bytes", s->committed_bytes}, {"active_bytes", s->active_bytes},
        {"used_bytes", s->used_bytes},           {"cached_bytes", s->cached_bytes},
        {"slab_spans", s->slab_spans},           {"slab_bytes", s->slab_bytes},
        {"large_objects", s->large_objects},     {"large_bytes", s->large_bytes},
        {"dirty_spans", s->dirty_spans},         {"dirty_bytes", s->dirty_bytes},
        {"lazy_spans", s->lazy_spans},           {"purged_spans", s->purged_spans},
        {"unmapped_spans", s->unmapped_spans},   {"release_rounds", s->release_rounds},
        {"release_calls", s->release_calls},     {"release_failures", s->release_failures},
        {"released_spans", s->released_spans},   {"released_bytes", s->released_bytes},
        {"policy_switches", s->policy_switches}, {"heaps", s->heaps},
        {"retired_heaps", s->retired_heaps},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        hak_text(t, ",\n  \"%s\": %u", fields[i].name, fields[i].value);
}

static void json_classes(struct hak_text *t) {
    struct hakmem_class class[HAK_CLASSES];
    size_t n = hak_report_classes(class, HAK_CLASSES);
    hak_text(t, ",\n  \"classes\": [");
    for (size_t i = 0; i < n; i++)
        hak_text(t,
                 "%s\n    {\"block_bytes\": %u, \"slabs\": %u, \"slab_bytes\": %u, \"blocks\": %u, "
                 "\"used\": %u, \"cached\": %u}",
                 i > 0 ? "," : "", class[i].block_bytes, class[i].slabs, class[i].slab_bytes,
                 class[i].blocks, class[i].used, class[i].cached);
    hak_text(t, n > 0 ? "\n  ]" : "]");
}

static void json_threads(struct hak_text *t) {
    static const char *const states[] = {"live", "ended", "forked"};
    struct hakmem_thread thread[THREADS_STEP];
    size_t first = 0, all;
    hak_text(t, ",\n  \"threads\": [");
    do {
        all = hak_report_threads(thread, first, THREADS_STEP);
        for (size_t i = 0; i < THREADS_STEP && first + i < all; i++)
            hak_text(t,
                     "%s\n    {\"number\": %u, \"state\": \"%s\", \"slabs\": %u, \"slab_bytes\": "
                     "%u, \"used_bytes\": %u, \"cached_bytes\": %u}",
                     first + i > 0 ? "," : "", thread[i].number, states[thread[i].state],
                     thread[i].slabs, thread[i].slab_bytes, thread[i].used_bytes,
                     thread[i].cached_bytes);
        first += THREADS_STEP;
    } while (first < all);
    hak_text(t, all > 0 ? "\n  ]" : "]");
}

void hak_report_json(struct hak_text *t) {
    struct hakmem_stats s;
    char policy[160] = "";
    hak_report_stats(&s);
    hak_core_policy(policy, sizeof policy);
    hak_text(t, "{\n  \"schema_version\": %u,\n  \"version\": \"%s\",\n  \"policy\": \"%s\"",
             (uint64_t)HAKMEM_STATS_VERSION, HAK_VERSION, policy);
    hak_text(t, ",\n  \"pid\": %u,\n  \"program\": ", (uint64_t)getpid());
    json_string(t, program_invocation_short_name ? program_invocation_short_name : "");
    hak_text(t, ",\n  \"safe\": %u", (uint64_t)hak_settings.safe);
    hak_text(t, ",\n  \"background\": %u", (uint64_t)hak_settings.background_runs);
    hak_text(t, ",\n  \"policy_problem\": ");
    json_string(t, hak_settings.problem);
    json_stats(t, &s);
    json_classes(t);
    json_threads(t);
    hak_text(t, "\n}\n");
}

/* ---- glibc's forms ------------------------------------------------------------------------- */

void hak_report_xml(struct hak_text *t) {
    struct hakmem_class class[HAK_CLASSES];
    struct hakmem_stats s;
    uint64_t cached = 0, rest = 0, rest_bytes = 0;
    hak_report_stats(&s);
    size_t n = hak_report_classes(class, HAK_CLASSES);
    hak_text(t, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n");
    for (size_t i = 0; i < n; i++) {
        uint64_t size = class[i].block_bytes, free = class[i].blocks - class[i].used;
        if (class[i].used > class[i].blocks || free == 0)
            continue;
        hak_text(t, "  <size from=\"%u\" to=\"%u\" total=\"%u\" count=\"%u\"/>\n",
                 i > 0 ? class[i - 1].block_bytes + 1 : 1, size, free * size, free);
        cached += class[i].cached;
        rest += free - (class[i].cached < free ? class[i].cached : free);
        rest_bytes += (free - (class[i].cached < free ? class[i].cached : free)) * size;
    }
    hak_text(t, "</sizes>\n<total type=\"fast\" count=\"%u\" size=\"%u\"/>\n", cached,
             s.cached_bytes);
    hak_text(t, "<total type=\"rest\" count=\"%u\" size=\"%u\"/>\n", rest, rest_bytes);
    for (int whole = 0; whole < 2; whole++) {
        if (whole)
            hak_text(
                t,
                "<total type=\"fast\" count=\"%u\" size=\"%u\"/>\n<total type=\"rest\" "
                "count=\"%u\" size=\"%u\"/>\n<total type=\"mmap\" count=\"%u\" size=\"%u\"/>\n",
                cached, s.cached_bytes, rest, rest_bytes, s.large_objects, s.large_bytes);
        hak_text(
            t,
            "<system type=\"current\" size=\"%u\"/>\n<system type=\"max\" size=\"%u\"/>\n"
            "<aspace type=\"total\" size=\"%u\"/>\n<aspace type=\"mprotect\" size=\"%u\"/>\n%s",
            s.committed_bytes, s.committed_bytes, s.committed_bytes, s.committed_bytes,
            whole ? "</malloc>\n" : "</heap>\n");
    }
}

void hak_report_arena(struct hak_text *t) {
    struct hakmem_stats s;
    hak_report_stats(&s);
    hak_text(t, "Arena 0:\nsystem bytes     = %u\nin use bytes     = %u\n", s.committed_bytes,
             s.used_bytes);
    hak_text(t, "Total (incl. mmap):\nsystem bytes     = %u\nin use bytes     = %u\n",
             s.committed_bytes, s.used_bytes);
    hak_text(t, "max mmap regions = %u\nmax mmap bytes   = %u\n", s.large_objects, s.large_bytes);
}

void hak_report_write(int fd, const char *buf, size_t n) {
    while (n > 0) {
        ssize_t k = write(fd, buf, n);
        if (k < 0 && errno != EINTR)
            return;
        buf += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
}
