/* Counting postings, against a plain scan with byte counters; whole filters;
 * building and opening segments. Alone in C:
 *
 *     gcc -std=gnu11 -O3 -Icsrc/include -Itests/c -o build/postings \
 *         benchmarks/micro/postings.c csrc/core/segment.c \
 *         csrc/core/segment_build.c csrc/core/postings.c csrc/core/cpu.c \
 *         csrc/core/alloc.c csrc/core/status.c \
 *         csrc/core/kernels/postings_*.c -lm
 *     build/postings [segments [densities]]
 *
 * Processor time of this thread, best and median of the rounds; both sides
 * take turns and must give the same. 16 segments are 2^20 patterns. */
#define PROGRAM "postings"
#include "timing.h"

#include "segments.h"

#include "kato_fast/cpu.h"
#include "kato_fast/postings.h"


#define ROUNDS 15
#define SEGMENTS_MAX 256
#define M 20

static uint64_t seed = 20250901;
static int n_segments = 16;
static uint32_t need[KF_SYMBOLS_MAX + 1];
static uint16_t out[KF_SEGMENT_ROWS];
static uint16_t expected[KF_SEGMENT_ROWS];
static kf_postings_scratch *scratch;

static kf_segment *
build(const segments_patterns *patterns)
{
    kf_segment *segment = NULL;
    demand(kf_segment_build(&kf_alloc_default, segments_rows(patterns),
                            &segment, NULL) == KF_OK,
           "out of memory");
    return segment;
}

static void
set_need(double threshold)
{
    for (uint32_t n = 0; n <= KF_SYMBOLS_MAX; n++) {
        need[n] = (uint32_t)ceil(threshold * (n + M) / 2);
    }
}

/* --- the plain scan --- */

typedef struct {
    const uint16_t *locals;
    uint32_t count;
} plain_list;

static uint8_t plain_counts[KF_SEGMENT_ROWS];

static uint32_t
plain_scan(const kf_segment *segment, const plain_list *lists, int n_lists)
{
    uint32_t n = 0;
    memset(plain_counts, 0, sizeof plain_counts);
    for (int i = 0; i < n_lists; i++) {
        for (uint32_t j = 0; j < lists[i].count; j++) {
            plain_counts[lists[i].locals[j]]++;
        }
    }
    for (uint32_t i = 0; i < segment->header->n_runs; i++) {
        const kf_run *run = &segment->runs[i];
        for (uint32_t local = run->first; local < run[1].first; local++) {
            if (plain_counts[local] >= need[run->n]) {
                expected[n++] = (uint16_t)local;
            }
        }
    }
    return n;
}

static plain_list
plain_of(const kf_segment *segment, kf_list list)
{
    const uint64_t *words = (const uint64_t *)(segment->postings + list.start);
    uint16_t *locals = malloc(KF_SEGMENT_ROWS * sizeof *locals);
    uint32_t n = 0;
    if (list.count != KF_LIST_BITMAP) {
        memcpy(locals, segment->postings + list.start, 2 * list.count);
        return (plain_list){locals, list.count};
    }
    for (uint32_t local = 0; local < KF_SEGMENT_ROWS; local++) {
        if (words[local / 64] >> (local % 64) & 1) {
            locals[n++] = (uint16_t)local;
        }
    }
    return (plain_list){locals, n};
}

static uint32_t
filter(const kf_segment *segment, const uint32_t *ids, const uint32_t *counts,
       uint32_t n)
{
    kf_postings_key keys[M];
    uint32_t n_keys = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t symbol = kf_segment_symbol(segment, ids[i]);
        if (symbol != KF_SYMBOL_NONE) {
            keys[n_keys++] = (kf_postings_key){symbol, counts[i]};
        }
    }
    return kf_postings_candidates(segment, keys, n_keys, need, scratch, out);
}

/* --- lists of one density --- */

/* Each of M symbols with this probability, once; the rest is filler. */
static kf_segment *
segment_of_density(double density)
{
    segments_patterns patterns = segments_patterns_new();
    kf_segment *segment;
    for (uint32_t row = 0; row < KF_SEGMENT_ROWS; row++) {
        uint32_t ids[50 + M];
        uint32_t length = 5 + segments_below(&seed, 46);
        uint32_t n = 0;
        for (uint32_t symbol = 0; symbol < M; symbol++) {
            if (segments_below(&seed, 1000000) < density * 1000000) {
                ids[n++] = symbol;
            }
        }
        while (n < length) {
            ids[n++] = M + segments_below(&seed, 1000);
        }
        segments_add(&patterns, row, ids, n, &seed);
    }
    segment = build(&patterns);
    segments_patterns_free(&patterns);
    return segment;
}

static void
bench_density(double density)
{
    kf_segment *segments[SEGMENTS_MAX];
    plain_list lists[SEGMENTS_MAX][M];
    uint32_t ids[M];
    uint32_t ones[M];
    double plain[ROUNDS];
    double ours[ROUNDS];
    double postings = 0;
    double passed = 0;
    for (uint32_t symbol = 0; symbol < M; symbol++) {
        ids[symbol] = symbol;
        ones[symbol] = 1;
    }
    for (int s = 0; s < n_segments; s++) {
        segments[s] = segment_of_density(density);
        for (uint32_t symbol = 0; symbol < M; symbol++) {
            uint32_t local = kf_segment_symbol(segments[s], symbol);
            lists[s][symbol] =
                plain_of(segments[s], kf_segment_list(segments[s], local));
            postings += lists[s][symbol].count;
        }
    }
    for (int s = 0; s < n_segments; s++) {
        uint32_t n = plain_scan(segments[s], lists[s], M);
        passed += n;
        demand(n == filter(segments[s], ids, ones, M) &&
                   memcmp(out, expected, 2 * n) == 0,
               "not the same candidates");
    }
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        double middle;
        for (int s = 0; s < n_segments; s++) {
            plain_scan(segments[s], lists[s], M);
        }
        middle = now();
        for (int s = 0; s < n_segments; s++) {
            filter(segments[s], ids, ones, M);
        }
        ours[round] = now() - middle;
        plain[round] = middle - start;
    }
    {
        double mine = median(ours, ROUNDS);
        double theirs = median(plain, ROUNDS);
        printf("density %5.1f %%: plain %6.3f, ours %6.3f ns per posting, "
               "%5.1fx (best %6.3f, %6.3f); %4.1f %% pass, %5.1f us a "
               "segment\n",
               density * 100, theirs / postings, mine / postings,
               theirs / mine, plain[0] / postings, ours[0] / postings,
               passed / n_segments / KF_SEGMENT_ROWS * 100,
               mine / n_segments / 1e3);
    }
    for (int s = 0; s < n_segments; s++) {
        for (int i = 0; i < M; i++) {
            free((void *)lists[s][i].locals);
        }
        kf_segment_release(segments[s]);
    }
}

/* --- whole filters --- */

/* Slices of stored patterns, one symbol in five at random. */
static void
make_state(kf_segment *const *segments, const segments_zipf *zipf,
           uint32_t ids[M])
{
    uint32_t pattern[100];
    uint32_t m = 0;
    while (m < M) {
        const kf_segment *segment =
            segments[segments_below(&seed, (uint32_t)n_segments)];
        uint32_t n_events;
        uint32_t n =
            kf_segment_read(segment, segments_below(&seed, KF_SEGMENT_ROWS),
                            pattern, &n_events);
        uint32_t from = segments_below(&seed, n);
        for (uint32_t i = from; i < n && i < from + 8 && m < M; i++) {
            ids[m++] = segments_below(&seed, 5) == 0
                           ? segments_zipf_draw(zipf, &seed)
                           : pattern[i];
        }
    }
}

static uint32_t
count_distinct(uint32_t ids[M], uint32_t counts[M])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < M; i++) {
        uint32_t j = 0;
        while (j < n && ids[j] != ids[i]) {
            j++;
        }
        if (j == n) {
            ids[n] = ids[i];
            counts[n++] = 0;
        }
        counts[j]++;
    }
    return n;
}

static void
bench_filter(uint32_t vocabulary, double exponent)
{
    enum {
        STATES = 40
    };
    segments_zipf zipf = segments_zipf_new(vocabulary, exponent);
    kf_segment *segments[SEGMENTS_MAX];
    double bytes = 0;
    for (int s = 0; s < n_segments; s++) {
        segments_patterns patterns =
            segments_of_zipf(&zipf, KF_SEGMENT_ROWS, &seed);
        segments[s] = build(&patterns);
        bytes += (double)segments[s]->header->size;
        segments_patterns_free(&patterns);
    }
    for (double threshold = 0.1; threshold < 0.8; threshold += 0.2) {
        double times[STATES];
        double middle;
        double passed = 0;
        double patterns = (double)n_segments * KF_SEGMENT_ROWS;
        set_need(threshold);
        for (int i = 0; i < STATES; i++) {
            uint32_t ids[M];
            uint32_t counts[M];
            uint32_t n;
            double start;
            make_state(segments, &zipf, ids);
            n = count_distinct(ids, counts);
            start = now();
            for (int s = 0; s < n_segments; s++) {
                passed += filter(segments[s], ids, counts, n);
            }
            times[i] = now() - start;
        }
        middle = median(times, STATES);
        printf("V %6u, Zipf %g, threshold %.1f: %7.3f ns per stored "
               "pattern, %7.2f us a segment (worst %7.2f), %.4f %% pass\n",
               vocabulary, exponent, threshold, middle / patterns,
               middle / n_segments / 1e3, times[STATES - 1] / n_segments / 1e3,
               passed / STATES / patterns * 100);
    }
    printf("    %.1f bytes per pattern\n",
           bytes / n_segments / KF_SEGMENT_ROWS);
    for (int s = 0; s < n_segments; s++) {
        kf_segment_release(segments[s]);
    }
    free(zipf.sums);
}

/* --- segments --- */

static void
bench_build(uint32_t vocabulary, double exponent)
{
    segments_zipf zipf = segments_zipf_new(vocabulary, exponent);
    segments_patterns patterns =
        segments_of_zipf(&zipf, KF_SEGMENT_ROWS, &seed);
    double builds[ROUNDS];
    double opens[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        kf_segment *opened = NULL;
        double start = now();
        kf_segment *segment = build(&patterns);
        double middle = now();
        demand(kf_segment_open(&kf_alloc_default, segment->header,
                               segment->header->size, NULL, NULL, &opened,
                               NULL) == KF_OK,
               "not opened");
        opens[round] = now() - middle;
        builds[round] = middle - start;
        kf_segment_release(opened);
        kf_segment_release(segment);
    }
    printf("V %6u, Zipf %g: build %6.2f ms, open %5.2f ms\n", vocabulary,
           exponent, median(builds, ROUNDS) / 1e6,
           median(opens, ROUNDS) / 1e6);
    segments_patterns_free(&patterns);
    free(zipf.sums);
}

int
main(int argc, char **argv)
{
    static const double densities[] = {0.003, 0.027, 0.1, 0.3};
    if (argc > 1) {
        n_segments = atoi(argv[1]);
        demand(n_segments > 0 && n_segments <= SEGMENTS_MAX,
               "segments must be 1 to 256");
    }
    printf("%s, %d segments, %d rounds\n", kf_cpu_level_name(kf_cpu_choose()),
           n_segments, ROUNDS);
    demand(kf_postings_scratch_new(&kf_alloc_default, &scratch, NULL) == KF_OK,
           "out of memory");
    for (size_t i = 0; i < sizeof densities / sizeof *densities; i++) {
        set_need(0.3);
        bench_density(densities[i]);
        set_need(0.6);
        bench_density(densities[i]);
    }
    if (argc > 2) { /* the rest is not asked for */
        kf_postings_scratch_free(scratch);
        return 0;
    }
    bench_filter(10000, 1.0);
    bench_filter(100000, 0.0);
    bench_build(1000, 1.0);
    bench_build(10000, 1.0);
    bench_build(100000, 0.0);
    kf_postings_scratch_free(scratch);
    return 0;
}
