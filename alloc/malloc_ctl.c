/* hakmem_ctl: the table of names, and how each is read and written. */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include "alloc/hakmem.h"
#include "alloc/malloc_report.h"
#include "alloc/malloc_settings.h"
#include "alloc/malloc_thread.h"

#define EXPORT __attribute__((visibility("default")))

/* Where a value goes. */
struct reply {
    void *out;
    size_t *out_len;
};

static int put(struct reply r, const void *value, size_t len) {
    size_t room = *r.out_len;
    *r.out_len = len;
    if (room < len)
        return ENOSPC;
    memcpy(r.out, value, len);
    return 0;
}

static int put_text(struct reply r, const char *text) {
    return put(r, text, strlen(text) + 1);
}

static int get_version(struct reply r) {
    return put_text(r, HAK_VERSION);
}

static int get_policy(struct reply r) {
    char text[160];
    int n = hak_core_policy(text, sizeof text);
    return n < 0 || (size_t)n >= sizeof text ? EINVAL : put_text(r, text);
}

static int set_policy(const void *in, size_t len) {
    char text[160];
    struct hakp_spec spec;
    if (len >= sizeof text)
        return EINVAL;
    memcpy(text, in, len);
    text[len] = '\0';
    if (hakp_parse(text, &spec, NULL, 0) != 0)
        return EINVAL;
    hak_core_set_policy(&spec);
    return 0;
}

static int get_safe(struct reply r) {
    return put(r, &hak_settings.safe, sizeof hak_settings.safe);
}

static int get_background(struct reply r) {
    uint32_t runs = hak_settings.background_runs;
    return put(r, &runs, sizeof runs);
}

static int get_problem(struct reply r) {
    return put_text(r, hak_settings.problem);
}

/* As much of the struct as the caller knows, down to version 1. */
static int get_stats(struct reply r) {
    struct hakmem_stats s;
    size_t first = offsetof(struct hakmem_stats, used_bytes);
    size_t n = *r.out_len > sizeof s ? sizeof s : *r.out_len;
    hak_report_stats(&s);
    return put(r, &s, n < first ? sizeof s : n);
}

static int get_classes(struct reply r) {
    size_t n = *r.out_len / sizeof(struct hakmem_class), room = *r.out_len;
    *r.out_len = hak_report_classes(r.out, n) * sizeof(struct hakmem_class);
    return *r.out_len <= room ? 0 : ENOSPC;
}

static int get_threads(struct reply r) {
    size_t n = *r.out_len / sizeof(struct hakmem_thread), room = *r.out_len;
    *r.out_len = hak_report_threads(r.out, 0, n) * sizeof(struct hakmem_thread);
    return *r.out_len <= room ? 0 : ENOSPC;
}

static int get_json(struct reply r) {
    size_t room = *r.out_len;
    struct hak_text t = {.buf = r.out, .len = room};
    hak_report_json(&t);
    *r.out_len = t.used + 1;
    if (t.used >= room)
        return ENOSPC;
    t.buf[t.used] = '\0';
    return 0;
}

static int set_clock(const void *in, size_t len) {
    uint64_t ns;
    if (len != sizeof ns)
        return EINVAL;
    memcpy(&ns, in, sizeof ns);
    hak_core_set_clock(ns);
    return 0;
}

static int do_trim(void) {
    malloc_trim(0);
    return 0;
}

static const struct {
    const char *name;
    int (*get)(struct reply r);
    int (*set)(const void *in, size_t len);
    int (*act)(void); /* takes and gives nothing */
} table[] = {
    {"version", get_version, NULL, NULL},
    {"policy", get_policy, set_policy, NULL},
    {"policy.problem", get_problem, NULL, NULL},
    {"background", get_background, NULL, NULL},
    {"safe", get_safe, NULL, NULL},
    {"stats", get_stats, NULL, NULL},
    {"stats.classes", get_classes, NULL, NULL},
    {"stats.threads", get_threads, NULL, NULL},
    {"stats.json", get_json, NULL, NULL},
    {"clock", NULL, set_clock, NULL},
    {"trim", NULL, NULL, do_trim},
};

EXPORT int hakmem_ctl(const char *name, void *out, size_t *out_len, const void *in, size_t in_len) {
    size_t i = 0, n = sizeof table / sizeof table[0];
    while (name && i < n && strcmp(name, table[i].name) != 0)
        i++;
    if (!name || i == n)
        return name ? ENOENT : EINVAL;
    bool read = out || out_len, write = in || in_len;
    if ((read && (!out || !out_len || !table[i].get)) || (write && (!in || !table[i].set)))
        return EINVAL;
    if (!read && !write && !table[i].act)
        return EINVAL;
    hak_thread_init();
    int rc = read ? table[i].get((struct reply){out, out_len}) : 0;
    if (rc == 0 && write)
        rc = table[i].set(in, in_len);
    return rc == 0 && !read && !write ? table[i].act() : rc;
}
