/* Candidates against a naive count: every plan and every kernel that this
 * CPU has, for states and needs at the edges. */
#include "check.h"
#include "segments.h"

#include "../../csrc/core/kernels/postings.h"
#include "kato_fast/cpu.h"

#include <time.h>

static uint64_t seed;

/* --- the naive twin --- */

typedef struct {
    const segments_patterns *patterns;
    const kf_segment *segment;
    kf_postings_scratch *scratch;
    uint32_t *overlaps; /* by local */
    uint32_t *need;     /* by length */
    uint16_t *out;
    uint16_t *expected;
} checker;

/* A state as distinct symbols and how often it has each. */
typedef struct {
    uint32_t *globals;
    uint32_t *counts;
    uint32_t n;
} state;

static int
compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Takes ids over. */
static state
state_of(uint32_t *ids, uint32_t m)
{
    state made = {ids, calloc(m + 1, sizeof(uint32_t)), 0};
    qsort(ids, m, sizeof *ids, compare_ids);
    for (uint32_t i = 0; i < m; i++) {
        if (made.n == 0 || ids[made.n - 1] != ids[i]) {
            made.globals[made.n++] = ids[i];
        }
        made.counts[made.n - 1]++;
    }
    return made;
}

static uint32_t
naive_overlap(const state *of, const kf_pattern *pattern)
{
    uint32_t *left = malloc((of->n + 1) * sizeof *left);
    uint32_t overlap = 0;
    memcpy(left, of->counts, of->n * sizeof *left);
    for (uint32_t i = 0; i < pattern->n; i++) {
        const uint32_t *at = bsearch(&pattern->ids[i], of->globals, of->n,
                                     sizeof *at, compare_ids);
        if (at != NULL && left[at - of->globals] != 0) {
            left[at - of->globals]--;
            overlap++;
        }
    }
    free(left);
    return overlap;
}

static uint32_t
naive_candidates(checker *c)
{
    uint32_t n = 0;
    for (uint32_t local = 0; local < c->segment->header->n_patterns; local++) {
        uint32_t length = c->patterns->rows[c->segment->order[local]]->n;
        if (c->overlaps[local] >= c->need[length]) {
            c->expected[n++] = (uint16_t)local;
        }
    }
    return n;
}

static uint32_t
make_keys(const checker *c, const state *of, kf_postings_key *keys)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < of->n; i++) {
        uint32_t symbol = kf_segment_symbol(c->segment, of->globals[i]);
        if (symbol != KF_SYMBOL_NONE) {
            keys[n++] = (kf_postings_key){symbol, of->counts[i]};
        }
    }
    return n;
}

/* --- plans and kernels --- */

static bool
is_at_rest(const kf_postings_scratch *scratch)
{
    bool rests = true;
    for (uint32_t i = 0; i < KF_SEGMENT_ROWS; i++) {
        rests = rests && scratch->counts[i] == 0;
    }
    for (uint32_t i = 0; i < KF_SEGMENT_BITMAP_WORDS; i++) {
        rests = rests && scratch->marks[i] == 0;
    }
    return rests;
}

static void
check_way(checker *c, const kf_postings_key *keys, uint32_t n_keys,
          uint32_t n_expected)
{
    uint32_t n = kf_postings_candidates(c->segment, keys, n_keys, c->need,
                                        c->scratch, c->out);
    CHECK(n == n_expected);
    CHECK(n == n_expected &&
          memcmp(c->out, c->expected, n * sizeof *c->out) == 0);
    CHECK(c->out[KF_SEGMENT_ROWS] == 0xbeef);
    CHECK(is_at_rest(c->scratch));
}

static void
check_ways(checker *c, const kf_postings_key *keys, uint32_t n_keys)
{
    uint32_t n_expected = naive_candidates(c);
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        if (!kf_cpu_has((kf_cpu_level)level)) {
            continue;
        }
        c->scratch->kernel = kf_postings_kernel_of((kf_cpu_level)level);
        for (int plan = KF_PLAN_BY_COST; plan <= KF_PLAN_ADD; plan++) {
            c->scratch->plan = (kf_postings_plan)plan;
            check_way(c, keys, n_keys, n_expected);
        }
    }
}

/* --- needs --- */

static void
need_same(checker *c, uint32_t need)
{
    for (uint32_t n = 0; n <= KF_SYMBOLS_MAX; n++) {
        c->need[n] = need;
    }
}

/* ceil(share * (n + m) / 2), as a threshold asks for. */
static void
need_share(checker *c, uint32_t m, double share)
{
    for (uint32_t n = 0; n <= KF_SYMBOLS_MAX; n++) {
        c->need[n] = (uint32_t)ceil(share * (n + m) / 2);
        c->need[n] = c->need[n] == 0 ? 1 : c->need[n];
    }
}

static void
need_random(checker *c, uint32_t most)
{
    for (uint32_t n = 0; n <= KF_SYMBOLS_MAX; n++) {
        c->need[n] = segments_below(&seed, 3) == 0
                         ? UINT32_MAX
                         : 1 + segments_below(&seed, most + 2);
    }
}

static void
check_needs(checker *c, const state *of, uint32_t m)
{
    kf_postings_key *keys = malloc((of->n + 1) * sizeof *keys);
    uint32_t n_keys = make_keys(c, of, keys);
    uint32_t most = 0;
    for (uint32_t local = 0; local < c->segment->header->n_patterns; local++) {
        uint32_t row = c->segment->order[local];
        c->overlaps[local] = naive_overlap(of, c->patterns->rows[row]);
        most = c->overlaps[local] > most ? c->overlaps[local] : most;
    }
    for (uint32_t need = 1; need <= most + 1; need += 1 + need / 4) {
        need_same(c, need);
        check_ways(c, keys, n_keys);
    }
    need_same(c, most == 0 ? 1 : most);
    check_ways(c, keys, n_keys);
    need_same(c, UINT32_MAX);
    check_ways(c, keys, n_keys);
    for (double share = 0.1; share < 1.05; share += 0.3) {
        need_share(c, m, share);
        check_ways(c, keys, n_keys);
    }
    need_random(c, most);
    check_ways(c, keys, n_keys);
    free(keys);
}

static void
check_state(checker *c, uint32_t *ids, uint32_t m)
{
    state of = state_of(ids, m);
    check_needs(c, &of, m);
    free(of.globals);
    free(of.counts);
}

/* --- states --- */

/* Symbols of the patterns, one in five unknown to them. */
static void
check_random_state(checker *c, uint32_t m)
{
    uint32_t n = c->segment->header->n_symbols;
    uint32_t *ids = malloc((m + 1) * sizeof *ids);
    for (uint32_t i = 0; i < m; i++) {
        ids[i] = n == 0 || segments_below(&seed, 5) == 0
                     ? 0x70000000 + segments_below(&seed, 9)
                     : kf_segment_global(c->segment, segments_below(&seed, n));
    }
    check_state(c, ids, m);
}

/* The most frequent symbols, `times` of each. */
static void
check_frequent_state(checker *c, uint32_t symbols, uint32_t times)
{
    uint32_t n = c->segment->header->n_symbols;
    uint32_t *ids;
    symbols = symbols < n ? symbols : n;
    ids = malloc(((size_t)symbols * times + 1) * sizeof *ids);
    for (uint32_t i = 0; i < symbols * times; i++) {
        ids[i] = kf_segment_global(c->segment, i % symbols);
    }
    check_state(c, ids, symbols * times);
}

static void
check_segment(segments_patterns patterns, bool is_small)
{
    kf_segment *segment;
    checker c = {.patterns = &patterns};
    CHECK(kf_segment_build(&kf_alloc_default, segments_rows(&patterns),
                           &segment, NULL) == KF_OK);
    CHECK(kf_postings_scratch_new(&kf_alloc_default, &c.scratch, NULL) ==
          KF_OK);
    c.segment = segment;
    c.overlaps = calloc(KF_SEGMENT_ROWS, sizeof *c.overlaps);
    c.need = malloc((KF_SYMBOLS_MAX + 1) * sizeof *c.need);
    c.out = malloc((KF_SEGMENT_ROWS + 1) * sizeof *c.out);
    c.out[KF_SEGMENT_ROWS] = 0xbeef;
    c.expected = malloc(KF_SEGMENT_ROWS * sizeof *c.expected);
    check_random_state(&c, 0);
    check_random_state(&c, 1);
    check_random_state(&c, 20);
    check_frequent_state(&c, 1, 1);
    check_frequent_state(&c, 12, 3);
    if (is_small) {
        check_random_state(&c, 200);
        check_random_state(&c, 3000);
        check_frequent_state(&c, 2, 300);
        check_frequent_state(&c, 1, 255);
        check_frequent_state(&c, 1, 256);
        check_frequent_state(&c, 65535, 1);
    }
    free(c.overlaps);
    free(c.need);
    free(c.out);
    free(c.expected);
    kf_postings_scratch_free(c.scratch);
    kf_segment_release(segment);
    segments_patterns_free(&patterns);
}

/* Lengths 1, 2, 3, ...: a run ends in every word. */
static segments_patterns
many_lengths(uint32_t count)
{
    segments_patterns made = segments_patterns_new();
    uint32_t *ids = malloc((count + 1) * sizeof *ids);
    for (uint32_t row = 0; row < count; row++) {
        for (uint32_t i = 0; i <= row; i++) {
            ids[i] = segments_below(&seed, 40);
        }
        segments_add(&made, row, ids, row + 1, &seed);
    }
    free(ids);
    return made;
}

/* One pattern of one symbol, as long as can be, and a few short ones. */
static void
check_longest(void)
{
    segments_patterns patterns = segments_few(3, 3, 9, &seed);
    uint32_t *ids = calloc(KF_SYMBOLS_MAX, sizeof *ids);
    segments_add(&patterns, 77, ids, KF_SYMBOLS_MAX, &seed);
    segments_add(&patterns, 78, ids, 300, &seed);
    segments_add(&patterns, 79, ids, 255, &seed);
    segments_add(&patterns, 80, ids, 256, &seed);
    free(ids);
    check_segment(patterns, false);

    patterns = segments_few(3, 3, 9, &seed);
    ids = calloc(KF_SYMBOLS_MAX, sizeof *ids);
    segments_add(&patterns, 77, ids, KF_SYMBOLS_MAX, &seed);
    free(ids);
    check_segment(patterns, true);
}

static void
test_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    CHECK_EACH_FAILURE (memory, done) {
        kf_postings_scratch *scratch = NULL;
        kf_error err;
        done = kf_postings_scratch_new(&alloc, &scratch, &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && scratch == NULL));
        kf_postings_scratch_free(scratch);
    }
}

int
main(int argc, char **argv)
{
    segments_zipf zipf = segments_zipf_new(3000, 1.0);
    segments_zipf uniform = segments_zipf_new(100000, 0.0);
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    test_memory();
    check_segment(segments_patterns_new(), true);
    check_segment(segments_few(1, 5, 5, &seed), true);
    check_segment(segments_few(300, 20, 80, &seed), true);
    check_segment(segments_few(3000, 3000, 30, &seed), true);
    check_segment(many_lengths(700), true);
    check_longest();
    check_segment(segments_equal(5000, 600, 1, &seed), false);
    check_segment(segments_equal(KF_LIST_DENSE + 1, 5, 4, &seed), true);
    check_segment(segments_equal(KF_SEGMENT_ROWS, 3, 2, &seed), false);
    check_segment(segments_wide(2000, 50, &seed), false);
    check_segment(segments_of_zipf(&zipf, KF_SEGMENT_ROWS, &seed), false);
    check_segment(segments_of_zipf(&uniform, 20000, &seed), false);
    free(zipf.sums);
    free(uniform.sums);
    return check_report();
}
