/* KATO 2.1: its similarity, what is by event, its two entropies, and no
 * memory at any step. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/candidates.h"
#include "kato_fast/prediction.h"
#include "kato_fast/writer.h"

#include <math.h>
#include <string.h>

static uint32_t
plain_need(double threshold, uint32_t total)
{
    uint32_t need = 0;
    while (threshold > 0.0 && need <= total &&
           !kf_is_similar(KF_KATO_2_1, need, total, threshold)) {
        need++;
    }
    return need;
}

static bool
agrees(double threshold, uint32_t total)
{
    double below = nextafter(threshold, -INFINITY);
    double above = nextafter(threshold, INFINITY);
    return kf_candidates_need(KF_KATO_2_1, threshold, total) ==
               plain_need(threshold, total) &&
           kf_candidates_need(KF_KATO_2_1, below, total) ==
               plain_need(below, total) &&
           kf_candidates_need(KF_KATO_2_1, above, total) ==
               plain_need(above, total);
}

/* The way over a percentage moves some shares by a bit, to either side. */
static void
test_need_at_every_edge(void)
{
    int lower = 0;
    int higher = 0;
    for (uint32_t total = 1; total <= 200; total++) {
        bool good = true;
        for (uint32_t k = 0; k <= total; k++) {
            double share = kf_similarity(KF_KATO_2025_09, k, total);
            double score = kf_similarity(KF_KATO_2_1, k, total);
            lower += score < share;
            higher += score > share;
            good = good && agrees(share, total) && agrees(score, total);
        }
        CHECK(good);
    }
    CHECK(lower > 10 && higher > 10);
}

static kf_knowledge *
knowing(const kf_alloc *alloc)
{
    kf_knowledge_options options = {
        .generation = KF_KATO_2_1, .unicode = 150, .threads = 1};
    kf_knowledge *knowledge = NULL;
    memcpy(options.key, sequence_key, sizeof options.key);
    CHECK(kf_knowledge_new(alloc, &options, &knowledge, NULL) == KF_OK);
    CHECK(sequence_learn(knowledge, "P|A|BX|C|F|G", NULL) == KF_OK);
    CHECK(sequence_learn(knowledge, "Z|Z", NULL) == KF_OK);
    return knowledge;
}

static kf_status
predict(kf_knowledge *knowledge, const char *state, bool events,
        kf_predictions **out)
{
    sequence made;
    sequence_read(&made, state);
    return kf_predict(knowledge,
                      &(kf_asked){made.symbols, made.n, made.ends,
                                  events ? made.n_events : 0},
                      0.1, 100, out, NULL);
}

static bool
says(const kf_predictions *all, const char *part)
{
    kf_buffer buffer;
    bool found;
    kf_buffer_init(&buffer, &kf_alloc_default);
    kf_write_predictions_json(&buffer, all, false);
    kf_buffer_put(&buffer, '\0');
    found = !buffer.failed && strstr(buffer.data, part) != NULL;
    if (!found) {
        fprintf(stderr, "%s is not in %s\n", part, buffer.data);
    }
    kf_buffer_free(&buffer);
    return found;
}

/* A B C of the state match, X is missing, N Y are extra; 8 symbols known. */
static void
check_answer(const kf_predictions *all)
{
    double third = -1.0 / 6 * (log(1.0 / 6) / log(8.0));
    CHECK(all->count == 1 && all->items[0].similarity == 6.0 / 13 * 100 / 100);
    CHECK(all->items[0].snr == 3.0 / 9.0);
    CHECK(all->entropies.has_normalized && all->entropies.has_global);
    CHECK(fabs(all->entropies.normalized - 6 * third) < 1e-12);
    CHECK(all->entropies.global > 0.0);
}

static void
test_by_event(void)
{
    kf_knowledge *knowledge = knowing(&kf_alloc_default);
    kf_predictions *all;
    CHECK(predict(knowledge, "AN|B|CY|M", true, &all) == KF_OK);
    check_answer(all);
    CHECK(says(all, "\"missing\":[[],[\"X\"],[]],"
                    "\"extras\":[[\"N\"],[],[\"Y\"],[\"M\"]],"));
    CHECK(says(all, "\"entropy\":0.0,\"normalized_entropy\":"));
    CHECK(says(all, "\"confluence\":0.0,"));
    kf_predictions_free(all);
    CHECK(predict(knowledge, "AN|B|CY|M", false, &all) == KF_OK);
    check_answer(all);
    CHECK(says(all, "\"missing\":[\"X\"],\"extras\":[\"N\",\"Y\",\"M\"],"));
    kf_predictions_free(all);
    kf_knowledge_free(knowledge);
}

/* The longest block H I J leaves nothing on either side; H I H I J is a
 * subsequence of both. */
static void
test_score_is_of_the_subsequence(void)
{
    kf_knowledge *knowledge = knowing(&kf_alloc_default);
    kf_predictions *all;
    CHECK(sequence_learn(knowledge, "H|I|J|K|H|L|I|O|J", NULL) == KF_OK);
    CHECK(predict(knowledge, "H|L|I|H|I|J", true, &all) == KF_OK);
    CHECK(all->count == 1 &&
          all->items[0].similarity == kf_similarity(KF_KATO_2_1, 5, 15));
    CHECK(all->items[0].evidence == 3.0 / 9);
    kf_predictions_free(all);
    kf_knowledge_free(knowledge);
}

/* Of one symbol there is no logarithm: the host says 0, an int. */
static void
test_sums_of_nothing(void)
{
    kf_knowledge *knowledge = knowing(&kf_alloc_default);
    kf_predictions *all;
    CHECK(kf_knowledge_clear(knowledge, NULL) == KF_OK);
    CHECK(sequence_learn(knowledge, "A|A", NULL) == KF_OK);
    CHECK(predict(knowledge, "A|A", true, &all) == KF_OK);
    CHECK(says(all, "\"normalized_entropy\":0,"
                    "\"global_normalized_entropy\":0,"));
    kf_predictions_free(all);
    kf_knowledge_free(knowledge);
}

static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        size_t nth = check_memory_pause(&memory);
        kf_knowledge *knowledge = knowing(&alloc);
        kf_predictions *all = NULL;
        check_memory_arm(&memory, nth);
        done = predict(knowledge, "AN|B|CY|M", true, &all) == KF_OK;
        failures += !done;
        if (done) {
            check_answer(all);
            kf_predictions_free(all);
        }
        nth = check_memory_pause(&memory);
        kf_knowledge_free(knowledge);
        memory.fail_at = nth;
    }
    CHECK(failures > 20);
}

int
main(void)
{
    test_need_at_every_edge();
    test_by_event();
    test_score_is_of_the_subsequence();
    test_sums_of_nothing();
    test_no_memory();
    return check_report();
}
