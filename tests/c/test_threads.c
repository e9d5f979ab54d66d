/* Threads that ask while one learns, forgets and clears: what each sees is a
 * whole. Meant for the thread sanitizer as well. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/decimal.h"
#include "kato_fast/prediction.h"
#include "kato_fast/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define READERS 3
#define STEPS 1500

typedef struct {
    kf_knowledge *knowledge;
    bool indexed;
    atomic_bool stop;
    atomic_ulong questions;
    atomic_ullong seed; /* each thread takes the next */
} shared;

static uint64_t
next_seed(shared *all)
{
    return (atomic_fetch_add(&all->seed, 1) * 0x9e3779b97f4a7c15u) | 1;
}

/* Every pattern that the writer ever learns, so that a result can be checked
 * against the text it was made from: these letters, at most ten of them. */
static void
write_pattern(random_source *random, sequence *out)
{
    sequence_random(out, random, 2 + random_below(random, 8), 8);
}

static void
check_prediction(const kf_prediction *p, uint32_t m)
{
    uint32_t matched = 0;
    for (uint32_t b = 0; b < p->n_blocks; b++) {
        matched += p->blocks[b].k;
    }
    CHECK(p->pattern->n >= 2 && p->pattern->n < 10 && p->frequency >= 1);
    CHECK(p->similarity == 2.0 * matched / (p->pattern->n + m));
    CHECK(p->n_extras == m - matched);
    CHECK(p->past_end <= p->present_end);
    CHECK(p->present_end <= p->pattern->n_events);
}

static void
check_bytes(kf_predictions *predictions)
{
    kf_buffer json;
    kf_buffer cbor;
    kf_buffer_init(&json, &kf_alloc_default);
    kf_buffer_init(&cbor, &kf_alloc_default);
    kf_write_predictions_json(&json, predictions, false);
    kf_write_futures_json(&json, predictions);
    kf_write_predictions_cbor(&cbor, predictions, false);
    CHECK(!json.failed && json.data[0] == '[' &&
          json.data[json.size - 1] == ']');
    CHECK(!cbor.failed && cbor.size > 0);
    kf_buffer_free(&json);
    kf_buffer_free(&cbor);
}

/* --- one moment --- */

#define LETTERS 8

/* What the patterns of an answer say of all counters, where they are all the
 * patterns there are. */
typedef struct {
    uint64_t total;               /* frequencies */
    uint64_t members[LETTERS];    /* by letter */
    uint64_t symbols_in_patterns; /* of all letters */
    uint32_t n_symbols;
    bool seen[LETTERS]; /* in the present of any */
} moment;

static uint32_t
letter_at(const kf_predictions *all, const kf_prediction *p, uint32_t i)
{
    kf_text text = kf_symbols_text(all->root->symbols, p->pattern->ids[i]);
    CHECK(text.size == 1 && text.bytes[0] - 'A' < LETTERS);
    return (uint32_t)(text.bytes[0] - 'A');
}

static void
add_to_moment(const kf_predictions *all, const kf_prediction *p, moment *m)
{
    unsigned letters = 0;
    uint32_t end = kf_pattern_start(p->pattern, p->present_end);
    for (uint32_t i = 0; i < p->pattern->n; i++) {
        letters |= 1u << letter_at(all, p, i);
    }
    for (uint32_t letter = 0; letter < LETTERS; letter++) {
        if ((letters >> letter) & 1) {
            m->n_symbols += m->members[letter] == 0;
            m->members[letter] += p->frequency;
            m->symbols_in_patterns += p->frequency;
        }
    }
    for (uint32_t i = kf_pattern_start(p->pattern, p->past_end); i < end;
         i++) {
        m->seen[letter_at(all, p, i)] = true;
    }
    m->total += p->frequency;
}

/* The symbols of present, then those of the state, that the metrics of one
 * prediction are made from. */
static kf_metric_input
metric_input(const kf_predictions *all, const kf_prediction *p,
             const moment *m, const sequence *state,
             kf_symbol_use uses[LETTERS], uint32_t present[16])
{
    uint32_t use_of[LETTERS];
    kf_metric_input input = {
        .uses = uses, .present = present, .n_symbols = m->n_symbols};
    uint32_t start = kf_pattern_start(p->pattern, p->past_end);
    uint32_t end = kf_pattern_start(p->pattern, p->present_end);
    memset(use_of, 0xff, sizeof use_of);
    for (uint32_t i = start; i < end + state->n; i++) {
        bool in_state = i >= end;
        uint32_t letter =
            in_state ? (uint32_t)(*state->symbols[i - end].bytes - 'A')
                     : letter_at(all, p, i);
        if (in_state && !m->seen[letter]) {
            continue;
        }
        if (use_of[letter] == UINT32_MAX) {
            use_of[letter] = input.n_uses++;
            uses[use_of[letter]] = (kf_symbol_use){
                (double)m->members[letter] / (double)m->symbols_in_patterns, 0,
                0};
        }
        if (in_state) {
            uses[use_of[letter]].in_state++;
        }
        else {
            present[input.n++] = use_of[letter];
            uses[use_of[letter]].in_present++;
            input.n_present = input.n_uses;
        }
    }
    return input;
}

/* Every figure of a prediction that is made of counters. */
static bool
is_of_moment(const kf_predictions *all, const kf_prediction *p,
             const moment *m, const sequence *state)
{
    kf_symbol_use uses[LETTERS];
    uint32_t present[16];
    kf_metric_input input = metric_input(all, p, m, state, uses, present);
    double share = (double)p->frequency / (double)m->total;
    return p->pattern_probability == share &&
           p->weighted_strength == p->similarity * share &&
           p->entropy == kf_metric_entropy(&input) &&
           p->hamiltonian == kf_metric_hamiltonian(&input) &&
           p->grand_hamiltonian == kf_metric_grand_hamiltonian(&input) &&
           p->confluence == kf_metric_confluence(&input, share) &&
           p->itfdf_similarity ==
               kf_decimal_round12(1.0 - kf_metric_distance(&input) *
                                            (double)p->frequency /
                                            (double)m->total);
}

/* At 0.0 every pattern matches: frequencies, counters, and the patterns that
 * some are of, must all be those of the same moment. */
static void
ask_for_a_moment(kf_knowledge *knowledge, random_source *random)
{
    sequence state;
    kf_predictions *all;
    moment m = {0};
    bool good = true;
    write_pattern(random, &state);
    CHECK(kf_predict(knowledge,
                     &(kf_asked){.texts = state.symbols, .m = state.n}, 0.0,
                     SIZE_MAX, &all, NULL) == KF_OK);
    CHECK(all->count == all->matched);
    for (size_t i = 0; i < all->count; i++) {
        add_to_moment(all, &all->items[i], &m);
    }
    for (size_t i = 0; i < all->count && good; i++) {
        good = is_of_moment(all, &all->items[i], &m, &state);
    }
    CHECK(good);
    kf_predictions_free(all);
}

static void
ask_once(kf_knowledge *knowledge, random_source *random)
{
    sequence state;
    kf_predictions *predictions;
    kf_match_list list;
    double total = 0.0;
    write_pattern(random, &state);
    CHECK(kf_predict(knowledge,
                     &(kf_asked){.texts = state.symbols, .m = state.n}, 0.3,
                     20, &predictions, NULL) == KF_OK);
    CHECK(predictions->count <= predictions->matched);
    for (size_t i = 0; i < predictions->count; i++) {
        check_prediction(&predictions->items[i], state.n);
        total += predictions->items[i].pattern_probability;
    }
    CHECK(total < 1.0 + 1e-9);
    CHECK(predictions->count < predictions->matched ||
          predictions->matched == 0 || total > 1.0 - 1e-9);
    check_bytes(predictions);
    kf_predictions_free(predictions);
    CHECK(kf_match_all(knowledge, state.symbols, state.n, 0.3, &list, NULL) ==
          KF_OK);
    kf_match_list_free(&list);
    CHECK(kf_knowledge_memory(knowledge) > 0);
}

static void *
read_until_stopped(void *argument)
{
    shared *all = argument;
    random_source random = {next_seed(all)};
    while (!atomic_load(&all->stop)) {
        ask_once(all->knowledge, &random);
        if (!all->indexed) {
            ask_for_a_moment(all->knowledge, &random);
        }
        atomic_fetch_add(&all->questions, 1);
    }
    return NULL;
}

static kf_emotives *
random_emotives(random_source *random)
{
    kf_emotive item = {{"joy", 3}, random_below(random, 10)};
    kf_emotive_map map = {&item, 1};
    kf_emotives *emotives;
    CHECK(kf_emotives_new(&kf_alloc_default, &map, 1, &emotives, NULL) ==
          KF_OK);
    return emotives;
}

static void
write_once(kf_knowledge *knowledge, random_source *random)
{
    sequence made;
    kf_emotives *emotives = random_emotives(random);
    kf_sequence given;
    kf_learned learned;
    uint8_t name[KF_NAME_SIZE];
    bool found;
    write_pattern(random, &made);
    given = sequence_borrow(&made, emotives);
    kf_knowledge_name(knowledge, &given, name);
    switch (random_below(random, 8)) {
    case 0:
        CHECK(kf_knowledge_forget(knowledge, name, &found, NULL) == KF_OK);
        break;
    case 1:
        CHECK(kf_knowledge_put(knowledge, &given, 3, name, NULL) == KF_OK);
        break;
    case 2:
        if (random_below(random, 20) == 0) {
            CHECK(kf_knowledge_clear(knowledge, NULL) == KF_OK);
        }
        break;
    default:
        CHECK(kf_knowledge_learn(knowledge, &given, 1, &learned, NULL) ==
              KF_OK);
    }
    kf_emotives_release(emotives);
}

static void *
write_steps(void *argument)
{
    shared *all = argument;
    random_source random = {next_seed(all)};
    for (int step = 0; step < STEPS; step++) {
        write_once(all->knowledge, &random);
    }
    return NULL;
}

static void
test_readers_and_writers(random_source *random, bool indexed)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    shared all = {.knowledge = NULL};
    pthread_t readers[READERS];
    pthread_t writers[2];
    all.indexed = indexed;
    all.knowledge = sequence_knowledge(&alloc, indexed, 2);
    atomic_store(&all.seed, random_next(random));
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_create(&readers[i], NULL, read_until_stopped, &all) ==
              0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&writers[i], NULL, write_steps, &all) == 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_join(writers[i], NULL) == 0);
    }
    atomic_store(&all.stop, true);
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_join(readers[i], NULL) == 0);
    }
    CHECK(atomic_load(&all.questions) > READERS);
    kf_knowledge_free(all.knowledge);
    CHECK(memory.live == 0);
}

/* --- clearing beside learning --- */

/* Only new patterns, so that every table grows while it is cleared. */
static void *
learn_new_ones(void *argument)
{
    random_source random = {1};
    for (int i = 0; i < 4000; i++) {
        sequence made;
        sequence_random(&made, &random, 8, 8);
        CHECK(sequence_learn(argument, made.text, NULL) == KF_OK);
    }
    return NULL;
}

static void *
clear_now_and_then(void *argument)
{
    for (int i = 0; i < 40; i++) {
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
        CHECK(kf_knowledge_clear(argument, NULL) == KF_OK);
    }
    return NULL;
}

static void
test_clear_beside_learn(void)
{
    kf_knowledge *knowledge = sequence_knowledge(&kf_alloc_default, false, 2);
    pthread_t learner;
    pthread_t clearer;
    CHECK(pthread_create(&learner, NULL, learn_new_ones, knowledge) == 0);
    CHECK(pthread_create(&clearer, NULL, clear_now_and_then, knowledge) == 0);
    CHECK(pthread_join(learner, NULL) == 0);
    CHECK(pthread_join(clearer, NULL) == 0);
    kf_knowledge_free(knowledge);
}

/* --- one result, many readers --- */

static void *
read_result(void *argument)
{
    for (int i = 0; i < 100; i++) {
        check_bytes(argument);
    }
    return NULL;
}

static void
test_one_result_read_by_many(void)
{
    kf_knowledge *knowledge = sequence_knowledge(&kf_alloc_default, false, 2);
    kf_predictions *predictions;
    pthread_t readers[READERS];
    sequence state;
    CHECK(sequence_learn(knowledge, "A|B|C", NULL) == KF_OK);
    CHECK(sequence_learn(knowledge, "A|B|D", NULL) == KF_OK);
    sequence_read(&state, "AB");
    CHECK(kf_predict(knowledge, &(kf_asked){.texts = state.symbols, .m = 2},
                     0.1, 9, &predictions, NULL) == KF_OK);
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_create(&readers[i], NULL, read_result, predictions) ==
              0);
    }
    kf_knowledge_free(knowledge); /* the result has its own shares */
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_join(readers[i], NULL) == 0);
    }
    kf_predictions_free(predictions);
}

int
main(void)
{
    random_source random = random_start();
    for (int round = 0; round < 4; round++) {
        test_readers_and_writers(&random, round % 2 == 1);
    }
    test_clear_beside_learn();
    test_one_result_read_by_many();
    return check_report();
}
