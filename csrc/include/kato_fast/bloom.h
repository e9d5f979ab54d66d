/* Split-block Bloom filter.
 *
 * A filter is an array of 256-bit blocks, eight 32-bit words each. A key's
 * 64-bit hash picks a block with its upper half and one bit in each word
 * with its lower half (the scheme of Impala and Parquet). The hash is not
 * salted: the same keys give the same bytes in every process, on every CPU.
 * Never a false negative. Readers may run beside each other, not beside an
 * add. */
#ifndef KATO_FAST_BLOOM_H
#define KATO_FAST_BLOOM_H

#include "kato_fast/alloc.h"
#include "kato_fast/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KF_BLOOM_MAX_CAPACITY ((uint64_t)1 << 36)

typedef struct kf_bloom kf_bloom;

/* An owned, empty filter for `capacity` keys (1 to KF_BLOOM_MAX_CAPACITY) at
 * a false-positive rate of at most error_rate (over 0, under 1) when full.
 * Free it with kf_bloom_free. alloc is borrowed and outlives it. */
KF_MUST_USE kf_status kf_bloom_new(const kf_alloc *alloc, uint64_t capacity,
                                   double error_rate, kf_bloom **out,
                                   kf_error *err);
void kf_bloom_free(kf_bloom *bloom); /* NULL is allowed */

uint64_t kf_bloom_hash(const char *key, size_t size);

/* True where the key was (probably) not yet there. */
bool kf_bloom_add(kf_bloom *bloom, uint64_t hash);
bool kf_bloom_contains(const kf_bloom *bloom, uint64_t hash);

uint64_t kf_bloom_count(const kf_bloom *bloom); /* keys added and new */
uint64_t kf_bloom_capacity(const kf_bloom *bloom);
double kf_bloom_error_rate(const kf_bloom *bloom);

/* The serialised form: a 64-byte header (magic, version, capacity,
 * error_rate, count, blocks, checksum; little endian) and the blocks. */
size_t kf_bloom_bytes_size(const kf_bloom *bloom);
void kf_bloom_to_bytes(const kf_bloom *bloom, uint8_t *out);
KF_MUST_USE kf_status kf_bloom_from_bytes(const kf_alloc *alloc,
                                          const uint8_t *bytes, size_t size,
                                          kf_bloom **out, kf_error *err);

#endif
