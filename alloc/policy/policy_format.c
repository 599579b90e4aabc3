/* Specs to canonical policy strings: the keys in the order of their table, each main parameter, and
 * of the others what is not the default. */
#include "alloc/policy/policy_kinds.h"

struct out {
    char *buf;
    size_t len, used; /* used counts what did not fit as well */
};

static void put_char(struct out *o, char c) {
    if (o->used + 1 < o->len)
        o->buf[o->used] = c;
    o->used++;
}

static void put(struct out *o, const char *s) {
    for (; *s != '\0'; s++)
        put_char(o, *s);
}

static void put_number(struct out *o, uint64_t v) {
    char digits[20];
    unsigned n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    while (n > 0)
        put_char(o, digits[--n]);
}

static void put_bytes(struct out *o, uint64_t v) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    unsigned u = 0;
    for (; u < 3 && v % 1024 == 0; u++)
        v /= 1024;
    put_number(o, v);
    put(o, units[u]);
}

/* Milliseconds where they are whole, else the largest unit that is. */
static void put_duration(struct out *o, uint64_t ns) {
    if (ns % 1000000 == 0) {
        put_number(o, ns / 1000000);
    } else {
        put_number(o, ns % 1000 == 0 ? ns / 1000 : ns);
        put(o, ns % 1000 == 0 ? "us" : "ns");
    }
}

static void put_value(struct out *o, enum hakp_type type, uint64_t v) {
    switch (type) {
    case HAKP_T_COUNT:
        put_number(o, v);
        break;
    case HAKP_T_BYTES:
        put_bytes(o, v);
        break;
    case HAKP_T_DURATION:
        put_duration(o, v);
        break;
    case HAKP_T_HOW:
        put(o, hakp_how_name((unsigned)v));
        break;
    }
}

int hakp_format(const struct hakp_spec *spec, char *buf, size_t len) {
    struct out o = {buf, len, 0};
    const struct hakp_catalogue *of = hakp_catalogue_of(spec);
    const struct hakp_key *k;
    char sep = ':';

    put(&o, of->ops[spec->kind]->name);
    for (unsigned i = 0; i < of->n_keys; i++) {
        k = &of->keys[i];
        uint64_t v = hakp_key_get(k, spec);
        if (!hakp_key_of(k, spec->kind) || (!k->main && v == k->standard))
            continue;
        put_char(&o, sep);
        put(&o, k->name);
        put_char(&o, '=');
        put_value(&o, k->type, v);
        sep = ',';
    }
    if (len > 0)
        buf[o.used < len ? o.used : len - 1] = '\0';
    return (int)o.used;
}
