/* Counting postings 128 patterns at a time, with NEON. */
#include "postings.h"

#if defined(__aarch64__) && defined(__GNUC__)

#include <arm_neon.h>

#define TARGET
#define VEC_WORDS 2

/* Four times 16 bytes, each 0 or 255: a bit of each. Three rounds of adding
 * neighbours bring eight bits into a byte. */
static inline uint64_t
bits_of_masks(const uint8x16_t *masks)
{
    const uint8x16_t weights =
        vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
    uint8x16_t low =
        vpaddq_u8(vandq_u8(masks[0], weights), vandq_u8(masks[1], weights));
    uint8x16_t high =
        vpaddq_u8(vandq_u8(masks[2], weights), vandq_u8(masks[3], weights));
    low = vpaddq_u8(low, high);
    low = vpaddq_u8(low, low);
    return vgetq_lane_u64(vreinterpretq_u64_u8(low), 0);
}

static inline uint64_t
bits_of(const uint8_t *counters, unsigned bit)
{
    const uint8x16_t one = vdupq_n_u8((uint8_t)(1u << bit));
    uint8x16_t masks[4];
    for (unsigned i = 0; i < 4; i++) {
        masks[i] = vtstq_u8(vld1q_u8(counters + 16 * i), one);
    }
    return bits_of_masks(masks);
}

static inline uint64_t
at_least(const uint8_t *counters, uint32_t need)
{
    const uint8x16_t each = vdupq_n_u8((uint8_t)need);
    uint8x16_t masks[4];
    for (unsigned i = 0; i < 4; i++) {
        masks[i] = vcgeq_u8(vld1q_u8(counters + 16 * i), each);
    }
    return bits_of_masks(masks);
}

/* first + the numbers of the set bits. Byte b of `ends` is how many bits
 * bytes 0 to b have set, at most 64; so no byte waits for the one before. */
static inline uint16_t *
emit(const kf_set_bits *set_bits, uint64_t word, uint32_t first, uint16_t *out)
{
    uint64_t counts =
        vget_lane_u64(vreinterpret_u64_u8(vcnt_u8(vcreate_u8(word))), 0);
    uint64_t ends = counts * 0x0101010101010101u;
    uint64_t begins = ends << 8;
    for (unsigned i = 0; i < 8; i++) {
        uint8x8_t bits = vld1_u8(set_bits[(uint8_t)(word >> (8 * i))]);
        uint16x8_t base = vdupq_n_u16((uint16_t)(first + 8 * i));
        vst1q_u16(out + (uint8_t)(begins >> (8 * i)), vaddw_u8(base, bits));
    }
    return out + (ends >> 56);
}

#include "postings_kernel.h"

const kf_postings_kernel kf_postings_neon = {sweep, add};

#endif
