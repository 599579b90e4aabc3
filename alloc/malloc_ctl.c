/* hakmem_ctl, and glibc's windows into malloc: mallinfo, mallinfo2, mallopt. malloc_stats and
 * malloc_info are still glibc's own and see none of our memory. */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include "alloc/hakmem.h"
#include "alloc/malloc_thread.h"

#define EXPORT __attribute__((visibility("default")))

static void fill_stats(struct hakmem_stats *out) {
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
    };
}

static int put(void *out, size_t *out_len, const void *value, size_t len) {
    if (!out || !out_len)
        return EINVAL;
    size_t room = *out_len;
    *out_len = len;
    if (room < len)
        return ENOSPC;
    memcpy(out, value, len);
    return 0;
}

static int ctl_version(void *out, size_t *out_len, const void *in, size_t in_len) {
    (void)in_len;
    return in ? EINVAL : put(out, out_len, HAK_VERSION, sizeof HAK_VERSION);
}

static int ctl_policy(void *out, size_t *out_len, const void *in, size_t in_len) {
    char text[128];
    (void)in_len;
    if (in)
        return EINVAL;
    hak_thread_init();
    int n = hak_core_policy(text, sizeof text);
    return n < 0 || (size_t)n >= sizeof text ? EINVAL : put(out, out_len, text, (size_t)n + 1);
}

static int ctl_stats(void *out, size_t *out_len, const void *in, size_t in_len) {
    struct hakmem_stats s;
    (void)in_len;
    if (in)
        return EINVAL;
    hak_thread_init();
    fill_stats(&s);
    return put(out, out_len, &s, sizeof s);
}

static int ctl_clock(void *out, size_t *out_len, const void *in, size_t in_len) {
    uint64_t ns;
    if (out || out_len || !in || in_len != sizeof ns)
        return EINVAL;
    memcpy(&ns, in, sizeof ns);
    hak_thread_init();
    hak_core_set_clock(ns);
    return 0;
}

static int ctl_trim(void *out, size_t *out_len, const void *in, size_t in_len) {
    if (out || out_len || in || in_len)
        return EINVAL;
    malloc_trim(0);
    return 0;
}

EXPORT int hakmem_ctl(const char *name, void *out, size_t *out_len, const void *in, size_t in_len) {
    static const struct {
        const char *name;
        int (*call)(void *, size_t *, const void *, size_t);
    } table[] = {
        {"version", ctl_version}, {"policy", ctl_policy}, {"stats", ctl_stats},
        {"clock", ctl_clock},     {"trim", ctl_trim},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(name, table[i].name) == 0)
            return table[i].call(out, out_len, in, in_len);
    return ENOENT;
}

/* Spans in use count as allocated whole: the allocator keeps no count of single blocks, as that
 * would cost every malloc and free. */
EXPORT struct mallinfo2 mallinfo2(void) {
    struct hakmem_stats s;
    hak_thread_init();
    fill_stats(&s);
    return (struct mallinfo2){
        .arena = s.committed_bytes,
        .uordblks = s.active_bytes,
        .fordblks = s.committed_bytes - s.active_bytes,
        .keepcost = s.dirty_bytes,
    };
}

static int clip(size_t n) {
    return n > INT32_MAX ? INT32_MAX : (int)n;
}

EXPORT struct mallinfo mallinfo(void) {
    struct mallinfo2 m = mallinfo2();
    return (struct mallinfo){
        .arena = clip(m.arena),
        .uordblks = clip(m.uordblks),
        .fordblks = clip(m.fordblks),
        .keepcost = clip(m.keepcost),
    };
}

/* No glibc parameter has a meaning here; as in glibc, what is not known is accepted and ignored. */
EXPORT int mallopt(int param, int value) {
    (void)param, (void)value;
    return 1;
}
