/* Specs to canonical policy strings: every parameter by its key, defaults of max, keep, how and min
 * left out.
 */
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

int hakp_format(const struct hakp_spec *spec, char *buf, size_t len) {
    const struct hakp_ops *ops = hakp_ops_of(spec->kind);
    struct out o = {buf, len, 0};
    char sep = ':';

    put(&o, ops->name);
    if (ops->takes_n) {
        put_char(&o, sep);
        put(&o, "n=");
        put_number(&o, spec->n);
        sep = ',';
    }
    if (spec->max_bytes != 0) {
        put_char(&o, sep);
        put(&o, "max=");
        put_bytes(&o, spec->max_bytes);
        sep = ',';
    }
    if (spec->keep_bytes != 0) {
        put_char(&o, sep);
        put(&o, "keep=");
        put_bytes(&o, spec->keep_bytes);
        sep = ',';
    }
    if (spec->how != HAKP_DONTNEED) {
        put_char(&o, sep);
        put(&o, "how=");
        put(&o, hakp_how_name(spec->how));
        sep = ',';
    }
    if (spec->min_bytes != 0) {
        put_char(&o, sep);
        put(&o, "min=");
        put_bytes(&o, spec->min_bytes);
    }
    if (len > 0)
        buf[o.used < len ? o.used : len - 1] = '\0';
    return (int)o.used;
}
