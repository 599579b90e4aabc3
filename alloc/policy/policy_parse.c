/* Policy strings to specs. The grammar stands in docs/policies.md. */
#include "alloc/policy/policy_kinds.h"

/* A piece of the text: [at, end). */
struct word {
    const char *at, *end;
};

struct why {
    char *buf;
    size_t len, used;
};

static void say(struct why *w, const char *s) {
    for (; w->used + 1 < w->len && *s != '\0'; s++)
        w->buf[w->used++] = *s;
    if (w->len > 0)
        w->buf[w->used] = '\0';
}

static void say_word(struct why *w, struct word x) {
    say(w, "\"");
    for (; x.at < x.end && w->used + 1 < w->len; x.at++) {
        char one[2] = {*x.at, '\0'};
        say(w, one);
    }
    say(w, "\"");
}

static int fail(struct why *w, const char *before, struct word x, const char *after) {
    say(w, before);
    say_word(w, x);
    say(w, after);
    return -1;
}

static bool is(struct word w, const char *s) {
    const char *p = w.at;
    while (p < w.end && *s != '\0' && *p == *s)
        p++, s++;
    return p == w.end && *s == '\0';
}

/* Digits from *p on; false if there are none or the number does not fit. */
static bool number(const char **p, const char *end, uint64_t *out) {
    uint64_t v = 0;
    const char *at = *p;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (at == *p)
        return false;
    *p = at;
    *out = v;
    return true;
}

static bool parse_bytes(struct word w, uint64_t *out) {
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {
        {"", 1},         {"B", 1},          {"K", 1ull << 10},  {"KiB", 1ull << 10},
        {"kB", 1000},    {"M", 1u << 20},   {"MiB", 1u << 20},  {"MB", 1000000},
        {"G", 1u << 30}, {"GiB", 1u << 30}, {"GB", 1000000000},
    };
    uint64_t v;
    if (!number(&w.at, w.end, &v))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (is(w, units[i].name)) {
            *out = v * units[i].factor;
            return v <= UINT64_MAX / units[i].factor;
        }
    }
    return false;
}

static int set_n(struct hakp_spec *spec, struct word value, struct why *why) {
    uint64_t v;
    const char *p = value.at;
    if (!number(&p, value.end, &v) || p != value.end || v == 0 || v > UINT32_MAX)
        return fail(why, "n is ", value, ": it must be a whole number from 1 to 4294967295");
    spec->n = (uint32_t)v;
    return 0;
}

static int set_how(struct hakp_spec *spec, struct word value, struct why *why) {
    for (unsigned how = 0; hakp_how_name(how) != NULL; how++) {
        if (is(value, hakp_how_name(how))) {
            spec->how = (enum hakp_how)how;
            return 0;
        }
    }
    return fail(why, "how is ", value, ": it must be dontneed, free or unmap");
}

static int set_bytes(uint64_t *out, const char *before, struct word value, struct why *why) {
    if (parse_bytes(value, out))
        return 0;
    return fail(why, before, value, ": it must be a size such as 64KiB, 1M or 4096");
}

enum { SEEN_N = 1, SEEN_HOW = 2, SEEN_MIN = 4, SEEN_MAX = 8, SEEN_KEEP = 16 };

/* One item between commas: key=value, or, as the first, the main parameter's value alone. */
static int parse_item(struct hakp_spec *spec, struct word item, bool first, unsigned *seen,
                      struct why *why) {
    const struct hakp_ops *ops = hakp_ops_of(spec->kind);
    struct word key = item, value = item;
    unsigned bit;

    while (key.at < item.end && *key.at != '=')
        key.at++;
    if (key.at == item.end && first && ops->takes_n) {
        *seen |= SEEN_N;
        return set_n(spec, item, why);
    }
    if (key.at == item.end)
        return fail(why, "", item, " is not of the form key=value");
    key.end = key.at;
    key.at = item.at;
    value.at = key.end + 1;

    bit = is(key, "how") ? SEEN_HOW : is(key, "min") ? SEEN_MIN : 0;
    if (ops->takes_n)
        bit = is(key, "n") ? SEEN_N : is(key, "max") ? SEEN_MAX : is(key, "keep") ? SEEN_KEEP : bit;
    if (bit == 0)
        return fail(why, "unknown key ", key,
                    ops->takes_n ? ": known are n, max, keep, how, min" : ": known are how, min");
    if (*seen & bit)
        return fail(why, "key ", key, " is given twice");
    *seen |= bit;
    switch (bit) {
    case SEEN_N:
        return set_n(spec, value, why);
    case SEEN_HOW:
        return set_how(spec, value, why);
    case SEEN_KEEP:
        return set_bytes(&spec->keep_bytes, "keep is ", value, why);
    case SEEN_MAX:
        return set_bytes(&spec->max_bytes, "max is ", value, why);
    default:
        return set_bytes(&spec->min_bytes, "min is ", value, why);
    }
}

static int parse_name(struct hakp_spec *spec, struct word name, struct why *why) {
    for (unsigned kind = 0; kind < HAKP_KIND_COUNT; kind++) {
        if (is(name, hakp_name(kind))) {
            *spec = (struct hakp_spec){.kind = (enum hakp_kind)kind};
            spec->n = hakp_ops_of(kind)->default_n;
            return 0;
        }
    }
    fail(why, "unknown policy ", name, ": known are ");
    for (unsigned kind = 0; kind < HAKP_KIND_COUNT; kind++) {
        say(why, kind > 0 ? ", " : "");
        say(why, hakp_name(kind));
    }
    return -1;
}

int hakp_parse(const char *text, struct hakp_spec *spec, char *why_buf, size_t why_len) {
    struct why why = {why_buf, why_buf != NULL ? why_len : 0, 0};
    struct hakp_spec out;
    struct word w = {text, text};
    unsigned seen = 0;

    while (*w.end != '\0' && *w.end != ':')
        w.end++;
    if (parse_name(&out, w, &why) != 0)
        return -1;
    for (bool first = true; *w.end != '\0'; first = false) {
        w.at = ++w.end; /* past ':' or ',' */
        while (*w.end != '\0' && *w.end != ',')
            w.end++;
        if (w.at == w.end)
            return fail(&why, "empty parameter in ", (struct word){text, w.end}, "");
        if (parse_item(&out, w, first, &seen, &why) != 0)
            return -1;
    }
    *spec = out;
    return 0;
}
