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

#endif
