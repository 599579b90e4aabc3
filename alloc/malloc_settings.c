/*
 * The environment: HAKMEM_POLICY and the others, and two names of the first HAKMEM. A value that
 * makes no sense leaves the default in force; the library is a guest and prints nothing of it, but
 * hakmem_ctl("policy.problem") and the statistics at exit tell.
 */
#include "alloc/malloc_settings.h"
#include <string.h>
#include "alloc/heap.h"
#include "alloc/os.h"
#include "alloc/put_text.h"

struct hak_settings hak_settings;

/* Behind what was said before. */
static void say(const char *name, const char *text, const char *why) {
    size_t at = strlen(hak_settings.problem);
    struct hak_text t = {.buf = hak_settings.problem + at,
                         .len = sizeof hak_settings.problem - 1 - at};
    hak_text(&t, "%s%s=\"%s\": %s", at > 0 ? "; " : "", name, text, why);
    t.buf[t.used < t.len ? t.used : t.len] = '\0';
    for (; *t.buf; t.buf++) /* it goes into JSON, which is UTF-8 */
        if ((unsigned char)*t.buf < 32 || (unsigned char)*t.buf > 126)
            *t.buf = '?';
}

static bool is_on(const char *text) {
    return text && text[0] && !(text[0] == '0' && !text[1]);
}

/* A policy string of the environment, with `before` in front of the value. */
static bool take(const char *name, const char *before, const char *text) {
    char whole[128], why[240];
    struct hak_text t = {.buf = whole, .len = sizeof whole - 1};
    hak_text(&t, "%s%s", before, text);
    whole[t.used < t.len ? t.used : t.len] = '\0';
    if (t.used <= t.len && hakp_parse(whole, &hak_settings.policy, why, sizeof why) == 0)
        return hak_settings.policy_given = true;
    say(name, text, t.used > t.len ? "it is too long" : why);
    return false;
}

/* HAKMEM_POLICY stands above the old names; of those, the one that turns releases off. */
static void read_policy(void) {
    const char *policy = hak_os_env("HAKMEM_POLICY");
    const char *least = hak_os_env("PARTIAL_RELEASE_MIN_SLABS");
    hakp_parse(HAK_POLICY_DEFAULT, &hak_settings.policy, NULL, 0);
    if (policy && policy[0])
        take("HAKMEM_POLICY", "", policy);
    else if (is_on(hak_os_env("HAKMEM_NO_MADVISE")))
        take("HAKMEM_NO_MADVISE", "never", "");
    else if (least && least[0])
        take("PARTIAL_RELEASE_MIN_SLABS", "partial:", least);
}

static void read_safe(void) {
    const char *text = hak_os_env("HAKMEM_SAFE");
    if (!text || !text[0])
        return;
    if (text[0] >= '0' && text[0] <= '3' && !text[1])
        hak_settings.safe = (uint32_t)(text[0] - '0');
    else
        say("HAKMEM_SAFE", text, "it must be 0, 1, 2 or 3");
}

static void read_background(void) {
    const char *text = hak_os_env("HAKMEM_BACKGROUND");
    hak_settings.background = is_on(text) && text[0] == '1' && !text[1];
    if (is_on(text) && !hak_settings.background)
        say("HAKMEM_BACKGROUND", text, "it must be 0 or 1");
}

void hak_settings_read(void) {
    const char *stats = hak_os_env("HAKMEM_STATS");
    read_policy();
    read_safe();
    read_background();
    struct hak_text t = {.buf = hak_settings.stats, .len = sizeof hak_settings.stats - 1};
    if (is_on(stats))
        hak_text(&t, "%s", stats);
    if (t.used > t.len) /* half a path is another file */
        hak_settings.stats[0] = '\0';
}
