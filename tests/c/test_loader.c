/* A load in batches against the same patterns put one by one; what a wrong
 * name and each failing allocation leave. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/loader.h"
#include "kato_fast/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Patterns as they come from a store. */
typedef struct {
    sequence sequences[KF_LOADER_MAX];
    char names[KF_LOADER_MAX][KF_NAME_HEX_SIZE];
    kf_loaded items[KF_LOADER_MAX];
    size_t count;
} batch;

static kf_loaded *
add(batch *to, const kf_knowledge *knowledge, uint64_t frequency)
{
    uint8_t name[KF_NAME_SIZE];
    size_t i = to->count++;
    to->items[i] = (kf_loaded){sequence_borrow(&to->sequences[i], NULL),
                               frequency,
                               {to->names[i], KF_NAME_HEX_SIZE}};
    kf_knowledge_name(knowledge, &to->items[i].sequence, name);
    kf_name_to_hex(name, to->names[i]);
    return &to->items[i];
}

static void
add_numbered(batch *to, const kf_knowledge *knowledge, uint32_t number)
{
    sequence_numbered(&to->sequences[to->count], number);
    add(to, knowledge, 1 + number % 9);
}

static void
add_text(batch *to, const kf_knowledge *knowledge, const char *text)
{
    sequence_read(&to->sequences[to->count], text);
    add(to, knowledge, 2);
}

static void
load(kf_loader *loader, batch *from)
{
    size_t done = 0;
    CHECK(kf_loader_put(loader, from->items, from->count, &done, NULL) ==
          KF_OK);
    CHECK(done == from->count);
    from->count = 0;
}

static kf_loader *
loader_of(kf_knowledge *knowledge)
{
    kf_loader *loader = NULL;
    CHECK(kf_loader_new(knowledge, &loader, NULL) == KF_OK);
    return loader;
}

/* Patterns, counters and order are equal. */
static void
check_equal(kf_knowledge *one, kf_knowledge *other)
{
    kf_knowledge_view first = kf_knowledge_look(one);
    kf_knowledge_view second = kf_knowledge_look(other);
    static uint32_t ids[2][2 * SEQUENCE_MAX];
    CHECK(first.n_rows == second.n_rows && first.longest == second.longest);
    CHECK(memcmp(&first.counters->totals, &second.counters->totals,
                 sizeof(kf_totals)) == 0);
    for (uint32_t row = 0; row < first.n_rows; row++) {
        uint32_t events[2];
        uint32_t n = kf_root_read(first.root, row, ids[0], &events[0]);
        CHECK(n == kf_root_read(second.root, row, ids[1], &events[1]));
        CHECK(events[0] == events[1]);
        CHECK(memcmp(ids[0], ids[1], (n + events[0]) * sizeof **ids) == 0);
        CHECK(kf_knowledge_frequency(one, row) ==
              kf_knowledge_frequency(other, row));
    }
}

/* None before a search has looked at the open block, and no gap after. */
static void
check_pieces(kf_knowledge *knowledge, kf_loader *loader)
{
    kf_knowledge_view view = kf_knowledge_look(knowledge);
    const kf_head *head = view.root->blocks[1].head;
    static batch some;
    CHECK(head->n_pieces == 0);
    kf_knowledge_ask_pieces(knowledge, view.root, view.n_rows);
    CHECK(head->n_pieces == head->count / KF_HEAD_PIECE);
    for (uint32_t i = 0; i < KF_HEAD_PIECE; i++) {
        add_numbered(&some, knowledge, view.n_rows + i);
        if (some.count == KF_LOADER_MAX) {
            load(loader, &some);
        }
    }
    kf_loader_end(loader);
    CHECK(head->n_pieces == head->count / KF_HEAD_PIECE);
}

static const uint32_t MANY = KF_SEGMENT_ROWS + 2 * KF_HEAD_PIECE + 100;

/* Some come again, with another frequency; heads fill inside of a batch. */
static void
test_equal_to_one_by_one(void)
{
    kf_knowledge *loaded = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_knowledge *put = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_loader *loader = loader_of(loaded);
    static batch some;
    for (uint32_t i = 0; i < MANY; i++) {
        uint8_t name[KF_NAME_SIZE];
        kf_loaded *last;
        add_numbered(&some, loaded, i % 50 == 49 ? i / 2 : i);
        last = &some.items[some.count - 1];
        CHECK(kf_knowledge_put(put, &last->sequence, last->frequency, name,
                               NULL) == KF_OK);
        if (some.count == KF_LOADER_MAX || i % 1000 == 0 || i + 1 == MANY) {
            load(loader, &some);
        }
    }
    kf_loader_end(loader);
    check_equal(loaded, put);
    CHECK(kf_knowledge_look(loaded).root->n_blocks == 2);
    check_pieces(loaded, loader_of(loaded));
    check_pieces(put, loader_of(put));
    kf_knowledge_free(loaded);
    kf_knowledge_free(put);
}

/* Symbols of all sizes around the shortcut's, one a part of the other. */
static void
test_symbols_of_any_size(void)
{
    static const char letters[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa9";
    kf_knowledge *loaded = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_loader *loader = loader_of(loaded);
    kf_text symbols[64];
    uint32_t ids[128];
    uint32_t ends[1] = {64};
    uint32_t events;
    uint8_t name[KF_NAME_SIZE];
    char hex[KF_NAME_HEX_SIZE];
    kf_loaded item = {{symbols, 64, ends, 1, NULL}, 1, {hex, sizeof hex}};
    size_t done = 0;
    for (size_t i = 0; i < 64; i++) {
        symbols[i] = (kf_text){letters + i / 32, i % 32};
    }
    symbols[63] = (kf_text){letters + 17, sizeof letters - 18};
    kf_knowledge_name(loaded, &item.sequence, name);
    kf_name_to_hex(name, hex);
    CHECK(kf_loader_put(loader, &item, 1, &done, NULL) == KF_OK);
    kf_loader_end(loader);
    CHECK(kf_root_read(kf_knowledge_look(loaded).root, 0, ids, &events) == 64);
    for (size_t i = 0; i < 64; i++) {
        kf_text text =
            kf_symbols_text(kf_knowledge_look(loaded).root->symbols, ids[i]);
        CHECK(text.size == symbols[i].size &&
              memcmp(text.bytes, symbols[i].bytes, text.size) == 0);
    }
    kf_knowledge_free(loaded);
}

/* A symbol of up to 20 bytes, plain or not, with what may be read behind it
 * and no more. */
static kf_text
random_symbol(random_source *random)
{
    static const char *const letters[] = {"a",  "b",  "c",        " ",
                                          "[",  ",",  "\xc3\xa9", "'",
                                          "\"", "\\", "\n",       "\x7f"};
    uint32_t kinds = random_below(random, 4) > 0 ? 6 : 12;
    uint32_t count = random_below(random, 20);
    char *bytes = malloc(2 * 20 + KF_SHORT_MAX);
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *letter = letters[random_below(random, kinds)];
        memcpy(bytes + size, letter, strlen(letter));
        size += strlen(letter);
    }
    bytes = realloc(bytes, size < KF_SHORT_MAX ? KF_SHORT_MAX : size);
    return (kf_text){bytes, size};
}

#define PATTERN_MAX 60u

typedef struct {
    kf_text symbols[PATTERN_MAX];
    uint32_t ends[PATTERN_MAX];
    char hex[KF_NAME_HEX_SIZE];
} any_pattern;

static kf_loaded
random_pattern(random_source *random, const kf_knowledge *knowledge,
               any_pattern *made)
{
    uint32_t n = 2 + random_below(random, PATTERN_MAX - 1);
    uint8_t name[KF_NAME_SIZE];
    kf_loaded item = {{made->symbols, n, made->ends, 0, NULL},
                      1,
                      {made->hex, sizeof made->hex}};
    for (uint32_t i = 0; i < n; i++) {
        made->symbols[i] = random_symbol(random);
        if (i + 1 == n || random_below(random, 2) == 0) {
            made->ends[item.sequence.n_events++] = i + 1;
        }
    }
    kf_knowledge_name(knowledge, &item.sequence, name);
    kf_name_to_hex(name, made->hex);
    return item;
}

/* Batches of any size whose patterns are short or long, plain or not, have
 * the names that they have alone. */
static void
test_names_of_any_kind(void)
{
    kf_knowledge *loaded = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_knowledge *put = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_loader *loader = loader_of(loaded);
    random_source random = random_start();
    static any_pattern made[KF_LOADER_MAX];
    for (size_t count = 0; count <= KF_LOADER_MAX; count++) {
        kf_loaded items[KF_LOADER_MAX];
        size_t done = 0;
        for (size_t i = 0; i < count; i++) {
            uint8_t name[KF_NAME_SIZE];
            items[i] = random_pattern(&random, loaded, &made[i]);
            CHECK(kf_knowledge_put(put, &items[i].sequence, 1, name, NULL) ==
                  KF_OK);
        }
        CHECK(kf_loader_put(loader, items, count, &done, NULL) == KF_OK);
        CHECK(done == count);
        for (size_t i = 0; i < count; i++) {
            for (uint32_t k = 0; k < items[i].sequence.n; k++) {
                free((char *)made[i].symbols[k].bytes);
            }
        }
    }
    kf_loader_end(loader);
    check_equal(loaded, put);
    kf_knowledge_free(loaded);
    kf_knowledge_free(put);
}

/* Many symbols, so that what a load remembers of them grows. */
static void
test_many_symbols(void)
{
    kf_knowledge *loaded = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_knowledge *put = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_loader *loader = loader_of(loaded);
    static batch some;
    for (uint32_t i = 0; i < 60000; i++) {
        uint8_t name[KF_NAME_SIZE];
        sequence *next = &some.sequences[some.count];
        next->n = 0;
        next->n_events = 1;
        sequence_add(next, "s%u", i % 50000);
        sequence_add(next, "t%u", i * 7 % 50000);
        next->ends[0] = next->n;
        add(&some, loaded, 1);
        CHECK(kf_knowledge_put(put, &some.items[some.count - 1].sequence, 1,
                               name, NULL) == KF_OK);
        if (some.count == KF_LOADER_MAX) {
            load(loader, &some);
        }
    }
    load(loader, &some);
    kf_loader_end(loader);
    check_equal(loaded, put);
    kf_knowledge_free(loaded);
    kf_knowledge_free(put);
}

/* Those before it are in; the one behind it is not. */
static void
test_a_wrong_name(void)
{
    kf_knowledge *knowledge = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_loader *loader = loader_of(knowledge);
    static batch some;
    kf_error err = {.code = KF_OK};
    size_t done = 9;
    add_text(&some, knowledge, "A|B");
    add_text(&some, knowledge, "C|D");
    add_text(&some, knowledge, "E|F");
    some.names[1][3] ^= 1;
    CHECK(kf_loader_put(loader, some.items, 3, &done, &err) == KF_INVALID);
    CHECK(done == 1 && kf_knowledge_count(knowledge) == 1);
    CHECK(strstr(err.message, "its events have the name") != NULL);
    some.names[1][3] ^= 1;
    some.items[2].name.size--;
    CHECK(kf_loader_put(loader, some.items, 3, &done, NULL) == KF_INVALID);
    CHECK(done == 2 && kf_knowledge_count(knowledge) == 2);
    kf_loader_end(loader);
    kf_loader_end(NULL);
    kf_knowledge_free(knowledge);
}

/* Ids of before mean nothing afterwards. */
static void
test_cleared_meanwhile(void)
{
    kf_knowledge *loaded = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_knowledge *fresh = sequence_knowledge(&kf_alloc_default, false, 1);
    kf_loader *loader = loader_of(loaded);
    static batch some;
    add_text(&some, loaded, "A|B");
    load(loader, &some);
    CHECK(kf_knowledge_clear(loaded, NULL) == KF_OK);
    add_text(&some, loaded, "B|A|C");
    load(loader, &some);
    kf_loader_end(loader);
    loader = loader_of(fresh);
    add_text(&some, fresh, "B|A|C");
    load(loader, &some);
    kf_loader_end(loader);
    check_equal(loaded, fresh);
    kf_knowledge_free(loaded);
    kf_knowledge_free(fresh);
}

static bool
load_numbered(kf_knowledge *knowledge, uint32_t first, uint32_t count)
{
    static batch some;
    kf_loader *loader = NULL;
    size_t done = 0;
    bool fine = kf_loader_new(knowledge, &loader, NULL) == KF_OK;
    size_t before = kf_knowledge_count(knowledge);
    for (uint32_t i = first; fine && i < first + count; i++) {
        add_numbered(&some, knowledge, i);
    }
    if (fine) {
        fine = kf_loader_put(loader, some.items, some.count, &done, NULL) ==
               KF_OK;
    }
    CHECK(kf_knowledge_count(knowledge) == before + done);
    kf_loader_end(loader);
    some.count = 0;
    return fine;
}

/* Where memory fails, what is said to be in is in, and no more. */
static void
test_each_failure(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    CHECK_EACH_FAILURE (memory, done) {
        size_t armed = check_memory_pause(&memory);
        kf_knowledge *knowledge = sequence_knowledge(&alloc, false, 1);
        size_t before;
        check_memory_arm(&memory, armed);
        done = load_numbered(knowledge, 0, 60);
        check_memory_pause(&memory);
        before = kf_knowledge_count(knowledge);
        CHECK(done ? before == 60 : before <= 60);
        CHECK(sequence_learn(knowledge, "A|B", NULL) == KF_OK);
        CHECK(kf_knowledge_count(knowledge) == before + 1);
        memory.fail_at = armed;
        kf_knowledge_free(knowledge);
    }
    CHECK(memory.calls > 6);
}

int
main(void)
{
    test_equal_to_one_by_one();
    test_symbols_of_any_size();
    test_names_of_any_kind();
    test_many_symbols();
    test_a_wrong_name();
    test_cleared_meanwhile();
    test_each_failure();
    return check_report();
}
