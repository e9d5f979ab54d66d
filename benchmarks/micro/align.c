/* Aligning the patterns of a segment, each variant against kf_align on ids
 * of four bytes. Alone in C:
 *
 *     gcc -std=gnu11 -O3 -Icsrc/include -o build/align \
 *         benchmarks/micro/align.c \
 *         csrc/core/align.c csrc/core/align_local.c csrc/core/align_words.c \
 *         csrc/core/cpu.c csrc/core/alloc.c csrc/core/status.c \
 *         csrc/core/kernels/align_*.c -lm -lpthread
 *     build/align [vocabulary [exponent [n_max]]]
 *
 * 65,536 patterns of 5 to n_max (50) symbols, by length, drawn from a Zipf
 * distribution (10,000, 1.0); states glued from slices of patterns with 20 %
 * noise. Nanoseconds of processor time for a pair; best and median of the
 * rounds, in which the sides take turns; all give the same. "sparse" aligns
 * one pattern of 300, anywhere in 2^20. */
#define PROGRAM "align"
#include "timing.h"

#include "kato_fast/align.h"
#include "kato_fast/align_local.h"

#include <math.h>
#include <string.h>

#define PATTERNS 65536u
#define SEGMENTS 16u
#define SHARE 300u
#define N_MIN 5u
#define N_LIMIT 400u
#define ROUNDS 11
#define STATES 8
#define SIDES (1 + 2 * KF_CPU_LEVELS) /* kf_align, each with u16 and u32 */

static uint64_t random_state = 20250901;
static uint32_t vocabulary = 10000;
static double exponent = 1.0;
static uint32_t n_max = 50;

/* A segment's patterns, in both widths. */
static kf_run runs[N_LIMIT + 2];
static uint32_t n_runs;
static uint32_t n_ids;
static uint16_t *ids16; /* SEGMENTS copies, one after the other */
static uint32_t *ids32; /* one */
static uint32_t need[N_LIMIT + 1];
static uint16_t every[PATTERNS];

static kf_alignment expected[PATTERNS];
static kf_alignment out[PATTERNS];
static kf_align_local *locals[KF_CPU_LEVELS];

static uint32_t
random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 32) * limit >> 32);
}

/* --- data --- */

static double *
cumulated_weights(void)
{
    double *sums = malloc(vocabulary * sizeof *sums);
    double sum = 0;
    demand(sums != NULL, "no memory");
    for (uint32_t symbol = 0; symbol < vocabulary; symbol++) {
        sum += pow(symbol + 1, -exponent);
        sums[symbol] = sum;
    }
    return sums;
}

static uint32_t
draw_symbol(const double *sums)
{
    double at = random_below(UINT32_MAX) * 0x1p-32 * sums[vocabulary - 1];
    uint32_t low = 0;
    uint32_t high = vocabulary - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sums[middle] > at) {
            high = middle;
        }
        else {
            low = middle + 1;
        }
    }
    return low;
}

static void
make_runs(void)
{
    static uint32_t count[N_LIMIT + 1];
    uint32_t first = 0;
    for (uint32_t c = 0; c < PATTERNS; c++) {
        every[c] = (uint16_t)c;
        count[N_MIN + random_below(n_max + 1 - N_MIN)]++;
    }
    for (uint32_t n = N_MIN; n <= n_max; n++) {
        if (count[n] != 0) {
            runs[n_runs++] = (kf_run){n, first, n_ids};
            first += count[n];
            n_ids += count[n] * n;
        }
    }
    runs[n_runs] = (kf_run){0, first, n_ids};
}

static void
make_patterns(void)
{
    double *sums = cumulated_weights();
    make_runs();
    ids16 = malloc((size_t)n_ids * SEGMENTS * sizeof *ids16);
    ids32 = malloc(n_ids * sizeof *ids32);
    demand(ids16 != NULL && ids32 != NULL, "no memory");
    for (uint32_t i = 0; i < n_ids; i++) {
        ids32[i] = draw_symbol(sums);
        ids16[i] = (uint16_t)ids32[i];
    }
    for (uint32_t s = 1; s < SEGMENTS; s++) {
        memcpy(ids16 + (size_t)n_ids * s, ids16, n_ids * sizeof *ids16);
    }
    free(sums);
}

static void
make_state(uint32_t *state, uint32_t m)
{
    uint32_t filled = 0;
    while (filled < m) {
        uint32_t from = random_below(n_ids - 10);
        uint32_t length = 2 + random_below(8);
        for (uint32_t i = 0; i < length && filled < m; i++) {
            uint32_t at =
                random_below(5) != 0 ? from + i : random_below(n_ids);
            state[filled++] = ids32[at];
        }
    }
}

/* --- sides --- */

static double
time_general(const uint32_t *state_ids, uint32_t m)
{
    kf_align_state *state = NULL;
    kf_align_scratch *scratch = NULL;
    double start;
    uint32_t c = 0;
    demand(kf_align_state_new(&kf_alloc_default, state_ids, m, &state, NULL) ==
                   KF_OK &&
               kf_align_scratch_new(&kf_alloc_default, state, n_max, &scratch,
                                    NULL) == KF_OK,
           "no memory");
    start = now();
    for (uint32_t r = 0; r < n_runs; r++) {
        uint32_t n = runs[r].n;
        for (uint64_t i = runs[r].offset; i < runs[r + 1].offset; i += n) {
            kf_align(state, scratch, ids32 + i, n, need[n], &expected[c++]);
        }
    }
    start = now() - start;
    kf_align_scratch_free(scratch);
    kf_align_state_free(state);
    return start;
}

static void
prepare(kf_align_local *local, const uint32_t *state, uint32_t m)
{
    demand(kf_align_local_prepare(local, state, m, vocabulary, n_max, NULL) ==
               KF_OK,
           "no memory");
}

static double
time_variant(kf_align_local *local, uint32_t id_bytes)
{
    kf_align_source source = {id_bytes == 2 ? (void *)ids16 : (void *)ids32,
                              id_bytes, runs, need};
    double start;
    memset(out, 0xee, sizeof out);
    start = now();
    kf_align_local_many(local, &source, every, PATTERNS, out, NULL);
    start = now() - start;
    demand(memcmp(out, expected, sizeof out) == 0, "answers differ");
    return start;
}

static double
time_side(int side, const uint32_t *state, uint32_t m)
{
    kf_align_local *local;
    if (side == 0) {
        return time_general(state, m);
    }
    local = locals[(side - 1) / 2];
    if (local == NULL) {
        return 0;
    }
    prepare(local, state, m);
    return time_variant(local, side % 2 != 0 ? 2 : 4);
}

static void
print_side(int side, uint32_t m, double *times, int count)
{
    qsort(times, (size_t)count, sizeof *times, compare_times);
    printf("m %2u  %-8s u%d  best %6.1f  median %6.1f\n", m,
           side == 0 ? "kf_align"
                     : kf_cpu_level_name((kf_cpu_level)((side - 1) / 2)),
           side % 2 != 0 ? 16 : 32, times[0], times[count / 2]);
}

/* The best is that of the mean over states, so that it is of no easy one. */
static void
measure_dense(uint32_t m)
{
    double times[SIDES][ROUNDS] = {{0}};
    uint64_t with_runs = 0;
    for (int s = 0; s < STATES; s++) {
        uint32_t state[KF_ALIGN_LOCAL_MAX];
        make_state(state, m);
        for (int round = 0; round < ROUNDS; round++) {
            for (int side = 0; side < SIDES; side++) {
                times[side][round] +=
                    time_side(side, state, m) / PATTERNS / STATES;
            }
        }
        for (uint32_t c = 0; c < PATTERNS; c++) {
            with_runs += expected[c].blocks != expected[c].matched;
        }
    }
    for (int side = 0; side < SIDES; side++) {
        if (times[side][0] != 0) {
            print_side(side, m, times[side], ROUNDS);
        }
    }
    printf("m %2u  %.1f %% have a block of two symbols or more\n", m,
           100.0 * (double)with_runs / PATTERNS / STATES);
}

/* One segment after the other, prepared for each, few patterns of each. */
static void
measure_sparse(uint32_t m)
{
    static uint16_t few[SEGMENTS][PATTERNS];
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        double times[ROUNDS];
        uint32_t state[KF_ALIGN_LOCAL_MAX];
        uint32_t count[SEGMENTS];
        uint32_t total = 0;
        if (locals[level] == NULL) {
            continue;
        }
        make_state(state, m);
        for (int round = 0; round < ROUNDS; round++) {
            total = 0;
            for (uint32_t s = 0; s < SEGMENTS; s++) {
                count[s] = 0;
                for (uint32_t c = 0; c < PATTERNS; c++) {
                    few[s][count[s]] = (uint16_t)c;
                    count[s] += random_below(SHARE) == 0;
                }
                total += count[s];
            }
            times[round] = now();
            for (uint32_t s = 0; s < SEGMENTS; s++) {
                kf_align_source source = {ids16 + (size_t)n_ids * s, 2, runs,
                                          need};
                prepare(locals[level], state, m);
                kf_align_local_many(locals[level], &source, few[s], count[s],
                                    out, NULL);
            }
            times[round] = (now() - times[round]) / total;
        }
        printf("sparse ");
        print_side(2 * level + 1, m, times, ROUNDS);
    }
}

static void
measure_prepare(uint32_t m)
{
    double times[ROUNDS];
    uint32_t state[KF_ALIGN_LOCAL_MAX];
    make_state(state, m);
    for (int round = 0; round < ROUNDS; round++) {
        times[round] = now();
        for (int i = 0; i < 1000; i++) {
            prepare(locals[KF_CPU_SCALAR], state, m);
        }
        times[round] = (now() - times[round]) / 1000;
    }
    qsort(times, ROUNDS, sizeof *times, compare_times);
    printf("prepare m %2u  best %6.1f  median %6.1f\n", m, times[0],
           times[ROUNDS / 2]);
}

int
main(int argc, char **argv)
{
    static const uint32_t sizes[] = {10, 20, 50};
    vocabulary = argc > 1 ? (uint32_t)atoi(argv[1]) : vocabulary;
    exponent = argc > 2 ? atof(argv[2]) : exponent;
    n_max = argc > 3 ? (uint32_t)atoi(argv[3]) : n_max;
    demand(vocabulary >= 1 && vocabulary <= 65536, "vocabulary: 1 to 65536");
    demand(n_max >= N_MIN && n_max <= N_LIMIT, "n_max: 5 to 400");
    make_patterns();
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        demand(!kf_cpu_has((kf_cpu_level)level) ||
                   kf_align_local_new(&kf_alloc_default, (kf_cpu_level)level,
                                      &locals[level], NULL) == KF_OK,
               "no memory");
    }
    printf("vocabulary %u, exponent %g, n %u to %u\n", vocabulary, exponent,
           N_MIN, n_max);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        measure_dense(sizes[i]);
        measure_sparse(sizes[i]);
        measure_prepare(sizes[i]);
    }
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        kf_align_local_free(locals[level]);
    }
    free(ids16);
    free(ids32);
    return 0;
}
