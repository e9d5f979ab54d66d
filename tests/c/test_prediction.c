/* The whole path of a question: the fields of one prediction by hand, results
 * that outlive what they came from, and no memory at any step. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/prediction.h"
#include "kato_fast/writer.h"

#include <math.h>
#include <string.h>

static kf_knowledge *
knowing(const kf_alloc *alloc, const char *const *patterns)
{
    kf_knowledge *knowledge = sequence_knowledge(alloc, false, 1);
    kf_emotive item = {{"joy", 3}, 0.5};
    kf_emotive_map map = {&item, 1};
    kf_emotives *emotives;
    CHECK(kf_emotives_new(alloc, &map, 1, &emotives, NULL) == KF_OK);
    for (; *patterns != NULL; patterns++) {
        CHECK(sequence_learn(knowledge, *patterns, emotives) == KF_OK);
    }
    kf_emotives_release(emotives);
    return knowledge;
}

static bool
forget(kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE])
{
    bool found = false;
    return kf_knowledge_forget(knowledge, name, &found, NULL) == KF_OK &&
           found;
}

static kf_status
predict(kf_knowledge *knowledge, const char *state, double threshold,
        size_t most, kf_predictions **out, kf_error *err)
{
    sequence made;
    sequence_read(&made, state);
    return kf_predict(knowledge,
                      &(kf_asked){.texts = made.symbols, .m = made.n},
                      threshold, most, out, err);
}

static const char *const example[] = {"P|A|BX|C|F|G", "A|B|H", "Z|Z", NULL};

/* State A B C N against P|A|BX|C|F|G: blocks A B and C, X is missing, N is
 * extra. */
static void
check_first(const kf_predictions *all)
{
    const kf_prediction *p = NULL;
    for (size_t i = 0; i < all->count; i++) {
        p = all->items[i].pattern->n == 7 ? &all->items[i] : p;
    }
    CHECK(p != NULL && all->matched == 2 && all->count == 2);
    CHECK(p->n_blocks == 2 && p->blocks[0].i == 1 && p->blocks[0].k == 2);
    CHECK(p->blocks[1].i == 4 && p->blocks[1].j == 2 && p->blocks[1].k == 1);
    CHECK(p->n_missing == 1 && p->missing[0] == 3);
    CHECK(p->n_extras == 1 && p->extras[0] == 3);
    CHECK(p->past_end == 1 && p->present_end == 4 && p->frequency == 1);
    CHECK(p->evidence == 3.0 / 7.0 && p->confidence == 3.0 / 4.0);
    CHECK(p->similarity == 6.0 / 11.0 && p->fragmentation == 1.0);
    CHECK(p->snr == 5.0 / 7.0 && p->pattern_probability == 0.5);
    CHECK(p->weighted_strength == 6.0 / 11.0 * 0.5);
    CHECK(p->potential == p->similarity * p->predictive_information);
    CHECK(kf_emotives_average(p->emotives).items[0].value == 0.5);
    CHECK(p->entropy > 0.0 && p->hamiltonian > 0.0 && p->confluence > 0.0);
}

static void
test_fields(void)
{
    kf_knowledge *knowledge = knowing(&kf_alloc_default, example);
    kf_predictions *all;
    CHECK(predict(knowledge, "ABCN", 0.1, 100, &all, NULL) == KF_OK);
    check_first(all);
    CHECK(all->futures.count == 2);
    kf_predictions_free(all);
    kf_predictions_free(NULL);
    kf_knowledge_free(knowledge);
}

/* Learn and forget until what was forgotten is released. */
static void
make_it_give_memory_back(kf_knowledge *knowledge)
{
    sequence made;
    size_t before = 0;
    sequence_read(&made, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    while (before <= kf_knowledge_memory(knowledge)) {
        before = kf_knowledge_memory(knowledge);
        CHECK(sequence_learn(knowledge, made.text, NULL) == KF_OK);
        CHECK(sequence_forget(knowledge, &made));
    }
}

static void
test_results_outlive_the_knowledge(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_knowledge *knowledge = knowing(&alloc, example);
    kf_predictions *all;
    CHECK(predict(knowledge, "ABCN", 0.1, 100, &all, NULL) == KF_OK);
    CHECK(sequence_learn(knowledge, "Q|R|S", NULL) == KF_OK);
    for (size_t i = 0; i < all->count; i++) {
        CHECK(forget(knowledge, all->items[i].pattern->name));
    }
    check_first(all);
    make_it_give_memory_back(knowledge);
    check_first(all);
    CHECK(kf_knowledge_clear(knowledge, NULL) == KF_OK);
    CHECK(sequence_learn(knowledge, "A|B|C", NULL) == KF_OK);
    check_first(all);
    kf_knowledge_free(knowledge);
    check_first(all);
    kf_predictions_free(all);
    CHECK(memory.live == 0);
}

static void
check_nothing(kf_knowledge *knowledge, const char *state, double threshold)
{
    kf_predictions *none;
    const uint32_t *order;
    CHECK(predict(knowledge, state, threshold, 100, &none, NULL) == KF_OK);
    CHECK(none->count == 0 && none->matched == 0 && none->futures.count == 0);
    CHECK(kf_predictions_order_futures(none, &order, NULL) == KF_OK);
    kf_predictions_free(none);
}

static void
test_nothing_found(void)
{
    static const char *const nothing[] = {NULL};
    kf_knowledge *knowledge = knowing(&kf_alloc_default, example);
    kf_knowledge *empty = knowing(&kf_alloc_default, nothing);
    check_nothing(knowledge, "", 0.1);
    check_nothing(knowledge, "A", 0.0);
    check_nothing(knowledge, "NO", 0.1);
    check_nothing(knowledge, "ABC", 1.5);
    check_nothing(empty, "AB", 0.0);
    kf_knowledge_free(knowledge);
    kf_knowledge_free(empty);
}

/* What is cut off still counts in the ensemble. */
static void
test_max_predictions(void)
{
    kf_knowledge *knowledge = knowing(&kf_alloc_default, example);
    kf_predictions *all;
    kf_predictions *some;
    CHECK(predict(knowledge, "ABCN", 0.0, SIZE_MAX, &all, NULL) == KF_OK);
    CHECK(all->count == 3);
    for (size_t most = 0; most <= 3; most++) {
        CHECK(predict(knowledge, "ABCN", 0.0, most, &some, NULL) == KF_OK);
        CHECK(some->count == most && some->matched == 3);
        CHECK(some->futures.count == all->futures.count);
        for (size_t i = 0; i < most; i++) {
            CHECK(memcmp(some->items[i].pattern, all->items[i].pattern,
                         kf_pattern_size(all->items[i].pattern->n,
                                         all->items[i].pattern->n_events)) ==
                  0);
            CHECK(some->items[i].potential == all->items[i].potential);
        }
        kf_predictions_free(some);
    }
    kf_predictions_free(all);
    kf_knowledge_free(knowledge);
}

/* match tells of the patterns that predict finds, in learning order. */
static void
test_match(void)
{
    kf_knowledge *knowledge = knowing(&kf_alloc_default, example);
    uint8_t names[2][KF_NAME_SIZE];
    kf_match_list list;
    sequence state;
    sequence_read(&state, "ABCN");
    CHECK(kf_match_all(knowledge, state.symbols, 4, 0.1, &list, NULL) ==
          KF_OK);
    CHECK(list.count == 2);
    CHECK(kf_match_list_names(&list, names, NULL) == KF_OK);
    for (uint32_t i = 0; i < list.count; i++) {
        sequence made;
        uint8_t name[KF_NAME_SIZE];
        sequence_read(&made, example[i]);
        sequence_name(knowledge, &made, name);
        CHECK(list.rows[i] == i);
        CHECK(memcmp(names[i], name, KF_NAME_SIZE) == 0);
    }
    CHECK(list.ratios[0] == 6.0 / 11.0 && list.ratios[1] == 4.0 / 7.0);
    kf_match_list_free(&list);
    CHECK(kf_match_all(knowledge, state.symbols, 1, 0.0, &list, NULL) ==
          KF_OK);
    CHECK(list.count == 0);
    kf_match_list_free(&list);
    kf_knowledge_free(knowledge);
}

/* --- what is forgotten --- */

static kf_buffer
written(kf_knowledge *knowledge, const sequence *state, double threshold,
        size_t most)
{
    kf_predictions *all;
    kf_buffer json;
    kf_buffer_init(&json, &kf_alloc_default);
    CHECK(kf_predict(knowledge,
                     &(kf_asked){.texts = state->symbols, .m = state->n},
                     threshold, most, &all, NULL) == KF_OK);
    kf_write_predictions_json(&json, all, true);
    kf_write_futures_json(&json, all);
    CHECK(!json.failed);
    kf_predictions_free(all);
    return json;
}

/* Whether both give the same, digit for digit. */
static bool
answer_alike(kf_knowledge *a, kf_knowledge *b, const sequence *state,
             double threshold)
{
    kf_buffer x = written(a, state, threshold, 20);
    kf_buffer y = written(b, state, threshold, 20);
    bool same = x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
    kf_buffer_free(&x);
    kf_buffer_free(&y);
    return same;
}

static void
forget_text(kf_knowledge *knowledge, const char *text)
{
    sequence made;
    sequence_read(&made, text);
    CHECK(sequence_forget(knowledge, &made));
}

/* Q is in the present of the forgotten one only, not in that of any match. */
static void
test_forgotten_match_by_hand(void)
{
    static const char *const all[] = {"A|B", "A|Q|C", "Q|R|S|T|U|V|W", NULL};
    static const char *const left[] = {"A|B", "Q|R|S|T|U|V|W", NULL};
    kf_knowledge *a = knowing(&kf_alloc_default, all);
    kf_knowledge *b = knowing(&kf_alloc_default, left);
    sequence state;
    forget_text(a, all[1]);
    sequence_read(&state, "AQ");
    CHECK(answer_alike(a, b, &state, 0.3));
    kf_knowledge_free(a);
    kf_knowledge_free(b);
}

#define LEARNED 120

/* A knowledge base that forgot, and one that never learned what it forgot. */
static void
compare_with_a_new_one(random_source *random, bool indexed)
{
    static sequence made[LEARNED];
    uint32_t letters = 4 + random_below(random, 20);
    kf_knowledge *a = sequence_knowledge(&kf_alloc_default, indexed, 1);
    kf_knowledge *b = sequence_knowledge(&kf_alloc_default, indexed, 1);
    for (int i = 0; i < LEARNED; i++) {
        do { /* each another one */
            sequence_random(&made[i], random, 2 + random_below(random, 25),
                            letters);
        } while (sequence_find(a, &made[i]) != KF_NO_ROW);
        CHECK(sequence_learn(a, made[i].text, NULL) == KF_OK);
    }
    for (int i = 0; i < LEARNED; i++) {
        kf_sequence given = sequence_borrow(&made[i], NULL);
        uint8_t name[KF_NAME_SIZE];
        kf_knowledge_name(a, &given, name);
        if (i % 3 != 0) {
            CHECK(forget(a, name) && !forget(b, name));
        }
        else {
            CHECK(sequence_learn(a, made[i].text, NULL) == KF_OK);
            CHECK(sequence_learn(b, made[i].text, NULL) == KF_OK);
            CHECK(sequence_learn(b, made[i].text, NULL) == KF_OK);
        }
    }
    for (int round = 0; round < 30; round++) {
        sequence state;
        sequence_random(&state, random, 2 + random_below(random, 90),
                        letters + 2);
        CHECK(
            answer_alike(a, b, &state, (double)random_below(random, 5) / 10));
    }
    kf_knowledge_free(a);
    kf_knowledge_free(b);
}

static void
test_forgotten_leave_no_trace(random_source *random)
{
    test_forgotten_match_by_hand();
    for (int round = 0; round < 20; round++) {
        compare_with_a_new_one(random, round % 4 == 3);
    }
}

/* --- several at once --- */

#define ASKED 70u

/* Many states, equal and too short ones among them, more than one group. */
static void
read_states(random_source *random, sequence *made, kf_asked *asked)
{
    for (unsigned i = 0; i < ASKED; i++) {
        sequence_random(&made[i], random, 2 + random_below(random, 12), 9);
        asked[i] = (kf_asked){.texts = made[i].symbols,
                              .m = i % 7 == 6 ? 1 : made[i].n};
    }
}

static bool
same_answers(const kf_predictions *a, const kf_predictions *b)
{
    bool same = a->count == b->count && a->matched == b->matched &&
                a->futures.count == b->futures.count;
    for (size_t i = 0; same && i < a->count; i++) {
        const kf_prediction *x = &a->items[i], *y = &b->items[i];
        same = memcmp(x->pattern->name, y->pattern->name, KF_NAME_SIZE) == 0 &&
               x->potential == y->potential && x->entropy == y->entropy &&
               x->confluence == y->confluence && x->n_blocks == y->n_blocks;
    }
    return same;
}

static void
test_many(random_source *random, unsigned threads)
{
    kf_knowledge *knowledge =
        sequence_knowledge(&kf_alloc_default, false, threads);
    sequence *made = calloc(ASKED, sizeof *made);
    kf_asked asked[ASKED];
    kf_predictions *all[ASKED], *one;
    for (int i = 0; i < 3000; i++) {
        sequence_random(&made[0], random, 2 + random_below(random, 12), 9);
        CHECK(sequence_learn(knowledge, made[0].text, NULL) == KF_OK);
    }
    read_states(random, made, asked);
    CHECK(kf_predict_many(knowledge, asked, ASKED, 0.2, 10, all, NULL) ==
          KF_OK);
    for (unsigned i = 0; i < ASKED; i++) {
        CHECK(kf_predict(knowledge,
                         &(kf_asked){.texts = asked[i].texts, .m = asked[i].m},
                         0.2, 10, &one, NULL) == KF_OK);
        CHECK(same_answers(all[i], one));
        kf_predictions_free(one);
        kf_predictions_free(all[i]);
    }
    CHECK(kf_predict_many(knowledge, asked, 0, 0.2, 10, NULL, NULL) == KF_OK);
    kf_knowledge_free(knowledge);
    free(made);
}

static void
test_many_without_memory(random_source *random)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    sequence made[3];
    kf_asked asked[3];
    kf_predictions *all[3];
    for (int i = 0; i < 3; i++) {
        sequence_random(&made[i], random, 6, 9);
        asked[i] = (kf_asked){.texts = made[i].symbols, .m = made[i].n};
    }
    CHECK_EACH_FAILURE (memory, done) {
        size_t nth = check_memory_pause(&memory);
        kf_knowledge *knowledge = knowing(&alloc, example);
        size_t live = memory.live;
        kf_error err = {.code = KF_OK};
        check_memory_arm(&memory, nth);
        done =
            kf_predict_many(knowledge, asked, 3, 0.0, 10, all, &err) == KF_OK;
        CHECK(done || err.code == KF_NO_MEMORY);
        for (int i = 0; done && i < 3; i++) {
            kf_predictions_free(all[i]);
        }
        nth = check_memory_pause(&memory);
        CHECK(memory.live == live);
        kf_knowledge_free(knowledge);
        memory.fail_at = nth;
    }
    CHECK(memory.live == 0);
}

/* --- no memory --- */

static bool
ask_all(kf_knowledge *knowledge, const char *state, check_memory *memory)
{
    kf_predictions *all = NULL;
    kf_match_list list = {.count = 77};
    const uint32_t *order;
    kf_error err = {.code = KF_OK};
    sequence made;
    bool done = predict(knowledge, state, 0.0, 100, &all, &err) == KF_OK &&
                kf_predictions_order_futures(all, &order, &err) == KF_OK;
    CHECK(done || err.code == KF_NO_MEMORY);
    sequence_read(&made, state);
    if (done) {
        done = kf_match_all(knowledge, made.symbols, made.n, 0.0, &list,
                            &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && list.count == 77));
    }
    if (all != NULL && !done) { /* what failed can be tried again */
        check_memory_pause(memory);
        CHECK(kf_predictions_order_futures(all, &order, &err) == KF_OK);
    }
    kf_predictions_free(all);
    if (done) {
        kf_match_list_free(&list);
    }
    return done;
}

static void
test_no_memory(const char *state)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        size_t nth = check_memory_pause(&memory);
        kf_knowledge *knowledge = knowing(&alloc, example);
        kf_predictions *all;
        CHECK(sequence_learn(knowledge, "A|N|C", NULL) == KF_OK);
        forget_text(knowledge, "A|N|C");
        check_memory_arm(&memory, nth);
        done = ask_all(knowledge, state, &memory);
        failures += !done;
        nth = check_memory_pause(&memory);
        CHECK(predict(knowledge, "ABCN", 0.1, 100, &all, NULL) == KF_OK);
        check_first(all);
        kf_predictions_free(all);
        kf_knowledge_free(knowledge);
        memory.fail_at = nth;
    }
    CHECK(failures > 20);
}

int
main(void)
{
    random_source random = random_start();
    test_fields();
    test_results_outlive_the_knowledge();
    test_nothing_found();
    test_max_predictions();
    test_match();
    test_forgotten_leave_no_trace(&random);
    test_many(&random, 1);
    test_many(&random, 3);
    test_many_without_memory(&random);
    test_no_memory("ABCN");
    test_no_memory("ABCNABCNABCNABCNABCNABCNABCNABCNABCNABCNABCNABCNABCNABCN"
                   "ABCNABCNABCNABCN");
    return check_report();
}
