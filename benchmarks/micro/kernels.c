/* The kernels alone on data that never changes: for counting instructions
 * (tests/performance) and for nanoseconds beside difflib (benchmarks/compare).
 *
 *     gcc -std=gnu11 -O3 -Icsrc/include -Itests/c -o build/kernels \
 *         benchmarks/micro/kernels.c $(find csrc/core -name '*.c') -lm
 *         -lpthread
 *     build/kernels data PATTERNS M     the data, a line for each sequence
 *     build/kernels answers PATTERNS M  what align found, a line for each pair
 *     build/kernels align PATTERNS M    patterns of a segment, in batches
 *     build/kernels blocks PATTERNS M   one pattern at a time, writes blocks
 *     build/kernels lcs PATTERNS M      longest common subsequences
 *     build/kernels postings PATTERNS M candidates, thresholds 0.1 and 0.3
 *
 * One segment of patterns of 5 to 50 symbols, Zipf 1.0 over 10,000; STATES
 * states of M symbols glued from slices of them with 20 % noise.
 * KATO_FAST_CPU picks the variant. Prints processor time for a pair (for
 * postings: a stored pattern), median of the rounds, and a sum of the
 * answers, equal for all variants. */
#define PROGRAM "kernels"
#include "timing.h"

#include "segments.h"

#include "kato_fast/align.h"
#include "kato_fast/align_local.h"
#include "kato_fast/cpu.h"
#include "kato_fast/postings.h"


#define STATES 8
#define ROUNDS 5
#define VOCABULARY 10000u
#define N_MAX 50u

static uint64_t seed = 20250901;
static kf_segment *segment;
static uint32_t n_patterns;
static uint32_t m;
static uint32_t states[STATES][KF_ALIGN_LOCAL_MAX]; /* local symbols */
static uint32_t need[KF_SYMBOLS_MAX + 1];
static uint16_t every[KF_SEGMENT_ROWS];
static uint16_t passed[KF_SEGMENT_ROWS];
static kf_alignment out[KF_SEGMENT_ROWS];
static kf_align_local *local;
static kf_align_state *align_states[STATES];
static kf_align_scratch *scratches[STATES];
static kf_postings_scratch *postings_scratch;

/* --- data --- */

static void
make_segment(const segments_zipf *zipf)
{
    segments_patterns patterns = segments_of_zipf(zipf, n_patterns, &seed);
    demand(kf_segment_build(&kf_alloc_default, segments_rows(&patterns),
                            &segment, NULL) == KF_OK,
           "no memory");
    segments_patterns_free(&patterns);
    for (uint32_t c = 0; c < n_patterns; c++) {
        every[c] = (uint16_t)c;
    }
}

static void
make_state(const segments_zipf *zipf, uint32_t *state)
{
    uint32_t pattern[2 * N_MAX];
    uint32_t filled = 0;
    while (filled < m) {
        uint32_t n_events;
        uint32_t n = kf_segment_read(
            segment, segments_below(&seed, n_patterns), pattern, &n_events);
        uint32_t from = segments_below(&seed, n);
        uint32_t end = from + 3 + segments_below(&seed, 8);
        for (uint32_t i = from; i < n && i < end && filled < m; i++) {
            uint32_t symbol = segments_below(&seed, 5) != 0
                                  ? pattern[i]
                                  : segments_zipf_draw(zipf, &seed);
            state[filled++] = kf_segment_symbol(segment, symbol);
        }
    }
}

static void
make_data(void)
{
    segments_zipf zipf = segments_zipf_new(VOCABULARY, 1.0);
    make_segment(&zipf);
    seed += m;
    for (int s = 0; s < STATES; s++) {
        make_state(&zipf, states[s]);
    }
    free(zipf.sums);
}

static void
set_need(double threshold)
{
    for (uint32_t n = 1; n <= N_MAX; n++) {
        need[n] = (uint32_t)ceil(threshold * (n + m) / 2);
        need[n] = need[n] > 0 ? need[n] : 1;
    }
}

/* The patterns' symbols with four bytes each, as kf_align takes them. */
static uint32_t *
wide_ids(void)
{
    uint64_t count = segment->header->n_ids;
    uint32_t *ids = malloc(count * sizeof *ids);
    demand(ids != NULL && segment->high == NULL, "no memory");
    for (uint64_t i = 0; i < count; i++) {
        ids[i] = segment->ids[i];
    }
    return ids;
}

/* --- kernels: each returns a sum of its answers --- */

static uint64_t
run_align(const uint32_t *ids)
{
    kf_align_source source = {segment->ids, 2, segment->runs, need};
    uint64_t sum = 0;
    (void)ids;
    for (int s = 0; s < STATES; s++) {
        demand(kf_align_local_prepare(local, states[s], m,
                                      segment->header->n_symbols, N_MAX,
                                      NULL) == KF_OK,
               "no memory");
        kf_align_local_many(local, &source, every, n_patterns, out, NULL);
        for (uint32_t c = 0; c < n_patterns; c++) {
            sum += out[c].matched + out[c].blocks;
        }
    }
    return sum;
}

static uint64_t
run_blocks(const uint32_t *ids)
{
    kf_block blocks[N_MAX + 1];
    uint64_t sum = 0;
    for (int s = 0; s < STATES; s++) {
        for (const kf_run *run = segment->runs; run->n != 0; run++) {
            for (uint64_t i = run->offset; i < run[1].offset; i += run->n) {
                kf_align_blocks(align_states[s], scratches[s], ids + i, run->n,
                                blocks, &out[0]);
                sum += out[0].matched + out[0].blocks;
            }
        }
    }
    return sum;
}

static uint64_t
run_lcs(const uint32_t *ids)
{
    uint64_t sum = 0;
    for (int s = 0; s < STATES; s++) {
        for (const kf_run *run = segment->runs; run->n != 0; run++) {
            for (uint64_t i = run->offset; i < run[1].offset; i += run->n) {
                sum += kf_align_lcs(align_states[s], scratches[s], ids + i,
                                    run->n);
            }
        }
    }
    return sum;
}

static uint32_t
collect_keys(const uint32_t *state, kf_postings_key *keys)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m; i++) {
        uint32_t j = 0;
        while (j < n && keys[j].symbol != state[i]) {
            j++;
        }
        if (state[i] == KF_SYMBOL_NONE) {
            continue;
        }
        if (j == n) {
            keys[n++] = (kf_postings_key){state[i], 0};
        }
        keys[j].count++;
    }
    return n;
}

static uint64_t
run_postings(const uint32_t *ids)
{
    kf_postings_key keys[KF_ALIGN_LOCAL_MAX];
    uint64_t sum = 0;
    (void)ids;
    for (int s = 0; s < STATES; s++) {
        uint32_t n = collect_keys(states[s], keys);
        set_need(0.1);
        sum += kf_postings_candidates(segment, keys, n, need, postings_scratch,
                                      passed);
        set_need(0.3);
        sum += kf_postings_candidates(segment, keys, n, need, postings_scratch,
                                      passed);
    }
    return sum;
}

/* --- printing --- */

static uint64_t
run_data(const uint32_t *ids)
{
    for (const kf_run *run = segment->runs; run->n != 0; run++) {
        for (uint64_t i = run->offset; i < run[1].offset; i++) {
            printf("%u%c", ids[i],
                   (i + 1 - run->offset) % run->n == 0 ? '\n' : ' ');
        }
    }
    for (int s = 0; s < STATES; s++) {
        for (uint32_t i = 0; i < m; i++) {
            printf("%u%c", states[s][i], i + 1 == m ? '\n' : ' ');
        }
    }
    exit(0);
}

static uint64_t
run_answers(const uint32_t *ids)
{
    kf_align_source source = {segment->ids, 2, segment->runs, need};
    (void)ids;
    for (int s = 0; s < STATES; s++) {
        demand(kf_align_local_prepare(local, states[s], m,
                                      segment->header->n_symbols, N_MAX,
                                      NULL) == KF_OK,
               "no memory");
        kf_align_local_many(local, &source, every, n_patterns, out, NULL);
        for (uint32_t c = 0; c < n_patterns; c++) {
            printf("%u %u %u %u\n", out[c].matched, out[c].blocks,
                   out[c].first, out[c].end);
        }
    }
    exit(0);
}

typedef struct {
    const char *name;
    uint64_t (*run)(const uint32_t *ids);
} mode;

static const mode modes[] = {
    {"data", run_data},   {"answers", run_answers},
    {"align", run_align}, {"blocks", run_blocks},
    {"lcs", run_lcs},     {"postings", run_postings},
};

static const mode *
find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(name, modes[i].name) == 0) {
            return &modes[i];
        }
    }
    demand(false, "no such mode");
    return NULL;
}

static void
make_workers(void)
{
    const kf_alloc *alloc = &kf_alloc_default;
    bool good =
        kf_align_local_new(alloc, kf_cpu_choose(), &local, NULL) == KF_OK &&
        kf_postings_scratch_new(alloc, &postings_scratch, NULL) == KF_OK;
    for (int s = 0; good && s < STATES; s++) {
        good = kf_align_state_new(alloc, states[s], m, &align_states[s],
                                  NULL) == KF_OK &&
               kf_align_scratch_new(alloc, align_states[s], N_MAX,
                                    &scratches[s], NULL) == KF_OK;
    }
    demand(good, "no memory");
}

static void
free_workers(void)
{
    kf_align_local_free(local);
    kf_postings_scratch_free(postings_scratch);
    for (int s = 0; s < STATES; s++) {
        kf_align_scratch_free(scratches[s]);
        kf_align_state_free(align_states[s]);
    }
    kf_segment_release(segment);
}

int
main(int argc, char **argv)
{
    double times[ROUNDS];
    uint64_t sum = 0;
    const mode *chosen;
    uint32_t *ids;
    demand(argc == 4, "kernels MODE PATTERNS M");
    demand(kf_cpu_error() == NULL, "KATO_FAST_CPU");
    chosen = find_mode(argv[1]);
    n_patterns = (uint32_t)atoi(argv[2]);
    m = (uint32_t)atoi(argv[3]);
    demand(n_patterns >= 1 && n_patterns <= KF_SEGMENT_ROWS, "1 to 65536");
    demand(m >= 1 && m <= N_MAX, "M is 1 to 50");
    make_data();
    make_workers();
    set_need(0);
    ids = wide_ids();
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        sum = chosen->run(ids);
        times[round] = (now() - start) / n_patterns / STATES;
    }
    printf("%s %s %.2f %llu\n", kf_cpu_level_name(kf_cpu_choose()),
           chosen->name, median(times, ROUNDS), (unsigned long long)sum);
    free_workers();
    free(ids);
    return 0;
}
