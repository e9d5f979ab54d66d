/* Split-block Bloom filter.
 *
 * A filter is an array of 256-bit blocks, eight 32-bit words each. A key's
 * 64-bit hash picks a block (the upper 64 bits of the hash times the number
 * of blocks) and, with its lower half, one bit in each word (the scheme of
 * Impala and Parquet). The hash is not salted: the same keys give the same
 * bytes in every process, on every CPU. Never a false negative. Readers may
 * run beside each other, not beside an add. */
#ifndef KATO_FAST_BLOOM_H
#define KATO_FAST_BLOOM_H

#include "kato_fast/alloc.h"
#include "kato_fast/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KF_BLOOM_MAX_CAPACITY ((uint64_t)1 << 36)
/* A lower rate would take more than a block of 32 bytes for each key. */
#define KF_BLOOM_MIN_ERROR_RATE 1e-8

typedef struct kf_bloom kf_bloom;

/* An owned, empty filter for `capacity` keys (1 to KF_BLOOM_MAX_CAPACITY) at
 * an expected false-positive rate of at most error_rate
 * (KF_BLOOM_MIN_ERROR_RATE up to, not including, 1) when full. More keys may
 * be added; the rate then grows. Takes all its memory now: 2.1 bytes a key
 * at a rate of 0.001, 8.1 at 0.000001. Free it with kf_bloom_free. What
 * alloc's context points to is borrowed and outlives it. */
KF_MUST_USE kf_status kf_bloom_new(const kf_alloc *alloc, uint64_t capacity,
                                   double error_rate, kf_bloom **out,
                                   kf_error *err);
void kf_bloom_free(kf_bloom *bloom); /* NULL is allowed */

/* wyhash of the key's bytes; key may be NULL where size is 0. */
uint64_t kf_bloom_hash(const char *key, size_t size);

/* True where the key was (probably) not yet there. The filter must be
 * writable, here and below. */
bool kf_bloom_add(kf_bloom *bloom, uint64_t hash);
bool kf_bloom_contains(const kf_bloom *bloom, uint64_t hash);

/* The same for n hashes, with the blocks ahead on their way from memory.
 * found: n bytes, each set to 1 or 0. */
void kf_bloom_add_many(kf_bloom *bloom, const uint64_t *hashes, size_t n);
void kf_bloom_contains_many(const kf_bloom *bloom, const uint64_t *hashes,
                            size_t n, uint8_t *found);

uint64_t kf_bloom_count(const kf_bloom *bloom); /* keys added and new */
uint64_t kf_bloom_capacity(const kf_bloom *bloom);
double kf_bloom_error_rate(const kf_bloom *bloom);
bool kf_bloom_is_writable(const kf_bloom *bloom);

/* The serialised form, little endian: a header of eight 64-bit fields and
 * the blocks.
 *
 *     magic | version | capacity | error_rate | count | blocks
 *           | checksum of the blocks | checksum of the 56 bytes before
 *
 * from_bytes copies before it checks, so a caller that changes the bytes
 * meanwhile can only make it fail. KF_INVALID says what is wrong; damage is
 * missed with the chance of two equal 64-bit hashes. */
size_t kf_bloom_bytes_size(const kf_bloom *bloom);
void kf_bloom_to_bytes(const kf_bloom *bloom, uint8_t *out);
KF_MUST_USE kf_status kf_bloom_from_bytes(const kf_alloc *alloc,
                                          const uint8_t *bytes, size_t size,
                                          kf_bloom **out, kf_error *err);

/* The filter in the bytes themselves, borrowed until it is freed; more may
 * follow. Only the header is checked, so this takes no longer for a large
 * one. writable: keys may be added; several processes may do so at once, and
 * none loses the key of another. What is added changes the blocks alone: the
 * header keeps its count and its checksum of the blocks, so that others can
 * attach, but from_bytes takes the bytes no more (to_bytes writes both
 * anew). The count is the header's and what was added through this one. */
KF_MUST_USE kf_status kf_bloom_attach(const kf_alloc *alloc, uint8_t *bytes,
                                      size_t size, bool writable,
                                      kf_bloom **out, kf_error *err);

#endif
