/* Counters kept while learning, and the metrics made from them.
 *
 * Every counter stays below 2^53, so that it is exact as a double. Formulas
 * and order of summation are the host's (its sections 7.1 and 7.2); logarithm
 * and power are the C library's, as in Python. */
#ifndef KATO_FAST_METRICS_H
#define KATO_FAST_METRICS_H

#include "kato_fast/alloc.h"
#include "kato_fast/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KF_COUNTER_MAX (((uint64_t)1 << 53) - 1)

typedef struct {
    uint64_t patterns;            /* learns */
    uint64_t symbols;             /* occurrences over all learns */
    uint64_t symbols_in_patterns; /* distinct symbols over all learns */
} kf_totals;

/* Owned by the knowledge base and guarded by its lock. */
typedef struct {
    const kf_alloc *alloc;
    uint64_t *frequency; /* by symbol id: occurrences over all learns */
    uint64_t *members;   /* by symbol id: learns whose pattern contains it */
    uint64_t *stamp;     /* by symbol id: the last pattern that met it */
    uint64_t stamps;
    size_t capacity;
    uint32_t n_symbols; /* symbols with members > 0 */
    kf_totals totals;
} kf_counters;

void kf_counters_init(kf_counters *counters, const kf_alloc *alloc);
void kf_counters_free(kf_counters *counters);

/* Room for ids below count, zero at first. */
bool kf_counters_reserve(kf_counters *counters, uint32_t count);

/* Whether adding n symbols `times` times keeps every counter in range. */
bool kf_counters_fit(const kf_counters *counters, uint32_t n, uint64_t times);

/* Count a pattern's n symbols `times` times more, or less. */
void kf_counters_add(kf_counters *counters, const uint32_t *ids, uint32_t n,
                     uint64_t times);
void kf_counters_remove(kf_counters *counters, const uint32_t *ids, uint32_t n,
                        uint64_t times);

/* A symbol's share of all symbols in patterns; 0.0 where nothing was
 * learned. */
double kf_counters_probability(const kf_counters *counters, uint32_t id);

/* One distinct symbol of `present`, in order of first occurrence, then of
 * the state where it is not in present. */
typedef struct {
    double probability;  /* 0.0: no prediction matched or missed it */
    uint32_t in_present; /* occurrences */
    uint32_t in_state;
} kf_symbol_use;

/* What the metrics of one prediction are made from. */
typedef struct {
    const kf_symbol_use *uses; /* n_uses, the first n_present in present */
    uint32_t n_uses;
    uint32_t n_present;
    const uint32_t *present; /* n symbols: indexes into uses */
    uint32_t n;
    uint32_t n_symbols; /* distinct symbols of the knowledge base */
} kf_metric_input;

/* What one probability adds to an entropy to the base of n_symbols: 0 where
 * there is nothing to take the logarithm of or to. */
double kf_metric_expectation(double q, uint32_t n_symbols);

double kf_metric_entropy(const kf_metric_input *input);
double kf_metric_hamiltonian(const kf_metric_input *input);
double kf_metric_grand_hamiltonian(const kf_metric_input *input);
/* share: the pattern's frequency over all learns. */
double kf_metric_confluence(const kf_metric_input *input, double share);
/* The cosine distance of present and state, weighted by probability. */
double kf_metric_distance(const kf_metric_input *input);

#endif
