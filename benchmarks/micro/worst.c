/* A search for the pair that takes the kernels longest, beside what is
 * typical of its size.
 *
 *     gcc -std=gnu11 -O3 -Icsrc/include -Itests/c -o build/worst \
 *         benchmarks/micro/worst.c $(find csrc/core -name '*.c') -lm -lpthread
 *     build/worst [size [steps [seed]]]
 *
 * size (50, at most 64): symbols of the pattern and of the state. Typical is
 * the mean over pairs with Zipf 1.0 over 10,000 symbols, states glued from
 * slices of the patterns with 20 % noise. The search starts from families
 * that are hard for a recursion over runs and climbs by changes of a symbol,
 * a slice, a copy or a swap. KATO_FAST_CPU picks the variant. Prints
 * processor time of a pair in batches and alone, and the worst pair. */
#define PROGRAM "worst"
#include "timing.h"

#include "segments.h"

#include "kato_fast/align.h"
#include "kato_fast/align_local.h"
#include "kato_fast/cpu.h"


#define COPIES 64u
#define TYPICAL 4096u
#define VOCABULARY 10000u
#define REPEATS 7
#define FAMILIES 10
#define MOST KF_ALIGN_LOCAL_MAX

typedef struct {
    uint32_t pattern[MOST];
    uint32_t state[MOST];
    double cost;
} couple;

static uint64_t seed = 1;
static uint32_t size = 50;
static bool alone; /* one pair at a time, with its list of blocks */
static kf_align_local *local;
static uint16_t ids[TYPICAL * MOST];
static uint32_t wide[TYPICAL * MOST];
static uint16_t every[TYPICAL];
static kf_alignment out[TYPICAL];
static uint32_t need[MOST + 1];

static uint32_t
below(uint32_t limit)
{
    return segments_below(&seed, limit);
}

/* --- costs --- */

static double
time_batch(uint32_t count)
{
    const kf_run runs[2] = {{size, 0, 0}, {0, count, (uint64_t)count * size}};
    kf_align_source source = {ids, 2, runs, need};
    double start = now();
    kf_align_local_many(local, &source, every, count, out, NULL);
    return (now() - start) / count;
}

static double
time_alone(const kf_align_state *state, kf_align_scratch *scratch,
           uint32_t count)
{
    kf_block blocks[MOST + 1];
    double start = now();
    for (uint32_t c = 0; c < count; c++) {
        kf_align_blocks(state, scratch, wide + c * size, size, blocks,
                        &out[c]);
    }
    return (now() - start) / count;
}

/* The least of some rounds: other programs only add. */
static double
time_patterns(const uint32_t *state_ids, uint32_t count, int rounds)
{
    kf_align_state *state = NULL;
    kf_align_scratch *scratch = NULL;
    double best = 1e18;
    demand(kf_align_local_prepare(local, state_ids, size, VOCABULARY, size,
                                  NULL) == KF_OK &&
               kf_align_state_new(&kf_alloc_default, state_ids, size, &state,
                                  NULL) == KF_OK &&
               kf_align_scratch_new(&kf_alloc_default, state, size, &scratch,
                                    NULL) == KF_OK,
           "no memory");
    for (int round = 0; round < rounds; round++) {
        double here =
            alone ? time_alone(state, scratch, count) : time_batch(count);
        best = here < best ? here : best;
    }
    kf_align_scratch_free(scratch);
    kf_align_state_free(state);
    return best;
}

static void
measure(couple *pair, int rounds)
{
    for (uint32_t i = 0; i < COPIES * size; i++) {
        wide[i] = pair->pattern[i % size];
        ids[i] = (uint16_t)wide[i];
    }
    pair->cost = time_patterns(pair->state, COPIES, rounds);
}

static double
typical(void)
{
    segments_zipf zipf = segments_zipf_new(VOCABULARY, 1.0);
    double sum = 0;
    for (int states = 0; states < 8; states++) {
        uint32_t state[MOST];
        for (uint32_t i = 0; i < TYPICAL * size; i++) {
            wide[i] = segments_zipf_draw(&zipf, &seed);
            ids[i] = (uint16_t)wide[i];
        }
        for (uint32_t filled = 0; filled < size;) {
            uint32_t from = below(TYPICAL * size - 16);
            uint32_t end = from + 3 + below(8);
            for (; from < end && filled < size; from++) {
                state[filled++] = below(5) != 0
                                      ? wide[from]
                                      : segments_zipf_draw(&zipf, &seed);
            }
        }
        sum += time_patterns(state, TYPICAL, REPEATS);
    }
    free(zipf.sums);
    return sum / 8;
}

/* --- the search --- */

static void
start(couple *pair, int family)
{
    uint32_t period = 2 + below(10);
    uint32_t vocabulary = 1 + below(family < 5 ? 4 : size);
    for (uint32_t i = 0; i < size; i++) {
        pair->pattern[i] = family == 0   ? 0
                           : family == 1 ? i % period
                           : family == 2 ? i / period
                           : family == 3 ? (i % period) * (i / period) % 7
                                         : below(vocabulary);
    }
    for (uint32_t i = 0; i < size; i++) {
        pair->state[i] = family % 2 == 0 ? pair->pattern[i]
                         : family < 7    ? pair->pattern[size - 1 - i]
                                         : below(vocabulary);
    }
}

static void
change(couple *pair)
{
    uint32_t *to = below(2) ? pair->pattern : pair->state;
    const uint32_t *from = below(2) ? pair->pattern : pair->state;
    uint32_t at = below(size);
    uint32_t where = below(size);
    uint32_t length = 1 + below(below(2) ? 4 : size);
    uint32_t symbol = below(3) ? from[where] : below(size);
    uint32_t copy[MOST];
    memcpy(copy, from, sizeof copy);
    switch (below(4)) {
    case 0:
        to[at] = symbol;
        break;
    case 1:
        for (; length > 0 && at < size && where < size; length--) {
            to[at++] = copy[where++];
        }
        break;
    case 2:
        for (; length > 0 && at < size; length--) {
            to[at++] = symbol;
        }
        break;
    default:
        memmove(&to[at], &copy[where],
                (size - (at > where ? at : where)) * sizeof *to);
    }
}

/* Climb: what looks dearer is measured again before it is believed. */
static void
climb(couple *best, int steps)
{
    for (int step = 0; step < steps; step++) {
        couple next = *best;
        for (uint32_t changes = 1 + below(3); changes > 0; changes--) {
            change(&next);
        }
        measure(&next, 3);
        if (next.cost > best->cost) {
            measure(&next, REPEATS);
            measure(best, REPEATS);
            *best = next.cost > best->cost ? next : *best;
        }
    }
}

static void
print_symbols(const char *what, const uint32_t *symbols)
{
    printf("  %s", what);
    for (uint32_t i = 0; i < size; i++) {
        printf(" %u", symbols[i]);
    }
    printf("\n");
}

static void
search(const char *name, int steps)
{
    double usual = typical();
    couple worst = {.cost = 0};
    for (int family = 0; family < FAMILIES; family++) {
        couple best;
        start(&best, family);
        measure(&best, REPEATS);
        climb(&best, steps / FAMILIES);
        worst = best.cost > worst.cost ? best : worst;
    }
    climb(&worst, steps / 2);
    measure(&worst, 3 * REPEATS);
    printf("%s %s size %u: typical %.1f worst %.1f ratio %.2f\n",
           kf_cpu_level_name(kf_cpu_choose()), name, size, usual, worst.cost,
           worst.cost / usual);
    print_symbols("pattern", worst.pattern);
    print_symbols("state  ", worst.state);
}

int
main(int argc, char **argv)
{
    int steps = argc > 2 ? atoi(argv[2]) : 4000;
    size = argc > 1 ? (uint32_t)atoi(argv[1]) : size;
    seed = argc > 3 ? strtoull(argv[3], NULL, 10) : seed;
    demand(size >= 2 && size <= MOST, "size is 2 to 64");
    demand(kf_cpu_error() == NULL, "KATO_FAST_CPU");
    demand(kf_align_local_new(&kf_alloc_default, kf_cpu_choose(), &local,
                              NULL) == KF_OK,
           "no memory");
    for (uint32_t c = 0; c < TYPICAL; c++) {
        every[c] = (uint16_t)c;
    }
    search("batch", steps);
    alone = true;
    search("alone", steps);
    kf_align_local_free(local);
    return 0;
}
