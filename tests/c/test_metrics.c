/* Counters against a recount, and the metrics against their formulas. */
#include "check.h"
#include "random.h"

#include "kato_fast/decimal.h"
#include "kato_fast/metrics.h"
#include "kato_fast/pattern.h"

#include <math.h>
#include <string.h>

#define IDS 300
#define PATTERNS 12
#define MOST 20

typedef union {
    kf_pattern pattern;
    uint32_t words[(sizeof(kf_pattern) + 2 * MOST * sizeof(uint32_t)) / 4];
} room;

static void
random_pattern(random_source *random, room *out)
{
    uint32_t *ids = (uint32_t *)((char *)out + offsetof(kf_pattern, ids));
    out->pattern.n = 2 + random_below(random, MOST - 2);
    out->pattern.n_events = 1;
    for (uint32_t i = 0; i < out->pattern.n; i++) {
        ids[i] = random_below(random, random_below(random, 2) ? 4 : IDS);
    }
    ids[out->pattern.n] = out->pattern.n;
}

/* How often the id stands in the pattern. */
static uint64_t
occurrences(const kf_pattern *pattern, uint32_t id)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < pattern->n; i++) {
        count += pattern->ids[i] == id;
    }
    return count;
}

static void
check_recount(const kf_counters *counters, const room *patterns,
              const uint64_t *times)
{
    kf_totals totals = {0, 0, 0};
    uint32_t n_symbols = 0;
    for (uint32_t id = 0; id < IDS; id++) {
        uint64_t frequency = 0;
        uint64_t members = 0;
        for (size_t p = 0; p < PATTERNS; p++) {
            uint64_t here = occurrences(&patterns[p].pattern, id);
            frequency += times[p] * here;
            members += here != 0 ? times[p] : 0;
        }
        CHECK(counters->frequency[id] == frequency);
        CHECK(counters->members[id] == members);
        totals.symbols += frequency;
        totals.symbols_in_patterns += members;
        n_symbols += members != 0;
    }
    for (size_t p = 0; p < PATTERNS; p++) {
        totals.patterns += times[p];
    }
    CHECK(counters->totals.patterns == totals.patterns);
    CHECK(counters->totals.symbols == totals.symbols);
    CHECK(counters->totals.symbols_in_patterns == totals.symbols_in_patterns);
    CHECK(counters->n_symbols == n_symbols);
}

static void
test_counters_equal_a_recount(random_source *random)
{
    static room patterns[PATTERNS];
    uint64_t times[PATTERNS] = {0};
    kf_counters counters;
    kf_counters_init(&counters, &kf_alloc_default);
    CHECK(kf_counters_probability(&counters, 0) == 0.0);
    CHECK(kf_counters_reserve(&counters, 10));
    CHECK(kf_counters_reserve(&counters, IDS));
    for (size_t p = 0; p < PATTERNS; p++) {
        random_pattern(random, &patterns[p]);
    }
    for (int step = 0; step < 200; step++) {
        size_t p = random_below(random, PATTERNS);
        uint64_t change = random_below(random, 5);
        if (random_below(random, 2) == 0) {
            kf_counters_add(&counters, patterns[p].pattern.ids,
                            patterns[p].pattern.n, change);
            times[p] += change;
        }
        else {
            change = change < times[p] ? change : times[p];
            kf_counters_remove(&counters, patterns[p].pattern.ids,
                               patterns[p].pattern.n, change);
            times[p] -= change;
        }
        check_recount(&counters, patterns, times);
    }
    kf_counters_free(&counters);
}

static void
test_counters_fit(void)
{
    static const uint32_t ids[2] = {0, 0};
    kf_counters counters;
    kf_counters_init(&counters, &kf_alloc_default);
    CHECK(kf_counters_reserve(&counters, 1));
    CHECK(kf_counters_fit(&counters, 2, KF_COUNTER_MAX / 2));
    CHECK(!kf_counters_fit(&counters, 2, KF_COUNTER_MAX / 2 + 1));
    CHECK(!kf_counters_fit(&counters, 2, UINT64_MAX));
    kf_counters_add(&counters, ids, 2, KF_COUNTER_MAX / 2);
    CHECK(kf_counters_fit(&counters, 2, 0));
    CHECK(!kf_counters_fit(&counters, 2, 1));
    CHECK(kf_counters_probability(&counters, 0) == 1.0);
    kf_counters_free(&counters);
}

/* A reserve that failed changes nothing that counts, and works later. */
static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_counters counters;
        kf_counters_init(&counters, &alloc);
        done = kf_counters_reserve(&counters, 100) &&
               (counters.frequency[99] = 5) &&
               kf_counters_reserve(&counters, 1000);
        failures += !done;
        check_memory_pause(&memory);
        CHECK(kf_counters_reserve(&counters, 1000));
        CHECK(counters.capacity >= 1000 && counters.members[999] == 0);
        CHECK(counters.frequency[999] == 0 && counters.stamp[999] == 0);
        kf_counters_free(&counters);
    }
    CHECK(failures == 6);
}

/* --- metrics --- */

/* present: x y x; state: x x z, of probabilities 1/2, 1/4, 1/8. */
static const kf_symbol_use uses[] = {{0.5, 2, 2}, {0.25, 1, 0}, {0.125, 0, 1}};
static const uint32_t present[] = {0, 1, 0};

static kf_metric_input
example(void)
{
    return (kf_metric_input){uses, 3, 2, present, 3, 4};
}

static void
test_formulas(void)
{
    kf_metric_input input = example();
    double ln4 = log(4.0);
    double third = 2.0 / 3.0;
    double single = 1.0 / 3.0;
    double hamiltonian = 0.0;
    double chance = pow(10.0, 0.0 + log10(0.5) + log10(0.25) + log10(0.5));
    double uu = 1.0 + 0.125 * 0.125;
    double vv = 1.0 + 0.0625;
    CHECK(kf_metric_entropy(&input) == 1.5); /* 1/2 + 1/2 + 1/2 */
    hamiltonian += -third * (log(third) / ln4);
    hamiltonian += -single * (log(single) / ln4);
    hamiltonian += -third * (log(third) / ln4);
    CHECK(kf_metric_hamiltonian(&input) == kf_decimal_round12(hamiltonian));
    CHECK(kf_metric_grand_hamiltonian(&input) == 0.5); /* 1/4 + 1/4 */
    CHECK(kf_metric_confluence(&input, 1.0 / 7.0) ==
          kf_decimal_round12(1.0 / 7.0 * (1.0 - chance)));
    CHECK(kf_metric_distance(&input) == 1.0 - 1.0 / (sqrt(uu) * sqrt(vv)));
}

static void
test_edges_of_metrics(void)
{
    static const kf_symbol_use unseen[] = {{0.0, 1, 1}};
    static const uint32_t one[] = {0};
    kf_metric_input input = {unseen, 1, 1, one, 1, 1};
    CHECK(kf_metric_entropy(&input) == 0.0);
    CHECK(kf_metric_hamiltonian(&input) == 0.0); /* one symbol: no base */
    CHECK(kf_metric_grand_hamiltonian(&input) == 0.0);
    CHECK(kf_metric_confluence(&input, 1.0) == 1.0 - 1e-10);
    CHECK(kf_metric_distance(&input) == 1.0);
    input.n = input.n_present = 0;
    CHECK(kf_metric_confluence(&input, 0.5) == 0.5);
}

int
main(void)
{
    random_source random = random_start();
    test_counters_equal_a_recount(&random);
    test_counters_fit();
    test_no_memory();
    test_formulas();
    test_edges_of_metrics();
    return check_report();
}
