/* What the libraries' answers mean for a setting. */
#include "replay/knobs_int.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hakr_knob_judge(struct hakr_knob *k, enum hakr_knob_verdict verdict, const char *told,
                     size_t len) {
    k->verdict = verdict;
    if (len >= sizeof k->told)
        len = sizeof k->told - 1;
    memcpy(k->told, told, len);
    k->told[len] = '\0';
    while (len > 0 && isspace((unsigned char)k->told[len - 1]))
        k->told[--len] = '\0';
}

void hakr_knob_judge_text(struct hakr_knob *k, enum hakr_knob_verdict verdict, const char *told) {
    hakr_knob_judge(k, verdict, told, strlen(told));
}

/* The line of text that holds `what`: its beginning and, in *len, its length without the newline;
 * or NULL. */
static const char *line_with(const char *text, const char *what, size_t *len) {
    const char *at = strstr(text, what), *start = at;
    if (at == NULL)
        return NULL;
    while (start > text && start[-1] != '\n')
        start--;
    *len = strcspn(start, "\n");
    return start;
}

/* ---- mimalloc: option 'purge_delay': 10 -------------------------------------------------------
 */

#define OPTION "option '"

/* The first option whose line differs, without the word before it; or NULL. */
static const char *option_that_changed(const char *without, const char *with, size_t *len) {
    for (const char *s = with; (s = strstr(s, OPTION)) != NULL; s += *len) {
        char line[200];
        *len = strcspn(s, "\n");
        snprintf(line, sizeof line, "%.*s\n", (int)*len, s);
        if (strstr(without, line) == NULL) {
            s += strlen("option ");
            *len -= strlen("option ");
            return s;
        }
    }
    return NULL;
}

void hakr_knob_mimalloc(struct hakr_knob *k, const char *name, const char *without,
                        const char *with) {
    static const char prefix[] = "mimalloc_";
    const size_t prefix_len = sizeof prefix - 1;
    char low[128], quoted[160];
    const char *s;
    size_t len;
    snprintf(low, sizeof low, "%s", name);
    for (char *c = low; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    int is_option = strncmp(low, prefix, prefix_len) == 0;
    snprintf(quoted, sizeof quoted, OPTION "%s'", is_option ? low + prefix_len : "");
    if (strstr(without, OPTION) == NULL || strstr(with, OPTION) == NULL) {
        hakr_knob_judge_text(k, HAKR_KNOB_UNCHECKED, "this mimalloc does not list its options");
    } else if (!is_option) {
        hakr_knob_judge_text(k, HAKR_KNOB_UNKNOWN, "mimalloc's variables begin with MIMALLOC_");
    } else if ((s = line_with(with, low, &len)) != NULL &&
               memmem(s, len, "invalid value", strlen("invalid value")) != NULL) {
        hakr_knob_judge_text(k, HAKR_KNOB_REFUSED, "mimalloc: invalid value");
    } else if ((s = option_that_changed(without, with, &len)) != NULL) {
        hakr_knob_judge(k, HAKR_KNOB_IN_FORCE, s, len);
    } else if ((s = strstr(without, quoted)) != NULL) { /* the default, asked for by name */
        s += strlen("option ");
        hakr_knob_judge(k, HAKR_KNOB_IN_FORCE, s, strcspn(s, "\n"));
    } else if (line_with(with, low, &len) != NULL) { /* "is deprecated -- use ..." */
        hakr_knob_judge_text(k, HAKR_KNOB_IN_FORCE, "by an older name of the setting");
    } else {
        hakr_knob_judge_text(k, HAKR_KNOB_UNKNOWN, "");
    }
}

/* ---- jemalloc: -- Set conf value: dirty_decay_ms:0 --------------------------------------------
 */

/* Whether printed has a line that ends in `word` `pair`. */
static int has_line(const char *printed, const char *word, const char *pair) {
    char line[256];
    size_t n = (size_t)snprintf(line, sizeof line, "%s%s\n", word, pair);
    return n < sizeof line && strstr(printed, line) != NULL;
}

void hakr_knob_jemalloc(struct hakr_knob *k, const char *pair, const char *printed) {
    if (has_line(printed, "Invalid conf value: ", pair))
        hakr_knob_judge_text(k, HAKR_KNOB_REFUSED, "jemalloc: Invalid conf value");
    else if (has_line(printed, "Out-of-range conf value: ", pair))
        hakr_knob_judge_text(k, HAKR_KNOB_REFUSED, "jemalloc: Out-of-range conf value");
    else if (has_line(printed, "Invalid conf pair: ", pair))
        hakr_knob_judge_text(k, HAKR_KNOB_UNKNOWN, "jemalloc: Invalid conf pair");
    else if (has_line(printed, "Set conf value: ", pair))
        hakr_knob_judge_text(k, HAKR_KNOB_IN_FORCE, "jemalloc: Set conf value");
    else if (has_line(printed, "Invalid conf pair: ", "confirm_conf:true"))
        hakr_knob_judge_text(k, HAKR_KNOB_KNOWN,
                             "this jemalloc refuses what it does not know, and took it");
    else if (strstr(printed, "onf string") !=
             NULL) /* "Malformed conf string", "Conf string ends" */
        hakr_knob_judge_text(k, HAKR_KNOB_REFUSED, "jemalloc: malformed conf string");
    else
        hakr_knob_judge_text(k, HAKR_KNOB_UNKNOWN, "jemalloc does not read this variable");
}

/* ---- glibc: glibc.malloc.arena_max: 0x2 (min: 0x1, max: 0xff) ---------------------------------
 */

void hakr_knob_tunable(struct hakr_knob *k, const char *pair, const char *without,
                       const char *with) {
    char head[160];
    size_t len = 0, before = 0;
    snprintf(head, sizeof head, "%.*s:", (int)strcspn(pair, "="), pair);
    const char *s = line_with(with, head, &len), *old = line_with(without, head, &before);
    if (strstr(without, "glibc.") == NULL) {
        hakr_knob_judge_text(k, HAKR_KNOB_UNCHECKED,
                             "this dynamic linker does not list its tunables");
        return;
    }
    if (old == NULL || s == NULL || strncmp(s, head, strlen(head)) != 0) {
        hakr_knob_judge_text(k, HAKR_KNOB_UNKNOWN, "glibc does not list it");
        return;
    }
    const char *wanted = strchr(pair, '='), *value = s + strlen(head);
    char *end;
    int same = wanted != NULL && strtoull(wanted + 1, &end, 0) == strtoull(value, NULL, 0) &&
               end != wanted + 1 && *end == '\0';
    if (same || len != before || memcmp(s, old, len) != 0)
        hakr_knob_judge(k, HAKR_KNOB_IN_FORCE, s, len);
    else
        hakr_knob_judge(k, HAKR_KNOB_REFUSED, s, len);
}
