/* Every variant of kf_align_local_many that this CPU has, and of aligning one
 * pair, against plain C and against difflib's algorithm written down word
 * for word.
 *
 *     test_align_local [pairs [seed]]
 *
 * pairs: how many pairs of pattern and state, a million by default. */
#include "kato_fast/align.h"
#include "kato_fast/align_local.h"
#include "kato_fast/symbols.h"

#include "check.h"

#include <string.h>
#include <time.h>

#define M_MAX KF_ALIGN_LOCAL_MAX
#define N_MAX 130
#define RUNS_MAX 12
#define PATTERNS_MAX 400
#define NAIVE_SHARE 8 /* one of so many pairs is also compared with it */

static uint64_t random_state;
static uint64_t alone[KF_CPU_LEVELS]; /* pairs aligned one at a time */
static bool has[KF_CPU_LEVELS];       /* asking the CPU is slow */

static uint32_t
random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 32) * limit >> 32);
}

/* --- difflib, word for word --- */

typedef struct {
    const uint32_t *a;
    const uint32_t *b;
    kf_alignment sum;
} naive;

static void
naive_recurse(naive *here, uint32_t i0, uint32_t i1, uint32_t j0, uint32_t j1)
{
    uint32_t row[2][M_MAX + 1] = {{0}, {0}};
    kf_block best = {i0, j0, 0};
    for (uint32_t i = i0; i < i1; i++) {
        const uint32_t *old = row[i & 1];
        uint32_t *now = row[(i & 1) ^ 1];
        memset(now, 0, sizeof row[0]);
        for (uint32_t j = j0; j < j1; j++) {
            if (here->a[i] == here->b[j]) {
                now[j + 1] = old[j] + 1;
                if (now[j + 1] > best.k) {
                    best.k = now[j + 1];
                    best.i = i + 1 - best.k;
                    best.j = j + 1 - best.k;
                }
            }
        }
    }
    if (best.k != 0) {
        naive_recurse(here, i0, best.i, j0, best.j);
        here->sum.first = here->sum.blocks == 0 ? best.i : here->sum.first;
        here->sum.blocks++;
        here->sum.matched += best.k;
        here->sum.end = best.i + best.k;
        naive_recurse(here, best.i + best.k, i1, best.j + best.k, j1);
    }
}

/* --- patterns like those of a segment --- */

typedef struct {
    uint32_t vocabulary;
    uint32_t spread; /* symbol s has the local number s * spread */
    uint32_t n_symbols;
    uint32_t id_bytes;
    uint32_t n_patterns;
    uint32_t n_ids;
    uint32_t *ids; /* as u32, for kf_align */
    void *stored;  /* of its exact size, so that ASan sees reads behind */
    kf_run runs[RUNS_MAX + 1];
    uint32_t n_runs;
    uint32_t need[N_MAX + 1];
    uint32_t state[M_MAX];
    uint32_t m;
} world;

static uint32_t
random_symbol(const world *w)
{
    uint32_t one = random_below(w->vocabulary);
    uint32_t other = random_below(w->vocabulary);
    return (one < other ? one : other) * w->spread;
}

/* One of several kinds of sequence; some are hard for the recursion. */
static void
fill_sequence(const world *w, uint32_t *out, uint32_t n)
{
    uint32_t kind = random_below(8);
    uint32_t period = 1 + random_below(4);
    uint32_t some[4];
    for (uint32_t i = 0; i < 4; i++) {
        some[i] = random_symbol(w);
    }
    for (uint32_t i = 0; i < n; i++) {
        out[i] = kind == 0   ? some[i % period]
                 : kind == 1 ? some[random_below(4)]
                 : kind == 2 ? some[(i / period) % 4]
                             : random_symbol(w);
    }
}

/* Copy pieces of one sequence into the other. */
static void
plant(const uint32_t *from, uint32_t n_from, uint32_t *to, uint32_t n_to)
{
    for (uint32_t pieces = random_below(5); pieces > 0; pieces--) {
        uint32_t length = 1 + random_below(12);
        uint32_t i = random_below(n_from);
        uint32_t j = random_below(n_to);
        for (; length > 0 && i < n_from && j < n_to; length--) {
            to[j++] = from[i++];
        }
    }
}

static void
make_state(world *w)
{
    w->m = random_below(10) == 0 ? M_MAX : 1 + random_below(M_MAX);
    fill_sequence(w, w->state, w->m);
    if (random_below(2) == 0) {
        plant(w->ids, w->n_ids, w->state, w->m);
    }
    for (uint32_t j = 0; j < w->m; j++) {
        if (random_below(12) == 0) {
            w->state[j] = KF_SYMBOL_NONE;
        }
    }
    for (uint32_t n = 0; n <= N_MAX; n++) {
        w->need[n] =
            random_below(3) != 0 ? random_below(4) : random_below(N_MAX);
    }
}

static void
make_runs(world *w)
{
    uint32_t n = random_below(2) == 0 ? 0 : random_below(60);
    uint32_t step = 1 + random_below(N_MAX / RUNS_MAX);
    w->n_patterns = w->n_ids = w->n_runs = 0;
    while (w->n_runs < RUNS_MAX && w->n_patterns < PATTERNS_MAX / 2) {
        uint32_t count = 1 + random_below(PATTERNS_MAX / 8);
        n += 1 + random_below(step);
        if (n > N_MAX) {
            break;
        }
        w->runs[w->n_runs++] = (kf_run){n, w->n_patterns, w->n_ids};
        w->n_patterns += count;
        w->n_ids += count * n;
    }
    w->runs[w->n_runs] = (kf_run){0, w->n_patterns, w->n_ids};
}

static void
store_ids(world *w)
{
    w->stored = malloc((size_t)w->n_ids * w->id_bytes);
    for (uint32_t i = 0; i < w->n_ids; i++) {
        if (w->id_bytes == 2) {
            ((uint16_t *)w->stored)[i] = (uint16_t)w->ids[i];
        }
        else {
            ((uint32_t *)w->stored)[i] = w->ids[i];
        }
    }
}

static void
make_world(world *w)
{
    w->vocabulary = 1 + random_below(random_below(2) == 0 ? 6 : 200);
    w->id_bytes = random_below(3) == 0 ? 4 : 2;
    w->spread =
        1 + random_below((w->id_bytes == 4 ? 100000 : 65536) / w->vocabulary);
    w->n_symbols = (w->vocabulary - 1) * w->spread + 1;
    make_runs(w);
    w->ids = calloc(w->n_ids, sizeof *w->ids);
    make_state(w); /* something to plant */
    for (uint32_t r = 0; r < w->n_runs; r++) {
        uint32_t n = w->runs[r].n;
        for (uint64_t i = w->runs[r].offset; i < w->runs[r + 1].offset;
             i += n) {
            fill_sequence(w, w->ids + i, n);
            if (random_below(4) == 0) {
                plant(w->state, w->m, w->ids + i, n);
            }
        }
    }
    for (uint32_t i = 0; i < w->n_ids; i++) {
        if (w->ids[i] == KF_SYMBOL_NONE) {
            w->ids[i] = random_symbol(w);
        }
    }
    store_ids(w);
}

static void
free_world(world *w)
{
    free(w->ids);
    free(w->stored);
}

/* --- comparing --- */

static uint64_t
naive_seen(const world *w, const uint32_t *ids, uint32_t from, uint32_t end)
{
    uint64_t seen = 0;
    for (uint32_t i = from; i < end; i++) {
        for (uint32_t j = 0; j < w->m; j++) {
            seen |= (uint64_t)(ids[i] == w->state[j]) << j;
        }
    }
    return seen;
}

typedef struct {
    kf_alignment *expected; /* by pattern */
    uint32_t *offset;       /* by pattern */
    uint32_t *n;
} answers;

static void
compare_naive(const world *w, const uint32_t *ids, uint32_t n,
              const kf_alignment *expected)
{
    naive here = {ids, w->state, {0, 0, 0, 0}};
    uint32_t hits = 0;
    for (uint32_t i = 0; i < n; i++) {
        hits += naive_seen(w, ids, i, i + 1) != 0;
    }
    if (hits >= w->need[n]) {
        naive_recurse(&here, 0, n, 0, w->m);
    }
    CHECK(memcmp(&here.sum, expected, sizeof *expected) == 0);
}

/* Blocks, sums and subsequence of one pair, each variant against plain C. */
static void
compare_pair(kf_align_state *state, kf_align_scratch *scratch,
             const uint32_t *ids, uint32_t n, const kf_alignment *expected,
             uint32_t need)
{
    kf_block plain[N_MAX + 1], blocks[N_MAX + 1];
    kf_alignment sum, whole;
    uint32_t lcs = kf_align_lcs(state, scratch, ids, n);
    kf_align_blocks(state, scratch, ids, n, plain, &whole);
    for (int level = 1; level < KF_CPU_LEVELS; level++) {
        if (!has[level]) {
            continue;
        }
        kf_align_state_force(state, (kf_cpu_level)level);
        kf_align(state, scratch, ids, n, need, &sum);
        CHECK(memcmp(&sum, expected, sizeof sum) == 0);
        kf_align_blocks(state, scratch, ids, n, blocks, &sum);
        CHECK(memcmp(&sum, &whole, sizeof sum) == 0 &&
              memcmp(blocks, plain, sum.blocks * sizeof *blocks) == 0);
        CHECK(kf_align_lcs(state, scratch, ids, n) == lcs);
        alone[level]++;
    }
    kf_align_state_force(state, KF_CPU_SCALAR);
}

static void
answer(const world *w, const kf_alloc *alloc, answers *out)
{
    kf_align_state *state = NULL;
    kf_align_scratch *scratch = NULL;
    uint32_t c = 0;
    CHECK(kf_align_state_new(alloc, w->state, w->m, &state, NULL) == KF_OK);
    CHECK(kf_align_scratch_new(alloc, state, N_MAX, &scratch, NULL) == KF_OK);
    kf_align_state_force(state, KF_CPU_SCALAR);
    for (uint32_t r = 0; r < w->n_runs; r++) {
        uint32_t n = w->runs[r].n;
        for (uint32_t i = (uint32_t)w->runs[r].offset;
             i < w->runs[r + 1].offset; i += n, c++) {
            out->offset[c] = i;
            out->n[c] = n;
            kf_align(state, scratch, w->ids + i, n, w->need[n],
                     &out->expected[c]);
            compare_pair(state, scratch, w->ids + i, n, &out->expected[c],
                         w->need[n]);
            if (random_below(NAIVE_SHARE) == 0) {
                compare_naive(w, w->ids + i, n, &out->expected[c]);
            }
        }
    }
    kf_align_scratch_free(scratch);
    kf_align_state_free(state);
}

/* Whether one answer of a variant is right. */
static bool
right(const world *w, const kf_align_local *local, const answers *expected,
      uint32_t pattern, const kf_alignment *out, const uint64_t *symbols)
{
    const uint32_t *ids = w->ids + expected->offset[pattern];
    const char *stored = (const char *)w->stored +
                         (size_t)expected->offset[pattern] * w->id_bytes;
    uint32_t n = expected->n[pattern];
    if (memcmp(out, &expected->expected[pattern], sizeof *out) != 0) {
        return false;
    }
    if (symbols != NULL) {
        uint32_t from = random_below(n + 1);
        uint32_t end = from + random_below(n + 1 - from);
        uint64_t seen = naive_seen(w, ids, 0, n);
        return (seen & ~*symbols) == 0 &&
               (*symbols & ~kf_align_local_known(local)) == 0 &&
               kf_align_local_seen(local, stored, w->id_bytes, from, end) ==
                   naive_seen(w, ids, from, end);
    }
    return true;
}

static uint32_t
compare(const world *w, kf_align_local *local, const answers *expected,
        bool with_symbols)
{
    uint16_t patterns[PATTERNS_MAX];
    kf_alignment out[PATTERNS_MAX];
    uint64_t symbols[PATTERNS_MAX];
    kf_align_source source = {w->stored, w->id_bytes, w->runs, w->need};
    uint32_t skip = random_below(4) == 0 ? random_below(40) : 0;
    uint32_t count = 0;
    for (uint32_t c = random_below(2) * skip; c < w->n_patterns;
         c += 1 + (skip != 0 ? random_below(skip) : 0)) {
        patterns[count++] = (uint16_t)c;
    }
    memset(out, 0xee, sizeof out);
    kf_align_local_many(local, &source, patterns, count, out,
                        with_symbols ? symbols : NULL);
    for (uint32_t c = 0; c < count; c++) {
        if (!right(w, local, expected, patterns[c], &out[c],
                   with_symbols ? &symbols[c] : NULL)) {
            fprintf(stderr, "m %u, n %u, u%u, vocabulary %u, pattern %u\n",
                    w->m, expected->n[patterns[c]], 8 * w->id_bytes,
                    w->vocabulary, patterns[c]);
            CHECK(!"a variant gives what kf_align gives");
        }
    }
    return count;
}

static void
test_variants(const kf_alloc *alloc, uint64_t pairs)
{
    kf_align_local *local[KF_CPU_LEVELS] = {NULL};
    static kf_alignment expected[PATTERNS_MAX];
    static uint32_t offset[PATTERNS_MAX];
    static uint32_t n[PATTERNS_MAX];
    answers known = {expected, offset, n};
    uint64_t done[KF_CPU_LEVELS] = {0};
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        if (kf_cpu_has((kf_cpu_level)level)) {
            CHECK(kf_align_local_new(alloc, (kf_cpu_level)level, &local[level],
                                     NULL) == KF_OK);
        }
    }
    while (done[KF_CPU_SCALAR] < pairs) {
        world w;
        make_world(&w);
        for (uint32_t states = 0; states < 4; states++) {
            make_state(&w);
            answer(&w, alloc, &known);
            for (int level = 0; level < KF_CPU_LEVELS; level++) {
                if (local[level] != NULL) {
                    CHECK(kf_align_local_prepare(local[level], w.state, w.m,
                                                 w.n_symbols, N_MAX,
                                                 NULL) == KF_OK);
                    done[level] += compare(&w, local[level], &known,
                                           random_below(4) == 0);
                }
            }
        }
        free_world(&w);
    }
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        const char *name = kf_cpu_level_name((kf_cpu_level)level);
        if (local[level] != NULL) {
            printf("%s: %llu pairs in batches, %llu alone\n", name,
                   (unsigned long long)done[level],
                   (unsigned long long)alone[level]);
        }
        else {
            printf("%s: not on this CPU\n", name);
        }
        kf_align_local_free(local[level]);
    }
}

static void
test_no_pattern_and_no_symbol(const kf_alloc *alloc)
{
    const uint32_t none[3] = {KF_SYMBOL_NONE, KF_SYMBOL_NONE, KF_SYMBOL_NONE};
    const uint16_t ids[2] = {0, 0};
    const kf_run runs[2] = {{2, 0, 0}, {0, 1, 2}};
    const uint32_t need[3] = {0, 0, 0};
    const uint16_t patterns[1] = {0};
    const kf_align_source source = {ids, 2, runs, need};
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        kf_align_local *local = NULL;
        kf_alignment out = {9, 9, 9, 9};
        if (!kf_cpu_has((kf_cpu_level)level)) {
            continue;
        }
        CHECK(kf_align_local_new(alloc, (kf_cpu_level)level, &local, NULL) ==
              KF_OK);
        CHECK(kf_align_local_prepare(local, none, 3, 1, 2, NULL) == KF_OK);
        kf_align_local_many(local, &source, patterns, 0, &out, NULL);
        CHECK(out.matched == 9);
        kf_align_local_many(local, &source, patterns, 1, &out, NULL);
        CHECK(out.matched == 0 && out.blocks == 0 && out.end == 0);
        CHECK(kf_align_local_known(local) == 0);
        CHECK(kf_align_local_prepare(local, none, 0, 1, 2, NULL) == KF_OK);
        kf_align_local_many(local, &source, patterns, 1, &out, NULL);
        CHECK(out.matched == 0);
        kf_align_local_free(local);
    }
}

/* A failed prepare leaves something that can be prepared again. */
static void
test_no_memory(check_memory *memory, const kf_alloc *alloc)
{
    const uint32_t small[2] = {1, 0};
    const uint32_t large[2] = {70000, 1};
    CHECK_EACH_FAILURE (*memory, done) {
        kf_align_local *local = NULL;
        kf_error err;
        if (kf_align_local_new(alloc, KF_CPU_SCALAR, &local, &err) == KF_OK) {
            done = kf_align_local_prepare(local, small, 2, 2, 10, &err) ==
                       KF_OK &&
                   kf_align_local_prepare(local, large, 2, 70001, 100, &err) ==
                       KF_OK;
            if (!done) {
                CHECK(err.code == KF_NO_MEMORY);
                CHECK(kf_align_local_prepare(local, large, 2, 70001, 100,
                                             NULL) == KF_OK);
            }
            CHECK(kf_align_local_known(local) == 3);
        }
        kf_align_local_free(local);
    }
}

int
main(int argc, char **argv)
{
    uint64_t pairs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10)
                             : (uint64_t)time(NULL) * 2654435761u + 1;
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    printf("seed %llu\n", (unsigned long long)seed);
    random_state = seed != 0 ? seed : 1;
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        has[level] = kf_cpu_has((kf_cpu_level)level);
    }
    test_no_pattern_and_no_symbol(&alloc);
    test_variants(&alloc, pairs);
    test_no_memory(&memory, &alloc);
    CHECK(memory.live == 0);
    return check_report();
}
