/* Lists of the emitter: JSON and CSV rows go out as they come, a table waits for its widths. */
#include "common/out_int.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, LEAST_TEXT = 8 };

void out_list_free(struct hakc_out *o) {
    size_t cells = o->format == HAKC_OUT_TABLE ? o->n_rows * o->n_cols : 0;
    for (size_t i = 0; i < cells; i++)
        cell_free(&o->cells[i]);
    for (unsigned i = 0; i < o->n_cols; i++) {
        free((char *)(uintptr_t)o->cols[i].key);
        free((char *)(uintptr_t)o->cols[i].title);
    }
    free(o->cells);
    free(o->cols);
    free(o->list_key);
    o->cells = NULL;
    o->cols = NULL;
    o->list_key = NULL;
    o->n_rows = 0;
    o->n_cols = o->at = 0;
    o->cap_cells = 0;
}

void hakc_out_list(struct hakc_out *o, const char *key, const char *title,
                   const struct hakc_col *cols, unsigned n) {
    if (o->list_key || n == 0)
        out_fail(o, HAKC_EINTERNAL);
    if (o->code != HAKC_OK)
        return;
    out_flush_keys(o);
    o->list_key = strdup(key);
    o->cols = calloc(n, sizeof *o->cols);
    if (!o->list_key || !o->cols) {
        out_fail(o, HAKC_ENOMEM);
        return;
    }
    o->n_cols = n;
    o->lists++;
    for (unsigned i = 0; i < n; i++) {
        o->cols[i] = cols[i];
        o->cols[i].key = out_copy(o, cols[i].key);
        o->cols[i].title = out_copy(o, cols[i].title ? cols[i].title : cols[i].key);
    }
    if (o->code != HAKC_OK)
        return;
    if (o->format == HAKC_OUT_JSON) {
        out_json_next(o, o->section ? 2 : 1);
        out_json_string(o, key);
        out_put(o, ": [");
        return;
    }
    out_block(o);
    if (o->format == HAKC_OUT_CSV) {
        for (unsigned i = 0; i < n; i++) {
            out_put(o, i ? "," : "");
            out_csv_string(o, o->cols[i].key);
        }
        out_put(o, "\n");
    } else if (title) {
        out_bold(o, 1);
        out_put(o, title);
        out_bold(o, 0);
        out_put(o, "\n");
    }
}

/* ---- cells -------------------------------------------------------------------------------- */

static int fits(enum hakc_col_type type, enum cell_kind kind) {
    if (kind == CELL_NULL || type == HAKC_COL_ANY || type == HAKC_COL_SHOWN)
        return 1;
    if (type == HAKC_COL_STR || kind == CELL_STR)
        return type == HAKC_COL_STR && kind == CELL_STR;
    return type != HAKC_COL_INT || kind != CELL_FLOAT;
}

/* `c` holds a borrowed text. */
static void put_cell(struct hakc_out *o, struct cell c) {
    if (!o->list_key || o->n_rows == 0 || o->at >= o->n_cols || !fits(o->cols[o->at].type, c.kind))
        out_fail(o, HAKC_EINTERNAL);
    if (o->code != HAKC_OK)
        return;
    if (o->format == HAKC_OUT_JSON) {
        out_put(o, o->at ? ", " : "");
        out_json_string(o, o->cols[o->at].key);
        out_put(o, ": ");
        out_json_cell(o, &c);
    } else if (o->format == HAKC_OUT_CSV) {
        out_put(o, o->at ? "," : "");
        out_csv_cell(o, &c);
    } else {
        struct cell *to = &o->cells[(o->n_rows - 1) * o->n_cols + o->at];
        *to = c;
        if (c.kind == CELL_STR && !(to->v.s = out_copy(o, c.v.s)))
            to->kind = CELL_NULL;
    }
    o->at++;
}

static void end_row(struct hakc_out *o) {
    if (o->n_rows == 0)
        return;
    while (o->code == HAKC_OK && o->at < o->n_cols)
        put_cell(o, (struct cell){CELL_NULL, {0}});
    if (o->format != HAKC_OUT_TABLE)
        out_put(o, o->format == HAKC_OUT_JSON ? "}" : "\n");
}

void hakc_out_row(struct hakc_out *o) {
    if (!o->list_key)
        out_fail(o, HAKC_EINTERNAL);
    if (o->code != HAKC_OK)
        return;
    end_row(o);
    if (o->format == HAKC_OUT_TABLE) {
        size_t used = o->n_rows * o->n_cols;
        while (o->cap_cells < used + o->n_cols)
            if (!out_grow(o, &o->cells, &o->cap_cells, o->cap_cells, sizeof *o->cells))
                return;
        memset(&o->cells[used], 0, o->n_cols * sizeof *o->cells);
    } else if (o->format == HAKC_OUT_JSON) {
        out_put(o, o->n_rows ? ",\n" : "\n");
        out_pad(o, o->section ? 6 : 4);
        out_put(o, "{");
    }
    o->n_rows++;
    o->at = 0;
}

void hakc_out_cell_str(struct hakc_out *o, const char *v) {
    struct cell c = {CELL_NULL, {0}};
    if (v) {
        c.kind = CELL_STR;
        c.v.s = (char *)(uintptr_t)v; /* only read */
    }
    put_cell(o, c);
}

void hakc_out_cell_int(struct hakc_out *o, int64_t v) {
    put_cell(o, (struct cell){CELL_INT, {.i = v}});
}

void hakc_out_cell_uint(struct hakc_out *o, uint64_t v) {
    put_cell(o, (struct cell){CELL_UINT, {.u = v}});
}

void hakc_out_cell_float(struct hakc_out *o, double v) {
    put_cell(o, (struct cell){isfinite(v) ? CELL_FLOAT : CELL_NULL, {.d = v}});
}

void hakc_out_cell_shown(struct hakc_out *o, double v, const char *shown) {
    if (o->format == HAKC_OUT_TABLE && isfinite(v))
        hakc_out_cell_str(o, shown);
    else
        hakc_out_cell_float(o, v);
}

void hakc_out_cell_null(struct hakc_out *o) {
    put_cell(o, (struct cell){CELL_NULL, {0}});
}

/* ---- the table ---------------------------------------------------------------------------- */

/* How a column is shown. */
struct look {
    double scale;
    const char *unit; /* or NULL */
    int digits;
    unsigned width;
    int right;
};

struct scale {
    double factor;
    const char *name;
};

static double cell_number(const struct cell *c) {
    return c->kind == CELL_FLOAT ? c->v.d : c->kind == CELL_UINT ? (double)c->v.u : (double)c->v.i;
}

/* One unit for a column: the largest in which its smallest value still shows two digits or so. */
static void choose_scale(const struct hakc_out *o, unsigned col, struct look *k) {
    static const struct scale bytes[] = {
        {1, "B"}, {1024, "KiB"}, {1048576, "MiB"}, {1073741824, "GiB"}, {0, NULL}};
    static const struct scale times[] = {
        {1, "ns"}, {1e3, "us"}, {1e6, "ms"}, {1e9, "s"}, {0, NULL}};
    const struct scale *s = o->cols[col].type == HAKC_COL_BYTES ? bytes : times;
    double least = INFINITY;
    int whole = 1;
    for (size_t r = 0; r < o->n_rows; r++) {
        const struct cell *c = &o->cells[r * o->n_cols + col];
        double v = c->kind == CELL_NULL ? 0 : fabs(cell_number(c));
        if (v > 0 && v < least)
            least = v;
        whole = whole && v == floor(v);
    }
    while (s[1].name && isfinite(least) && least >= s[1].factor * 0.5)
        s++;
    k->scale = s->factor;
    k->unit = s->name;
    k->digits = s->factor == 1 && whole ? 0 : 2;
}

static void format_cell(const struct look *k, enum hakc_col_type type, const struct cell *c,
                        char *buf, size_t len) {
    if (c->kind == CELL_NULL)
        snprintf(buf, len, "\xe2\x80\x93"); /* – */
    else if (k->unit)
        snprintf(buf, len, "%.*f", k->digits, cell_number(c) / k->scale);
    else if (type == HAKC_COL_FLOAT)
        snprintf(buf, len, "%.*f", k->digits, cell_number(c));
    else if (c->kind == CELL_FLOAT)
        snprintf(buf, len, "%.10g", c->v.d);
    else if (c->kind == CELL_UINT)
        snprintf(buf, len, "%" PRIu64, c->v.u);
    else
        snprintf(buf, len, "%" PRId64, c->v.i);
}

enum { NUMBER_TEXT = 350 }; /* DBL_MAX with digits */

static const char *cell_text(const struct look *k, enum hakc_col_type type, const struct cell *c,
                             char buf[NUMBER_TEXT]) {
    if (c->kind == CELL_STR)
        return c->v.s;
    format_cell(k, type, c, buf, NUMBER_TEXT);
    return buf;
}

static void title_text(const struct hakc_out *o, unsigned col, const struct look *k, char *buf,
                       size_t len) {
    const char *title = o->cols[col].title;
    if (k->unit)
        snprintf(buf, len, "%s [%s]", title, k->unit);
    else
        snprintf(buf, len, "%s", title);
}

static void measure_column(const struct hakc_out *o, unsigned col, struct look *k) {
    enum hakc_col_type type = o->cols[col].type;
    char buf[NUMBER_TEXT];
    *k = (struct look){.scale = 1, .digits = o->cols[col].digits, .right = type != HAKC_COL_STR};
    if (type == HAKC_COL_BYTES || type == HAKC_COL_DURATION)
        choose_scale(o, col, k);
    title_text(o, col, k, buf, sizeof buf);
    k->width = hakc_text_width(buf);
    for (size_t r = 0; r < o->n_rows; r++) {
        const struct cell *c = &o->cells[r * o->n_cols + col];
        unsigned w = hakc_text_width(cell_text(k, type, c, buf));
        k->width = w > k->width ? w : k->width;
        if (c->kind == CELL_STR && type == HAKC_COL_ANY)
            k->right = 0;
    }
}

/* Takes width from the widest texts until the table fits; numbers are never cut. */
static void fit(const struct hakc_out *o, struct look *looks) {
    unsigned total = GAP * (o->n_cols - 1);
    for (unsigned i = 0; i < o->n_cols; i++)
        total += looks[i].width;
    while (o->width && total > o->width) {
        struct look *widest = NULL;
        for (unsigned i = 0; i < o->n_cols; i++)
            if (!looks[i].right && looks[i].width > LEAST_TEXT &&
                (!widest || looks[i].width > widest->width))
                widest = &looks[i];
        if (!widest)
            return;
        widest->width--;
        total--;
    }
}

static void put_table_cell(struct hakc_out *o, const struct look *k, const char *text, int last) {
    unsigned w = hakc_text_width(text);
    if (k->right && w < k->width)
        out_pad(o, k->width - w);
    unsigned used = out_put_cut(o, text, k->width);
    if (!last)
        out_pad(o, GAP + (k->right ? 0 : k->width - used));
}

static void put_table(struct hakc_out *o) {
    struct look *looks = calloc(o->n_cols, sizeof *looks);
    char buf[NUMBER_TEXT];
    if (!looks) {
        out_fail(o, HAKC_ENOMEM);
        return;
    }
    for (unsigned i = 0; i < o->n_cols; i++)
        measure_column(o, i, &looks[i]);
    fit(o, looks);
    out_bold(o, 1);
    for (unsigned i = 0; i < o->n_cols; i++) {
        title_text(o, i, &looks[i], buf, sizeof buf);
        put_table_cell(o, &looks[i], buf, i + 1 == o->n_cols);
    }
    out_bold(o, 0);
    out_put(o, "\n");
    for (size_t r = 0; r < o->n_rows; r++) {
        for (unsigned i = 0; i < o->n_cols; i++) {
            const struct cell *c = &o->cells[r * o->n_cols + i];
            put_table_cell(o, &looks[i], cell_text(&looks[i], o->cols[i].type, c, buf),
                           i + 1 == o->n_cols);
        }
        out_put(o, "\n");
    }
    free(looks);
}

void hakc_out_list_end(struct hakc_out *o) {
    if (!o->list_key)
        out_fail(o, HAKC_EINTERNAL);
    if (o->code != HAKC_OK)
        return;
    end_row(o);
    if (o->format == HAKC_OUT_TABLE)
        put_table(o);
    else if (o->format == HAKC_OUT_JSON) {
        if (o->n_rows) {
            out_put(o, "\n");
            out_pad(o, o->section ? 4 : 2);
        }
        out_put(o, "]");
    }
    out_list_free(o);
}
