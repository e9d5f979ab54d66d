/* Matches, their regions, their weight in the ensemble, and their rank. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/score.h"

#include <string.h>

/* A knowledge base, a state and what a search has by then. */
typedef struct {
    kf_knowledge *knowledge;
    kf_knowledge_view view;
    kf_state *state;
    kf_align_scratch *scratch;
    kf_candidates candidates;
} question;

static void
ask(question *q, const char *const *patterns, const char *state_text,
    double threshold)
{
    sequence state;
    memset(q, 0, sizeof *q);
    sequence_read(&state, state_text);
    CHECK(kf_knowledge_new(&kf_alloc_default, sequence_key, false, 150,
                           &q->knowledge, NULL) == KF_OK);
    for (; *patterns != NULL; patterns++) {
        CHECK(sequence_learn(q->knowledge, *patterns, NULL) == KF_OK);
    }
    q->view = kf_knowledge_look(q->knowledge);
    CHECK(kf_state_encode(&kf_alloc_default, q->view.patterns, state.symbols,
                          state.n, &q->state, NULL) == KF_OK);
    CHECK(kf_align_scratch_new(&kf_alloc_default, q->state->align,
                               q->view.longest, &q->scratch, NULL) == KF_OK);
    CHECK(kf_candidates_find(&q->view, q->state->ids, q->state->m, threshold,
                             &q->candidates, NULL) == KF_OK);
}

static void
end(question *q)
{
    kf_candidates_free(&q->view, &q->candidates);
    kf_align_scratch_free(q->scratch);
    kf_state_free(q->state);
    kf_knowledge_free(q->knowledge);
}

static void
align(question *q, double threshold, kf_matches *out)
{
    memset(out, 0, sizeof *out);
    CHECK(kf_score_align(&q->view, q->state, &q->candidates, threshold, true,
                         q->scratch, out, NULL) == KF_OK);
}

/* Past and present of the only pattern. */
static void
check_regions(const char *pattern, const char *state, uint32_t past_end,
              uint32_t present_end)
{
    const char *const patterns[] = {pattern, NULL};
    question q;
    kf_matches matches;
    ask(&q, patterns, state, 0.0);
    align(&q, 0.0, &matches);
    CHECK(matches.count == 1);
    CHECK(matches.items[0].past_end == past_end);
    CHECK(matches.items[0].present_end == present_end);
    kf_matches_free(&kf_alloc_default, &matches);
    end(&q);
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
test_threshold_ties(void)
{
    static const char *const patterns[] = {"A|B|C|D", "A|X|Y", "P|Q", NULL};
    question q;
    kf_matches matches;
    ask(&q, patterns, "AZ", 0.4); /* 2 of 5 is 0.4; 2 of 6 is not */
    align(&q, 0.4, &matches);
    CHECK(matches.count == 1 && matches.items[0].row == 1);
    CHECK(matches.items[0].similarity == 0.4);
    kf_matches_free(&kf_alloc_default, &matches);
    end(&q);
    ask(&q, patterns, "AZ", 0.0);
    align(&q, 0.0, &matches);
    CHECK(matches.count == 3 && matches.frequency == 3);
    kf_matches_free(&kf_alloc_default, &matches);
    align(&q, -1.0, &matches); /* without a block only exactly 0 passes */
    CHECK(matches.count == 2);
    kf_matches_free(&kf_alloc_default, &matches);
    end(&q);
}

/* Three patterns of two futures: order inside an event does not count. */
static void
test_futures(void)
{
    static const char *const patterns[] = {"A|B|CD", "X|A|B|DC", "A|B|E",
                                           "A|B|E",  "A|B",      NULL};
    question q;
    kf_matches m;
    kf_futures f = {0};
    uint32_t *order;
    double weights[2] = {0.0, 0.0};
    ask(&q, patterns, "AB", 0.1);
    align(&q, 0.1, &m);
    CHECK(kf_score_ensemble(&kf_alloc_default, &m, &f, NULL) == KF_OK);
    CHECK(m.count == 4 && m.frequency == 5 && f.count == 2);
    CHECK(m.items[0].future == 0 && m.items[1].future == 0);
    CHECK(m.items[2].future == 1 && m.items[3].future == KF_NO_FUTURE);
    CHECK(f.items[0].members == 2 && f.items[1].members == 1);
    weights[0] += 1.0 * m.items[0].similarity;
    weights[0] += 1.0 * m.items[1].similarity;
    weights[1] += 2.0 * m.items[2].similarity;
    CHECK(f.items[0].weight == weights[0] && f.items[1].weight == weights[1]);
    CHECK(f.items[0].aggregate == weights[0] / (weights[0] + weights[1]));
    CHECK(m.items[2].predictive_information ==
          m.items[2].similarity * (2.0 / 5.0) / f.items[1].aggregate);
    CHECK(m.items[2].potential ==
          m.items[2].similarity * m.items[2].predictive_information);
    CHECK(m.items[3].potential == 0.0);
    CHECK(kf_score_order_futures(&kf_alloc_default, &f, &order, NULL) ==
          KF_OK);
    CHECK(f.items[order[0]].aggregate >= f.items[order[1]].aggregate);
    kf_release(&kf_alloc_default, order);
    kf_futures_free(&kf_alloc_default, &f);
    kf_matches_free(&kf_alloc_default, &m);
    end(&q);
}

/* --- rank --- */

static void
check_rank(const kf_matches *matches, size_t limit)
{
    uint32_t *ranked;
    size_t count;
    size_t expected = matches->count < limit ? matches->count : limit;
    CHECK(kf_score_rank(&kf_alloc_default, matches, limit, &ranked, &count,
                        NULL) == KF_OK);
    CHECK(count == expected);
    for (size_t i = 0; i < count; i++) {
        size_t better = 0;
        double here = matches->items[ranked[i]].potential;
        for (size_t k = 0; k < matches->count; k++) {
            double other = matches->items[k].potential;
            better += other > here || (other == here && k < ranked[i]);
        }
        CHECK(better == i);
    }
    kf_release(&kf_alloc_default, ranked);
}

static void
test_rank_is_stable(random_source *random)
{
    static kf_match items[200];
    for (int round = 0; round < 100; round++) {
        kf_matches matches = {items, random_below(random, 200), 200, 0};
        for (size_t i = 0; i < matches.count; i++) {
            items[i].potential = random_below(random, 1 + round) / 7.0;
        }
        check_rank(&matches, 0);
        check_rank(&matches, 1);
        check_rank(&matches, random_below(random, 250));
        check_rank(&matches, SIZE_MAX);
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
score_all(question *q, const kf_alloc *alloc)
{
    kf_matches matches = {0};
    kf_futures futures = {0};
    uint32_t *ranked = NULL;
    uint32_t *order = NULL;
    size_t count;
    kf_error err = {KF_OK, ""};
    bool done =
        kf_score_align(&q->view, q->state, &q->candidates, 0.0, true,
                       q->scratch, &matches, &err) == KF_OK &&
        kf_score_ensemble(alloc, &matches, &futures, &err) == KF_OK &&
        kf_score_rank(alloc, &matches, 5, &ranked, &count, &err) == KF_OK &&
        kf_score_order_futures(alloc, &futures, &order, &err) == KF_OK;
    CHECK(done || err.code == KF_NO_MEMORY);
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
    question q;
    int failures = 0;
    ask(&q, patterns, "AB", 0.0);
    q.view.alloc = &alloc;
    CHECK_EACH_FAILURE (memory, done) {
        done = score_all(&q, &alloc);
        failures += !done;
    }
    CHECK(failures >= 8);
    q.view.alloc = &kf_alloc_default;
    end(&q);
}

int
main(void)
{
    random_source random = random_start();
    test_regions();
    test_threshold_ties();
    test_futures();
    test_rank_is_stable(&random);
    test_futures_are_ordered_stably(&random);
    test_no_memory();
    return check_report();
}
