#include "kato_fast/metrics.h"

#include "kato_fast/decimal.h"

#include <math.h>
#include <string.h>

/* --- counters --- */

void
kf_counters_init(kf_counters *counters, const kf_alloc *alloc)
{
    memset(counters, 0, sizeof *counters);
    counters->alloc = alloc;
}

void
kf_counters_free(kf_counters *counters)
{
    kf_release(counters->alloc, counters->frequency);
    kf_release(counters->alloc, counters->members);
    kf_release(counters->alloc, counters->stamp);
    kf_counters_init(counters, counters->alloc);
}

static bool
grow_column(const kf_counters *counters, uint64_t **column, size_t capacity)
{
    uint64_t *grown;
    if (*column == NULL) {
        grown = kf_allocate(counters->alloc, capacity, sizeof *grown);
    }
    else {
        grown = counters->alloc->resize(counters->alloc->context, *column,
                                        capacity * sizeof *grown);
    }
    if (grown == NULL) {
        return false;
    }
    memset(grown + counters->capacity, 0,
           (capacity - counters->capacity) * sizeof *grown);
    *column = grown;
    return true;
}

bool
kf_counters_reserve(kf_counters *counters, uint32_t count)
{
    size_t capacity = counters->capacity + counters->capacity / 2;
    if (count <= counters->capacity) {
        return true;
    }
    if (capacity < count) {
        capacity = count;
    }
    if (capacity < 256) {
        capacity = 256;
    }
    /* A column that grew while another could not is only larger than it
     * needs to be. */
    if (!grow_column(counters, &counters->frequency, capacity) ||
        !grow_column(counters, &counters->members, capacity) ||
        !grow_column(counters, &counters->stamp, capacity)) {
        return false;
    }
    counters->capacity = capacity;
    return true;
}

bool
kf_counters_fit(const kf_counters *counters, uint32_t n, uint64_t times)
{
    /* The total of occurrences is the largest of all counters. */
    return times <= (KF_COUNTER_MAX - counters->totals.symbols) / n;
}

void
kf_counters_add(kf_counters *counters, const uint32_t *ids, uint32_t n,
                uint64_t times)
{
    uint64_t distinct = 0;
    uint64_t stamp = ++counters->stamps;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = ids[i];
        /* Without a branch: nobody can predict which symbol is a repeated
         * one. */
        uint64_t is_first = counters->stamp[id] != stamp;
        uint64_t more = times & -is_first;
        counters->stamp[id] = stamp;
        counters->frequency[id] += times;
        counters->n_symbols += counters->members[id] == 0 && more > 0;
        counters->members[id] += more;
        distinct += is_first;
    }
    counters->totals.patterns += times;
    counters->totals.symbols += times * n;
    counters->totals.symbols_in_patterns += times * distinct;
}

void
kf_counters_remove(kf_counters *counters, const uint32_t *ids, uint32_t n,
                   uint64_t times)
{
    uint64_t distinct = 0;
    uint64_t stamp = ++counters->stamps;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = ids[i];
        counters->frequency[id] -= times;
        if (counters->stamp[id] != stamp) {
            counters->stamp[id] = stamp;
            counters->members[id] -= times;
            counters->n_symbols -= counters->members[id] == 0 && times > 0;
            distinct++;
        }
    }
    counters->totals.patterns -= times;
    counters->totals.symbols -= times * n;
    counters->totals.symbols_in_patterns -= times * distinct;
}

double
kf_counters_probability(const kf_counters *counters, uint32_t id)
{
    if (counters->totals.symbols_in_patterns == 0) {
        return 0.0;
    }
    return (double)counters->members[id] /
           (double)counters->totals.symbols_in_patterns;
}

/* --- metrics of one prediction --- */

double
kf_metric_entropy(const kf_metric_input *input)
{
    double sum = 0.0;
    double ln2 = log(2.0);
    for (uint32_t i = 0; i < input->n; i++) {
        double q = input->uses[input->present[i]].probability;
        if (q > 0.0) {
            sum += -(q * (log(q) / ln2));
        }
    }
    return kf_decimal_round12(sum);
}

static double
hamiltonian_part(double q, double ln_symbols, uint32_t n_symbols)
{
    if (q > 0.0 && n_symbols > 1) {
        return (-q) * (log(q) / ln_symbols);
    }
    return 0.0;
}

double
kf_metric_expectation(double q, uint32_t n_symbols)
{
    return hamiltonian_part(q, log((double)n_symbols), n_symbols);
}

double
kf_metric_hamiltonian(const kf_metric_input *input)
{
    double sum = 0.0;
    double ln_symbols = log((double)input->n_symbols);
    for (uint32_t i = 0; i < input->n; i++) {
        uint32_t count = input->uses[input->present[i]].in_present;
        sum += hamiltonian_part((double)count / (double)input->n, ln_symbols,
                                input->n_symbols);
    }
    return kf_decimal_round12(sum);
}

double
kf_metric_grand_hamiltonian(const kf_metric_input *input)
{
    double sum = 0.0;
    double ln_symbols = log((double)input->n_symbols);
    for (uint32_t i = 0; i < input->n_present; i++) {
        sum += hamiltonian_part(input->uses[i].probability, ln_symbols,
                                input->n_symbols);
    }
    return kf_decimal_round12(sum);
}

double
kf_metric_confluence(const kf_metric_input *input, double share)
{
    double sum = 0.0;
    double chance = 0.0;
    if (input->n > 0) {
        for (uint32_t i = 0; i < input->n; i++) {
            double q = input->uses[input->present[i]].probability;
            sum += log10(q > 0.0 ? q : 1e-10);
        }
        chance = pow(10.0, sum);
    }
    return kf_decimal_round12(share * (1.0 - chance));
}

double
kf_metric_distance(const kf_metric_input *input)
{
    double uv = 0.0;
    double uu = 0.0;
    double vv = 0.0;
    bool u_is_zero = true;
    bool v_is_zero = true;
    double distance;
    for (uint32_t i = 0; i < input->n_uses; i++) {
        double u = input->uses[i].probability * input->uses[i].in_state;
        double v = input->uses[i].probability * input->uses[i].in_present;
        u_is_zero = u_is_zero && u == 0.0;
        v_is_zero = v_is_zero && v == 0.0;
        uv += u * v;
        uu += u * u;
        vv += v * v;
    }
    if (u_is_zero || v_is_zero) {
        return 1.0;
    }
    distance = 1.0 - uv / (sqrt(uu) * sqrt(vv));
    return isnan(distance) ? 1.0 : distance;
}
