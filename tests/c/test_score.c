/* Matches, their regions, their weight in the ensemble, and their rank. */
#include "blocks.h"
#include "check.h"

#include "kato_fast/score.h"

#include <math.h>
#include <string.h>

/* --- by hand --- */

/* Patterns of letters, the same in an open block and in a sealed one. */
typedef struct {
    block *of;
    kf_symbols *symbols;
    kf_root *roots[2];
} letters;

static uint32_t
read_letters(const char *text, sequence *made, uint32_t *ids)
{
    sequence_read(made, text);
    for (uint32_t i = 0; i < made->n; i++) {
        ids[i] = (uint8_t)*made->symbols[i].bytes;
    }
    return made->n;
}

static void
start(letters *out, const char *const *patterns)
{
    out->of = calloc(1, sizeof *out->of);
    out->symbols = number_symbols(100);
    CHECK(kf_head_new(&kf_alloc_default, &out->of->head, NULL) == KF_OK);
    for (; *patterns != NULL; patterns++) {
        sequence made;
        uint32_t ids[SEQUENCE_MAX];
        read_letters(*patterns, &made, ids);
        add_pattern(out->of->head, ids, made.n, made.ends, made.n_events);
    }
    seal(out->of, NULL, 0);
    for (int sealed = 0; sealed < 2; sealed++) {
        kf_block_of_rows rows = rows_of(out->of, sealed ? SEALED : OPEN);
        out->roots[sealed] = new_root(out->symbols, &rows, 1);
    }
}

static void
finish(letters *old)
{
    kf_root_release(old->roots[0]);
    kf_root_release(old->roots[1]);
    kf_symbols_release(old->symbols);
    free_block(old->of);
}

static void
ask_letters(const letters *all, int sealed, const char *state,
            double threshold, question *q, kf_matches *found)
{
    sequence made;
    uint32_t ids[SEQUENCE_MAX];
    uint32_t m = read_letters(state, &made, ids);
    memset(found, 0, sizeof *found);
    ask(q, all->roots[sealed], ids, m, threshold, all->of->longest);
    scan(q, 0, all->of->head->count, found);
    for (size_t i = 0; i < found->count; i++) {
        found->items[i].frequency = 1;
    }
}

static void
match_letters(const char *pattern, const char *state, double threshold,
              void (*check)(const kf_pattern *pattern, const kf_matches *found,
                            const void *context),
              const void *context)
{
    const char *const patterns[] = {pattern, NULL};
    letters all;
    start(&all, patterns);
    for (int sealed = 0; sealed < 2; sealed++) {
        question q;
        kf_matches found;
        ask_letters(&all, sealed, state, threshold, &q, &found);
        check(all.of->head->patterns[0], &found, context);
        kf_matches_free(&kf_alloc_default, &found);
        end(&q);
    }
    finish(&all);
}

static void
check_events(const kf_pattern *pattern, const kf_matches *found,
             const void *context)
{
    const uint32_t *expected = context;
    CHECK(found->count == 1);
    CHECK(kf_pattern_event_from(pattern, found->items[0].present_start) ==
          expected[0]);
    CHECK(kf_pattern_event_from(pattern, found->items[0].present_end) ==
          expected[1]);
}

/* Past and present of the only pattern. */
static void
check_regions(const char *pattern, const char *state, uint32_t past_end,
              uint32_t present_end)
{
    uint32_t expected[2] = {past_end, present_end};
    match_letters(pattern, state, 0.0, check_events, expected);
}

static void
test_regions(void)
{
    check_regions("A|B|C|D", "BC", 1, 3);
    check_regions("A|B|C|D", "AD", 0, 4);
    check_regions("A|BC|D", "CX", 1, 2); /* the whole touched event */
    check_regions("AB|CD|EF", "DE", 1, 3);
    check_regions("A|B|C", "XY", 0, 3); /* no block: all is present */
    check_regions("B|B|C", "BC", 0, 3); /* B|B: the event before has it */
    check_regions("XB|B|C|B", "BC", 0, 3);
    check_regions("B|X|BC|D", "BC", 2, 3); /* only one event goes back */
}

static void
check_number(const kf_pattern *pattern, const kf_matches *found,
             const void *context)
{
    (void)pattern;
    CHECK(found->count == *(const size_t *)context);
}

static void
check_passes(const char *pattern, double threshold, size_t expected)
{
    match_letters(pattern, "AZ", threshold, check_number, &expected);
}

static void
test_threshold_ties(void)
{
    check_passes("A|X|Y", 0.4, 1); /* 2 of 5 */
    check_passes("A|X|Y", nextafter(0.4, 1.0), 0);
    check_passes("A|B|C|D", 0.4, 0); /* 2 of 6 */
    check_passes("A|B|C|D", 2.0 / 6.0, 1);
    check_passes("P|Q", 0.0, 1);
    check_passes("P|Q", -0.0, 1);
    check_passes("P|Q", -1.0, 0); /* without a block only exactly 0 passes */
    check_passes("P|Q", 5e-324, 0);
    check_passes("A|B", -1.0, 1);
}

static uint64_t last_hash[2];

static void
keep_hash(const kf_pattern *pattern, const kf_matches *found,
          const void *context)
{
    const bool *first = context;
    (void)pattern;
    CHECK(found->count == 1);
    if (*first) {
        memcpy(last_hash, found->items[0].future_hash, sizeof last_hash);
    }
    CHECK(memcmp(last_hash, found->items[0].future_hash, sizeof last_hash) ==
          0);
}

static void
differ(const kf_pattern *pattern, const kf_matches *found, const void *context)
{
    (void)pattern;
    (void)context;
    CHECK(found->count == 1);
    CHECK(last_hash[0] != found->items[0].future_hash[0]);
    CHECK(last_hash[1] != found->items[0].future_hash[1]);
}

static void
check_same_future(const char *a, const char *b, bool same)
{
    bool first = true;
    match_letters(a, "AZ", 0.0, keep_hash, &first);
    first = false;
    match_letters(b, "AZ", 0.0, same ? keep_hash : differ, &first);
}

/* Order counts between events, not inside them; where they end matters. */
static void
test_futures_by_hand(void)
{
    check_same_future("A|BC|D", "XX|A|CB|D", true);
    check_same_future("A|BBC", "A|BCB", true);
    check_same_future("A|BC|D", "A|B|CD", false);
    check_same_future("A|BC|D", "A|D|BC", false);
    check_same_future("A|BBC", "A|BC", false);
    check_same_future("A|BBC", "A|BCC", false);
    check_same_future("A|B", "A|B|B", false);
    check_same_future("A|B", "A|BB", false);
    check_same_future("A|B", "A", false);
}

/* Three patterns of two futures: order inside an event does not count. The
 * third was learned twice. */
static void
check_ensemble(const letters *all, int sealed)
{
    question q;
    kf_matches m;
    kf_futures f = {0};
    kf_ranked third;
    uint32_t *order;
    double weights[2] = {0.0, 0.0};
    ask_letters(all, sealed, "AB", 0.1, &q, &m);
    CHECK(m.count == 4);
    m.items[2].frequency = 2;
    CHECK(kf_score_ensemble(&kf_alloc_default, &m, &f, NULL) == KF_OK);
    CHECK(m.frequency == 5 && f.count == 2);
    CHECK(m.items[0].future == 0 && m.items[1].future == 0);
    CHECK(m.items[2].future == 1 && m.items[3].future == KF_NO_FUTURE);
    CHECK(f.items[0].members == 2 && f.items[1].members == 1);
    CHECK(f.items[0].row == 0 && f.items[0].start == 2);
    CHECK(f.items[1].row == 2 && f.items[1].start == 2);
    weights[0] += 1.0 * m.items[0].similarity;
    weights[0] += 1.0 * m.items[1].similarity;
    weights[1] += 2.0 * m.items[2].similarity;
    CHECK(f.items[0].weight == weights[0] && f.items[1].weight == weights[1]);
    CHECK(f.items[0].aggregate == weights[0] / (weights[0] + weights[1]));
    third = kf_score_match(&m, &f, 2);
    CHECK(third.index == 2 &&
          third.predictive_information ==
              m.items[2].similarity * (2.0 / 5.0) / f.items[1].aggregate);
    CHECK(third.potential ==
          m.items[2].similarity * third.predictive_information);
    CHECK(kf_score_match(&m, &f, 3).potential == 0.0);
    CHECK(kf_score_order_futures(&kf_alloc_default, &f, &order, NULL) ==
          KF_OK);
    CHECK(f.items[order[0]].aggregate >= f.items[order[1]].aggregate);
    kf_release(&kf_alloc_default, order);
    kf_futures_free(&kf_alloc_default, &f);
    kf_matches_free(&kf_alloc_default, &m);
    end(&q);
}

static void
test_ensemble(void)
{
    static const char *const patterns[] = {"A|B|CD", "X|A|B|DC", "A|B|E",
                                           "A|B", NULL};
    letters all;
    start(&all, patterns);
    check_ensemble(&all, 0);
    check_ensemble(&all, 1);
    finish(&all);
}

/* --- rank --- */

static void
check_rank(const kf_matches *matches, const kf_futures *futures, size_t limit)
{
    kf_ranked *ranked;
    size_t count;
    size_t expected = matches->count < limit ? matches->count : limit;
    CHECK(kf_score_rank(&kf_alloc_default, matches, futures, limit, &ranked,
                        &count, NULL) == KF_OK);
    CHECK(count == expected);
    for (size_t i = 0; i < count; i++) {
        size_t better = 0;
        uint32_t at = ranked[i].index;
        double here = ranked[i].potential;
        CHECK(here == kf_score_match(matches, futures, at).potential);
        for (uint32_t k = 0; k < matches->count; k++) {
            double other = kf_score_match(matches, futures, k).potential;
            better += other > here || (other == here && k < at);
        }
        CHECK(better == i);
    }
    kf_release(&kf_alloc_default, ranked);
}

static void
test_rank_is_stable(random_source *random)
{
    static kf_match items[200];
    static kf_future ahead[200];
    for (int round = 0; round < 100; round++) {
        kf_matches matches = {items, random_below(random, 200), 200, 1};
        kf_futures futures = {ahead, 200, 200};
        for (uint32_t i = 0; i < matches.count; i++) {
            items[i] =
                (kf_match){.similarity = 1.0, .frequency = 1, .future = i};
            ahead[i].aggregate = random_below(random, 1 + round) / 7.0;
        }
        check_rank(&matches, &futures, 0);
        check_rank(&matches, &futures, 1);
        check_rank(&matches, &futures, random_below(random, 250));
        check_rank(&matches, &futures, SIZE_MAX);
    }
}

static void
test_futures_are_ordered_stably(random_source *random)
{
    static kf_future items[100];
    for (int round = 0; round < 100; round++) {
        kf_futures futures = {items, random_below(random, 100), 100};
        uint32_t *order;
        for (size_t i = 0; i < futures.count; i++) {
            items[i].aggregate = random_below(random, 1 + round) / 100.0;
        }
        CHECK(kf_score_order_futures(&kf_alloc_default, &futures, &order,
                                     NULL) == KF_OK);
        for (size_t i = 1; i < futures.count; i++) {
            double a = items[order[i - 1]].aggregate;
            double b = items[order[i]].aggregate;
            CHECK(a > b || (a == b && order[i - 1] < order[i]));
        }
        kf_release(&kf_alloc_default, order);
    }
}

/* --- no memory --- */

static bool
score_all(const kf_matches *found, const kf_alloc *alloc)
{
    kf_matches matches = {0};
    kf_futures futures = {0};
    kf_ranked *ranked = NULL;
    uint32_t *order = NULL;
    size_t count;
    kf_error err = {.code = KF_OK};
    bool done = true;
    for (size_t i = 0; i < found->count && done; i++) {
        done = kf_matches_append(alloc, &matches, &found->items[i]);
    }
    if (done) {
        done = kf_score_ensemble(alloc, &matches, &futures, &err) == KF_OK &&
               kf_score_rank(alloc, &matches, &futures, 5, &ranked, &count,
                             &err) == KF_OK &&
               kf_score_order_futures(alloc, &futures, &order, &err) == KF_OK;
        CHECK(done || err.code == KF_NO_MEMORY);
    }
    kf_release(alloc, ranked);
    kf_release(alloc, order);
    kf_futures_free(alloc, &futures);
    kf_matches_free(alloc, &matches);
    return done;
}

static void
test_no_memory(void)
{
    static const char *const patterns[] = {
        "A|B|CD", "X|A|B|DC", "A|B|E", "A|B", "A|C", "A|D", "A|E",
        "A|F",    "A|G",      "A|H",   "A|I", "A|J", "A|K", NULL};
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    letters all;
    question q;
    kf_matches found;
    int failures = 0;
    start(&all, patterns);
    ask_letters(&all, 0, "AB", 0.0, &q, &found);
    CHECK(found.count == 13);
    CHECK_EACH_FAILURE (memory, done) {
        done = score_all(&found, &alloc);
        failures += !done;
    }
    CHECK(failures >= 8);
    kf_matches_free(&kf_alloc_default, &found);
    end(&q);
    finish(&all);
}

int
main(void)
{
    random_source random = random_start();
    test_regions();
    test_threshold_ties();
    test_futures_by_hand();
    test_ensemble();
    test_rank_is_stable(&random);
    test_futures_are_ordered_stably(&random);
    test_no_memory();
    return check_report();
}
