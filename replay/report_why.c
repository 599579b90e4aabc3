#include <inttypes.h>
#include <string.h>
#include "common/units.h"
#include "replay/report.h"

static const struct hakc_col table_cols[] = {
    {"allocator", "allocator", HAKC_COL_STR, 0},
    {"op", "op", HAKC_COL_STR, 0},
    {"size", "size up to", HAKC_COL_STR, 0},
    {"call", "call", HAKC_COL_STR, 0},
    {"calls", "calls", HAKC_COL_INT, 0},
    {"bytes", "bytes", HAKC_COL_BYTES, 0},
    {"kernel_ns", "in calls", HAKC_COL_DURATION, 0},
    {"first", "first at", HAKC_COL_STR, 0},
};

static const struct hakc_col data_cols[] = {
    {"allocator", "", HAKC_COL_STR, 0},        {"op", "", HAKC_COL_STR, 0},
    {"size_max_bytes", "", HAKC_COL_BYTES, 0}, {"call", "", HAKC_COL_STR, 0},
    {"detail", "", HAKC_COL_STR, 0},           {"calls", "", HAKC_COL_INT, 0},
    {"errors", "", HAKC_COL_INT, 0},           {"bytes", "", HAKC_COL_BYTES, 0},
    {"kernel_ns", "", HAKC_COL_DURATION, 0},   {"first_thread", "", HAKC_COL_INT, 0},
    {"first_op", "", HAKC_COL_INT, 0},
};

/* Where the first call of a cause was made. 0, or -1 if not in an op of the trace's. */
static int first_op(const struct hakr_experiment *e, const struct hakr_why *w, uint64_t *op) {
    unsigned kind;
    uint64_t size;
    if (w->kind == HAKR_CAUSE_FOREIGN)
        return -1;
    return hakr_plan_locate(e->plan, w->sum.thread, w->sum.word - 1, op, &kind, &size);
}

static void table_row(struct hakc_out *o, const struct hakr_experiment *e, const char *label,
                      const struct hakr_why *w) {
    char text[64], size[HAKC_UNIT_LEN];
    uint64_t op, max = hakr_size_class_max(w->size_class);
    hakc_out_row(o);
    hakc_out_cell_str(o, label);
    hakc_out_cell_str(o, hakr_why_name(w->kind));
    if (!hakr_why_has_size(w->kind))
        hakc_out_cell_null(o);
    else
        hakc_out_cell_str(o, max == UINT64_MAX ? "more" : hakc_format_bytes(size, max));
    hakc_out_cell_str(o, hakr_sys_name(text, w->class_));
    hakc_out_cell_uint(o, w->sum.calls);
    hakc_out_cell_uint(o, w->sum.bytes);
    hakc_out_cell_uint(o, w->sum.kernel_ns);
    snprintf(text, sizeof text, "%" PRIu32 ":", w->sum.thread);
    if (first_op(e, w, &op) == 0)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%" PRIu64, op);
    else
        strcat(text, "end");
    hakc_out_cell_str(o, w->kind == HAKR_CAUSE_FOREIGN ? NULL : text);
}

static void data_row(struct hakc_out *o, const struct hakr_experiment *e, const char *label,
                     const struct hakr_why *w) {
    uint64_t op, max = hakr_size_class_max(w->size_class);
    hakc_out_row(o);
    hakc_out_cell_str(o, label);
    hakc_out_cell_str(o, hakr_why_name(w->kind));
    if (!hakr_why_has_size(w->kind) || max == UINT64_MAX)
        hakc_out_cell_null(o);
    else
        hakc_out_cell_uint(o, max);
    hakc_out_cell_str(o, hakr_sys_call(w->class_));
    hakc_out_cell_str(o, hakr_sys_detail(w->class_));
    hakc_out_cell_uint(o, w->sum.calls);
    hakc_out_cell_uint(o, w->sum.errors);
    hakc_out_cell_uint(o, w->sum.bytes);
    hakc_out_cell_uint(o, w->sum.kernel_ns);
    if (w->kind == HAKR_CAUSE_FOREIGN)
        return; /* the rest is not known */
    hakc_out_cell_uint(o, w->sum.thread);
    if (first_op(e, w, &op) == 0)
        hakc_out_cell_uint(o, op);
}

/* The first accounted run of a variant that went well and was counted, or NULL. */
static const struct hakr_run *accounted(const struct hakr_experiment *e, size_t v) {
    if (hakr_experiment_failure(e, v, HAKR_PASS_ACCOUNT) != NULL)
        return NULL;
    for (size_t i = 0; i < e->n_runs; i++)
        if (e->runs[i].variant == v && e->runs[i].pass == HAKR_PASS_ACCOUNT &&
            e->runs[i].result.counted)
            return &e->runs[i];
    return NULL;
}

static void coverage_note(struct hakc_out *o, const char *label, const struct hakr_result *r,
                          uint32_t most) {
    uint64_t shown_calls = 0, calls = 0, shown_ns = 0, ns = 0;
    for (size_t i = 0; i < r->n_why; i++) {
        const struct hakr_cause *c = &r->why[i].sum;
        calls += c->calls;
        ns += c->kernel_ns;
        shown_calls += i < most ? c->calls : 0;
        shown_ns += i < most ? c->kernel_ns : 0;
    }
    if (r->n_why > most)
        hakc_out_note(o,
                      "%s: the %" PRIu32 " dearest of %zu causes: %" PRIu64 " of %" PRIu64
                      " calls, %.0f %% of the time in them.",
                      label, most, r->n_why, shown_calls, calls,
                      ns != 0 ? 100.0 * (double)shown_ns / (double)ns : 0);
}

void hakr_report_why(struct hakc_out *o, const struct hakr_experiment *e, uint32_t most,
                     int table) {
    if (table)
        hakc_out_list(o, "why",
                      "Why: the dearest causes of memory system calls (first accounted run)",
                      table_cols, sizeof table_cols / sizeof *table_cols);
    else
        hakc_out_list(o, "why", NULL, data_cols, sizeof data_cols / sizeof *data_cols);
    for (size_t v = 0; v < e->variants->n; v++) {
        const struct hakr_run *r = accounted(e, v);
        for (size_t i = 0; r != NULL && i < r->result.n_why && i < most; i++) {
            if (table)
                table_row(o, e, e->variants->at[v].label, &r->result.why[i]);
            else
                data_row(o, e, e->variants->at[v].label, &r->result.why[i]);
        }
    }
    hakc_out_list_end(o);
    for (size_t v = 0; v < e->variants->n; v++) {
        const struct hakr_run *r = accounted(e, v);
        if (r != NULL)
            coverage_note(o, e->variants->at[v].label, &r->result, most);
    }
}
