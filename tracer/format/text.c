#include "tracer/format/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const fidelity_words[] = {"times",     "threads",  "exact-sizes", "exact-ids",
                                             "generated", "imported", "whole-life",  "paced-times"};
#define FIDELITY_WORDS (sizeof(fidelity_words) / sizeof(*fidelity_words))

static const char *const end_words[] = {"unknown", "exit", "killed", "stopped", "limit"};
#define END_WORDS (sizeof(end_words) / sizeof(*end_words))

/* A key of the trailer and the place of its value. */
struct number_key {
    const char *key;
    size_t offset;
};
#define KEY(field)                                                                                 \
    { #field, offsetof(struct hakt_totals, field) }
static const struct number_key totals_keys[] = {
    KEY(records),
    KEY(ops),
    KEY(allocs),
    KEY(frees),
    KEY(threads),
    KEY(chunks),
    KEY(end_time),
    KEY(dropped),
    KEY(foreign),
    KEY(peak_live_bytes),
    KEY(peak_live_objects),
    KEY(live_at_end),
};
#define TOTALS_KEYS (sizeof(totals_keys) / sizeof(*totals_keys))

struct text {
    struct hakt_bytes *out;
    size_t n;
    int failed;
};

static void text_add(struct text *t, const char *s, size_t n) {
    if (t->failed || hakt_bytes_reserve(t->out, t->n + n) != 0) {
        t->failed = 1;
        return;
    }
    memcpy(t->out->p + t->n, s, n);
    t->n += n;
}

static void text_put(struct text *t, const char *s) {
    text_add(t, s, strlen(s));
}

static void text_number(struct text *t, const char *key, uint64_t v) {
    char line[96];
    snprintf(line, sizeof(line), "%s=%" PRIu64 "\n", key, v);
    text_put(t, line);
}

/* The longest value kept: a command line may be as long as the system allows, the header not. */
#define VALUE_MAX (HAKT_TEXT_MAX / 8)

/* Control characters and backslashes as \xNN, so that a value is one line. */
static void text_string(struct text *t, const char *key, const char *value) {
    char hex[8];
    size_t kept = 0;
    if (value == NULL || value[0] == '\0')
        return;
    text_put(t, key);
    text_put(t, "=");
    for (const unsigned char *s = (const unsigned char *)value; *s != '\0' && kept < VALUE_MAX;
         s++, kept += 4) {
        if (*s < 0x20 || *s == 0x7f || *s == '\\') {
            snprintf(hex, sizeof(hex), "\\x%02x", *s);
            text_put(t, hex);
        } else {
            text_add(t, (const char *)s, 1);
        }
    }
    text_put(t, "\n");
}

size_t hakt_text_from_info(const struct hakt_info *info, struct hakt_bytes *out) {
    struct text t = {.out = out};
    const char *comma = "";
    text_put(&t, "HAKTRACE 1\n");
    text_string(&t, "tool", info->tool);
    text_put(&t, "fidelity=");
    for (unsigned i = 0; i < FIDELITY_WORDS; i++) {
        if (info->fidelity & 1u << i) {
            text_put(&t, comma);
            text_put(&t, fidelity_words[i]);
            comma = ",";
        }
    }
    text_put(&t, "\n");
    text_string(&t, "command", info->command);
    text_string(&t, "host", info->host);
    text_string(&t, "clock", info->clock);
    text_string(&t, "source", info->source);
    text_number(&t, "start_unix_ns", info->start_unix_ns);
    text_number(&t, "page_size", info->page_size);
    text_number(&t, "pid", info->pid);
    return t.failed ? 0 : t.n;
}

size_t hakt_text_from_totals(const struct hakt_totals *totals,
                             const struct hakt_thread_drops *drops, size_t ndrops,
                             struct hakt_bytes *out) {
    struct text t = {.out = out};
    char key[32];
    text_put(&t, "HAKTRACE-END 1\n");
    for (size_t i = 0; i < TOTALS_KEYS; i++) {
        uint64_t v;
        memcpy(&v, (const char *)totals + totals_keys[i].offset, sizeof(v));
        text_number(&t, totals_keys[i].key, v);
    }
    for (unsigned op = 0; op < HAKT_OP_COUNT; op++) {
        snprintf(key, sizeof(key), "ops.%s", hakt_op_name(op));
        text_number(&t, key, totals->ops_by_kind[op]);
    }
    text_number(&t, "events", totals->events);
    if (totals->stamped > 0)
        text_number(&t, "stamped", totals->stamped);
    for (size_t i = 0; i < ndrops && t.n < HAKT_TEXT_MAX / 2; i++) { /* `dropped` has them all */
        snprintf(key, sizeof(key), "dropped.%" PRIu32, drops[i].thread);
        text_number(&t, key, drops[i].dropped);
    }
    text_string(&t, "end_reason",
                end_words[totals->end_reason < END_WORDS ? totals->end_reason : 0]);
    if (totals->exit_status != UINT32_MAX)
        text_number(&t, "exit_status", totals->exit_status);
    return t.failed ? 0 : t.n;
}

/* A decimal number without sign, or -1. */
static int parse_number(const char *s, uint64_t max, uint64_t *v) {
    uint64_t x = 0;
    if (*s == '\0')
        return -1;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(x, 10, &x) ||
            __builtin_add_overflow(x, (uint64_t)(*s - '0'), &x))
            return -1;
    }
    if (x > max)
        return -1;
    *v = x;
    return 0;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int unescape(char *s) {
    char *to = s;
    for (; *s != '\0'; s++) {
        if (*s != '\\') {
            *to++ = *s;
            continue;
        }
        if (s[1] != 'x' || hex_digit(s[2]) < 0 || hex_digit(s[3]) < 0)
            return -1;
        int c = hex_digit(s[2]) << 4 | hex_digit(s[3]);
        if (c == 0)
            return -1;
        *to++ = (char)c;
        s += 3;
    }
    *to = '\0';
    return 0;
}

/* Cuts the next line off *text, as key and value. 0 at the end, 1 a line, -1 no key=value. */
static int next_line(char **text, char *end, char **key, char **value) {
    if (*text >= end)
        return 0;
    char *newline = memchr(*text, '\n', (size_t)(end - *text));
    if (newline == NULL || memchr(*text, '\0', (size_t)(newline - *text)) != NULL)
        return -1;
    *newline = '\0';
    *key = *text;
    *text = newline + 1;
    *value = strchr(*key, '=');
    if (*value == NULL)
        return -1;
    *(*value)++ = '\0';
    return 1;
}

/* Checks the first line, "NAME VERSION". */
static int first_line(char **text, char *end, const char *name, const char **why) {
    size_t n = strlen(name);
    uint64_t version;
    char *newline = memchr(*text, '\n', (size_t)(end - *text));
    if (newline == NULL || (size_t)(newline - *text) < n + 2 || memcmp(*text, name, n) != 0 ||
        (*text)[n] != ' ') {
        *why = "the block's text does not start as it must";
        return HAKC_ECORRUPT;
    }
    *newline = '\0';
    if (parse_number(*text + n + 1, UINT32_MAX, &version) != 0 || version == 0) {
        *why = "the format version is not a number";
        return HAKC_ECORRUPT;
    }
    if (version > HAKT_VERSION) {
        *why = "a newer version of the format: use a newer haktrace";
        return HAKC_EUNSUPPORTED;
    }
    *text = newline + 1;
    return 0;
}

static uint32_t parse_fidelity(char *value) {
    uint32_t flags = 0;
    char *save;
    for (char *w = strtok_r(value, ",", &save); w != NULL; w = strtok_r(NULL, ",", &save)) {
        for (unsigned i = 0; i < FIDELITY_WORDS; i++) {
            if (strcmp(w, fidelity_words[i]) == 0)
                flags |= 1u << i;
        }
    }
    return flags;
}

static int info_line(struct hakt_info *info, const char *key, char *value) {
    const struct {
        const char *key;
        const char **to;
    } strings[] = {{"tool", &info->tool},
                   {"command", &info->command},
                   {"host", &info->host},
                   {"clock", &info->clock},
                   {"source", &info->source}};
    uint64_t v;
    for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++) {
        if (strcmp(key, strings[i].key) == 0) {
            *strings[i].to = value;
            return unescape(value);
        }
    }
    if (strcmp(key, "fidelity") == 0) {
        info->fidelity = parse_fidelity(value);
        return 0;
    }
    if (strcmp(key, "start_unix_ns") == 0)
        return parse_number(value, UINT64_MAX, &info->start_unix_ns);
    if (strcmp(key, "page_size") == 0) {
        if (parse_number(value, UINT32_MAX, &v) != 0)
            return -1;
        info->page_size = (uint32_t)v;
    } else if (strcmp(key, "pid") == 0) {
        if (parse_number(value, UINT32_MAX, &v) != 0)
            return -1;
        info->pid = (uint32_t)v;
    }
    return 0;
}

int hakt_text_to_info(char *text, size_t n, struct hakt_info *info, const char **why) {
    char *end = text + n, *key, *value;
    int more;
    memset(info, 0, sizeof(*info));
    info->command = info->host = info->clock = info->tool = info->source = "";
    int rc = first_line(&text, end, "HAKTRACE", why);
    if (rc != 0)
        return rc;
    info->version = HAKT_VERSION;
    while ((more = next_line(&text, end, &key, &value)) == 1) {
        if (info_line(info, key, value) != 0) {
            more = -1;
            break;
        }
    }
    if (more != 0) {
        *why = "the header has a line that cannot be read";
        return HAKC_ECORRUPT;
    }
    return 0;
}

/* "dropped.THREAD" */
static int drops_line(struct hakt_drop_list *drops, const char *thread, const char *value) {
    uint64_t number, dropped;
    if (parse_number(thread, HAKT_THREAD_LIMIT - 1, &number) != 0 ||
        parse_number(value, UINT64_MAX, &dropped) != 0)
        return -1;
    if (drops->n == drops->cap) {
        size_t cap = drops->cap * 2 + 16;
        struct hakt_thread_drops *more = realloc(drops->p, cap * sizeof(*more));
        if (more == NULL)
            return -1;
        drops->p = more;
        drops->cap = cap;
    }
    drops->p[drops->n++] = (struct hakt_thread_drops){(uint32_t)number, dropped};
    return 0;
}

static int totals_line(struct hakt_totals *t, struct hakt_drop_list *drops, const char *key,
                       const char *value, unsigned *seen) {
    uint64_t v;
    for (size_t i = 0; i < TOTALS_KEYS; i++) {
        if (strcmp(key, totals_keys[i].key) != 0)
            continue;
        if (parse_number(value, UINT64_MAX, &v) != 0)
            return -1;
        memcpy((char *)t + totals_keys[i].offset, &v, sizeof(v));
        *seen |= 1u << i;
        return 0;
    }
    if (strncmp(key, "ops.", 4) == 0) {
        int op = hakt_op_from_name(key + 4);
        return op < 0 ? 0 : parse_number(value, UINT64_MAX, &t->ops_by_kind[op]);
    }
    if (strncmp(key, "dropped.", 8) == 0)
        return drops_line(drops, key + 8, value);
    if (strcmp(key, "stamped") == 0)
        return parse_number(value, UINT64_MAX, &t->stamped);
    if (strcmp(key, "events") == 0)
        return parse_number(value, UINT64_MAX, &t->events);
    if (strcmp(key, "end_reason") == 0) {
        for (unsigned i = 0; i < END_WORDS; i++) {
            if (strcmp(value, end_words[i]) == 0)
                t->end_reason = i;
        }
    } else if (strcmp(key, "exit_status") == 0) {
        if (parse_number(value, UINT32_MAX, &v) != 0)
            return -1;
        t->exit_status = (uint32_t)v;
    }
    return 0;
}

int hakt_text_to_totals(char *text, size_t n, struct hakt_totals *t, struct hakt_drop_list *drops,
                        const char **why) {
    char *end = text + n, *key, *value;
    unsigned seen = 0;
    int more;
    memset(t, 0, sizeof(*t));
    drops->n = 0;
    t->exit_status = UINT32_MAX;
    int rc = first_line(&text, end, "HAKTRACE-END", why);
    if (rc != 0)
        return rc;
    while ((more = next_line(&text, end, &key, &value)) == 1) {
        if (totals_line(t, drops, key, value, &seen) != 0) {
            more = -1;
            break;
        }
    }
    if (more != 0 || seen != (1u << TOTALS_KEYS) - 1) {
        *why = "the trailer has a line that cannot be read, or lacks one";
        return HAKC_ECORRUPT;
    }
    return 0;
}
