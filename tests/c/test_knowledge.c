/* The knowledge base against a recount of its patterns; and that a call that
 * fails, at whichever allocation or sequence, leaves it as it was. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/columns.h"
#include "kato_fast/knowledge.h"

#include <string.h>

#define MOST 400
#define LETTERS 26

/* All that can be seen of a knowledge base. */
typedef struct {
    size_t count;
    struct {
        uint8_t name[KF_NAME_SIZE];
        uint64_t frequency;
        const kf_emotives *emotives;
    } rows[MOST];
    kf_totals totals;
    uint64_t frequency[LETTERS];
    uint64_t members[LETTERS];
    uint32_t n_symbols;
} picture;

/* The pattern of a row and its name, valid until the next call. */
static const kf_pattern *
read_row(const kf_knowledge_view *view, uint32_t row)
{
    static union {
        kf_pattern pattern;
        char bytes[sizeof(kf_pattern) + 8 * SEQUENCE_MAX];
    } room;
    kf_pattern *pattern = &room.pattern;
    CHECK(kf_root_length(view->root, row) <= SEQUENCE_MAX);
    pattern->n =
        kf_root_read(view->root, row, pattern->ids, &pattern->n_events);
    kf_root_name(view->root, view->unicode, row, pattern);
    return pattern;
}

static uint32_t
letter_id(const kf_knowledge_view *view, char letter)
{
    return kf_symbols_find(view->root->symbols, (kf_text){&letter, 1});
}

static void
take_picture(kf_knowledge *knowledge, picture *out)
{
    kf_knowledge_view view;
    memset(out, 0, sizeof *out);
    kf_knowledge_lock_shared(knowledge);
    view = kf_knowledge_look(knowledge);
    for (uint32_t row = 0; row < view.n_rows; row++) {
        uint64_t frequency = kf_knowledge_frequency(knowledge, row);
        if (frequency != 0) {
            memcpy(out->rows[out->count].name, read_row(&view, row)->name,
                   KF_NAME_SIZE);
            out->rows[out->count].frequency = frequency;
            out->rows[out->count++].emotives =
                kf_knowledge_emotives(knowledge, row);
        }
    }
    for (int i = 0; i < LETTERS; i++) {
        uint32_t id = letter_id(&view, (char)('A' + i));
        if (id != KF_SYMBOL_NONE && id < view.counters->capacity) {
            out->frequency[i] = view.counters->frequency[id];
            out->members[i] = view.counters->members[id];
        }
    }
    out->totals = view.counters->totals;
    out->n_symbols = view.counters->n_symbols;
    kf_knowledge_unlock_shared(knowledge);
}

static bool
same_picture(kf_knowledge *knowledge, const picture *before)
{
    static picture now;
    take_picture(knowledge, &now);
    return memcmp(&now, before, sizeof now) == 0;
}

static uint32_t
find(kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE])
{
    uint32_t row = 0;
    CHECK(kf_knowledge_find(knowledge, name, &row, NULL) == KF_OK);
    return row;
}

static bool
forget(kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE])
{
    bool found = false;
    CHECK(kf_knowledge_forget(knowledge, name, &found, NULL) == KF_OK);
    return found;
}

/* Names lead to their rows, lengths are right, counters equal a recount. */
static void
check_recount(kf_knowledge *knowledge)
{
    kf_knowledge_view view = kf_knowledge_look(knowledge);
    kf_totals totals = {0, 0, 0};
    size_t count = 0;
    for (uint32_t row = 0; row < view.n_rows; row++) {
        uint64_t frequency = kf_knowledge_frequency(knowledge, row);
        const kf_pattern *here = read_row(&view, row);
        uint32_t seen = 0;
        if (frequency == 0) {
            CHECK(kf_knowledge_emotives(knowledge, row) == NULL);
            CHECK(find(knowledge, here->name) != row);
            continue;
        }
        count++;
        CHECK(find(knowledge, here->name) == row);
        CHECK(here->n == kf_root_length(view.root, row) &&
              here->n <= view.longest);
        for (uint32_t i = 0; i < here->n; i++) {
            seen |= 1u << here->ids[i];
        }
        totals.patterns += frequency;
        totals.symbols += frequency * here->n;
        totals.symbols_in_patterns +=
            frequency * (unsigned)__builtin_popcount(seen);
    }
    CHECK(count == kf_knowledge_count(knowledge));
    CHECK(totals.patterns == view.counters->totals.patterns);
    CHECK(totals.symbols == view.counters->totals.symbols);
    CHECK(totals.symbols_in_patterns ==
          view.counters->totals.symbols_in_patterns);
}

static kf_knowledge *
new_knowledge(const kf_alloc *alloc)
{
    return sequence_knowledge(alloc, false, 1);
}

static kf_emotives *
new_emotives(double value)
{
    kf_emotive item = {{"joy", 3}, value};
    kf_emotive_map map = {&item, 1};
    kf_emotives *emotives = NULL;
    CHECK(kf_emotives_new(&kf_alloc_default, &map, 1, &emotives, NULL) ==
          KF_OK);
    return emotives;
}

/* --- what calls do --- */

static void
random_step(kf_knowledge *knowledge, random_source *random)
{
    sequence made;
    kf_sequence given;
    uint8_t name[KF_NAME_SIZE];
    kf_learned learned;
    size_t before = kf_knowledge_count(knowledge);
    bool known;
    sequence_random(&made, random, 2 + random_below(random, 4), 5);
    given = sequence_borrow(&made, NULL);
    kf_knowledge_name(knowledge, &given, name);
    known = find(knowledge, name) != KF_NO_ROW;
    switch (random_below(random, 4)) {
    case 0:
        CHECK(forget(knowledge, name) == known);
        CHECK(kf_knowledge_count(knowledge) == before - known);
        break;
    case 1:
        CHECK(kf_knowledge_put(knowledge, &given, 7, name, NULL) == KF_OK);
        CHECK(kf_knowledge_frequency(knowledge, find(knowledge, name)) == 7);
        break;
    default:
        CHECK(kf_knowledge_learn(knowledge, &given, 1, &learned, NULL) ==
              KF_OK);
        CHECK(learned.is_new == !known);
        CHECK(memcmp(learned.name, name, KF_NAME_SIZE) == 0);
        CHECK(kf_knowledge_count(knowledge) == before + !known);
    }
}

static void
test_any_order_of_calls(random_source *random)
{
    kf_knowledge *knowledge = new_knowledge(&kf_alloc_default);
    for (int step = 0; step < 6000; step++) {
        if (kf_knowledge_count(knowledge) >= MOST - 10 ||
            random_below(random, 1000) == 0) {
            CHECK(kf_knowledge_clear(knowledge, NULL) == KF_OK);
            CHECK(kf_knowledge_count(knowledge) == 0);
        }
        random_step(knowledge, random);
        if (step % 20 == 0) {
            check_recount(knowledge);
        }
    }
    kf_knowledge_free(knowledge);
}

static void
learn(kf_knowledge *knowledge, const char *text)
{
    CHECK(sequence_learn(knowledge, text, NULL) == KF_OK);
}

/* Forgetting most of many closes the gaps; the order stays. */
static void
test_gaps_close(void)
{
    kf_knowledge *knowledge = new_knowledge(&kf_alloc_default);
    static uint8_t names[3000][KF_NAME_SIZE];
    char text[] = "AA|AA";
    static picture left;
    for (int i = 0; i < 3000; i++) {
        sequence made;
        kf_sequence given;
        text[0] = (char)('A' + i % 20);
        text[1] = (char)('A' + i / 400);
        text[3] = (char)('A' + i / 20 % 20);
        sequence_read(&made, text);
        given = sequence_borrow(&made, NULL);
        kf_knowledge_name(knowledge, &given, names[i]);
        learn(knowledge, text);
    }
    for (int i = 0; i < 3000; i++) {
        CHECK(i % 10 == 9 || forget(knowledge, names[i]));
    }
    check_recount(knowledge);
    CHECK(kf_knowledge_look(knowledge).n_rows < 600);
    take_picture(knowledge, &left);
    CHECK(left.count == 300);
    for (size_t i = 0; i < left.count; i++) {
        CHECK(memcmp(left.rows[i].name, names[10 * i + 9], KF_NAME_SIZE) == 0);
    }
    kf_knowledge_free(knowledge);
}

/* The frequency and emotives of the only pattern. */
static uint64_t
only_frequency(kf_knowledge *knowledge)
{
    CHECK(kf_knowledge_count(knowledge) == 1);
    return kf_knowledge_frequency(knowledge, 0);
}

static const kf_emotives *
only_emotives(kf_knowledge *knowledge)
{
    CHECK(kf_knowledge_count(knowledge) == 1);
    return kf_knowledge_emotives(knowledge, 0);
}

static void
test_emotives_are_replaced_or_left(void)
{
    kf_knowledge *knowledge = new_knowledge(&kf_alloc_default);
    kf_emotives *emotives = new_emotives(1.0);
    size_t without;
    uint8_t name[KF_NAME_SIZE];
    sequence made;
    kf_sequence given;
    sequence_read(&made, "AB|C");
    given = sequence_borrow(&made, NULL);
    learn(knowledge, "AB|C");
    without = kf_knowledge_memory(knowledge);
    CHECK(only_emotives(knowledge) == NULL);
    CHECK(sequence_learn(knowledge, "AB|C", emotives) == KF_OK);
    CHECK(only_emotives(knowledge) == emotives);
    without += KF_COLUMN_ROWS * sizeof(kf_emotives *); /* stays */
    CHECK(kf_knowledge_memory(knowledge) ==
          without + kf_emotives_memory(emotives));
    learn(knowledge, "AB|C");
    CHECK(only_emotives(knowledge) == emotives);
    CHECK(only_frequency(knowledge) == 3);
    CHECK(kf_knowledge_put(knowledge, &given, 2, name, NULL) == KF_OK);
    CHECK(only_emotives(knowledge) == NULL);
    CHECK(kf_knowledge_memory(knowledge) == without);
    kf_emotives_release(emotives);
    kf_knowledge_free(knowledge);
    kf_knowledge_free(NULL);
}

/* --- memory of what is forgotten --- */

/* Learn a pattern of a symbol that comes only once, and forget it. */
static void
learn_and_forget(kf_knowledge *knowledge, int number)
{
    char symbol[16];
    kf_text symbols[20];
    uint32_t ends[1] = {20};
    kf_sequence given = {symbols, 20, ends, 1, NULL};
    kf_learned learned;
    int size = snprintf(symbol, sizeof symbol, "only %d", number);
    for (int i = 0; i < 20; i++) {
        symbols[i] = (kf_text){symbol, i == 0 ? (size_t)size : 1};
    }
    CHECK(kf_knowledge_learn(knowledge, &given, 1, &learned, NULL) == KF_OK);
    CHECK(forget(knowledge, learned.name));
}

static void
learn_some(kf_knowledge *knowledge, kf_emotives *emotives)
{
    CHECK(sequence_learn(knowledge, "AB|C", emotives) == KF_OK);
    learn(knowledge, "X|Y|Z");
    learn(knowledge, "AB|C");
}

static void
test_forgotten_patterns_give_their_memory_back(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_knowledge *knowledge = new_knowledge(&alloc);
    kf_emotives *emotives = new_emotives(1.0);
    picture before;
    size_t most = 0;
    learn_some(knowledge, emotives);
    take_picture(knowledge, &before);
    for (int i = 0; i < 30000; i++) {
        learn_and_forget(knowledge, i);
        most = kf_knowledge_memory(knowledge) > most
                   ? kf_knowledge_memory(knowledge)
                   : most;
    }
    CHECK(same_picture(knowledge, &before));
    check_recount(knowledge);
    CHECK(most < 1000000); /* all of them would be over 4 MB */
    kf_emotives_release(emotives);
    kf_knowledge_free(knowledge);
    CHECK(memory.live == 0);
}

/* How often a new knowledge base can learn and forget before the next time
 * makes it give memory back. */
static int
steps_to_giving_back(void)
{
    kf_knowledge *knowledge = new_knowledge(&kf_alloc_default);
    size_t before = 0;
    int steps = 0;
    learn_some(knowledge, NULL);
    while (before <= kf_knowledge_memory(knowledge)) {
        before = kf_knowledge_memory(knowledge);
        learn_and_forget(knowledge, steps++);
    }
    kf_knowledge_free(knowledge);
    return steps - 1;
}

/* Giving back may fail at any allocation, and is tried again later. */
static void
test_giving_back_without_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_emotives *emotives = new_emotives(1.0);
    int steps = steps_to_giving_back();
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        size_t nth = check_memory_pause(&memory);
        kf_knowledge *knowledge = new_knowledge(&alloc);
        int i = 0;
        size_t before;
        picture seen;
        learn_some(knowledge, emotives);
        take_picture(knowledge, &seen);
        for (; i < steps; i++) {
            learn_and_forget(knowledge, i);
        }
        before = kf_knowledge_memory(knowledge);
        check_memory_arm(&memory, nth + 1); /* the first is of learning */
        learn_and_forget(knowledge, i);
        nth = check_memory_pause(&memory);
        done = kf_knowledge_memory(knowledge) < before;
        failures += !done;
        CHECK(same_picture(knowledge, &seen));
        check_recount(knowledge);
        learn_and_forget(knowledge, i);
        CHECK(kf_knowledge_memory(knowledge) < before);
        kf_knowledge_free(knowledge);
        memory.fail_at = nth;
    }
    CHECK(failures >= 5);
    kf_emotives_release(emotives);
}

/* A batch that is undone, again and again. */
static void
test_failing_calls_keep_no_memory(void)
{
    kf_knowledge *knowledge = new_knowledge(&kf_alloc_default);
    sequence made[2];
    kf_sequence given[2];
    kf_learned learned[2];
    uint8_t name[KF_NAME_SIZE];
    size_t memory;
    sequence_read(&made[0], "XYZ");
    sequence_read(&made[1], "AB|C");
    given[0] = sequence_borrow(&made[0], NULL);
    given[1] = sequence_borrow(&made[1], NULL);
    CHECK(kf_knowledge_put(knowledge, &given[1], KF_COUNTER_MAX / 3 - 1, name,
                           NULL) == KF_OK);
    memory = kf_knowledge_memory(knowledge);
    for (int i = 0; i < 20000; i++) {
        CHECK(kf_knowledge_learn(knowledge, given, 2, learned, NULL) ==
              KF_TOO_LARGE);
    }
    CHECK(kf_knowledge_count(knowledge) == 1);
    CHECK(kf_knowledge_memory(knowledge) < memory + 200000);
    kf_knowledge_free(knowledge);
}

/* --- what failing calls leave --- */

#define TEN "NO|P|NOPQR"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

#define BATCH 6

/* New patterns, one of them twice, one longer than what is left of a block
 * of memory, and one that is known. */
static void
read_batch(sequence made[BATCH], kf_sequence given[BATCH],
           kf_emotives *emotives)
{
    static const char *const texts[BATCH] = {"XY|Z",  "AB|C",         "XY|Z",
                                             "QRSTU", LONG LONG LONG, "AB|C"};
    for (int i = 0; i < BATCH; i++) {
        sequence_read(&made[i], texts[i]);
        given[i] = sequence_borrow(&made[i], i % 2 ? emotives : NULL);
    }
}

/* 50 others: the table of names is about to grow. */
#define NAMES_FULL 50

/* Known: AB|C with emotives, and others, none of them long. */
static kf_knowledge *
prepare(const kf_alloc *alloc, kf_emotives *emotives, int others)
{
    kf_knowledge *knowledge = new_knowledge(alloc);
    char text[] = "A|A";
    CHECK(sequence_learn(knowledge, "AB|C", emotives) == KF_OK);
    for (int i = 0; i < others; i++) {
        text[0] = (char)('A' + i % 7);
        text[2] = (char)('A' + i / 7);
        learn(knowledge, text);
    }
    return knowledge;
}

static void
test_batch_is_undone_without_memory(int others)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_emotives *old = new_emotives(1.0);
    kf_emotives *new = new_emotives(2.0);
    sequence made[BATCH];
    kf_sequence given[BATCH];
    static picture before;
    int failures = 0;
    read_batch(made, given, new);
    CHECK_EACH_FAILURE (memory, done) {
        size_t nth = check_memory_pause(&memory);
        kf_knowledge *knowledge = prepare(&alloc, old, others);
        kf_learned learned[BATCH];
        kf_error err;
        take_picture(knowledge, &before);
        check_memory_arm(&memory, nth);
        done = kf_knowledge_learn(knowledge, given, BATCH, learned, &err) ==
               KF_OK;
        nth = check_memory_pause(&memory);
        failures += !done;
        CHECK(done || err.code == KF_NO_MEMORY);
        CHECK(same_picture(knowledge, &before) == !done);
        check_recount(knowledge);
        CHECK(kf_knowledge_learn(knowledge, given, BATCH, learned, NULL) ==
              KF_OK);
        CHECK(kf_knowledge_count(knowledge) == (size_t)others + 1 + 3);
        check_recount(knowledge);
        kf_knowledge_free(knowledge);
        memory.fail_at = nth;
    }
    CHECK(failures >= 2);
    kf_emotives_release(old);
    kf_emotives_release(new);
}

/* The last of a batch would make a counter too large. */
static void
test_batch_is_undone_at_the_limit(void)
{
    kf_emotives *old = new_emotives(1.0);
    kf_emotives *new = new_emotives(2.0);
    kf_knowledge *knowledge = prepare(&kf_alloc_default, old, NAMES_FULL);
    sequence made[BATCH];
    kf_sequence given[BATCH];
    kf_learned learned[BATCH];
    static picture before;
    uint8_t name[KF_NAME_SIZE];
    kf_error err;
    uint64_t used = kf_knowledge_look(knowledge).counters->totals.symbols;
    read_batch(made, given, new);
    /* The batch has more symbols than fit. */
    CHECK(kf_knowledge_put(knowledge, &given[1],
                           (KF_COUNTER_MAX - used - 1) / 3, name,
                           NULL) == KF_OK);
    take_picture(knowledge, &before);
    for (int round = 0; round < 3; round++) {
        CHECK(kf_knowledge_learn(knowledge, given, BATCH, learned, &err) ==
              KF_TOO_LARGE);
        CHECK(err.code == KF_TOO_LARGE && same_picture(knowledge, &before));
        CHECK(kf_knowledge_put(knowledge, &given[3], 1000, name, &err) ==
              KF_TOO_LARGE);
        CHECK(same_picture(knowledge, &before));
        CHECK(kf_knowledge_put(knowledge, &given[1], KF_COUNTER_MAX, name,
                               &err) == KF_TOO_LARGE);
        CHECK(same_picture(knowledge, &before));
    }
    check_recount(knowledge);
    kf_knowledge_free(knowledge);
    kf_emotives_release(old);
    kf_emotives_release(new);
}

static void
test_new_without_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_knowledge *knowledge = new_knowledge(&alloc);
        done = knowledge != NULL;
        failures += !done;
        kf_knowledge_free(knowledge);
    }
    CHECK(failures >= 4);
}

/* The first frequency of its block that takes 64 bits, and the first
 * emotives. */
static void
test_put_without_memory(int others, const char *text)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_emotives *emotives = new_emotives(2.0);
    int failures = 0;
    static picture before;
    CHECK_EACH_FAILURE (memory, done) {
        size_t nth = check_memory_pause(&memory);
        kf_knowledge *knowledge = prepare(&alloc, NULL, others);
        uint8_t name[KF_NAME_SIZE];
        sequence made;
        kf_sequence given;
        sequence_read(&made, text);
        given = sequence_borrow(&made, emotives);
        take_picture(knowledge, &before);
        check_memory_arm(&memory, nth);
        done = kf_knowledge_put(knowledge, &given, (uint64_t)5 << 32, name,
                                NULL) == KF_OK;
        nth = check_memory_pause(&memory);
        failures += !done;
        CHECK(same_picture(knowledge, &before) == !done);
        CHECK(!done ||
              kf_knowledge_frequency(knowledge, find(knowledge, name)) ==
                  (uint64_t)5 << 32);
        check_recount(knowledge);
        kf_knowledge_free(knowledge);
        memory.fail_at = nth;
    }
    CHECK(failures == 2 + (others == NAMES_FULL));
    kf_emotives_release(emotives);
}

/* A pattern that was put, longer than all that were read back before. */
static void
test_forget_without_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    static picture before;
    CHECK_EACH_FAILURE (memory, done) {
        size_t nth = check_memory_pause(&memory);
        kf_knowledge *knowledge = prepare(&alloc, NULL, 5);
        uint8_t name[KF_NAME_SIZE];
        sequence made;
        kf_sequence given;
        bool found = false;
        uint32_t row = 77;
        sequence_read(&made, LONG);
        given = sequence_borrow(&made, NULL);
        CHECK(kf_knowledge_put(knowledge, &given, 5, name, NULL) == KF_OK);
        take_picture(knowledge, &before);
        check_memory_arm(&memory, nth);
        done = kf_knowledge_find(knowledge, name, &row, NULL) == KF_OK;
        CHECK(row == (done ? 6 : 77));
        done = done &&
               kf_knowledge_forget(knowledge, name, &found, NULL) == KF_OK;
        nth = check_memory_pause(&memory);
        failures += !done;
        CHECK(found == done);
        CHECK(same_picture(knowledge, &before) == !done);
        CHECK(forget(knowledge, name) == !done);
        check_recount(knowledge);
        kf_knowledge_free(knowledge);
        memory.fail_at = nth;
    }
    CHECK(failures == 2);
}

static void
test_clear_without_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_emotives *emotives = new_emotives(1.0);
    static picture before;
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        size_t nth = check_memory_pause(&memory);
        kf_knowledge *knowledge = prepare(&alloc, emotives, NAMES_FULL);
        kf_error err;
        take_picture(knowledge, &before);
        check_memory_arm(&memory, nth);
        done = kf_knowledge_clear(knowledge, &err) == KF_OK;
        nth = check_memory_pause(&memory);
        failures += !done;
        CHECK(same_picture(knowledge, &before) == !done);
        CHECK(kf_knowledge_count(knowledge) == (done ? 0 : 1 + NAMES_FULL));
        learn(knowledge, "XY|Z");
        check_recount(knowledge);
        kf_knowledge_free(knowledge);
        memory.fail_at = nth;
    }
    CHECK(failures >= 6);
    kf_emotives_release(emotives);
}

int
main(void)
{
    random_source random = random_start();
    test_any_order_of_calls(&random);
    test_gaps_close();
    test_emotives_are_replaced_or_left();
    test_forgotten_patterns_give_their_memory_back();
    test_giving_back_without_memory();
    test_failing_calls_keep_no_memory();
    test_batch_is_undone_without_memory(NAMES_FULL);
    test_batch_is_undone_without_memory(0);
    test_batch_is_undone_at_the_limit();
    test_new_without_memory();
    test_put_without_memory(NAMES_FULL, "XY|Z");
    test_put_without_memory(0, "AB|C");
    test_forget_without_memory();
    test_clear_without_memory();
    return check_report();
}
