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

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit byte_units[] = {
    {"", 1},         {"B", 1},          {"K", 1ull << 10},  {"KiB", 1ull << 10},
    {"kB", 1000},    {"M", 1u << 20},   {"MiB", 1u << 20},  {"MB", 1000000},
    {"G", 1u << 30}, {"GiB", 1u << 30}, {"GB", 1000000000}, {NULL, 0},
};

/* The key is called ms: a bare number means that. */
static const struct unit duration_units[] = {
    {"", 1000000},     {"ns", 1},           {"us", 1000},          {"ms", 1000000},
    {"s", 1000000000}, {"m", 60000000000u}, {"h", 3600000000000u}, {NULL, 0},
};

static const struct unit count_units[] = {{"", 1}, {NULL, 0}};

static bool parse_unit(struct word w, const struct unit *u, uint64_t *out) {
    uint64_t v;
    if (!number(&w.at, w.end, &v))
        return false;
    for (; u->name != NULL; u++) {
        if (is(w, u->name)) {
            *out = v * u->factor;
            return v <= UINT64_MAX / u->factor;
        }
    }
    return false;
}

static bool parse_how(struct word w, uint64_t *out) {
    for (unsigned how = 0; hakp_how_name(how) != NULL; how++) {
        if (is(w, hakp_how_name(how))) {
            *out = how;
            return true;
        }
    }
    return false;
}

static int set(struct hakp_spec *spec, const struct hakp_key *k, struct word value,
               struct why *why) {
    uint64_t v = 0;
    bool ok = false;
    switch (k->type) {
    case HAKP_T_COUNT:
        ok = parse_unit(value, count_units, &v);
        break;
    case HAKP_T_BYTES:
        ok = parse_unit(value, byte_units, &v);
        break;
    case HAKP_T_DURATION:
        ok = parse_unit(value, duration_units, &v);
        break;
    case HAKP_T_HOW:
        ok = parse_how(value, &v);
        break;
    }
    if (ok && v >= k->least && v <= k->most) {
        hakp_key_set(k, spec, v);
        return 0;
    }
    say(why, k->name);
    fail(why, " is ", value, ": ");
    say(why, k->must);
    return -1;
}

/* The row of the policy's key of that name, or its main one (name NULL); *bit: which row. */
static const struct hakp_key *find(const struct hakp_catalogue *from, unsigned kind,
                                   const struct word *name, uint32_t *bit) {
    for (unsigned i = 0; i < from->n_keys; i++) {
        const struct hakp_key *k = &from->keys[i];
        if (hakp_key_of(k, kind) && (name != NULL ? is(*name, k->name) : k->main)) {
            *bit = 1u << i;
            return k;
        }
    }
    return NULL;
}

static int unknown_key(const struct hakp_catalogue *from, unsigned kind, struct word key,
                       struct why *why) {
    const char *sep = "";
    fail(why, "unknown key ", key, ": known are ");
    for (unsigned i = 0; i < from->n_keys; i++) {
        const struct hakp_key *k = &from->keys[i];
        if (!hakp_key_of(k, kind))
            continue;
        say(why, sep);
        say(why, k->name);
        sep = ", ";
    }
    return -1;
}

/* One item between commas: key=value, or, as the first, the main parameter's value alone. */
static int parse_item(const struct hakp_catalogue *from, struct hakp_spec *spec, struct word item,
                      bool first, uint32_t *seen, struct why *why) {
    struct word key = item, value = item;
    const struct hakp_key *k;
    uint32_t bit = 0;

    key.end = item.at;
    while (key.end < item.end && *key.end != '=')
        key.end++;
    if (key.end == item.end) {
        k = first ? find(from, spec->kind, NULL, &bit) : NULL;
        if (k == NULL)
            return fail(why, "", item, " is not of the form key=value");
    } else {
        value.at = key.end + 1;
        k = find(from, spec->kind, &key, &bit);
        if (k == NULL)
            return unknown_key(from, spec->kind, key, why);
        if (*seen & bit)
            return fail(why, "key ", key, " is given twice");
    }
    *seen |= bit;
    return set(spec, k, value, why);
}

static int parse_name(const struct hakp_catalogue *from, struct hakp_spec *spec, struct word name,
                      struct why *why) {
    for (unsigned kind = 0; kind < from->n_kinds; kind++) {
        if (is(name, from->ops[kind]->name)) {
            *spec = (struct hakp_spec){.catalogue = from == &hakp_own ? NULL : from,
                                       .kind = (enum hakp_kind)kind};
            for (unsigned i = 0; i < from->n_keys; i++)
                if (hakp_key_of(&from->keys[i], kind))
                    hakp_key_set(&from->keys[i], spec, from->keys[i].standard);
            return 0;
        }
    }
    fail(why, "unknown policy ", name, ": known are ");
    for (unsigned kind = 0; kind < from->n_kinds; kind++) {
        say(why, kind > 0 ? ", " : "");
        say(why, from->ops[kind]->name);
    }
    return -1;
}

int hakp_parse(const char *text, struct hakp_spec *spec, char *why, size_t why_len) {
    return hakp_parse_from(&hakp_own, text, spec, why, why_len);
}

int hakp_parse_from(const struct hakp_catalogue *from, const char *text, struct hakp_spec *spec,
                    char *why_buf, size_t why_len) {
    struct why why = {why_buf, why_buf != NULL ? why_len : 0, 0};
    struct hakp_spec out;
    struct word w = {text, text};
    uint32_t seen = 0;

    while (*w.end != '\0' && *w.end != ':')
        w.end++;
    if (parse_name(from, &out, w, &why) != 0)
        return -1;
    for (bool first = true; *w.end != '\0'; first = false) {
        w.at = ++w.end; /* past ':' or ',' */
        while (*w.end != '\0' && *w.end != ',')
            w.end++;
        if (w.at == w.end)
            return fail(&why, "empty parameter in ", (struct word){text, w.end}, "");
        if (parse_item(from, &out, w, first, &seen, &why) != 0)
            return -1;
    }
    *spec = out;
    return 0;
}
