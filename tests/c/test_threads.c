/* Threads that ask while one learns, forgets and clears: what each sees is a
 * whole. Meant for the thread sanitizer as well. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/prediction.h"
#include "kato_fast/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define READERS 3
#define STEPS 1500

typedef struct {
    kf_knowledge *knowledge;
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
    kf_write_predictions_cbor(&cbor, predictions);
    CHECK(!json.failed && json.data[0] == '[' &&
          json.data[json.size - 1] == ']');
    CHECK(!cbor.failed && cbor.size > 0);
    kf_buffer_free(&json);
    kf_buffer_free(&cbor);
}

static void
ask_once(kf_knowledge *knowledge, random_source *random)
{
    sequence state;
    kf_predictions *predictions;
    kf_match_list list;
    double total = 0.0;
    write_pattern(random, &state);
    CHECK(kf_predict(knowledge, state.symbols, state.n, 0.3, 20, &predictions,
                     NULL) == KF_OK);
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
    write_pattern(random, &made);
    given = sequence_borrow(&made, emotives);
    kf_knowledge_name(knowledge, &given, name);
    switch (random_below(random, 8)) {
    case 0:
        kf_knowledge_forget(knowledge, name);
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
test_readers_and_writers(random_source *random)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    shared all = {.knowledge = NULL};
    pthread_t readers[READERS];
    pthread_t writers[2];
    CHECK(kf_knowledge_new(&alloc, sequence_key, random_below(random, 2) == 0,
                           150, &all.knowledge, NULL) == KF_OK);
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
    kf_knowledge *knowledge;
    pthread_t learner;
    pthread_t clearer;
    CHECK(kf_knowledge_new(&kf_alloc_default, sequence_key, false, 150,
                           &knowledge, NULL) == KF_OK);
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
    kf_knowledge *knowledge;
    kf_predictions *predictions;
    pthread_t readers[READERS];
    sequence state;
    CHECK(kf_knowledge_new(&kf_alloc_default, sequence_key, false, 150,
                           &knowledge, NULL) == KF_OK);
    CHECK(sequence_learn(knowledge, "A|B|C", NULL) == KF_OK);
    CHECK(sequence_learn(knowledge, "A|B|D", NULL) == KF_OK);
    sequence_read(&state, "AB");
    CHECK(kf_predict(knowledge, state.symbols, 2, 0.1, 9, &predictions,
                     NULL) == KF_OK);
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
        test_readers_and_writers(&random);
    }
    test_clear_beside_learn();
    test_one_result_read_by_many();
    return check_report();
}
