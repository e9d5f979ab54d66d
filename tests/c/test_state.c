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

static kf_patterns *
known(const kf_alloc *alloc)
{
    kf_patterns *patterns;
    uint32_t id;
    CHECK(kf_patterns_new(alloc, sequence_key, &patterns, NULL) == KF_OK);
    CHECK(kf_symbols_intern(patterns->symbols, texts[2], &id, NULL) == KF_OK);
    CHECK(kf_symbols_intern(patterns->symbols, texts[0], &id, NULL) == KF_OK);
    return patterns;
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
    kf_patterns *patterns = known(&alloc);
    kf_state *state;
    CHECK(kf_state_encode(&alloc, patterns, texts, M, &state, NULL) == KF_OK);
    CHECK(kf_symbols_count(patterns->symbols) == 2);
    check_state(state);
    kf_patterns_release(patterns); /* the state has a share */
    check_state(state);
    kf_state_free(state);
    kf_state_free(NULL);
    CHECK(memory.live == 0);
}

static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        size_t nth = check_memory_pause(&memory);
        kf_patterns *patterns = known(&alloc);
        kf_state *state = NULL;
        kf_error err;
        check_memory_arm(&memory, nth);
        done =
            kf_state_encode(&alloc, patterns, texts, M, &state, &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && state == NULL));
        failures += !done;
        if (done) {
            check_state(state);
        }
        kf_state_free(state);
        kf_patterns_release(patterns);
    }
    CHECK(failures >= 4);
}

int
main(void)
{
    test_encode();
    test_no_memory();
    return check_report();
}
