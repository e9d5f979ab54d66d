#include "kato_fast/candidates.h"

#include <string.h>

/* The host's index looks at this many symbols of the state, the oldest ones,
 * and sorts lengths into classes this wide (its section 5.2). */
#define HOST_FIRST_SYMBOLS 10
#define HOST_LENGTH_CLASS 10

uint32_t
kf_candidates_need(kf_generation generation, double threshold, uint32_t total)
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
    while (need > 0 && kf_is_similar(generation, need - 1, total, threshold)) {
        need--;
    }
    while (need <= total &&
           !kf_is_similar(generation, need, total, threshold)) {
        need++;
    }
    return need;
}

kf_status
kf_candidates_needs(const kf_alloc *alloc, kf_generation generation,
                    double threshold, uint32_t m, uint32_t longest,
                    uint32_t **out, kf_error *err)
{
    uint32_t *need = kf_allocate(alloc, (size_t)longest + 1, sizeof *need);
    if (need == NULL) {
        return kf_no_memory(err);
    }
    for (uint32_t n = 0; n <= longest; n++) {
        uint32_t most = n < m ? n : m;
        need[n] = kf_candidates_need(generation, threshold, n + m);
        if (need[n] > most) {
            need[n] = n + 1;
        }
    }
    *out = need;
    return KF_OK;
}

/* --- the host's index, with what it loses --- */

void
kf_host_index_ask(const uint32_t *state, uint32_t m, kf_host_index *out)
{
    uint32_t tolerance = (uint32_t)(0.5 * m / HOST_LENGTH_CLASS);
    uint32_t middle = m / HOST_LENGTH_CLASS;
    memset(out, 0, sizeof *out);
    out->either = m <= 2;
    if (tolerance < 1) {
        tolerance = 1;
    }
    out->first = middle > tolerance ? middle - tolerance : 0;
    out->last = middle + tolerance;
    for (uint32_t j = 0; j < m && j < HOST_FIRST_SYMBOLS; j++) {
        if (state[j] != KF_SYMBOL_NONE) {
            out->symbols[out->n_symbols++] = state[j];
        }
    }
}

bool
kf_host_index_is_similar(const kf_host_index *index, uint32_t n)
{
    uint32_t length_class = n / HOST_LENGTH_CLASS;
    return length_class >= index->first && length_class <= index->last;
}

static bool
shares_symbol(const kf_host_index *index, const uint32_t *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < index->n_symbols; j++) {
            if (ids[i] == index->symbols[j]) {
                return true;
            }
        }
    }
    return false;
}

bool
kf_host_index_finds(const kf_host_index *index, const uint32_t *ids,
                    uint32_t n)
{
    bool similar = kf_host_index_is_similar(index, n);
    if (index->either) {
        return similar || shares_symbol(index, ids, n);
    }
    return (similar || !index->any_similar) && shares_symbol(index, ids, n);
}
