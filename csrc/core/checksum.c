#include "kato_fast/checksum.h"

#include <string.h>

#define LANES 8
#define BLOCK (LANES * sizeof(uint64_t))
#define FIRST 0x9e3779b97f4a7c15u  /* 2^64 / golden ratio */
#define SECOND 0xbf58476d1ce4e5b9u /* of splitmix64 */

/* After one multiplication alone a word's upper bits have changed few bits
 * of the state, which the next word could change back: two flipped bits
 * would go unseen. Eight lanes hide the latency. */
static inline uint64_t
step(uint64_t state, uint64_t word)
{
    uint64_t product = (state ^ word) * FIRST;
    return (product ^ product >> 32) * SECOND;
}

static inline void
take_block(uint64_t lanes[LANES], const char *bytes)
{
    uint64_t words[LANES];
    memcpy(words, bytes, sizeof words);
    for (int lane = 0; lane < LANES; lane++) {
        lanes[lane] = step(lanes[lane], words[lane]);
    }
}

uint64_t
kf_checksum(const void *bytes, size_t size)
{
    const char *next = bytes;
    uint64_t lanes[LANES] = {1, 2, 3, 4, 5, 6, 7, 8};
    uint64_t sum = 0;
    for (; size >= BLOCK; size -= BLOCK, next += BLOCK) {
        take_block(lanes, next);
    }
    if (size > 0) {
        char last[BLOCK] = {0};
        memcpy(last, next, size);
        take_block(lanes, last);
    }
    for (int lane = 0; lane < LANES; lane++) {
        sum = step(sum, lanes[lane]);
    }
    return sum ^ sum >> 32;
}
