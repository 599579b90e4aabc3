/* haktrace gen: the operations of a benchmark as a trace, without running it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tracer/commands.h"
#include "tracer/format/trace.h"
#include "tracer/outfile.h"

#define WS_MAX       (1u << 26)
#define THREADS_MAX  4096
#define QUEUE_LENGTH 64
#define GEN_LEVEL    12 /* nobody waits for it as for a recording */

struct gen_args {
    const char *output;
    const char *kind;
    const char *number[3];
    int numbers;
    uint64_t iterations, second, seed;
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "The trace to write (\"-\" = standard output)", 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
    struct gen_args *a = state->input;
    switch (key) {
    case 'o':
        a->output = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->kind == NULL)
            a->kind = arg;
        else if (a->numbers < 3)
            a->number[a->numbers++] = arg;
        else
            argp_error(state, "too many arguments: '%s'", arg);
        return 0;
    case ARGP_KEY_END:
        if (a->kind == NULL || a->numbers != 3)
            argp_usage(state);
        if (a->output == NULL)
            argp_error(state, "no output file given (-o FILE)");
        a->iterations = hakt_cmd_number(state, "ITERATIONS", a->number[0], 0, UINT64_MAX / 2);
        a->seed = hakt_cmd_number(state, "SEED", a->number[2], 0, UINT32_MAX);
        if (strcmp(a->kind, "random_mixed") == 0)
            a->second = hakt_cmd_number(state, "WS", a->number[1], 1, WS_MAX);
        else if (strcmp(a->kind, "handover") == 0)
            a->second = hakt_cmd_number(state, "THREADS", a->number[1], 2, THREADS_MAX);
        else
            argp_error(state, "'%s' is not a generator: random_mixed, handover", a->kind);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    options,
    parse,
    "-o FILE random_mixed ITERATIONS WS SEED\n-o FILE handover ITERATIONS THREADS SEED",
    "Writes the operations of a benchmark as a trace.\v"
    "random_mixed: the stream of bench_random_mixed. xorshift32 (by 13, 17, 5) starts at SEED (0 "
    "counts as 1); each iteration takes one number r and slot r % WS: an occupied slot is freed, "
    "an empty one gets malloc(16 + (r & 0x3FF)). At the end the slots still occupied are freed in "
    "order.\n\n"
    "handover: in each iteration one of THREADS threads allocates and hands the object to another, "
    "which frees the oldest of those handed to it when it has 64. Every free is in another thread "
    "than its allocation.",
    NULL,
    NULL,
    NULL};

struct gen {
    struct hakt_writer *w;
    struct hakc_err err;
    uint32_t random;
};

static uint32_t next_random(struct gen *g) {
    uint32_t x = g->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return g->random = x;
}

static int put_malloc(struct gen *g, uint32_t thread, uint64_t size, uint64_t *id) {
    *id = hakt_writer_next_id(g->w);
    struct hakt_rec r = {.op = HAKT_MALLOC, .thread = thread, .size = size, .id = *id};
    return hakt_write(g->w, &r, &g->err);
}

static int put_free(struct gen *g, uint32_t thread, uint64_t id) {
    struct hakt_rec r = {.op = HAKT_FREE, .thread = thread, .old_id = id};
    return hakt_write(g->w, &r, &g->err);
}

static int put_marker(struct gen *g, uint32_t thread, uint8_t op) {
    struct hakt_rec r = {.op = op, .thread = thread};
    return hakt_write(g->w, &r, &g->err);
}

static int random_mixed(struct gen *g, uint64_t iterations, uint64_t ws) {
    int rc = 0;
    uint64_t *slots = calloc(ws, sizeof(*slots));
    if (slots == NULL)
        return hakc_fail(&g->err, HAKC_ENOMEM, "no memory for %" PRIu64 " slots", ws);
    for (uint64_t i = 0; i < iterations && rc == 0; i++) {
        uint32_t r = next_random(g);
        uint64_t *slot = &slots[r % ws];
        if (*slot == 0) {
            rc = put_malloc(g, 0, 16 + (r & 0x3FF), slot);
        } else {
            rc = put_free(g, 0, *slot);
            *slot = 0;
        }
    }
    for (uint64_t i = 0; i < ws && rc == 0; i++) {
        if (slots[i] != 0)
            rc = put_free(g, 0, slots[i]);
    }
    free(slots);
    return rc;
}

/* What was handed to a thread and is not freed yet, oldest first. */
struct queue {
    uint64_t ids[QUEUE_LENGTH];
    unsigned first, count;
};

static int queue_free_oldest(struct gen *g, struct queue *q, uint32_t thread) {
    uint64_t id = q->ids[q->first];
    q->first = (q->first + 1) % QUEUE_LENGTH;
    q->count--;
    return put_free(g, thread, id);
}

static int handover_step(struct gen *g, struct queue *queues, uint32_t threads) {
    uint64_t id;
    uint32_t r = next_random(g);
    uint32_t from = r % threads;
    uint32_t to = (from + 1 + next_random(g) % (threads - 1)) % threads;
    struct queue *q = &queues[to];
    int rc = put_malloc(g, from, 16 + (r >> 16 & 0x3FF), &id);
    if (rc == 0 && q->count == QUEUE_LENGTH)
        rc = queue_free_oldest(g, q, to);
    q->ids[(q->first + q->count++) % QUEUE_LENGTH] = id;
    return rc;
}

static int handover(struct gen *g, uint64_t iterations, uint32_t threads) {
    int rc = 0;
    struct queue *queues = calloc(threads, sizeof(*queues));
    if (queues == NULL)
        return hakc_fail(&g->err, HAKC_ENOMEM, "no memory for %" PRIu32 " threads", threads);
    for (uint32_t t = 0; t < threads && rc == 0; t++)
        rc = put_marker(g, t, HAKT_THREAD_START);
    for (uint64_t i = 0; i < iterations && rc == 0; i++)
        rc = handover_step(g, queues, threads);
    for (uint32_t t = 0; t < threads && rc == 0; t++) {
        while (queues[t].count > 0 && rc == 0)
            rc = queue_free_oldest(g, &queues[t], t);
        if (rc == 0)
            rc = put_marker(g, t, HAKT_THREAD_END);
    }
    free(queues);
    return rc;
}

int hakt_cmd_gen(int argc, char **argv) {
    struct gen_args a = {0};
    struct gen g = {0};
    struct hakt_outfile out;
    char source[128];
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    snprintf(source, sizeof(source), "%s %" PRIu64 " %" PRIu64 " %" PRIu64, a.kind, a.iterations,
             a.second, a.seed);
    struct hakt_info info = {.fidelity = HAKT_HAS_THREADS | HAKT_EXACT_SIZES | HAKT_EXACT_IDS |
                                         HAKT_GENERATED | HAKT_WHOLE_LIFE,
                             .clock = "none",
                             .tool = "haktrace " HAK_VERSION,
                             .source = source};
    struct hakt_totals end = {.end_reason = HAKT_END_EXIT, .exit_status = UINT32_MAX};
    g.random = a.seed != 0 ? (uint32_t)a.seed : 1;
    if (hakt_outfile_init(&out, a.output, &g.err) != 0 ||
        hakt_writer_open(&g.w, hakt_outfile_name(&out), &info, GEN_LEVEL, &g.err) != 0)
        return hakt_cmd_fail(&g.err);
    int rc = strcmp(a.kind, "random_mixed") == 0 ? random_mixed(&g, a.iterations, a.second)
                                                 : handover(&g, a.iterations, (uint32_t)a.second);
    int closed = hakt_writer_close(g.w, &end, NULL, rc == 0 ? &g.err : NULL);
    rc = hakt_outfile_end(&out, rc != 0 ? rc : closed, &g.err);
    return rc != 0 ? hakt_cmd_fail(&g.err) : 0;
}
