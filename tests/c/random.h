/* Random numbers for the C tests: xorshift64*, S. Vigna. The seed is printed;
 * KATO_FAST_TEST_SEED sets it. */
#ifndef KATO_FAST_RANDOM_H
#define KATO_FAST_RANDOM_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct {
    uint64_t state; /* never 0 */
} random_source;

static inline random_source
random_start(void)
{
    const char *given = getenv("KATO_FAST_TEST_SEED");
    uint64_t seed = given != NULL && *given != 0 ? strtoull(given, NULL, 10)
                                                 : (uint64_t)time(NULL);
    printf("KATO_FAST_TEST_SEED=%llu repeats this run\n",
           (unsigned long long)seed);
    return (random_source){seed * 0x9e3779b97f4a7c15u | 1};
}

static inline uint64_t
random_next(random_source *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * 0x2545f4914f6cdd1du;
}

/* 0 to limit - 1; limit is at least 1. */
static inline uint32_t
random_below(random_source *random, uint32_t limit)
{
    return (uint32_t)((random_next(random) >> 32) * limit >> 32);
}

#endif
