/* haksim calibrate: what the kernel's work costs on this machine. */
#include <argp.h>
#include <stdlib.h>

#include "common/out.h"
#include "common/units.h"
#include "sim/calibrate.h"
#include "sim/costs_store.h"
#include "sim/sim_commands.h"
#include "sim/sim_rows.h"

#define SCHEMA_VERSION 1

enum { OPT_DB = 256, OPT_NO_DB, OPT_JSON, OPT_CSV };

struct config {
    const char *db;
    uint64_t rounds;
    enum hakc_out_format format;
};

static const struct argp_option options[] = {
    {"rounds", 'r', "N", 0, "Measurements of each price; its median counts (default: 25)", 0},
    {"db", OPT_DB, "FILE", 0, "Keep the prices in this database (default: $HAKDB, else results.db)",
     1},
    {"no-db", OPT_NO_DB, NULL, 0, "Only show them", 1},
    {"json", OPT_JSON, NULL, 0, "Print JSON", 2},
    {"csv", OPT_CSV, NULL, 0, "Print CSV", 2},
    {0}};

static error_t parse_opt(int key, char *arg, struct argp_state *state) {
    struct config *c = state->input;
    struct hakc_err err = {0};
    switch (key) {
    case 'r':
        if (hakc_parse_count(arg, &c->rounds, &err) != 0 || c->rounds == 0 || c->rounds > 999)
            argp_error(state, "--rounds is \"%s\": it must be a number from 1 to 999", arg);
        break;
    case OPT_DB:
        c->db = arg;
        break;
    case OPT_NO_DB:
        c->db = NULL;
        break;
    case OPT_JSON:
        c->format = HAKC_OUT_JSON;
        break;
    case OPT_CSV:
        c->format = HAKC_OUT_CSV;
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "no argument is taken: \"%s\"", arg);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse_opt,
    .doc =
        "Measure what page faults and memory calls cost on this machine, and keep the prices with "
        "it in the database: from then on haksim predicts cost by them.\v"
        "Do it on an idle machine, and again after a change of kernel or of its settings: prices "
        "count for the machine as it was set up. Exit codes: 0 fine, 1 failed, 2 usage."};

static uint32_t price_of(const struct haks_costs *c, const struct haks_price *p) {
    return *(const uint32_t *)(const void *)((const char *)c + p->at);
}

static int show(const struct haks_calibration *c, enum hakc_out_format format,
                struct hakc_err *err) {
    static const struct hakc_col cols[] = {
        {"price", "price", HAKC_COL_STR, 0},      {"ns", "ns", HAKC_COL_INT, 0},
        {"low_ns", "from", HAKC_COL_INT, 0},      {"high_ns", "to", HAKC_COL_INT, 0},
        {"reference_ns", "ref", HAKC_COL_INT, 0}, {"meaning", "of", HAKC_COL_STR, 0}};
    const struct haks_price *p;
    struct hakc_out *o;
    int rc = hakc_out_open(&o, stdout, format, SCHEMA_VERSION, err);
    if (rc != 0)
        return rc;
    hakc_out_uint(o, "cpus", "processors", c->costs.cpus);
    hakc_out_uint(o, "rounds", "rounds", c->rounds);
    hakc_out_list(o, "prices", NULL, cols, sizeof cols / sizeof cols[0]);
    for (unsigned i = 0; (p = haks_price_at(i)) != NULL; i++) {
        hakc_out_row(o);
        hakc_out_cell_str(o, p->name);
        hakc_out_cell_uint(o, price_of(&c->costs, p));
        hakc_out_cell_uint(o, price_of(&c->low, p));
        hakc_out_cell_uint(o, price_of(&c->high, p));
        hakc_out_cell_uint(o, price_of(&haks_costs_reference, p));
        hakc_out_cell_str(o, p->meaning);
    }
    hakc_out_list_end(o);
    hakc_out_note(o, "ns: median of the rounds; from and to: their quartiles; ref: the built-in "
                     "reference.");
    return hakc_out_close(o, err);
}

/* They are shown where they cannot be kept. */
static int store_and_show(const struct config *c, const struct haks_calibration *found, int argc,
                          char **argv, struct hakc_err *err) {
    struct hakc_err why = {0};
    int stored = c->db != NULL ? haks_costs_store(c->db, found, argc, argv, &why) : 0;
    int rc = show(found, c->format, err);
    if (rc == 0 && stored != 0)
        *err = why;
    return rc != 0 ? rc : stored;
}

int haks_cmd_calibrate(int argc, char **argv) {
    struct config c = {.db = haks_default_db(), .rounds = 25};
    struct haks_calibration result;
    struct hakc_err err = {0};
    int rc = 0;

    argp_parse(&argp, argc, argv, 0, NULL, &c);
    haks_catch_signals();
    if (c.db != NULL)
        rc = haks_store_check(c.db, &err);
    if (rc == 0)
        rc = haks_calibrate((unsigned)c.rounds, &haks_stop, &result, &err);
    if (rc == 0)
        rc = store_and_show(&c, &result, argc, argv, &err);
    if (rc != 0)
        hakc_err_print("haksim calibrate", &err);
    return hakc_exit_code(rc);
}
