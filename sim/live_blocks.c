#include "sim/live_blocks.h"

#include "common/err.h"
#include "common/zeroed.h"

#define LOG2_MIN   10
#define LOG2_MAX   40
#define SMALL      ((size_t)1 << 15) /* lines: below, a table is cheap to have and dear to move */
#define LINE_SHIFT 4
#define PASSED     8u
#define HELD       7u

static int make(struct haks_live *t, unsigned log2) {
    size_t lines = (size_t)1 << log2;
    *t = (struct haks_live){.lines = hakc_zeroed_get(lines * sizeof *t->lines),
                            .mask = lines - 1,
                            .grow_at = lines / 4 * 3,
                            .shift = 64 - log2};
    return t->lines != NULL ? 0 : HAKC_ENOMEM;
}

int haks_live_init(struct haks_live *t) {
    return make(t, LOG2_MIN);
}

void haks_live_fini(struct haks_live *t) {
    hakc_zeroed_put(t->lines, (t->mask + 1) * sizeof *t->lines);
    *t = (struct haks_live){0};
}

/* Where line number `line` is, or the empty place where it would be. */
static inline size_t find(const struct haks_live *t, uint64_t line) {
    size_t i = haks_live_home(t, line);
    while (t->lines[i].key >> LINE_SHIFT != line && t->lines[i].key != 0)
        i = (i + 1) & t->mask;
    return i;
}

/* The place for a line that is not there. */
static size_t place(struct haks_live *t, uint64_t line) {
    size_t i = haks_live_home(t, line);
    for (; t->lines[i].key != 0; i = (i + 1) & t->mask)
        t->lines[i].key |= PASSED;
    t->count++;
    return i;
}

static int grow(struct haks_live *t) {
    struct haks_live bigger;
    unsigned log2 = 64 - t->shift + (t->mask < SMALL ? 2 : 1);
    if (log2 > LOG2_MAX || make(&bigger, log2) != 0)
        return HAKC_ENOMEM;
    for (size_t i = 0; i <= t->mask; i++)
        if (t->lines[i].key != 0) {
            struct haks_live_line *to =
                &bigger.lines[place(&bigger, t->lines[i].key >> LINE_SHIFT)];
            *to = t->lines[i];
            to->key &= ~(uint64_t)PASSED;
        }
    haks_live_fini(t);
    *t = bigger;
    return 0;
}

int haks_live_put(struct haks_live *t, uint64_t id, uint64_t addr) {
    uint64_t line = id / HAKS_LIVE_IDS + 1;
    size_t i = find(t, line);
    uint64_t *at;
    if (t->lines[i].key == 0) {
        if (t->count >= t->grow_at && grow(t) != 0)
            return HAKC_ENOMEM;
        i = place(t, line);
        t->lines[i].key = line << LINE_SHIFT;
    }
    at = &t->lines[i].addr[id % HAKS_LIVE_IDS];
    t->lines[i].key += *at == 0;
    *at = addr;
    return 0;
}

/* Closes the gap that an empty line leaves: moves back every later one of the cluster whose home
 * does not lie behind it. Whoever passes the gap and is not moved passes the place of the one that
 * is, so its `passed` serves; set in vain, it costs a look at the next place. */
static void remove_line(struct haks_live *t, size_t hole) {
    size_t i = (hole + 1) & t->mask;
    for (; t->lines[hole].key & PASSED && t->lines[i].key != 0; i = (i + 1) & t->mask) {
        size_t home = haks_live_home(t, t->lines[i].key >> LINE_SHIFT);
        if (((i - home) & t->mask) >= ((i - hole) & t->mask)) {
            t->lines[hole] = t->lines[i];
            hole = i;
        }
    }
    t->lines[hole] = (struct haks_live_line){0};
    t->count--;
}

uint64_t haks_live_take(struct haks_live *t, uint64_t id) {
    uint64_t line = id / HAKS_LIVE_IDS + 1, addr;
    size_t i = find(t, line);
    struct haks_live_line *l = &t->lines[i];
    addr = l->addr[id % HAKS_LIVE_IDS];
    if (addr == 0)
        return 0;
    l->addr[id % HAKS_LIVE_IDS] = 0;
    l->key--;
    if ((l->key & HELD) == 0)
        remove_line(t, i);
    return addr;
}
