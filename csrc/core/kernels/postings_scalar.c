/* Counting postings 64 patterns at a time, on any processor. */
#include "postings.h"

#include <string.h>

#define TARGET
#define VEC_WORDS 1

/* The lowest bit of each of 8 bytes, gathered. */
static inline uint64_t
gather(uint64_t bytes)
{
    return (bytes & 0x0101010101010101u) * 0x0102040810204080u >> 56;
}

/* The first counter in the lowest byte. */
static inline uint64_t
load_eight(const uint8_t *counters)
{
    uint64_t bytes;
    memcpy(&bytes, counters, sizeof bytes);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    return bytes;
}

static inline uint64_t
bits_of(const uint8_t *counters, unsigned bit)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; i++) {
        word |= gather(load_eight(counters + 8 * i) >> bit) << (8 * i);
    }
    return word;
}

/* Bytes that are not less: the higher top bit wins, the lower seven decide
 * between equal ones. */
static inline uint64_t
not_less(uint64_t x, uint64_t y)
{
    const uint64_t top = 0x8080808080808080u;
    uint64_t low = (x | top) - (y & ~top);
    return ((x & ~y) | (~(x ^ y) & low)) >> 7;
}

static inline uint64_t
at_least(const uint8_t *counters, uint32_t need)
{
    uint64_t each = need * 0x0101010101010101u;
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t bytes = load_eight(counters + 8 * i);
        if (bytes != 0) {
            word |= gather(not_less(bytes, each)) << (8 * i);
        }
    }
    return word;
}

static inline uint16_t *
emit(const kf_set_bits *set_bits, uint64_t word, uint32_t first, uint16_t *out)
{
    (void)set_bits;
    for (; word != 0; word &= word - 1) {
        *out++ = (uint16_t)(first + (uint32_t)__builtin_ctzll(word));
    }
    return out;
}

#include "postings_kernel.h"

const kf_postings_kernel kf_postings_scalar = {sweep, add};
