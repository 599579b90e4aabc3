/* Choosing among evaluated policies. */
#include "sim/optimise.h"

typedef unsigned __int128 u128;

#define PPM 1000000u

/* a beats b for the front: less memory, or as much and cheaper, or the same and before. */
static int before(const struct haks_point *p, size_t a, size_t b) {
    if (p[a].memory != p[b].memory)
        return p[a].memory < p[b].memory;
    if (p[a].cost != p[b].cost)
        return p[a].cost < p[b].cost;
    return a < b;
}

/* In place, by heap sort: no memory to run out of, no worst case. */
static void sort(const struct haks_point *p, size_t *v, size_t n) {
    for (size_t i = n / 2, end = n; end > 1;) {
        size_t at, child, x;
        if (i > 0) {
            x = v[--i];
        } else {
            x = v[--end];
            v[end] = v[0];
        }
        for (at = i; (child = 2 * at + 1) < end; at = child) {
            child += child + 1 < end && before(p, v[child], v[child + 1]);
            if (!before(p, x, v[child]))
                break;
            v[at] = v[child];
        }
        v[at] = x;
    }
}

size_t haks_front(const struct haks_point *p, size_t n, size_t *front) {
    size_t m = 0, kept = 0;
    for (size_t i = 0; i < n; i++)
        if (p[i].ok)
            front[m++] = i;
    sort(p, front, m);
    for (size_t i = 0; i < m; i++)
        if (kept == 0 || p[front[i]].cost < p[front[kept - 1]].cost)
            front[kept++] = front[i];
    return kept;
}

size_t haks_knee(const struct haks_point *p, const size_t *front, size_t n) {
    size_t knee = HAKS_NOWHERE;
    if (n < 3)
        return knee;
    const struct haks_point *first = &p[front[0]], *last = &p[front[n - 1]];
    uint64_t memory = last->memory - first->memory, cost = first->cost - last->cost;
    u128 most = (u128)memory * cost; /* what both ends have: on the line */
    for (size_t i = 1; i + 1 < n; i++) {
        const struct haks_point *x = &p[front[i]];
        u128 below =
            (u128)(last->memory - x->memory) * cost + (u128)(first->cost - x->cost) * memory;
        if (below > most) {
            most = below;
            knee = i;
        }
    }
    return knee;
}

size_t haks_cheapest(const struct haks_point *p, size_t n, uint64_t bound) {
    size_t best = HAKS_NOWHERE;
    for (size_t i = 0; i < n; i++) {
        if (!p[i].ok || p[i].memory > bound)
            continue;
        if (best == HAKS_NOWHERE || p[i].cost < p[best].cost ||
            (p[i].cost == p[best].cost && p[i].memory < p[best].memory))
            best = i;
    }
    return best;
}

static uint64_t share_ppm(uint64_t part, uint64_t whole) {
    u128 ppm = whole > 0 ? (u128)part * PPM / whole : part > 0 ? UINT64_MAX : 0;
    return ppm < UINT64_MAX ? (uint64_t)ppm : UINT64_MAX;
}

static uint64_t loss_against(uint64_t cost, uint64_t best) {
    return cost > best ? share_ppm(cost - best, best) : 0;
}

uint64_t haks_loss_ppm(const struct haks_table *t, size_t trace, size_t policy) {
    const struct haks_point *p = t->points + trace * t->policies;
    size_t best = haks_cheapest(p, t->policies, t->bounds[trace]);
    return best != HAKS_NOWHERE ? loss_against(p[policy].cost, p[best].cost) : 0;
}

/* Adds what a policy does on a trace. Returns 0 if it was not evaluated there. */
static int add(struct haks_choice *c, const struct haks_point *x, uint64_t bound, uint64_t best,
               u128 *sum) {
    uint64_t loss = best != UINT64_MAX ? loss_against(x->cost, best) : 0;
    if (!x->ok)
        return 0;
    if (x->memory > bound) {
        uint64_t excess = share_ppm(x->memory - bound, bound);
        c->broken++;
        c->excess_ppm = excess > c->excess_ppm ? excess : c->excess_ppm;
    }
    c->worst_ppm = loss > c->worst_ppm ? loss : c->worst_ppm;
    *sum += loss;
    return 1;
}

static int better(const struct haks_choice *a, const struct haks_choice *b) {
    if (b->policy == HAKS_NOWHERE || a->broken != b->broken)
        return b->policy == HAKS_NOWHERE || a->broken < b->broken;
    if (a->excess_ppm != b->excess_ppm)
        return a->excess_ppm < b->excess_ppm;
    if (a->worst_ppm != b->worst_ppm)
        return a->worst_ppm < b->worst_ppm;
    return a->mean_ppm < b->mean_ppm;
}

struct haks_choice haks_choose_for_all(const struct haks_table *t, const uint8_t *use) {
    struct haks_choice best = {.policy = HAKS_NOWHERE};
    for (size_t p = 0; p < t->policies; p++) {
        struct haks_choice c = {.policy = p};
        u128 sum = 0;
        size_t used = 0, everywhere = 1;
        for (size_t i = 0; everywhere && i < t->traces; i++) {
            const struct haks_point *row = t->points + i * t->policies;
            size_t cheapest;
            if (use != NULL && !use[i])
                continue;
            cheapest = haks_cheapest(row, t->policies, t->bounds[i]);
            used++;
            everywhere =
                (size_t)add(&c, &row[p], t->bounds[i],
                            cheapest != HAKS_NOWHERE ? row[cheapest].cost : UINT64_MAX, &sum);
        }
        if (!everywhere || used == 0)
            continue;
        c.mean_ppm = (uint64_t)(sum / used);
        if (better(&c, &best))
            best = c;
    }
    return best;
}
