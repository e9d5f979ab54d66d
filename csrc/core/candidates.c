#include "kato_fast/candidates.h"

#include <stdlib.h>
#include <string.h>

/* The host's index looks at this many symbols of the state, the oldest ones,
 * and sorts lengths into classes this wide (its section 5.2). */
#define HOST_FIRST_SYMBOLS 10
#define HOST_LENGTH_CLASS 10

static bool
passes(double threshold, uint32_t matched, uint32_t total)
{
    return 2.0 * matched / total >= threshold;
}

uint32_t
kf_candidates_need(double threshold, uint32_t total)
{
    double estimate = threshold * total / 2.0;
    uint32_t need;
    if (!(threshold > 0.0) || total == 0) {
        return 0;
    }
    if (estimate > total) {
        return total + 1;
    }
    need = (uint32_t)estimate;
    while (need > 0 && passes(threshold, need - 1, total)) {
        need--;
    }
    while (need <= total && !passes(threshold, need, total)) {
        need++;
    }
    return need;
}

/* Also true where the threshold asks for nothing. */
static bool
length_can_pass(const kf_candidates *candidates, uint32_t n, uint32_t m)
{
    return (n < m ? n : m) >= candidates->need[n];
}

/* --- every pattern --- */

static void
find_all(const kf_knowledge_view *knowledge, uint32_t m, kf_candidates *out)
{
    for (size_t row = 0; row < knowledge->n_rows; row++) {
        const kf_row *here = &knowledge->rows[row];
        if (here->pattern != NULL && length_can_pass(out, here->n, m)) {
            out->rows[out->count++] = (uint32_t)row;
        }
    }
}

/* --- the host's index, with what it loses --- */

typedef struct {
    uint32_t first; /* length classes, inclusive */
    uint32_t last;
    uint32_t symbols[HOST_FIRST_SYMBOLS];
    uint32_t n_symbols;
    bool either;      /* a short state: one of both is enough */
    bool any_similar; /* some pattern has a similar length */
} host_index;

static bool
is_similar(const host_index *index, const kf_pattern *pattern)
{
    uint32_t length_class = pattern->n / HOST_LENGTH_CLASS;
    return length_class >= index->first && length_class <= index->last;
}

static bool
shares_symbol(const host_index *index, const kf_pattern *pattern)
{
    for (uint32_t i = 0; i < pattern->n; i++) {
        for (uint32_t j = 0; j < index->n_symbols; j++) {
            if (pattern->ids[i] == index->symbols[j]) {
                return true;
            }
        }
    }
    return false;
}

static host_index
ask_host_index(const kf_knowledge_view *knowledge, const uint32_t *state,
               uint32_t m)
{
    host_index index = {.either = m <= 2};
    uint32_t tolerance = (uint32_t)(0.5 * m / HOST_LENGTH_CLASS);
    uint32_t middle = m / HOST_LENGTH_CLASS;
    if (tolerance < 1) {
        tolerance = 1;
    }
    index.first = middle > tolerance ? middle - tolerance : 0;
    index.last = middle + tolerance;
    for (uint32_t j = 0; j < m && j < HOST_FIRST_SYMBOLS; j++) {
        if (state[j] != KF_SYMBOL_NONE) {
            index.symbols[index.n_symbols++] = state[j];
        }
    }
    for (size_t row = 0; row < knowledge->n_rows; row++) {
        const kf_pattern *pattern = knowledge->rows[row].pattern;
        if (pattern != NULL && is_similar(&index, pattern)) {
            index.any_similar = true;
            break;
        }
    }
    return index;
}

static bool
host_index_finds(const host_index *index, const kf_pattern *pattern)
{
    if (index->either) {
        return is_similar(index, pattern) || shares_symbol(index, pattern);
    }
    return (!index->any_similar || is_similar(index, pattern)) &&
           shares_symbol(index, pattern);
}

static void
find_in_host_index(const kf_knowledge_view *knowledge, const uint32_t *state,
                   uint32_t m, kf_candidates *out)
{
    host_index index = ask_host_index(knowledge, state, m);
    for (size_t row = 0; row < knowledge->n_rows; row++) {
        const kf_pattern *pattern = knowledge->rows[row].pattern;
        if (pattern != NULL && length_can_pass(out, pattern->n, m) &&
            host_index_finds(&index, pattern)) {
            out->rows[out->count++] = (uint32_t)row;
        }
    }
}

kf_status
kf_candidates_find(const kf_knowledge_view *knowledge, const uint32_t *state,
                   uint32_t m, double threshold, kf_candidates *out,
                   kf_error *err)
{
    size_t lengths = (size_t)knowledge->longest + 1;
    kf_candidates found = {NULL, 0, NULL};
    found.rows =
        kf_allocate(knowledge->alloc, knowledge->n_rows, sizeof *found.rows);
    found.need = kf_allocate(knowledge->alloc, lengths, sizeof *found.need);
    if (found.rows == NULL || found.need == NULL) {
        kf_candidates_free(knowledge, &found);
        return kf_no_memory(err);
    }
    for (uint32_t n = 0; n < lengths; n++) {
        found.need[n] = kf_candidates_need(threshold, n + m);
    }
    if (knowledge->indexed) {
        find_in_host_index(knowledge, state, m, &found);
    }
    else {
        find_all(knowledge, m, &found);
    }
    *out = found;
    return KF_OK;
}

void
kf_candidates_free(const kf_knowledge_view *knowledge,
                   kf_candidates *candidates)
{
    kf_release(knowledge->alloc, candidates->rows);
    kf_release(knowledge->alloc, candidates->need);
    candidates->rows = NULL;
    candidates->need = NULL;
    candidates->count = 0;
}
