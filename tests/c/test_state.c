/* States: known symbols by id, unknown ones by their own text, nothing
 * interned. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/state.h"

#include <string.h>

#define TEXT(literal) {(literal), sizeof(literal) - 1}

static const kf_text texts[] = {TEXT("a"), TEXT("new"), TEXT("b\""),
                                TEXT(""),  TEXT("new"), TEXT("\n\0")};
static const char *const json[] = {"\"a\"", "\"new\"", "\"b\\\"\"",
                                   "\"\"",  "\"new\"", "\"\\n\\u0000\""};
enum {
    M = 6
};

static kf_symbols *
known(const kf_alloc *alloc)
{
    kf_symbols *symbols;
    uint32_t id;
    CHECK(kf_symbols_new(alloc, sequence_key, &symbols, NULL) == KF_OK);
    CHECK(kf_symbols_intern(symbols, texts[2], &id, NULL) == KF_OK);
    CHECK(kf_symbols_intern(symbols, texts[0], &id, NULL) == KF_OK);
    return symbols;
}

static void
check_state(const kf_state *state)
{
    static const uint32_t ids[M] = {
        1, KF_SYMBOL_NONE, 0, KF_SYMBOL_NONE, KF_SYMBOL_NONE, KF_SYMBOL_NONE};
    CHECK(state->m == M && state->align != NULL);
    for (uint32_t j = 0; j < M; j++) {
        CHECK(state->ids[j] == ids[j]);
        CHECK(state->texts[j].size == texts[j].size);
        CHECK(memcmp(state->texts[j].bytes, texts[j].bytes, texts[j].size) ==
              0);
        CHECK(state->texts[j].bytes != texts[j].bytes);
        CHECK(state->json[j].size == strlen(json[j]));
        CHECK(memcmp(state->json[j].bytes, json[j], strlen(json[j])) == 0);
    }
}

static void
test_encode(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_symbols *symbols = known(&alloc);
    kf_state *state;
    CHECK(kf_state_encode(&alloc, symbols, texts, M, &state, NULL) == KF_OK);
    CHECK(kf_symbols_count(symbols) == 2);
    check_state(state);
    kf_symbols_release(symbols); /* the state has a share */
    check_state(state);
    kf_state_free(state);
    kf_state_free(NULL);
    CHECK(memory.live == 0);
}

/* Every known symbol once, in order of symbols, as often as it stands in the
 * state, and where first. */
static void
test_distinct(random_source *random)
{
    kf_symbols *symbols = known(&kf_alloc_default);
    for (int round = 0; round < 200; round++) {
        kf_text given[40];
        uint32_t m = 1 + random_below(random, 40);
        kf_state_symbol expected[2] = {{0, 0, 0}, {1, 0, 0}};
        uint32_t n = 0;
        kf_state *state;
        for (uint32_t j = m; j-- > 0;) {
            uint32_t text = random_below(random, 3);
            given[j] = texts[text];
            if (text != 1) { /* the unknown one */
                expected[text == 0].count++;
                expected[text == 0].first = j;
            }
        }
        CHECK(kf_state_encode(&kf_alloc_default, symbols, given, m, &state,
                              NULL) == KF_OK);
        for (uint32_t symbol = 0; symbol < 2; symbol++) {
            const kf_state_symbol *here = &state->distinct[n];
            if (expected[symbol].count > 0) {
                CHECK(n < state->n_distinct && here->symbol == symbol);
                CHECK(here->count == expected[symbol].count);
                CHECK(here->first == expected[symbol].first);
                n++;
            }
        }
        CHECK(state->n_distinct == n);
        kf_state_free(state);
    }
    kf_symbols_release(symbols);
}

static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        size_t nth = check_memory_pause(&memory);
        kf_symbols *symbols = known(&alloc);
        kf_state *state = NULL;
        kf_error err;
        check_memory_arm(&memory, nth);
        done =
            kf_state_encode(&alloc, symbols, texts, M, &state, &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && state == NULL));
        failures += !done;
        if (done) {
            check_state(state);
        }
        kf_state_free(state);
        kf_symbols_release(symbols);
    }
    CHECK(failures >= 4);
}

int
main(void)
{
    random_source random = random_start();
    test_encode();
    test_distinct(&random);
    test_no_memory();
    return check_report();
}
