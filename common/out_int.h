/* Inside the emitter: what out.c, out_list.c and out_text.c share. */
#ifndef COMMON_OUT_INT_H
#define COMMON_OUT_INT_H

#include <stddef.h>
#include "common/out.h"

enum cell_kind { CELL_NULL, CELL_STR, CELL_INT, CELL_UINT, CELL_FLOAT, CELL_BOOL };

struct cell {
    enum cell_kind kind;
    union {
        char *s; /* owned */
        int64_t i;
        uint64_t u;
        double d;
    } v;
};

/* A key that waits for its block to be complete (table, CSV). */
struct pending_key {
    char *key, *label;
    struct cell value;
    enum hakc_col_type type;
    int digits;
};

struct hakc_out {
    FILE *f;
    enum hakc_out_format format;
    unsigned width;
    int bold;
    int code, sys_errno;         /* the first failure */
    char *section, *list_key;    /* open ones, or NULL */
    int schema_version, started; /* JSON: is the head written? */
    int members;                 /* JSON: members written in the innermost object */
    int outer_members;           /* ... in the object around a section */
    int blocks;                  /* table, CSV: blocks written, to part them by an empty line */
    int lists;
    struct pending_key *keys;
    size_t n_keys, cap_keys;
    char **notes;
    size_t n_notes, cap_notes;
    /* the open list */
    struct hakc_col *cols; /* texts owned */
    unsigned n_cols, at;   /* at: cells put in the current row */
    size_t n_rows;
    struct cell *cells; /* table: n_rows * n_cols */
    size_t cap_cells;
};

void out_fail(struct hakc_out *o, int code);
void out_put(struct hakc_out *o, const char *text);
void out_pad(struct hakc_out *o, unsigned columns);
char *out_copy(struct hakc_out *o, const char *text);

/* Makes room for one more of `size` bytes. Returns 0 when out of memory (noted). */
int out_grow(struct hakc_out *o, void *array, size_t *cap, size_t used, size_t size);

void cell_free(struct cell *c);
void out_json_string(struct hakc_out *o, const char *text);
void out_json_cell(struct hakc_out *o, const struct cell *c);
void out_csv_string(struct hakc_out *o, const char *text);
void out_csv_cell(struct hakc_out *o, const struct cell *c);
void out_bold(struct hakc_out *o, int on);

/* Comma, line break and indentation before a member or element of JSON. */
void out_json_next(struct hakc_out *o, unsigned depth);
/* Parts a block of a table or CSV from the one before. */
void out_block(struct hakc_out *o);
void out_list_free(struct hakc_out *o);
/* A table: writes the keys that wait, before something else follows. */
void out_flush_keys(struct hakc_out *o);

/* One code point of a text; at an invalid byte *cp = 0xFFFD and one byte. Returns its bytes. */
unsigned utf8_next(const char *text, uint32_t *cp);
unsigned utf8_columns(uint32_t cp);
/* A copy that a terminal can show: valid UTF-8, control characters as \xNN. NULL = no memory. */
char *text_for_terminal(const char *text);
/* Writes at most `columns` of text, cut with "…" where it is longer; returns columns written. */
unsigned out_put_cut(struct hakc_out *o, const char *text, unsigned columns);

#endif
