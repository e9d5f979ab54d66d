/* Which keys a percentage of a flag takes: a session's or node's bucket, one
 * of 10,000, with a salt per flag.
 *
 * A key stays in its bucket for ever, in every process: a higher percentage
 * adds keys and moves none out. kato_fast/flags/buckets.py computes the
 * same. Pure functions. */
#ifndef KATO_FAST_BUCKET_H
#define KATO_FAST_BUCKET_H

#include <stddef.h>
#include <stdint.h>

#define KF_BUCKETS 10000u

/* The salt of a flag: FNV-1a of its name, size bytes that may be NULL where
 * size is 0. */
uint64_t kf_bucket_salt(const char *flag, size_t size);

/* 0 to 9,999. key: size bytes, may be NULL where size is 0. */
uint32_t kf_bucket(uint64_t salt, const void *key, size_t size);

#endif
