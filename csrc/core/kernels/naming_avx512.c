/* SHA-1 of sixteen texts at once, with AVX-512 F. */
#include "naming.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include "naming_rounds.h"

#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl")))

/* One word of each text. */
typedef uint32_t lanes __attribute__((vector_size(64)));

/* All ones in the lanes whose text has a block of that number. */
TARGET static inline void
mark_going(const uint8_t n_blocks[KF_SHA1_LANES], unsigned block, lanes *out)
{
    for (unsigned lane = 0; lane < KF_SHA1_LANES; lane++) {
        (*out)[lane] = n_blocks[lane] > block ? UINT32_MAX : 0;
    }
}

TARGET static inline void
load_words(const uint8_t *const texts[KF_SHA1_LANES], unsigned block,
           lanes w[16])
{
    for (unsigned lane = 0; lane < KF_SHA1_LANES; lane++) {
        for (unsigned t = 0; t < 16; t++) {
            uint32_t word;
            memcpy(&word, texts[lane] + 64 * block + 4 * t, sizeof word);
            ((uint32_t *)&w[t])[lane] = __builtin_bswap32(word);
        }
    }
}

#define SCHEDULED(t)                                                       \
    ((t) < 16                                                              \
         ? w[(t) & 15]                                                     \
         : (w[(t) & 15] = ROTATED(w[((t) + 13) & 15] ^ w[((t) + 8) & 15] ^ \
                                      w[((t) + 2) & 15] ^ w[(t) & 15],     \
                                  1)))

TARGET void
kf_sha1_lanes_avx512(uint32_t states[5][KF_SHA1_LANES],
                     const uint8_t *const texts[KF_SHA1_LANES],
                     const uint8_t n_blocks[KF_SHA1_LANES], unsigned most)
{
    lanes state[5];
    memcpy(state, states, sizeof state);
    for (unsigned block = 0; block < most; block++) {
        lanes a = state[0], b = state[1], c = state[2], d = state[3],
              e = state[4];
        lanes going;
        lanes w[16];
        mark_going(n_blocks, block, &going);
        load_words(texts, block, w);
        EIGHTY_ROUNDS;
        state[0] += a & going;
        state[1] += b & going;
        state[2] += c & going;
        state[3] += d & going;
        state[4] += e & going;
    }
    memcpy(states, state, sizeof state);
}

#endif
