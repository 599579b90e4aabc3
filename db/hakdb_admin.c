/* Commands about the database as a whole: merge, check, migrate. */
#include "db/hakdb.h"

#include <stdio.h>
#include <stdlib.h>

int hakdb_merge(struct hakdb *h) {
    static const struct hakc_col cols[] = {
        {"from", NULL, HAKC_COL_STR, 0},      {"experiments", NULL, HAKC_COL_INT, 0},
        {"runs", NULL, HAKC_COL_INT, 0},      {"traces", NULL, HAKC_COL_INT, 0},
        {"libraries", NULL, HAKC_COL_INT, 0}, {"machines", NULL, HAKC_COL_INT, 0},
        {"studies", NULL, HAKC_COL_INT, 0},
    };
    int n = h->opt->n_args, done = 0, rc = HAKC_OK;
    struct hakd_merged *added = calloc((size_t)n, sizeof *added);
    if (!added)
        return hakc_fail(h->err, HAKC_ENOMEM, "out of memory");
    while (done < n && !(rc = hakd_merge(h->db, h->opt->args[done], &added[done], h->err)))
        done++;
    if (done > 0) {
        hakc_out_list(h->out, "merged", "Rows added", cols, sizeof cols / sizeof *cols);
        for (int i = 0; i < done; i++) {
            hakc_out_row(h->out);
            hakc_out_cell_str(h->out, h->opt->args[i]);
            hakc_out_cell_int(h->out, added[i].experiments);
            hakc_out_cell_int(h->out, added[i].runs);
            hakc_out_cell_int(h->out, added[i].traces);
            hakc_out_cell_int(h->out, added[i].libraries);
            hakc_out_cell_int(h->out, added[i].machines);
            hakc_out_cell_int(h->out, added[i].studies);
        }
        hakc_out_list_end(h->out);
    }
    free(added);
    if (rc && done > 0) { /* what came before stays merged, and is told: each is a transaction */
        hakc_out_close(h->out, NULL);
        h->out = NULL;
    }
    return rc;
}

static void put_finding(void *ctx, int is_problem, const char *text) {
    struct hakc_out *o = ctx;
    hakc_out_row(o);
    hakc_out_cell_str(o, is_problem ? "problem" : "hint");
    hakc_out_cell_str(o, text);
}

int hakdb_check(struct hakdb *h) {
    static const struct hakc_col cols[] = {{"kind", NULL, HAKC_COL_STR, 0},
                                           {"finding", NULL, HAKC_COL_STR, 0}};
    int64_t problems;
    hakc_out_set_width(h->out, 0);
    hakc_out_list(h->out, "findings", NULL, cols, 2);
    int rc = hakd_check(h->db, put_finding, h->out, &problems, h->err);
    if (rc)
        return rc;
    hakc_out_list_end(h->out);
    if (problems == 0) {
        hakc_out_note(h->out, "The database is whole.");
        return HAKC_OK;
    }
    /* the findings are the answer: they are printed, and the code says that there are some */
    hakc_out_note(h->out, "%lld problems.", (long long)problems);
    rc = hakc_out_close(h->out, h->err);
    h->out = NULL;
    if (rc)
        return rc;
    hakc_fail(h->err, HAKC_ECORRUPT, "the check found %lld problems", (long long)problems);
    snprintf(h->err->file, sizeof h->err->file, "%s", h->opt->db_path);
    return HAKC_ECORRUPT;
}

int hakdb_migrate(struct hakdb *h) { /* opening it for writing has done it */
    hakc_out_int(h->out, "database_version", "schema version", hakd_schema_version());
    return HAKC_OK;
}
