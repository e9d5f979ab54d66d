/* Scores of matches, and their rank.
 *
 * The ensemble's figures are summed in candidate order as the host does (its
 * section 7.3): last bits decide the rank. The rank is stable, by potential,
 * cut to what is asked for. */
#ifndef KATO_FAST_SCORE_H
#define KATO_FAST_SCORE_H

#include "kato_fast/alloc.h"
#include "kato_fast/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KF_NO_FUTURE UINT32_MAX

/* One pattern that passed the threshold. The present goes from the pattern's
 * position present_start to present_end - 1, which is where the future
 * begins; both are starts of events. */
typedef struct {
    uint64_t future_hash[2]; /* equal for equal futures; 128 secret bits */
    double similarity;
    uint64_t frequency;
    uint32_t row;
    uint32_t future; /* index into futures, or KF_NO_FUTURE */
    uint16_t n;
    uint16_t matched;
    uint16_t present_start;
    uint16_t present_end;
} kf_match;

typedef struct {
    kf_match *items; /* owned; in candidate order */
    size_t count;
    size_t capacity;
    uint64_t frequency; /* of all of them together */
} kf_matches;

/* Room for `more` matches; false without memory. */
bool kf_matches_reserve(const kf_alloc *alloc, kf_matches *matches,
                        size_t more);
bool kf_matches_append(const kf_alloc *alloc, kf_matches *matches,
                       const kf_match *match);
void kf_matches_free(const kf_alloc *alloc, kf_matches *matches);

/* Matches with an equal future: event by event the same symbols as often. */
typedef struct {
    uint64_t hash[2];
    double weight;    /* sum of frequency * similarity */
    double aggregate; /* its share of all weights */
    uint64_t members;
    uint32_t row;   /* the first member */
    uint32_t start; /* position in it where the future begins */
} kf_future;

typedef struct {
    kf_future *items; /* owned; in order of first member */
    size_t count;
    size_t capacity;
} kf_futures;

void kf_futures_free(const kf_alloc *alloc, kf_futures *futures);

/* The hash of a future, symbol by symbol: sums inside an event, so that its
 * order does not matter, and a polynomial over the events. The host compares
 * SHA-1 of the sorted events; 128 bits that nobody can steer are as good. */
typedef struct {
    uint64_t low;
    uint64_t high;
    uint64_t low_sum;
    uint64_t high_sum;
} kf_future_hash;

static inline void
kf_future_hash_start(kf_future_hash *hash)
{
    *hash = (kf_future_hash){1, 1, 0, 0};
}

/* splitmix64's finaliser, S. Vigna. */
static inline uint64_t
kf_future_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* What a symbol adds. secret: of the knowledge base. id: global. */
static inline uint64_t
kf_future_symbol(uint64_t secret, uint32_t id)
{
    return kf_future_mix(secret + id * 0x9e3779b97f4a7c15u);
}

static inline void
kf_future_hash_symbol(kf_future_hash *hash, uint64_t symbol)
{
    hash->low_sum += symbol;
    hash->high_sum += (symbol ^ (symbol >> 32)) * symbol;
}

static inline void
kf_future_hash_event(kf_future_hash *hash)
{
    hash->low = hash->low * 0xd1342543de82ef95u + hash->low_sum;
    hash->high = hash->high * 0xaf251af3b0f025b5u + hash->high_sum;
    hash->low_sum = 0;
    hash->high_sum = 0;
}

static inline void
kf_future_hash_finish(const kf_future_hash *hash, uint64_t out[2])
{
    out[0] = kf_future_mix(hash->low);
    out[1] = kf_future_mix(hash->high);
}

/* Fill frequency (of the whole) and future of every match, whose own frequency
 * is set, and weigh the futures. */
KF_MUST_USE kf_status kf_score_ensemble(const kf_alloc *alloc,
                                        kf_matches *matches, kf_futures *out,
                                        kf_error *err);

/* A match and what it is ranked by. */
typedef struct {
    double potential;
    double predictive_information;
    uint32_t index; /* into matches */
} kf_ranked;

/* The score of one match, its ensemble known. */
kf_ranked kf_score_match(const kf_matches *matches, const kf_futures *futures,
                         uint32_t index);

/* The `limit` best matches, best first; *count of them. out: owned. */
KF_MUST_USE kf_status kf_score_rank(const kf_alloc *alloc,
                                    const kf_matches *matches,
                                    const kf_futures *futures, size_t limit,
                                    kf_ranked **out, size_t *count,
                                    kf_error *err);

/* Indexes of all futures by aggregate, heaviest first, equal ones as they
 * stand. out: owned, count items. */
KF_MUST_USE kf_status kf_score_order_futures(const kf_alloc *alloc,
                                             const kf_futures *futures,
                                             uint32_t **out, kf_error *err);

#endif
