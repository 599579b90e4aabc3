/* glibc's windows into malloc: mallinfo, mallinfo2, malloc_info, malloc_stats, mallopt. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "alloc/malloc_report.h"
#include "alloc/malloc_settings.h"
#include "alloc/malloc_thread.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT struct mallinfo2 mallinfo2(void) {
    struct hakmem_stats s;
    hak_report_stats(&s);
    return (struct mallinfo2){
        .arena = s.committed_bytes,
        .ordblks = s.dirty_spans + s.lazy_spans + s.purged_spans + s.unmapped_spans,
        .hblks = s.large_objects,
        .hblkhd = s.large_bytes,
        .uordblks = s.used_bytes,
        .fordblks = s.committed_bytes - s.used_bytes,
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
        .ordblks = clip(m.ordblks),
        .hblks = clip(m.hblks),
        .hblkhd = clip(m.hblkhd),
        .uordblks = clip(m.uordblks),
        .fordblks = clip(m.fordblks),
        .keepcost = clip(m.keepcost),
    };
}

static void to_file(void *ctx, const char *buf, size_t n) {
    fwrite(buf, 1, n, ctx);
}

static void to_fd(void *ctx, const char *buf, size_t n) {
    hak_report_write(*(const int *)ctx, buf, n);
}

EXPORT int malloc_info(int options, FILE *f) {
    char buf[512];
    struct hak_text t = {.buf = buf, .len = sizeof buf, .sink = to_file, .ctx = f};
    if (options != 0)
        return EINVAL;
    hak_report_xml(&t);
    hak_text_end(&t);
    return 0;
}

EXPORT void malloc_stats(void) {
    char buf[512];
    int saved = errno, fd = STDERR_FILENO;
    struct hak_text t = {.buf = buf, .len = sizeof buf, .sink = to_fd, .ctx = &fd};
    hak_report_arena(&t);
    hak_text_end(&t);
    errno = saved;
}

/* The values that glibc refuses are refused. Its parameters tune structures that are not here: only
 * a trim threshold has a meaning, how much free memory may stay. The operator's word stands above
 * the program's: under a policy from the environment it changes nothing. */
EXPORT int mallopt(int param, int value) {
    char text[64];
    struct hak_text t = {.buf = text, .len = sizeof text - 1};
    struct hakp_spec spec;
    if (param == M_MXFAST)
        return value >= 0 && value <= 160;
    if (param != M_TRIM_THRESHOLD)
        return 1;
    hak_thread_init();
    if (hak_settings.policy_given)
        return 1;
    if (value < 0 || value >= 1 << 30) /* -1 is glibc's way to say never */
        hak_text(&t, "never");
    else
        hak_text(&t, "decay:ms=1000,max=%u", (uint64_t)(value > 0 ? value : 1));
    text[t.used] = '\0';
    if (hakp_parse(text, &spec, NULL, 0) == 0)
        hak_core_set_policy(&spec);
    return 1;
}
