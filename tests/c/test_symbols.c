/* Symbols: dense ids, texts that never move, and what happens where there is
 * no memory. */
#include "check.h"

#include "kato_fast/symbols.h"

#include <stdio.h>
#include <string.h>

static const uint8_t key[16] = "sixteen bytes!!";

static kf_text
numbered(char out[32], uint32_t i)
{
    int size = snprintf(out, 32, i % 3 == 0 ? "\"%u\n" : "symbol %u", i);
    return (kf_text){out, (size_t)size};
}

static bool
same(kf_text text, const char *bytes, size_t size)
{
    return text.size == size && memcmp(text.bytes, bytes, size) == 0;
}

static void
test_ids_are_dense_and_stay(void)
{
    enum {
        COUNT = 20000
    };
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    static const char *places[COUNT];
    kf_symbols *symbols;
    uint32_t id;
    char text[32];
    CHECK(kf_symbols_new(&alloc, key, &symbols, NULL) == KF_OK);
    for (uint32_t i = 0; i < COUNT; i++) {
        CHECK(kf_symbols_find(symbols, numbered(text, i)) == KF_SYMBOL_NONE);
        CHECK(kf_symbols_intern(symbols, numbered(text, i), &id, NULL) ==
              KF_OK);
        CHECK(id == i && kf_symbols_count(symbols) == i + 1);
        places[i] = kf_symbols_text(symbols, i).bytes;
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        kf_text expected = numbered(text, i);
        CHECK(kf_symbols_find(symbols, expected) == i);
        CHECK(kf_symbols_intern(symbols, expected, &id, NULL) == KF_OK);
        CHECK(id == i);
        CHECK(same(kf_symbols_text(symbols, i), text, expected.size));
        CHECK(kf_symbols_text(symbols, i).bytes == places[i]);
    }
    CHECK(kf_symbols_count(symbols) == COUNT);
    CHECK(kf_symbols_memory(symbols) > COUNT * 8);
    kf_symbols_release(symbols);
    CHECK(memory.live == 0);
}

#define TEXT(literal) ((kf_text){(literal), sizeof(literal) - 1})

static void
check_forms(kf_symbols *symbols, kf_text text, kf_text json)
{
    uint32_t id;
    CHECK(kf_symbols_intern(symbols, text, &id, NULL) == KF_OK);
    CHECK(same(kf_symbols_text(symbols, id), text.bytes, text.size));
    CHECK(same(kf_symbols_json(symbols, id), json.bytes, json.size));
}

static void
test_both_forms(void)
{
    kf_symbols *symbols;
    CHECK(kf_symbols_new(&kf_alloc_default, key, &symbols, NULL) == KF_OK);
    check_forms(symbols, TEXT(""), TEXT("\"\""));
    check_forms(symbols, TEXT("a"), TEXT("\"a\""));
    check_forms(symbols, TEXT("\0"), TEXT("\"\\u0000\""));
    check_forms(symbols, TEXT("\0\0"), TEXT("\"\\u0000\\u0000\""));
    check_forms(symbols, TEXT("q\"\\"), TEXT("\"q\\\"\\\\\""));
    check_forms(symbols, TEXT("\u65e5\u672c"), TEXT("\"\u65e5\u672c\""));
    CHECK(kf_symbols_count(symbols) == 6);
    kf_symbols_release(symbols);
}

static void
test_sizes(void)
{
    char *large = malloc(KF_SYMBOL_MAX_BYTES + 1);
    kf_symbols *symbols;
    kf_error err;
    uint32_t id = 77;
    CHECK(large != NULL);
    memset(large, 'x', KF_SYMBOL_MAX_BYTES + 1);
    CHECK(kf_symbols_new(&kf_alloc_default, key, &symbols, NULL) == KF_OK);
    CHECK(kf_symbols_intern(symbols, (kf_text){large, KF_SYMBOL_MAX_BYTES + 1},
                            &id, &err) == KF_TOO_LARGE);
    CHECK(err.code == KF_TOO_LARGE && id == 77);
    CHECK(kf_symbols_intern(symbols, (kf_text){large, KF_SYMBOL_MAX_BYTES},
                            &id, &err) == KF_OK);
    CHECK(id == 0);
    kf_symbols_release(symbols);
    free(large);
}

static void
test_shares(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_symbols *symbols;
    uint32_t id;
    CHECK(kf_symbols_new(&alloc, key, &symbols, NULL) == KF_OK);
    CHECK(kf_symbols_share(symbols) == symbols);
    CHECK(kf_symbols_intern(symbols, TEXT("a"), &id, NULL) == KF_OK);
    kf_symbols_release(symbols);
    CHECK(same(kf_symbols_text(symbols, id), "a", 1));
    kf_symbols_release(symbols);
    kf_symbols_release(NULL);
    CHECK(memory.live == 0);
}

/* Intern all; where one fails, it can be tried again and nothing is lost. */
static bool
intern_all(kf_symbols *symbols, check_memory *memory, uint32_t count)
{
    bool good = true;
    char text[32];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = KF_SYMBOL_NONE;
        kf_error err;
        if (kf_symbols_intern(symbols, numbered(text, i), &id, &err) !=
            KF_OK) {
            good = false;
            CHECK(err.code == KF_NO_MEMORY && id == KF_SYMBOL_NONE);
            CHECK(kf_symbols_count(symbols) == i);
            CHECK(kf_symbols_find(symbols, numbered(text, i)) ==
                  KF_SYMBOL_NONE);
            check_memory_pause(memory);
            CHECK(kf_symbols_intern(symbols, numbered(text, i), &id, &err) ==
                  KF_OK);
        }
        CHECK(id == i);
    }
    for (uint32_t i = 0; i < count; i++) {
        CHECK(kf_symbols_find(symbols, numbered(text, i)) == i);
    }
    return good;
}

static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_symbols *symbols = NULL;
        if (kf_symbols_new(&alloc, key, &symbols, NULL) == KF_OK) {
            done = intern_all(symbols, &memory, 1500);
        }
        failures += !done;
        kf_symbols_release(symbols);
    }
    CHECK(failures > 6);
}

int
main(void)
{
    test_ids_are_dense_and_stay();
    test_both_forms();
    test_sizes();
    test_shares();
    test_no_memory();
    return check_report();
}
