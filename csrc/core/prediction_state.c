#include "kato_fast/prediction.h"

#include "prediction_state.h"

#include <stdlib.h>
#include <string.h>

/* A position of the state by its symbol. Unknown symbols have no id, and are
 * told apart by their text. */
typedef struct {
    kf_text text;
    uint32_t id;
    uint32_t j;
} placed;

static int
compare_texts(kf_text a, kf_text b)
{
    if (a.size != b.size) {
        return a.size < b.size ? -1 : 1;
    }
    return a.size > 0 ? memcmp(a.bytes, b.bytes, a.size) : 0;
}

static int
compare_symbols(const placed *a, const placed *b)
{
    if (a->id != b->id) {
        return a->id < b->id ? -1 : 1;
    }
    return a->id == KF_SYMBOL_NONE ? compare_texts(a->text, b->text) : 0;
}

static int
compare_placed(const void *a, const void *b)
{
    const placed *x = a;
    const placed *y = b;
    int order = compare_symbols(x, y);
    return order != 0 ? order : (x->j > y->j) - (x->j < y->j);
}

/* By position: how often the state has its symbol, and whether this is the
 * first time. */
static void
count_symbols(const kf_state *state, placed *room, uint32_t *counts,
              bool *firsts)
{
    uint32_t m = state->m;
    uint32_t end;
    for (uint32_t j = 0; j < m; j++) {
        room[j] = (placed){state->texts[j], state->ids[j], j};
    }
    qsort(room, m, sizeof *room, compare_placed);
    for (uint32_t k = 0; k < m; k = end) {
        end = k + 1;
        while (end < m && compare_symbols(&room[k], &room[end]) == 0) {
            end++;
        }
        for (uint32_t i = k; i < end; i++) {
            counts[room[i].j] = end - k;
            firsts[room[i].j] = i == k;
        }
    }
}

/* The sum runs over the distinct symbols in order of first occurrence. */
static void
find_global(const kf_search *found, const bool *firsts,
            kf_state_entropies *out)
{
    const kf_state *state = found->state;
    const kf_counters *counters = found->view.counters;
    for (uint32_t j = 0; j < state->m; j++) {
        if (firsts[j] && ((found->seen[j / 64] >> (j % 64)) & 1) != 0) {
            double q = kf_counters_probability(counters, state->ids[j]);
            out->global += kf_metric_expectation(q, counters->n_symbols);
            out->has_global |= q > 0.0 && counters->n_symbols > 1;
        }
    }
}

static void
find_normalized(const kf_search *found, const uint32_t *counts,
                kf_state_entropies *out)
{
    uint32_t n_symbols = found->view.counters->n_symbols;
    double m = found->state->m;
    for (uint32_t j = 0; j < found->state->m; j++) {
        out->normalized += kf_metric_expectation(counts[j] / m, n_symbols);
    }
    out->has_normalized = n_symbols > 1;
}

bool
kf_state_entropies_find(const kf_search *found, kf_state_entropies *out)
{
    const kf_alloc *alloc = found->alloc;
    uint32_t m = found->state->m;
    placed *room = kf_allocate(alloc, m, sizeof *room);
    uint32_t *counts = kf_allocate(alloc, m, sizeof *counts);
    bool *firsts = kf_allocate(alloc, m, sizeof *firsts);
    bool done = room != NULL && counts != NULL && firsts != NULL;
    if (done) {
        count_symbols(found->state, room, counts, firsts);
        *out = (kf_state_entropies){0};
        find_global(found, firsts, out);
        find_normalized(found, counts, out);
    }
    kf_release(alloc, room);
    kf_release(alloc, counts);
    kf_release(alloc, firsts);
    return done;
}
