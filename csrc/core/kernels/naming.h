/* SHA-1 of whole blocks, one function per kind of CPU. Internal to
 * naming.c. */
#ifndef KATO_FAST_KERNELS_NAMING_H
#define KATO_FAST_KERNELS_NAMING_H

#include <stddef.h>
#include <stdint.h>

/* Take n blocks of 64 bytes into the state, FIPS 180-4, section 6.1. */
typedef void (*kf_sha1_blocks)(uint32_t state[5], const uint8_t *blocks,
                               size_t n);

void kf_sha1_blocks_scalar(uint32_t state[5], const uint8_t *blocks, size_t n);

#if defined(__x86_64__) && defined(__GNUC__)
/* Needs the SHA extensions: kf_cpu_has_sha. */
void kf_sha1_blocks_sha(uint32_t state[5], const uint8_t *blocks, size_t n);
#endif

#define KF_SHA1_LANES 16u

/* Take of each text so many blocks into its state: word i of the state of
 * text t is states[i][t]. Every text has `most` blocks that can be read; no
 * number is larger. */
typedef void (*kf_sha1_lanes)(uint32_t states[5][KF_SHA1_LANES],
                              const uint8_t *const texts[KF_SHA1_LANES],
                              const uint8_t n_blocks[KF_SHA1_LANES],
                              unsigned most);

#if defined(__x86_64__) && defined(__GNUC__)
/* Needs level KF_CPU_AVX512. */
void kf_sha1_lanes_avx512(uint32_t states[5][KF_SHA1_LANES],
                          const uint8_t *const texts[KF_SHA1_LANES],
                          const uint8_t n_blocks[KF_SHA1_LANES],
                          unsigned most);
#endif

#endif
