/* Candidates: what the threshold asks for, at every edge, and that no pattern
 * which passes is left out. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/candidates.h"
#include "kato_fast/knowledge.h"

#include <math.h>

/* The reference expression. */
static bool
passes(double threshold, uint32_t matched, uint32_t total)
{
    return 2.0 * matched / total >= threshold;
}

static uint32_t
plain_need(double threshold, uint32_t total)
{
    uint32_t need = 0;
    if (!(threshold > 0.0)) {
        return 0;
    }
    while (need <= total && !passes(threshold, need, total)) {
        need++;
    }
    return need;
}

/* The double and both beside it. */
static bool
agrees(double threshold, uint32_t total)
{
    double below = nextafter(threshold, -INFINITY);
    double above = nextafter(threshold, INFINITY);
    return kf_candidates_need(threshold, total) ==
               plain_need(threshold, total) &&
           kf_candidates_need(below, total) == plain_need(below, total) &&
           kf_candidates_need(above, total) == plain_need(above, total);
}

static void
test_need_at_every_edge(void)
{
    for (uint32_t total = 1; total <= 300; total++) {
        bool good = true;
        for (uint32_t k = 0; k <= total; k++) {
            double tie = 2.0 * k / total;
            good =
                good && agrees(tie, total) && agrees((double)k / total, total);
            good = good && (k == 0 || kf_candidates_need(tie, total) == k);
        }
        CHECK(good);
    }
}

/* Thresholds that are ties of another total. */
static void
test_need_of_foreign_fractions(random_source *random)
{
    for (int i = 0; i < 100000; i++) {
        uint32_t total = 1 + random_below(random, 2000);
        uint32_t other = 1 + random_below(random, 2000);
        double threshold = 2.0 * random_below(random, other + 1) / other;
        if (!agrees(threshold, total)) {
            CHECK(false);
        }
    }
    CHECK(agrees(2.0 * 65535 / 131070, 131070));
    CHECK(agrees(1.0, 131070) && agrees(1e-5, 131070));
}

static void
test_need_beyond_the_range(void)
{
    static const double large[] = {2.0000001, 7.0, 1e9, 1e300, INFINITY};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        CHECK(kf_candidates_need(large[i], 10) == 11);
        CHECK(kf_candidates_need(-large[i], 10) == 0);
    }
    CHECK(kf_candidates_need(0.0, 10) == 0);
    CHECK(kf_candidates_need(-0.0, 10) == 0);
    CHECK(kf_candidates_need(5e-324, 10) == 1);
    CHECK(kf_candidates_need(0.5, 0) == 0);
}

/* --- which patterns --- */

static bool
contains(const uint32_t *ids, uint32_t n, uint32_t id)
{
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

/* Section 5.2 of the host, word for word. */
static bool
host_index_finds(const kf_knowledge_view *view, const kf_pattern *pattern,
                 const uint32_t *state, uint32_t m)
{
    int tolerance = (int)(0.5 * m / 10) > 1 ? (int)(0.5 * m / 10) : 1;
    bool any_similar = false;
    bool similar = false;
    bool shares = false;
    for (size_t row = 0; row < view->n_rows; row++) {
        const kf_pattern *other = view->rows[row].pattern;
        bool close = other != NULL &&
                     abs((int)other->n / 10 - (int)m / 10) <= tolerance;
        any_similar = any_similar || close;
        similar = similar || (close && other == pattern);
    }
    for (uint32_t j = 0; j < m && j < 10; j++) {
        shares = shares || contains(pattern->ids, pattern->n, state[j]);
    }
    return m <= 2 ? similar || shares
                  : (any_similar ? similar && shares : shares);
}

static void
check_candidates(const kf_knowledge_view *view, const uint32_t *state,
                 uint32_t m, double threshold)
{
    kf_candidates found;
    size_t at = 0;
    CHECK(kf_candidates_find(view, state, m, threshold, &found, NULL) ==
          KF_OK);
    for (size_t row = 0; row < view->n_rows; row++) {
        const kf_pattern *pattern = view->rows[row].pattern;
        bool is_there = at < found.count && found.rows[at] == row;
        if (pattern == NULL) {
            CHECK(!is_there);
            continue;
        }
        bool wanted =
            (!view->indexed || host_index_finds(view, pattern, state, m)) &&
            (!(threshold > 0.0) ||
             passes(threshold, pattern->n < m ? pattern->n : m,
                    pattern->n + m));
        CHECK(is_there == wanted);
        at += is_there;
        CHECK(found.need[pattern->n] == plain_need(threshold, pattern->n + m));
    }
    CHECK(at == found.count);
    kf_candidates_free(view, &found);
    CHECK(found.rows == NULL && found.need == NULL && found.count == 0);
}

static kf_knowledge *
random_knowledge(random_source *random, bool indexed, uint32_t longest)
{
    kf_knowledge *knowledge;
    sequence made;
    CHECK(kf_knowledge_new(&kf_alloc_default, sequence_key, indexed, 150,
                           &knowledge, NULL) == KF_OK);
    for (uint32_t i = 0; i < 30; i++) {
        kf_learned learned;
        kf_sequence given;
        sequence_random(&made, random, 2 + random_below(random, longest), 20);
        given = sequence_borrow(&made, NULL);
        CHECK(kf_knowledge_learn(knowledge, &given, 1, &learned, NULL) ==
              KF_OK);
        if (i % 7 == 3) {
            CHECK(kf_knowledge_forget(knowledge, learned.name));
        }
    }
    return knowledge;
}

static void
test_no_match_is_lost(random_source *random)
{
    for (int round = 0; round < 60; round++) {
        kf_knowledge *knowledge =
            random_knowledge(random, round % 2 == 0, round % 3 == 0 ? 80 : 12);
        kf_knowledge_view view = kf_knowledge_look(knowledge);
        for (int question = 0; question < 20; question++) {
            uint32_t state[100];
            uint32_t m = 2 + random_below(random, question < 10 ? 10 : 98);
            uint32_t total = 1 + random_below(random, 40);
            for (uint32_t j = 0; j < m; j++) {
                state[j] = random_below(random, 22);
                state[j] = state[j] >= 20 ? KF_SYMBOL_NONE : state[j];
            }
            check_candidates(&view, state, m,
                             2.0 * random_below(random, total) / total);
            check_candidates(&view, state, m, -1.0);
        }
        kf_knowledge_free(knowledge);
    }
}

static void
test_no_memory(random_source *random)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_knowledge *knowledge = random_knowledge(random, false, 12);
    kf_knowledge_view view = kf_knowledge_look(knowledge);
    static const uint32_t state[] = {0, 1, 2};
    int failures = 0;
    view.alloc = &alloc;
    CHECK_EACH_FAILURE (memory, done) {
        kf_candidates found = {NULL, 77, NULL};
        kf_error err;
        done = kf_candidates_find(&view, state, 3, 0.1, &found, &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && found.count == 77));
        failures += !done;
        if (done) {
            kf_candidates_free(&view, &found);
        }
    }
    CHECK(failures == 2);
    kf_knowledge_free(knowledge);
}

int
main(void)
{
    random_source random = random_start();
    test_need_at_every_edge();
    test_need_of_foreign_fractions(&random);
    test_need_beyond_the_range();
    test_no_match_is_lost(&random);
    test_no_memory(&random);
    return check_report();
}
