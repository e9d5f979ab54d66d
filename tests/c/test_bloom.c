#include "kato_fast/bloom.h"

#include "check.h"

#include <string.h>

#define HEADER_BYTES 64
#define KEYS 300

/* What the author's own program answers, seed 0. */
static void
test_hash(void)
{
    static const struct {
        const char *key;
        uint64_t hash;
    } known[] = {
        {"", UINT64_C(0x93228A4DE0EEC5A2)},
        {"a", UINT64_C(0xACED12527FE5BFF8)},
        {"abc", UINT64_C(0x989B4A209C1011C9)},
        {"message digest", UINT64_C(0x309AB4C045215E8F)},
        {"abcdefghijklmnopqrstuvwxyz", UINT64_C(0xCCAEADC12A061176)},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
         UINT64_C(0x1FDD130ECB5B4709)},
        {"123456789012345678901234567890123456789012345678",
         UINT64_C(0xC4EA9883252205D5)},
        {"1234567890123456789012345678901234567890123456789012345678901234567"
         "8901234567890",
         UINT64_C(0x7E22DA19F1A6055A)},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        CHECK(kf_bloom_hash(known[i].key, strlen(known[i].key)) ==
              known[i].hash);
    }
    CHECK(kf_bloom_hash(NULL, 0) == known[0].hash);
}

/* Keys that are numbers, for want of interesting ones. */
static uint64_t
hash_of(uint64_t number)
{
    char key[sizeof number];
    memcpy(key, &number, sizeof number);
    return kf_bloom_hash(key, sizeof key);
}

static kf_bloom *
filter_of(const kf_alloc *alloc, uint64_t capacity, double error_rate,
          uint64_t keys)
{
    kf_bloom *bloom = NULL;
    kf_error err;
    if (CHECK(kf_bloom_new(alloc, capacity, error_rate, &bloom, &err) ==
              KF_OK)) {
        for (uint64_t i = 0; i < keys; i++) {
            (void)kf_bloom_add(bloom, hash_of(i));
        }
    }
    return bloom;
}

static uint8_t *
bytes_of(const kf_bloom *bloom)
{
    uint8_t *bytes = malloc(kf_bloom_bytes_size(bloom));
    CHECK(bytes != NULL);
    kf_bloom_to_bytes(bloom, bytes);
    return bytes;
}

static void
test_arguments(const kf_alloc *alloc)
{
    static const double rates[] = {0.0, -1.0, 1.0, 2.0, 1e-9, 0.0 / 0.0};
    kf_bloom *bloom = NULL;
    kf_error err;
    CHECK(kf_bloom_new(alloc, 0, 0.1, &bloom, &err) == KF_INVALID);
    CHECK(strcmp(err.message, "capacity must be from 1 to 68719476736") == 0);
    CHECK(kf_bloom_new(alloc, KF_BLOOM_MAX_CAPACITY + 1, 0.1, &bloom, NULL) ==
          KF_INVALID);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        CHECK(kf_bloom_new(alloc, 1, rates[i], &bloom, &err) == KF_INVALID);
        CHECK(strstr(err.message, "error_rate") != NULL);
    }
    CHECK(bloom == NULL);
    kf_bloom_free(NULL);
}

static void
test_add(const kf_alloc *alloc)
{
    kf_bloom *bloom = filter_of(alloc, KEYS, 1e-6, 0);
    CHECK(kf_bloom_count(bloom) == 0);
    CHECK(kf_bloom_capacity(bloom) == KEYS);
    CHECK(kf_bloom_error_rate(bloom) == 1e-6);
    for (uint64_t i = 0; i < KEYS; i++) {
        CHECK(!kf_bloom_contains(bloom, hash_of(i)));
        CHECK(kf_bloom_add(bloom, hash_of(i)));
        CHECK(!kf_bloom_add(bloom, hash_of(i)));
        CHECK(kf_bloom_contains(bloom, hash_of(i)));
    }
    CHECK(kf_bloom_count(bloom) == KEYS);
    kf_bloom_free(bloom);
}

/* The batches give the same bytes and answers as one key after the other. */
static void
test_many(const kf_alloc *alloc)
{
    kf_bloom *one = filter_of(alloc, 10, 0.1, KEYS);
    kf_bloom *many = filter_of(alloc, 10, 0.1, 0);
    uint8_t *one_bytes, *many_bytes;
    uint64_t hashes[2 * KEYS];
    uint8_t found[2 * KEYS];
    for (uint64_t i = 0; i < 2 * KEYS; i++) {
        hashes[i] = hash_of(i);
    }
    kf_bloom_add_many(many, hashes, 0);
    CHECK(kf_bloom_count(many) == 0);
    kf_bloom_add_many(many, hashes, KEYS);
    one_bytes = bytes_of(one);
    many_bytes = bytes_of(many);
    CHECK(memcmp(one_bytes, many_bytes, kf_bloom_bytes_size(one)) == 0);
    kf_bloom_contains_many(many, hashes, 2 * KEYS, found);
    for (size_t i = 0; i < 2 * KEYS; i++) {
        CHECK(found[i] == kf_bloom_contains(one, hashes[i]));
    }
    free(one_bytes);
    free(many_bytes);
    kf_bloom_free(one);
    kf_bloom_free(many);
}

/* 2,000 false answers would be expected of 200,000, give or take 45. */
static void
test_rate(const kf_alloc *alloc)
{
    kf_bloom *bloom = filter_of(alloc, 50000, 0.01, 50000);
    unsigned found = 0;
    for (uint64_t i = 50000; i < 250000; i++) {
        found += kf_bloom_contains(bloom, hash_of(i));
    }
    CHECK(found > 1600 && found < 2300);
    kf_bloom_free(bloom);
}

static void
test_bytes(const kf_alloc *alloc)
{
    kf_bloom *bloom = filter_of(alloc, KEYS, 0.001, KEYS);
    kf_bloom *again = NULL;
    size_t size = kf_bloom_bytes_size(bloom);
    uint8_t *bytes = bytes_of(bloom), *bytes_again;
    CHECK(size % 32 == 0 && size > HEADER_BYTES);
    if (CHECK(kf_bloom_from_bytes(alloc, bytes, size, &again, NULL) ==
              KF_OK)) {
        bytes_again = bytes_of(again);
        CHECK(kf_bloom_bytes_size(again) == size);
        CHECK(memcmp(bytes, bytes_again, size) == 0);
        CHECK(kf_bloom_count(again) == kf_bloom_count(bloom));
        CHECK(kf_bloom_add(again, hash_of(1000000)));
        CHECK(!kf_bloom_contains(bloom, hash_of(1000000)));
        free(bytes_again);
    }
    kf_bloom_free(again);
    free(bytes);
    kf_bloom_free(bloom);
}

static void
test_attach(const kf_alloc *alloc)
{
    kf_bloom *bloom = filter_of(alloc, KEYS, 0.001, KEYS);
    kf_bloom *there = NULL, *here = NULL;
    size_t size = kf_bloom_bytes_size(bloom);
    uint8_t *bytes = bytes_of(bloom);
    uint8_t *moved = malloc(size + 1); /* at an odd address */
    memcpy(moved + 1, bytes, size);
    if (CHECK(kf_bloom_attach(alloc, moved + 1, size, true, &there, NULL) ==
              KF_OK) &&
        CHECK(kf_bloom_attach(alloc, bytes, size, false, &here, NULL) ==
              KF_OK)) {
        CHECK(kf_bloom_is_writable(there) && !kf_bloom_is_writable(here));
        CHECK(kf_bloom_add(there, hash_of(1000000)));
        CHECK(!kf_bloom_add(there, hash_of(1000000)));
        CHECK(kf_bloom_add(bloom, hash_of(1000000)));
        CHECK(kf_bloom_count(there) == kf_bloom_count(bloom));
        CHECK(!kf_bloom_contains(here, hash_of(1000000)));
        free(bytes);
        bytes = bytes_of(bloom);
        CHECK(memcmp(bytes + HEADER_BYTES, moved + 1 + HEADER_BYTES,
                     size - HEADER_BYTES) == 0);
    }
    kf_bloom_free(there);
    kf_bloom_free(here);
    there = NULL;
    CHECK(kf_bloom_attach(alloc, bytes, size - 1, true, &there, NULL) ==
          KF_INVALID);
    CHECK(there == NULL);
    free(moved);
    free(bytes);
    kf_bloom_free(bloom);
}

static bool
is_refused(const kf_alloc *alloc, const uint8_t *bytes, size_t size,
           const char *words)
{
    kf_bloom *bloom = NULL;
    kf_error err = {.code = KF_OK};
    kf_status status = kf_bloom_from_bytes(alloc, bytes, size, &bloom, &err);
    kf_bloom_free(bloom);
    return status == KF_INVALID && bloom == NULL &&
           strstr(err.message, words) != NULL;
}

static const char *
what_is_damaged(size_t at)
{
    return at < 8              ? "magic"
           : at < 16           ? "version"
           : at < HEADER_BYTES ? "checksum of its header"
                               : "checksum of its blocks";
}

static void
test_damage(const kf_alloc *alloc)
{
    kf_bloom *bloom = filter_of(alloc, 40, 0.01, 40);
    size_t size = kf_bloom_bytes_size(bloom);
    uint8_t *bytes = bytes_of(bloom);
    for (size_t i = 0; i < size; i++) {
        for (int flip = 1; flip < 256; flip <<= 1) {
            bytes[i] ^= (uint8_t)flip;
            CHECK(is_refused(alloc, bytes, size, what_is_damaged(i)));
            bytes[i] ^= (uint8_t)flip;
        }
    }
    for (size_t i = 0; i < size; i++) {
        /* A copy of just that size, so that reading on would be seen. */
        uint8_t *cut = malloc(i != 0 ? i : 1);
        memcpy(cut, bytes, i);
        CHECK(is_refused(alloc, cut, i, "bytes, not"));
        free(cut);
    }
    free(bytes);
    kf_bloom_free(bloom);
}

static void
put64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        at[i] = (uint8_t)(value >> 8 * i);
    }
}

/* A header that lies, under a checksum that is right. */
static bool
lie_is_refused(const kf_alloc *alloc, size_t at, uint64_t value,
               const char *words)
{
    kf_bloom *bloom = filter_of(alloc, 40, 0.01, 40);
    size_t size = kf_bloom_bytes_size(bloom);
    uint8_t *bytes = bytes_of(bloom);
    bool refused;
    put64(bytes + at, value);
    put64(bytes + 56, kf_bloom_hash((const char *)bytes, 56));
    refused = is_refused(alloc, bytes, size, words);
    free(bytes);
    kf_bloom_free(bloom);
    return refused;
}

static void
test_lies(const kf_alloc *alloc)
{
    static const double rates[] = {0.0, 1.0, -0.01, 1e-9, 0.0 / 0.0, 1e300};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        uint64_t bits;
        memcpy(&bits, &rates[i], sizeof bits);
        CHECK(lie_is_refused(alloc, 24, bits, "an error_rate that"));
    }
    CHECK(lie_is_refused(alloc, 16, 0, "a capacity that"));
    CHECK(lie_is_refused(alloc, 16, UINT64_MAX, "a capacity that"));
    CHECK(lie_is_refused(alloc, 16, 1000, "a number of blocks that"));
    CHECK(lie_is_refused(alloc, 40, 0, "a number of blocks that"));
    CHECK(lie_is_refused(alloc, 40, UINT64_MAX, "a number of blocks that"));
    CHECK(lie_is_refused(alloc, 32, UINT64_MAX, "a count of more keys"));
    CHECK(lie_is_refused(alloc, 48, 0, "checksum of its blocks"));
}

static void
test_failures(check_memory *memory, const kf_alloc *alloc)
{
    kf_bloom *made = filter_of(&kf_alloc_default, KEYS, 0.01, KEYS);
    uint8_t *bytes = bytes_of(made);
    kf_bloom *bloom;
    kf_error err;
    CHECK_EACH_FAILURE (*memory, done) {
        bloom = NULL;
        done = kf_bloom_new(alloc, KEYS, 0.01, &bloom, &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && bloom == NULL));
        kf_bloom_free(bloom);
    }
    CHECK_EACH_FAILURE (*memory, done) {
        bloom = NULL;
        done = kf_bloom_from_bytes(alloc, bytes, kf_bloom_bytes_size(made),
                                   &bloom, &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && bloom == NULL));
        kf_bloom_free(bloom);
    }
    CHECK_EACH_FAILURE (*memory, done) {
        bloom = NULL;
        done = kf_bloom_attach(alloc, bytes, kf_bloom_bytes_size(made), true,
                               &bloom, &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && bloom == NULL));
        kf_bloom_free(bloom);
    }
    free(bytes);
    kf_bloom_free(made);
}

int
main(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    test_hash();
    test_arguments(&alloc);
    test_add(&alloc);
    test_many(&alloc);
    test_rate(&alloc);
    test_bytes(&alloc);
    test_attach(&alloc);
    test_damage(&alloc);
    test_lies(&alloc);
    test_failures(&memory, &alloc);
    CHECK(memory.live == 0);
    return check_report();
}
