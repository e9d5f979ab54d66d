/* Searches beside a writer that seals blocks, closes gaps, sets frequencies
 * and clears: every answer is that of one moment. Meant for the thread
 * sanitizer as well. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/prediction.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK 65536u
#define BEFORE (BLOCK - 300)
#define AFTER (BLOCK + 3000)
#define READERS 2
#define WIDE ((uint64_t)1 << 33)
/* The number that is put to WIDE, and one that is always there. */
#define PUT 1001u
#define KEPT 2003u

enum {
    LEARN,  /* up to AFTER, over the boundary */
    FORGET, /* the even ones, until gaps are closed */
    RELEARN,
    MEET, /* symbols that states already ask for */
    SET,  /* PUT to WIDE with emotives, and to 1 without */
    CLEAR,
    PHASES,
};

typedef struct {
    kf_knowledge *knowledge;
    atomic_int phase;
    atomic_uint next; /* the symbol that MEET will bring */
    atomic_uint questions[PHASES][READERS];
} shared;

typedef struct {
    shared *all;
    int number;
    int phase; /* of the last question */
    size_t matched;
    kf_match_list kept;
} reader;

/* --- answers --- */

/* Frequencies are 1 but for PUT's, which is never the first of a rank. */
static void
check_shares(const kf_predictions *all, bool may_be_wide)
{
    double few = (double)all->matched;
    double many = (double)(all->matched - 1 + WIDE);
    bool is_few = true;
    bool is_many = may_be_wide;
    for (size_t i = 0; i < all->count; i++) {
        const kf_prediction *p = &all->items[i];
        double frequency = (double)p->frequency;
        CHECK(p->frequency == 1 || (may_be_wide && p->frequency == WIDE));
        is_few = is_few && p->frequency == 1 &&
                 p->pattern_probability == frequency / few;
        is_many = is_many && p->pattern_probability == frequency / many;
    }
    CHECK(is_few || is_many);
}

/* How many patterns there are, as all the ways to ask say. */
static size_t
ask_for_all(reader *me)
{
    sequence state;
    kf_predictions *all;
    kf_match_list list;
    size_t matched;
    bool ascending = true;
    sequence_numbered(&state, 515);
    CHECK(kf_predict(me->all->knowledge,
                     &(kf_asked){.texts = state.symbols, .m = state.n}, 0.0,
                     10, &all, NULL) == KF_OK);
    matched = all->matched;
    CHECK(all->count == (matched < 10 ? matched : 10));
    check_shares(all, me->phase <= SET && atomic_load(&me->all->phase) >= SET);
    kf_predictions_free(all);
    CHECK(kf_match_all(me->all->knowledge, state.symbols, state.n, 0.0, &list,
                       NULL) == KF_OK);
    for (size_t i = 1; i < list.count; i++) {
        ascending = ascending && list.rows[i - 1] < list.rows[i];
    }
    CHECK(ascending);
    kf_match_list_free(&list);
    return matched;
}

/* Frequencies and counters, added up under the lock. */
static void
check_totals(kf_knowledge *knowledge)
{
    kf_knowledge_view view;
    uint64_t patterns = 0;
    uint64_t symbols = 0;
    size_t count = 0;
    kf_knowledge_lock_shared(knowledge);
    view = kf_knowledge_look(knowledge);
    for (uint32_t row = 0; row < view.n_rows; row++) {
        uint64_t frequency = kf_knowledge_frequency(knowledge, row);
        patterns += frequency;
        symbols +=
            frequency * (frequency != 0 ? kf_root_length(view.root, row) : 0);
        count += frequency != 0;
    }
    CHECK(view.counters->totals.patterns == patterns);
    CHECK(view.counters->totals.symbols == symbols);
    CHECK(count == kf_knowledge_count(knowledge));
    kf_knowledge_unlock_shared(knowledge);
}

/* Only the pattern itself is as similar; what it has was set at once. */
static void
ask_for_one(reader *me, uint32_t number)
{
    sequence state;
    kf_predictions *all;
    sequence_numbered(&state, number);
    CHECK(kf_predict(me->all->knowledge,
                     &(kf_asked){.texts = state.symbols, .m = state.n}, 1.0,
                     10, &all, NULL) == KF_OK);
    CHECK(all->count == 1 ||
          (all->count == 0 && atomic_load(&me->all->phase) >= CLEAR));
    for (size_t i = 0; i < all->count; i++) {
        const kf_prediction *p = &all->items[i];
        CHECK(p->similarity == 1.0 && p->pattern->n == state.n);
        CHECK(p->pattern_probability == 1.0);
        CHECK((p->frequency == WIDE) == (p->emotives != NULL));
        CHECK(p->frequency == 1 || p->frequency == WIDE);
    }
    kf_predictions_free(all);
}

/* x3 and a symbol that is unknown at first, and learned while the question is
 * looked for: then it is known everywhere. */
static void
ask_for_unknown(reader *me)
{
    uint32_t next = atomic_load(&me->all->next);
    sequence state = {.n = 0};
    kf_match_list list;
    bool good = true;
    sequence_add(&state, "x%u", 3);
    sequence_add(&state, "new %u", next);
    CHECK(kf_match_all(me->all->knowledge, state.symbols, 2, 0.4, &list,
                       NULL) == KF_OK);
    for (size_t i = 0; i < list.count; i++) {
        uint32_t ids[16];
        uint32_t n_events;
        kf_text second;
        if (kf_root_read(list.root, list.rows[i], ids, &n_events) == 2) {
            second = kf_symbols_text(list.root->symbols, ids[1]);
            good = good && (list.ratios[i] == 1.0) ==
                               (second.size == state.symbols[1].size &&
                                memcmp(second.bytes, state.symbols[1].bytes,
                                       second.size) == 0);
        }
    }
    CHECK(good);
    kf_match_list_free(&list);
}

static bool
has_name_of(kf_knowledge *knowledge, uint32_t number,
            const uint8_t name[KF_NAME_SIZE])
{
    sequence made;
    kf_sequence given;
    uint8_t expected[KF_NAME_SIZE];
    sequence_numbered(&made, number);
    given = sequence_borrow(&made, NULL);
    kf_knowledge_name(knowledge, &given, expected);
    return memcmp(name, expected, KF_NAME_SIZE) == 0;
}

static void
forget_kept(reader *me)
{
    if (me->kept.root != NULL) {
        kf_match_list_free(&me->kept);
    }
}

/* A list is kept for a while; its name is asked for when blocks were sealed,
 * copied and thrown away. */
static void
check_kept(reader *me)
{
    sequence state;
    uint8_t names[1][KF_NAME_SIZE];
    if (me->kept.count > 0) {
        CHECK(me->kept.count == 1);
        CHECK(kf_match_list_names(&me->kept, names, NULL) == KF_OK);
        CHECK(has_name_of(me->all->knowledge, KEPT, names[0]));
        if (atomic_load(&me->all->questions[me->phase][me->number]) % 4 != 0) {
            return;
        }
    }
    forget_kept(me);
    sequence_numbered(&state, KEPT);
    CHECK(kf_match_all(me->all->knowledge, state.symbols, state.n, 1.0,
                       &me->kept, NULL) == KF_OK);
}

static void
ask(reader *me)
{
    int phase = atomic_load(&me->all->phase);
    bool same = phase == me->phase;
    size_t matched;
    me->phase = phase;
    matched = ask_for_all(me);
    ask_for_one(me, KEPT);
    ask_for_one(me, PUT);
    if (phase == MEET) {
        ask_for_unknown(me);
    }
    check_totals(me->all->knowledge);
    check_kept(me);
    if (phase != atomic_load(&me->all->phase)) {
        me->phase = -1;
        return;
    }
    if (same) {
        CHECK(phase == FORGET || phase == CLEAR || matched >= me->matched);
        CHECK(phase != FORGET || matched <= me->matched);
        CHECK(phase != SET || matched == me->matched);
    }
    me->matched = matched;
    atomic_fetch_add(&me->all->questions[phase][me->number], 1);
}

static void *
ask_until_the_end(void *argument)
{
    reader *me = argument;
    me->phase = -1;
    while (atomic_load(&me->all->phase) < PHASES) {
        ask(me);
    }
    forget_kept(me);
    return NULL;
}

/* --- the writer --- */

static void
put_number(kf_knowledge *knowledge, uint32_t number, uint64_t frequency,
           kf_emotives *emotives)
{
    sequence made;
    kf_sequence given;
    uint8_t name[KF_NAME_SIZE];
    sequence_numbered(&made, number);
    given = sequence_borrow(&made, emotives);
    CHECK(kf_knowledge_put(knowledge, &given, frequency, name, NULL) == KF_OK);
}

static bool
asked_enough(shared *all, int phase)
{
    for (int i = 0; i < READERS; i++) {
        if (atomic_load(&all->questions[phase][i]) < 3) {
            return false;
        }
    }
    return true;
}

static void
learn_slowly(kf_knowledge *knowledge, uint32_t first, uint32_t end,
             uint32_t step)
{
    for (uint32_t number = first; number < end; number += step) {
        CHECK(sequence_learn_numbered(knowledge, number, number + 1) == KF_OK);
        if (number % 512 < step) {
            struct timespec pause = {0, 1000000};
            nanosleep(&pause, NULL);
        }
    }
}

static void
forget_even_ones(kf_knowledge *knowledge)
{
    uint32_t rows = kf_knowledge_look(knowledge).n_rows;
    for (uint32_t number = 0; number < AFTER; number += 2) {
        CHECK(sequence_forget_numbered(knowledge, number));
    }
    /* A few more, so that half of all rows are gaps. */
    for (uint32_t number = 1; number < 1000; number += 2) {
        CHECK(sequence_forget_numbered(knowledge, number));
    }
    CHECK(kf_knowledge_look(knowledge).n_rows < rows);
}

static void
bring_unknown_symbols(shared *all, random_source *random)
{
    for (uint32_t k = 0; k < 400 || !asked_enough(all, MEET); k++) {
        sequence made = {.n = 0, .ends = {1, 2}, .n_events = 2};
        kf_sequence given;
        kf_learned learned;
        struct timespec pause = {0, random_below(random, 3000000)};
        sequence_add(&made, "x%u", 3);
        sequence_add(&made, "new %u", k);
        given = sequence_borrow(&made, NULL);
        atomic_store(&all->next, k);
        nanosleep(&pause, NULL);
        CHECK(kf_knowledge_learn(all->knowledge, &given, 1, &learned, NULL) ==
              KF_OK);
    }
}

static void
set_to_and_fro(shared *all)
{
    kf_emotive item = {{"joy", 3}, 0.5};
    kf_emotive_map map = {&item, 1};
    kf_emotives *emotives;
    CHECK(kf_emotives_new(&kf_alloc_default, &map, 1, &emotives, NULL) ==
          KF_OK);
    for (int i = 0; i < 200 || !asked_enough(all, SET); i++) {
        struct timespec pause = {0, 1000000};
        put_number(all->knowledge, PUT, i % 2 == 0 ? WIDE : 1,
                   i % 2 == 0 ? emotives : NULL);
        nanosleep(&pause, NULL);
    }
    put_number(all->knowledge, PUT, 1, NULL);
    kf_emotives_release(emotives);
}

static void
clear_and_learn(shared *all)
{
    for (int i = 0; i < 5 || !asked_enough(all, CLEAR); i++) {
        CHECK(kf_knowledge_clear(all->knowledge, NULL) == KF_OK);
        learn_slowly(all->knowledge, 1, 3000, 1);
    }
}

static void
write_phase(shared *all, int phase, random_source *random)
{
    kf_knowledge *knowledge = all->knowledge;
    switch (phase) {
    case LEARN:
        learn_slowly(knowledge, BEFORE, AFTER, 1);
        CHECK(kf_knowledge_look(knowledge).root->n_blocks == 2);
        break;
    case FORGET:
        forget_even_ones(knowledge);
        break;
    case RELEARN:
        learn_slowly(knowledge, 0, AFTER, 2);
        learn_slowly(knowledge, 1, 1000, 2);
        break;
    case MEET:
        bring_unknown_symbols(all, random);
        break;
    case SET:
        set_to_and_fro(all);
        break;
    default:
        clear_and_learn(all);
    }
    while (!asked_enough(all, phase)) {
        struct timespec pause = {0, 1000000};
        nanosleep(&pause, NULL);
    }
}

static void
test_moments(unsigned threads, random_source *random)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    shared *all = calloc(1, sizeof *all);
    pthread_t ids[READERS];
    reader readers[READERS] = {{.number = 0}};
    all->knowledge = sequence_knowledge(&alloc, false, threads);
    CHECK(sequence_learn_numbered(all->knowledge, 0, BEFORE) == KF_OK);
    for (int i = 0; i < READERS; i++) {
        readers[i].all = all;
        readers[i].number = i;
        CHECK(pthread_create(&ids[i], NULL, ask_until_the_end, &readers[i]) ==
              0);
    }
    for (int phase = 0; phase < PHASES; phase++) {
        atomic_store(&all->phase, phase);
        write_phase(all, phase, random);
    }
    atomic_store(&all->phase, PHASES);
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_join(ids[i], NULL) == 0);
    }
    kf_knowledge_free(all->knowledge);
    free(all);
    CHECK(memory.live == 0);
}

int
main(void)
{
    random_source random = random_start();
    test_moments(1, &random);
    test_moments(2, &random);
    return check_report();
}
