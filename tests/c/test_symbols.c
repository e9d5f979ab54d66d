/* Symbols: dense ids, texts that never move, and what happens where there is
 * no memory. */
#include "check.h"

#include "kato_fast/symbols.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

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

/* --- texts made to collide --- */

#define CHOSEN 2000u
#define CHOSEN_BITS 12u /* of the slots that so many texts need */

#define ROTATED(x, bits) (((x) << (bits)) | ((x) >> (64 - (bits))))

static void
sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = ROTATED(v[1], 13) ^ v[0];
    v[3] = ROTATED(v[3], 16) ^ v[2];
    v[0] = ROTATED(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = ROTATED(v[1], 17) ^ v[2];
    v[3] = ROTATED(v[3], 21) ^ v[0];
    v[2] = ROTATED(v[2], 32);
}

/* SipHash-1-3 of 8 bytes with the key of zeros, as who knows the key could
 * compute it. */
static uint64_t
known_hash(uint64_t word)
{
    uint64_t last = (uint64_t)8 << 56;
    uint64_t v[4] = {0x736f6d6570736575u, 0x646f72616e646f6du,
                     0x6c7967656e657261u, 0x7465646279746573u ^ word};
    sip_round(v);
    v[0] ^= word;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Texts of 8 letters: any, or those that all want the same slot of a table
 * with the key of zeros. */
static void
choose_texts(uint64_t *out, bool colliding)
{
    const uint64_t mask = ((uint64_t)1 << CHOSEN_BITS) - 1;
    uint64_t number = 0;
    for (uint32_t i = 0; i < CHOSEN; number++) {
        uint64_t word = 0x4141414141414141u;
        for (int d = 0; d < 8; d++) {
            word += (number >> (4 * d) & 15) << (8 * d);
        }
        if (!colliding || (known_hash(word) & mask) == 0) {
            out[i++] = word;
        }
    }
}

/* The best of some runs, in seconds of CPU time. */
static double
time_texts(const uint8_t key[16], const uint64_t *words)
{
    double best = 1e9;
    for (int run = 0; run < 5; run++) {
        kf_symbols *symbols = NULL;
        clock_t began = clock();
        double spent;
        uint32_t id;
        CHECK(kf_symbols_new(&kf_alloc_default, key, &symbols, NULL) == KF_OK);
        for (uint32_t i = 0; i < CHOSEN; i++) {
            kf_text text = {(const char *)&words[i], 8};
            CHECK(kf_symbols_intern(symbols, text, &id, NULL) == KF_OK);
            CHECK(id == i);
        }
        kf_symbols_release(symbols);
        spent = (double)(clock() - began) / CLOCKS_PER_SEC;
        best = spent < best ? spent : best;
    }
    return best;
}

/* Who does not know the key cannot make texts that cost more than others. */
static void
test_chosen_texts(void)
{
    static const uint8_t zeros[16];
    static const uint8_t secret[16] = {7, 1, 4, 99, 3, 2, 1, 5, 250, 6};
    static uint64_t any[CHOSEN], chosen[CHOSEN];
    double ordinary, attacked, known;
    choose_texts(any, false);
    choose_texts(chosen, true);
    ordinary = time_texts(secret, any);
    attacked = time_texts(secret, chosen);
    known = time_texts(zeros, chosen);
    printf("any texts %.0f us, chosen ones %.0f us, with a known key %.0f "
           "us\n",
           1e6 * ordinary, 1e6 * attacked, 1e6 * known);
    CHECK(attacked < 3 * ordinary + 1e-4);
    CHECK(known > 3 * attacked); /* else the test shows nothing */
}

int
main(void)
{
    test_ids_are_dense_and_stay();
    test_both_forms();
    test_sizes();
    test_shares();
    test_no_memory();
    test_chosen_texts();
    return check_report();
}
