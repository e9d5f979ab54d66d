/* Which KATO is matched, and what its similarity is.
 *
 * KATO of September 2025 scores the symbols that Ratcliff-Obershelp blocks
 * cover. KATO 2.1 scores the longest common subsequence, as a percentage that
 * it divides by 100 again, and compares the share before and after that with
 * the threshold; blocks still say what matches, what is past and present. */
#ifndef KATO_FAST_GENERATION_H
#define KATO_FAST_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    KF_KATO_2025_09,
    KF_KATO_2_1
} kf_generation;

/* total: the symbols of pattern and state, at least 1. */
double kf_similarity(kf_generation generation, uint32_t common,
                     uint32_t total);

/* Whether so many common symbols are enough. */
bool kf_is_similar(kf_generation generation, uint32_t common, uint32_t total,
                   double threshold);

#endif
