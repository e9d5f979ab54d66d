/* Random patterns for the tests and benchmarks of segments. */
#ifndef KATO_FAST_SEGMENTS_H
#define KATO_FAST_SEGMENTS_H

#include "kato_fast/segment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64 */
static inline uint64_t
segments_random(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint32_t
segments_below(uint64_t *seed, uint32_t limit)
{
    return (uint32_t)(segments_random(seed) % limit);
}

/* Symbols 0..vocabulary-1 with probability ~ 1 / (rank ^ exponent). */
typedef struct {
    uint32_t vocabulary;
    double *sums;
} segments_zipf;

static inline segments_zipf
segments_zipf_new(uint32_t vocabulary, double exponent)
{
    segments_zipf zipf = {vocabulary, malloc(vocabulary * sizeof(double))};
    double sum = 0;
    for (uint32_t i = 0; i < vocabulary; i++) {
        sum += pow(i + 1.0, -exponent);
        zipf.sums[i] = sum;
    }
    return zipf;
}

static inline uint32_t
segments_zipf_draw(const segments_zipf *zipf, uint64_t *seed)
{
    double at = (double)(segments_random(seed) >> 11) / 9007199254740992.0 *
                zipf->sums[zipf->vocabulary - 1];
    uint32_t low = 0;
    uint32_t high = zipf->vocabulary - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (zipf->sums[middle] > at) {
            high = middle;
        }
        else {
            low = middle + 1;
        }
    }
    return low;
}

/* KF_SEGMENT_ROWS pointers, all NULL; patterns are added by row. */
typedef struct {
    kf_pattern **rows;
} segments_patterns;

static inline segments_patterns
segments_patterns_new(void)
{
    segments_patterns made = {calloc(KF_SEGMENT_ROWS, sizeof(kf_pattern *))};
    return made;
}

/* Events of 1 to 4 symbols. */
static inline kf_pattern *
segments_add(segments_patterns *patterns, uint32_t row, const uint32_t *ids,
             uint32_t n, uint64_t *seed)
{
    kf_pattern *pattern = calloc(1, kf_pattern_size(n, n));
    uint32_t end = 0;
    pattern->n = n;
    memcpy(pattern->ids, ids, n * sizeof *ids);
    while (end < n) {
        uint32_t more = 1 + segments_below(seed, 4);
        end = end + more < n ? end + more : n;
        pattern->ids[n + pattern->n_events++] = end;
    }
    free(patterns->rows[row]);
    patterns->rows[row] = pattern;
    return pattern;
}

static inline void
segments_patterns_free(segments_patterns *patterns)
{
    for (uint32_t row = 0; row < KF_SEGMENT_ROWS; row++) {
        free(patterns->rows[row]);
    }
    free(patterns->rows);
}

/* `count` patterns of 5 to 50 symbols, in learning order. */
static inline segments_patterns
segments_of_zipf(const segments_zipf *zipf, uint32_t count, uint64_t *seed)
{
    segments_patterns made = segments_patterns_new();
    for (uint32_t row = 0; row < count; row++) {
        uint32_t ids[50];
        uint32_t n = 5 + segments_below(seed, 46);
        for (uint32_t i = 0; i < n; i++) {
            ids[i] = segments_zipf_draw(zipf, seed);
        }
        segments_add(&made, row, ids, n, seed);
    }
    return made;
}

/* `count` rows or fewer, anywhere. */
static inline segments_patterns
segments_few(uint32_t count, uint32_t vocabulary, uint32_t longest,
             uint64_t *seed)
{
    segments_patterns made = segments_patterns_new();
    uint32_t *ids = malloc(longest * sizeof *ids);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = segments_below(seed, KF_SEGMENT_ROWS);
        uint32_t n = 2 + segments_below(seed, longest - 1);
        for (uint32_t j = 0; j < n; j++) {
            ids[j] = segments_below(seed, vocabulary) * 977;
        }
        segments_add(&made, row, ids, n, seed);
    }
    free(ids);
    return made;
}

/* All of them with the same n symbols. */
static inline segments_patterns
segments_equal(uint32_t count, uint32_t n, uint32_t vocabulary, uint64_t *seed)
{
    segments_patterns made = segments_patterns_new();
    uint32_t *ids = malloc(n * sizeof *ids);
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = i % vocabulary;
    }
    for (uint32_t row = 0; row < count; row++) {
        segments_add(&made, row, ids, n, seed);
    }
    free(ids);
    return made;
}

/* More than 65,536 different symbols. */
static inline segments_patterns
segments_wide(uint32_t count, uint32_t n, uint64_t *seed)
{
    segments_patterns made = segments_patterns_new();
    uint32_t *ids = malloc(n * sizeof *ids);
    uint32_t next = 0;
    for (uint32_t row = 0; row < count; row++) {
        for (uint32_t i = 0; i < n; i++) {
            ids[i] = i % 3 == 0 ? i : 1000000 + next++;
        }
        segments_add(&made, row, ids, n, seed);
    }
    free(ids);
    return made;
}

static inline const kf_pattern *const *
segments_rows(const segments_patterns *patterns)
{
    return (const kf_pattern *const *)patterns->rows;
}

#endif
