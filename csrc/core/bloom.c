#include "kato_fast/bloom.h"

#include <string.h>

#define WORDS 8
#define BLOCK_BYTES ((size_t)32)
#define BLOCK_BITS 256

/* How many hashes ahead a block is asked for. Far enough for a trip to main
 * memory, near enough to stay within the loads a core keeps under way. */
#define AHEAD 16

#define HEADER_BYTES ((size_t)64)
#define CHECKED_BYTES ((size_t)56) /* of the header, by its own checksum */
#define VERSION 1
static const char MAGIC[8] = {'k', 'f', '_', 'b', 'l', 'o', 'o', 'm'};

struct kf_bloom {
    kf_alloc alloc;
    uint64_t capacity;
    double error_rate;
    uint64_t count;
    uint64_t n_blocks;
    uint8_t *blocks; /* as serialised; at a multiple of BLOCK_BYTES, so that
                      * a block never spreads over two cache lines */
    void *memory;    /* what blocks lies in; NULL: someone else's bytes */
    bool writable;
};

/* -- bytes -- */

static inline uint32_t
load32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
           (uint32_t)at[3] << 24;
}

static inline uint64_t
load64(const uint8_t *at)
{
    return (uint64_t)load32(at) | (uint64_t)load32(at + 4) << 32;
}

static inline void
store32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)(value >> 16);
    at[3] = (uint8_t)(value >> 24);
}

static inline void
store64(uint8_t *at, uint64_t value)
{
    store32(at, (uint32_t)value);
    store32(at + 4, (uint32_t)(value >> 32));
}

/* -- the hash: wyhash, final version 4.2, with its default secret and seed 0
 *    (Wang Yi, https://github.com/wangyi-fudan/wyhash, public domain) -- */

#define SECRET0 UINT64_C(0x2D358DCCAA6C78A5)
#define SECRET1 UINT64_C(0x8BB84B93962EACC9)
#define SECRET2 UINT64_C(0x4B33A62ED433D4A3)
#define SECRET3 UINT64_C(0x4D5A2DA51DE1AA47)

typedef struct {
    uint64_t low;
    uint64_t high;
} product;

static inline product
multiply(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
    __extension__ unsigned __int128 wide = (unsigned __int128)a * b;
    product result = {(uint64_t)wide, (uint64_t)(wide >> 64)};
#else /* in four parts; none of the sums can overflow */
    uint64_t a_low = (uint32_t)a, a_high = a >> 32;
    uint64_t b_low = (uint32_t)b, b_high = b >> 32;
    uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
    uint64_t carry = a_low * b_high + (uint32_t)middle;
    product result = {a * b, a_high * b_high + (middle >> 32) + (carry >> 32)};
#endif
    return result;
}

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
    product wide = multiply(a, b);
    return wide.low ^ wide.high;
}

static inline uint64_t
mix16(const uint8_t *at, uint64_t secret, uint64_t seed)
{
    return mix(load64(at) ^ secret, load64(at + 8) ^ seed);
}

/* All but the last 0 to 16 of more than 16 bytes. */
static uint64_t
hash_front(const uint8_t *at, size_t size, uint64_t seed)
{
    if (size >= 48) {
        uint64_t seed2 = seed, seed3 = seed;
        for (; size >= 48; size -= 48, at += 48) {
            seed = mix16(at, SECRET1, seed);
            seed2 = mix16(at + 16, SECRET2, seed2);
            seed3 = mix16(at + 32, SECRET3, seed3);
        }
        seed ^= seed2 ^ seed3;
    }
    for (; size > 16; size -= 16, at += 16) {
        seed = mix16(at, SECRET1, seed);
    }
    return seed;
}

/* bytes may be NULL where size is 0. */
static uint64_t
hash_bytes(const uint8_t *bytes, size_t size)
{
    uint64_t seed = mix(SECRET0, SECRET1);
    uint64_t a = 0, b = 0;
    product wide;
    if (size > 16) {
        seed = hash_front(bytes, size, seed);
        a = load64(bytes + size - 16);
        b = load64(bytes + size - 8);
    }
    else if (size >= 4) { /* four reads that overlap, of 4 bytes each */
        size_t step = size / 8 * 4;
        const uint8_t *last = bytes + size - 4;
        a = (uint64_t)load32(bytes) << 32 | load32(bytes + step);
        b = (uint64_t)load32(last) << 32 | load32(last - step);
    }
    else if (size > 0) {
        a = (uint64_t)bytes[0] << 16 | (uint64_t)bytes[size / 2] << 8 |
            bytes[size - 1];
    }
    wide = multiply(a ^ SECRET1, b ^ seed);
    return mix(wide.low ^ SECRET0 ^ size, wide.high ^ SECRET1);
}

uint64_t
kf_bloom_hash(const char *key, size_t size)
{
    return hash_bytes((const uint8_t *)key, size);
}

/* -- the size -- */

/* The probability that one bit in each of the eight words is set, where one
 * is clear with probability `clear`. */
static double
all_words_set(double clear)
{
    double rate = 1.0 - clear;
    rate *= rate;
    rate *= rate;
    return rate * rate;
}

static double
one_block_rate(uint64_t capacity)
{
    double clear = 1.0;
    for (uint64_t i = 0; i < capacity; i++) {
        clear *= 31.0 / 32.0;
    }
    return all_words_set(clear);
}

/* The expected rate of false answers of n_blocks blocks that hold `capacity`
 * keys: F. Putze, P. Sanders, J. Singler, "Cache-, Hash- and Space-Efficient
 * Bloom Filters" (2007), section 3. It is the mean over the number of keys i
 * in a block, which is binomial (they take its Poisson limit), of the rate
 * of one block with i keys; in the split block each key sets one of the 32
 * bits of each word, so that rate is (1 - (31/32)^i)^8.
 *
 * The weights are relative to that of i = 0 and divided by their sum at the
 * end; this needs no function of the C library, whose last digits differ
 * between machines. The twin does the same operations in the same order. */
static double
full_error_rate(uint64_t capacity, uint64_t n_blocks)
{
    double weight = 1.0, total = 1.0, clear = 1.0, rate = 0.0;
    double others = (double)n_blocks - 1.0;
    if (n_blocks == 1) {
        return one_block_rate(capacity);
    }
    for (uint64_t i = 1; i <= capacity; i++) {
        weight *= (double)(capacity - i + 1) / ((double)i * others);
        clear *= 31.0 / 32.0;
        total += weight;
        rate += weight * all_words_set(clear);
        if (weight < 1e-20 * total) { /* past the peak; adds nothing */
            break;
        }
    }
    return rate / total;
}

/* The smallest number of blocks that keeps the promise, between one bit a
 * key and one block a key, where any rate that is allowed is kept. */
static uint64_t
blocks_needed(uint64_t capacity, double error_rate)
{
    uint64_t low = (capacity + BLOCK_BITS - 1) / BLOCK_BITS;
    uint64_t high = capacity;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (full_error_rate(capacity, middle) <= error_rate) {
            high = middle;
        }
        else {
            low = middle + 1;
        }
    }
    return low;
}

/* -- making one -- */

static bool
capacity_is_valid(uint64_t capacity)
{
    return capacity >= 1 && capacity <= KF_BLOOM_MAX_CAPACITY;
}

static bool
error_rate_is_valid(double error_rate) /* false for NaN */
{
    return error_rate >= KF_BLOOM_MIN_ERROR_RATE && error_rate < 1.0;
}

/* Without memory for the blocks; NULL where there is none for the rest. */
static kf_bloom *
bloom_shell(const kf_alloc *alloc)
{
    kf_bloom *bloom = kf_allocate_zero(alloc, 1, sizeof *bloom);
    if (bloom != NULL) {
        bloom->alloc = *alloc;
    }
    return bloom;
}

static bool
take_memory(kf_bloom *bloom)
{
    size_t skip;
    if (bloom->n_blocks >= SIZE_MAX / BLOCK_BYTES) {
        return false;
    }
    bloom->memory = kf_allocate_zero(&bloom->alloc,
                                     (size_t)bloom->n_blocks + 1, BLOCK_BYTES);
    if (bloom->memory == NULL) {
        return false;
    }
    skip = BLOCK_BYTES - (uintptr_t)bloom->memory % BLOCK_BYTES;
    bloom->blocks = (uint8_t *)bloom->memory + skip;
    bloom->writable = true;
    return true;
}

kf_status
kf_bloom_new(const kf_alloc *alloc, uint64_t capacity, double error_rate,
             kf_bloom **out, kf_error *err)
{
    kf_bloom *bloom;
    if (!capacity_is_valid(capacity)) {
        return kf_fail(err, KF_INVALID, "capacity must be from 1 to %llu",
                       (unsigned long long)KF_BLOOM_MAX_CAPACITY);
    }
    if (!error_rate_is_valid(error_rate)) {
        return kf_fail(err, KF_INVALID,
                       "error_rate must be from 1e-08 to under 1");
    }
    bloom = bloom_shell(alloc);
    if (bloom == NULL) {
        return kf_no_memory(err);
    }
    bloom->capacity = capacity;
    bloom->error_rate = error_rate;
    bloom->n_blocks = blocks_needed(capacity, error_rate);
    if (!take_memory(bloom)) {
        kf_bloom_free(bloom);
        return kf_no_memory(err);
    }
    *out = bloom;
    return KF_OK;
}

void
kf_bloom_free(kf_bloom *bloom)
{
    if (bloom != NULL) {
        kf_alloc alloc = bloom->alloc;
        kf_release(&alloc, bloom->memory);
        kf_release(&alloc, bloom);
    }
}

uint64_t
kf_bloom_count(const kf_bloom *bloom)
{
    return bloom->count;
}

uint64_t
kf_bloom_capacity(const kf_bloom *bloom)
{
    return bloom->capacity;
}

double
kf_bloom_error_rate(const kf_bloom *bloom)
{
    return bloom->error_rate;
}

bool
kf_bloom_is_writable(const kf_bloom *bloom)
{
    return bloom->writable;
}

/* -- adding and asking -- */

static const uint32_t SALTS[WORDS] = {
    0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D,
    0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31,
};

static inline uint8_t *
block_of(const kf_bloom *bloom, uint64_t hash)
{
    return bloom->blocks + multiply(hash, bloom->n_blocks).high * BLOCK_BYTES;
}

/* Which bit of word i a hash has: 0 to 31. */
static inline uint32_t
bit_of(uint64_t hash, int i)
{
    return (uint32_t)hash * SALTS[i] >> 27;
}

static inline void
prefetch(const uint8_t *block)
{
#if defined(__GNUC__)
    __builtin_prefetch(block);
#else
    (void)block;
#endif
}

/* Neither function below branches on the bits: which of them are set is as
 * good as random, and a wrong guess costs more than the eight tests. */

bool
kf_bloom_contains(const kf_bloom *bloom, uint64_t hash)
{
    const uint8_t *block = block_of(bloom, hash);
    uint32_t found = 1;
    for (int i = 0; i < WORDS; i++) {
        found &= load32(block + 4 * i) >> bit_of(hash, i);
    }
    return found != 0;
}

/* Sets a bit of bytes that other processes may write to at the same time,
 * none of whose bits may be lost. By bytes: they have no order, and need not
 * lie at a multiple of four. The answer: whether it was set. */
static inline uint32_t
set_shared_bit(uint8_t *word, uint32_t bit)
{
    uint8_t *byte = word + bit / 8;
    uint8_t mask = (uint8_t)(1u << (bit % 8));
    uint8_t before = __atomic_load_n(byte, __ATOMIC_RELAXED);
    if ((before & mask) == 0) {
        before = __atomic_fetch_or(byte, mask, __ATOMIC_RELAXED);
    }
    return (before & mask) != 0;
}

static bool
add_shared(kf_bloom *bloom, uint64_t hash)
{
    uint8_t *block = block_of(bloom, hash);
    uint32_t found = 1;
    for (int i = 0; i < WORDS; i++) {
        found &= set_shared_bit(block + 4 * i, bit_of(hash, i));
    }
    bloom->count += 1 - found;
    return found == 0;
}

bool
kf_bloom_add(kf_bloom *bloom, uint64_t hash)
{
    uint8_t *block = block_of(bloom, hash);
    uint32_t found = 1;
    if (bloom->memory == NULL) {
        return add_shared(bloom, hash);
    }
    for (int i = 0; i < WORDS; i++) {
        uint32_t word = load32(block + 4 * i);
        uint32_t bit = bit_of(hash, i);
        found &= word >> bit;
        store32(block + 4 * i, word | (uint32_t)1 << bit);
    }
    bloom->count += 1 - found;
    return found == 0;
}

void
kf_bloom_add_many(kf_bloom *bloom, const uint64_t *hashes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            prefetch(block_of(bloom, hashes[i + AHEAD]));
        }
        (void)kf_bloom_add(bloom, hashes[i]);
    }
}

void
kf_bloom_contains_many(const kf_bloom *bloom, const uint64_t *hashes, size_t n,
                       uint8_t *found)
{
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n) {
            prefetch(block_of(bloom, hashes[i + AHEAD]));
        }
        found[i] = kf_bloom_contains(bloom, hashes[i]);
    }
}

/* -- the serialised form -- */

static size_t
blocks_size(const kf_bloom *bloom)
{
    return (size_t)bloom->n_blocks * BLOCK_BYTES;
}

size_t
kf_bloom_bytes_size(const kf_bloom *bloom)
{
    return HEADER_BYTES + blocks_size(bloom);
}

void
kf_bloom_to_bytes(const kf_bloom *bloom, uint8_t *out)
{
    uint64_t rate;
    memcpy(&rate, &bloom->error_rate, sizeof rate);
    memcpy(out, MAGIC, sizeof MAGIC);
    store64(out + 8, VERSION);
    store64(out + 16, bloom->capacity);
    store64(out + 24, rate);
    store64(out + 32, bloom->count);
    store64(out + 40, bloom->n_blocks);
    store64(out + 48, hash_bytes(bloom->blocks, blocks_size(bloom)));
    store64(out + CHECKED_BYTES, hash_bytes(out, CHECKED_BYTES));
    memcpy(out + HEADER_BYTES, bloom->blocks, blocks_size(bloom));
}

/* Whether these are the first 64 bytes of a filter, undamaged. */
static kf_status
check_header(const uint8_t *header, kf_error *err)
{
    if (memcmp(header, MAGIC, sizeof MAGIC) != 0) {
        return kf_fail(err, KF_INVALID,
                       "data must begin with the magic of a Bloom filter");
    }
    if (load64(header + 8) != VERSION) {
        return kf_fail(err, KF_INVALID, "data must have version %d, not %llu",
                       VERSION, (unsigned long long)load64(header + 8));
    }
    if (load64(header + CHECKED_BYTES) != hash_bytes(header, CHECKED_BYTES)) {
        return kf_fail(err, KF_INVALID,
                       "data is damaged: the checksum of its header does not "
                       "match");
    }
    return KF_OK;
}

/* The values of a header whose checksum is right may still be nonsense. */
static kf_status
read_header(kf_bloom *bloom, const uint8_t *header, kf_error *err)
{
    uint64_t rate = load64(header + 24);
    bloom->capacity = load64(header + 16);
    memcpy(&bloom->error_rate, &rate, sizeof rate);
    bloom->count = load64(header + 32);
    bloom->n_blocks = load64(header + 40);
    if (!capacity_is_valid(bloom->capacity)) {
        return kf_fail(err, KF_INVALID,
                       "data has a capacity that is not from 1 to %llu",
                       (unsigned long long)KF_BLOOM_MAX_CAPACITY);
    }
    if (!error_rate_is_valid(bloom->error_rate)) {
        return kf_fail(err, KF_INVALID,
                       "data has an error_rate that is not from 1e-08 to "
                       "under 1");
    }
    if (bloom->n_blocks != blocks_needed(bloom->capacity, bloom->error_rate)) {
        return kf_fail(err, KF_INVALID,
                       "data has a number of blocks that its capacity and "
                       "error_rate do not give");
    }
    if (bloom->count > bloom->n_blocks * BLOCK_BITS) {
        return kf_fail(err, KF_INVALID, /* a new key sets a bit */
                       "data has a count of more keys than its blocks have "
                       "bits");
    }
    return KF_OK;
}

static kf_status
read_blocks(kf_bloom *bloom, const uint8_t *blocks, size_t size,
            uint64_t checksum, kf_error *err)
{
    uint64_t expected = HEADER_BYTES + bloom->n_blocks * BLOCK_BYTES;
    if (size != expected) {
        return kf_fail(err, KF_INVALID, "data must have %llu bytes, not %zu",
                       (unsigned long long)expected, size);
    }
    if (!take_memory(bloom)) {
        return kf_no_memory(err);
    }
    memcpy(bloom->blocks, blocks, blocks_size(bloom));
    if (hash_bytes(bloom->blocks, blocks_size(bloom)) != checksum) {
        return kf_fail(err, KF_INVALID,
                       "data is damaged: the checksum of its blocks does not "
                       "match");
    }
    return KF_OK;
}

/* A filter without blocks, of the header that the bytes begin with. It is
 * copied before it is checked. */
static kf_status
shell_of(const kf_alloc *alloc, const uint8_t *bytes, size_t size,
         kf_bloom **out, uint64_t *checksum, kf_error *err)
{
    uint8_t header[HEADER_BYTES];
    kf_status status;
    if (size < HEADER_BYTES) {
        return kf_fail(err, KF_INVALID,
                       "data must have at least %zu bytes, not %zu",
                       HEADER_BYTES, size);
    }
    memcpy(header, bytes, HEADER_BYTES);
    status = check_header(header, err);
    if (status != KF_OK) {
        return status;
    }
    *out = bloom_shell(alloc);
    if (*out == NULL) {
        return kf_no_memory(err);
    }
    *checksum = load64(header + 48);
    status = read_header(*out, header, err);
    if (status != KF_OK) {
        kf_bloom_free(*out);
        *out = NULL;
    }
    return status;
}

kf_status
kf_bloom_from_bytes(const kf_alloc *alloc, const uint8_t *bytes, size_t size,
                    kf_bloom **out, kf_error *err)
{
    kf_bloom *bloom = NULL;
    uint64_t checksum = 0;
    kf_status status = shell_of(alloc, bytes, size, &bloom, &checksum, err);
    if (status == KF_OK) {
        status = read_blocks(bloom, bytes + HEADER_BYTES, size, checksum, err);
    }
    if (status != KF_OK) {
        kf_bloom_free(bloom);
        return status;
    }
    *out = bloom;
    return KF_OK;
}

kf_status
kf_bloom_attach(const kf_alloc *alloc, uint8_t *bytes, size_t size,
                bool writable, kf_bloom **out, kf_error *err)
{
    kf_bloom *bloom = NULL;
    uint64_t checksum, expected;
    kf_status status = shell_of(alloc, bytes, size, &bloom, &checksum, err);
    if (status != KF_OK) {
        return status;
    }
    expected = HEADER_BYTES + bloom->n_blocks * BLOCK_BYTES;
    if (size < expected) {
        kf_bloom_free(bloom);
        return kf_fail(err, KF_INVALID,
                       "data must have at least %llu bytes, not %zu",
                       (unsigned long long)expected, size);
    }
    bloom->blocks = bytes + HEADER_BYTES;
    bloom->writable = writable;
    *out = bloom;
    return KF_OK;
}
