/* Candidates: what the threshold asks for, at every edge, and that no pattern
 * which passes is left out. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/candidates.h"
#include "kato_fast/prediction.h"

#include <math.h>
#include <stdlib.h>

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
    return kf_candidates_need(KF_KATO_2025_09, threshold, total) ==
               plain_need(threshold, total) &&
           kf_candidates_need(KF_KATO_2025_09, below, total) ==
               plain_need(below, total) &&
           kf_candidates_need(KF_KATO_2025_09, above, total) ==
               plain_need(above, total);
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
            good = good && (k == 0 || kf_candidates_need(KF_KATO_2025_09, tie,
                                                         total) == k);
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
        CHECK(kf_candidates_need(KF_KATO_2025_09, large[i], 10) == 11);
        CHECK(kf_candidates_need(KF_KATO_2025_09, -large[i], 10) == 0);
    }
    CHECK(kf_candidates_need(KF_KATO_2025_09, 0.0, 10) == 0);
    CHECK(kf_candidates_need(KF_KATO_2025_09, -0.0, 10) == 0);
    CHECK(kf_candidates_need(KF_KATO_2025_09, 5e-324, 10) == 1);
    CHECK(kf_candidates_need(KF_KATO_2025_09, 0.5, 0) == 0);
}

/* By length: what total, state and pattern ask for. */
static void
check_needs(double threshold, uint32_t m, uint32_t longest)
{
    uint32_t *need;
    CHECK(kf_candidates_needs(&kf_alloc_default, KF_KATO_2025_09, threshold, m,
                              longest, &need, NULL) == KF_OK);
    for (uint32_t n = 0; n <= longest; n++) {
        uint32_t most = n < m ? n : m;
        uint32_t plain = plain_need(threshold, n + m);
        CHECK(need[n] == (plain > most ? n + 1 : plain));
        CHECK((most >= need[n]) ==
              (!(threshold > 0.0) || passes(threshold, most, n + m)));
    }
    kf_release(&kf_alloc_default, need);
}

static void
test_needs_by_length(random_source *random)
{
    for (int round = 0; round < 300; round++) {
        uint32_t total = 1 + random_below(random, 40);
        double tie = 2.0 * random_below(random, total + 1) / total;
        uint32_t m = 1 + random_below(random, 100);
        check_needs(tie, m, random_below(random, 120));
        check_needs(nextafter(tie, 9.0), m, random_below(random, 120));
        check_needs(-tie, m, random_below(random, 120));
    }
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

#define LONGEST 90
#define PATTERNS 40

/* Every pattern that is not forgotten, read out of a knowledge base. */
typedef struct {
    uint32_t n[PATTERNS];
    uint32_t ids[PATTERNS][2 * LONGEST];
    uint32_t rows[PATTERNS];
    uint32_t count;
} patterns;

static void
read_patterns(kf_knowledge *knowledge, patterns *out)
{
    kf_knowledge_view view = kf_knowledge_look(knowledge);
    out->count = 0;
    for (uint32_t row = 0; row < view.n_rows; row++) {
        uint32_t n_events;
        uint32_t here = out->count;
        if (kf_knowledge_frequency(knowledge, row) != 0) {
            out->rows[here] = row;
            out->n[here] =
                kf_root_read(view.root, row, out->ids[here], &n_events);
            CHECK(out->n[here] <= view.longest);
            out->count++;
        }
    }
}

/* Section 5.2 of the host, word for word. */
static bool
host_index_finds(const patterns *all, uint32_t which, const uint32_t *state,
                 uint32_t m)
{
    int tolerance = (int)(0.5 * m / 10) > 1 ? (int)(0.5 * m / 10) : 1;
    bool any_similar = false;
    bool similar = false;
    bool shares = false;
    for (uint32_t p = 0; p < all->count; p++) {
        bool close = abs((int)all->n[p] / 10 - (int)m / 10) <= tolerance;
        any_similar = any_similar || close;
        similar = similar || (close && p == which);
    }
    for (uint32_t j = 0; j < m && j < 10; j++) {
        shares = shares || contains(all->ids[which], all->n[which], state[j]);
    }
    return m <= 2 ? similar || shares
                  : (any_similar ? similar && shares : shares);
}

/* The same from the index that is made of a state. */
static void
check_index(const patterns *all, const uint32_t *state, uint32_t m)
{
    kf_host_index index;
    bool any_similar = false;
    kf_host_index_ask(state, m, &index);
    CHECK(!index.any_similar);
    for (uint32_t p = 0; p < all->count; p++) {
        any_similar =
            any_similar || kf_host_index_is_similar(&index, all->n[p]);
    }
    index.any_similar = any_similar;
    for (uint32_t p = 0; p < all->count; p++) {
        CHECK(kf_host_index_finds(&index, all->ids[p], all->n[p]) ==
              host_index_finds(all, p, state, m));
    }
}

/* Whether the pattern matches, aligned whether it is a candidate or not. */
static bool
matches(const uint32_t *ids, uint32_t n, const kf_align_state *state,
        kf_align_scratch *scratch, uint32_t m, double threshold, double *ratio)
{
    kf_alignment alignment;
    kf_align(state, scratch, ids, n, 0, &alignment);
    *ratio = 2.0 * alignment.matched / (n + m);
    return alignment.blocks == 0 ? threshold == 0.0 : *ratio >= threshold;
}

static void
check_matches(kf_knowledge *knowledge, const patterns *all,
              const kf_text *texts, const uint32_t *ids, uint32_t m,
              double threshold)
{
    kf_align_state *state;
    kf_align_scratch *scratch;
    kf_match_list found;
    bool indexed = kf_knowledge_look(knowledge).indexed;
    size_t at = 0;
    CHECK(kf_align_state_new(&kf_alloc_default, ids, m, &state, NULL) ==
          KF_OK);
    CHECK(kf_align_scratch_new(&kf_alloc_default, state, LONGEST, &scratch,
                               NULL) == KF_OK);
    CHECK(kf_match_all(knowledge, texts, m, threshold, &found, NULL) == KF_OK);
    for (uint32_t p = 0; p < all->count; p++) {
        double ratio;
        bool wanted = (!indexed || host_index_finds(all, p, ids, m)) &&
                      matches(all->ids[p], all->n[p], state, scratch, m,
                              threshold, &ratio);
        bool is_there = at < found.count && found.rows[at] == all->rows[p];
        CHECK(is_there == wanted);
        CHECK(!is_there || found.ratios[at] == ratio);
        at += is_there;
    }
    CHECK(at == found.count);
    kf_match_list_free(&found);
    kf_align_scratch_free(scratch);
    kf_align_state_free(state);
}

static kf_knowledge *
random_knowledge(random_source *random, bool indexed, uint32_t longest)
{
    kf_knowledge *knowledge =
        sequence_knowledge(&kf_alloc_default, indexed, 1);
    sequence made;
    for (uint32_t i = 0; i < PATTERNS - 10; i++) {
        kf_learned learned;
        kf_sequence given;
        bool found;
        sequence_random(&made, random, 2 + random_below(random, longest), 20);
        given = sequence_borrow(&made, NULL);
        CHECK(kf_knowledge_learn(knowledge, &given, 1, &learned, NULL) ==
              KF_OK);
        if (i % 7 == 3) {
            CHECK(kf_knowledge_forget(knowledge, learned.name, &found, NULL) ==
                  KF_OK);
            CHECK(found);
        }
    }
    return knowledge;
}

/* A state of the 20 letters and two that no pattern has. */
static void
random_state(random_source *random, const kf_knowledge_view *view, uint32_t m,
             kf_text *texts, uint32_t *ids)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUV";
    for (uint32_t j = 0; j < m; j++) {
        texts[j] = (kf_text){&letters[random_below(random, 22)], 1};
        ids[j] = kf_symbols_find(view->root->symbols, texts[j]);
    }
}

static void
test_no_match_is_lost(random_source *random)
{
    for (int round = 0; round < 60; round++) {
        kf_knowledge *knowledge =
            random_knowledge(random, round % 2 == 0, round % 3 == 0 ? 80 : 12);
        kf_knowledge_view view = kf_knowledge_look(knowledge);
        static patterns all;
        read_patterns(knowledge, &all);
        for (int question = 0; question < 20; question++) {
            kf_text texts[100];
            uint32_t state[100];
            uint32_t m = 2 + random_below(random, question < 10 ? 10 : 98);
            uint32_t total = 1 + random_below(random, 40);
            random_state(random, &view, m, texts, state);
            check_index(&all, state, m);
            check_matches(knowledge, &all, texts, state, m,
                          2.0 * random_below(random, total) / total);
            check_matches(knowledge, &all, texts, state, m, -1.0);
            check_matches(knowledge, &all, texts, state, m, 0.0);
        }
        kf_knowledge_free(knowledge);
    }
}

static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        uint32_t *need = NULL;
        kf_error err;
        done = kf_candidates_needs(&alloc, KF_KATO_2025_09, 0.1, 3, 9, &need,
                                   &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && need == NULL));
        failures += !done;
        kf_release(&alloc, need);
    }
    CHECK(failures == 1);
}

int
main(void)
{
    random_source random = random_start();
    test_need_at_every_edge();
    test_need_of_foreign_fractions(&random);
    test_need_beyond_the_range();
    test_needs_by_length(&random);
    test_no_match_is_lost(&random);
    test_no_memory();
    return check_report();
}
