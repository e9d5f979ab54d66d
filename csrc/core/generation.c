#include "kato_fast/generation.h"

double
kf_similarity(kf_generation generation, uint32_t common, uint32_t total)
{
    double share = 2.0 * common / total;
    return generation == KF_KATO_2_1 ? share * 100.0 / 100.0 : share;
}

bool
kf_is_similar(kf_generation generation, uint32_t common, uint32_t total,
              double threshold)
{
    return 2.0 * common / total >= threshold &&
           kf_similarity(generation, common, total) >= threshold;
}
