/* Every variant that this CPU has: blocks against Ratcliff-Obershelp as the
 * textbook has it, O(n * m) for each run, and common subsequences against the
 * full table. */
#include "check.h"
#include "random.h"

#include "kato_fast/align.h"
#include "kato_fast/symbols.h"

#include <string.h>

#define MOST 260

/* --- the plain way --- */

typedef struct {
    const uint32_t *a;
    const uint32_t *b;
    kf_block blocks[MOST];
    uint32_t count;
} plain;

/* The longest common run of a[alo:ahi] and b[blo:bhi]: the earliest in a,
 * then the earliest in b. */
static kf_block
longest(const plain *p, uint32_t alo, uint32_t ahi, uint32_t blo, uint32_t bhi)
{
    kf_block best = {alo, blo, 0};
    for (uint32_t i = alo; i < ahi; i++) {
        for (uint32_t j = blo; j < bhi; j++) {
            uint32_t k = 0;
            while (i + k < ahi && j + k < bhi && p->a[i + k] == p->b[j + k] &&
                   p->b[j + k] != KF_SYMBOL_NONE) {
                k++;
            }
            if (k > best.k) {
                best = (kf_block){i, j, k};
            }
        }
    }
    return best;
}

static void
split(plain *p, uint32_t alo, uint32_t ahi, uint32_t blo, uint32_t bhi)
{
    kf_block best = longest(p, alo, ahi, blo, bhi);
    if (best.k != 0) {
        split(p, alo, best.i, blo, best.j);
        p->blocks[p->count++] = best;
        split(p, best.i + best.k, ahi, best.j + best.k, bhi);
    }
}

/* Blocks that touch in both are one, as in difflib. */
static void
join(plain *p)
{
    uint32_t kept = 0;
    for (uint32_t b = 0; b < p->count; b++) {
        kf_block *last = kept > 0 ? &p->blocks[kept - 1] : NULL;
        if (last != NULL && last->i + last->k == p->blocks[b].i &&
            last->j + last->k == p->blocks[b].j) {
            last->k += p->blocks[b].k;
        }
        else {
            p->blocks[kept++] = p->blocks[b];
        }
    }
    p->count = kept;
}

static uint32_t
plain_lcs(const uint32_t *a, uint32_t n, const uint32_t *b, uint32_t m)
{
    static uint32_t table[MOST + 1][MOST + 1];
    memset(table, 0, sizeof table);
    for (uint32_t i = 1; i <= n; i++) {
        for (uint32_t j = 1; j <= m; j++) {
            uint32_t up = table[i - 1][j];
            uint32_t left = table[i][j - 1];
            table[i][j] = a[i - 1] == b[j - 1] && a[i - 1] != KF_SYMBOL_NONE
                              ? table[i - 1][j - 1] + 1
                              : (up > left ? up : left);
        }
    }
    return table[n][m];
}

/* --- pairs --- */

typedef struct {
    uint32_t a[MOST];
    uint32_t b[MOST];
    uint32_t n;
    uint32_t m;
} pair;

static uint32_t
random_id(random_source *random, uint32_t vocabulary)
{
    return random_below(random, vocabulary) * 2654435761u % 100003;
}

/* Runs of one symbol, each a little shorter or longer than the one before,
 * between others: what is left of the longest is nearly the whole. */
static void
fill_with_steps(random_source *random, uint32_t *ids, uint32_t n,
                uint32_t vocabulary)
{
    uint32_t length = 1 + random_below(random, 30);
    uint32_t step = random_below(random, 4);
    uint32_t run = random_id(random, vocabulary);
    uint32_t left = length;
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = left > 0 ? run : random_id(random, vocabulary);
        if (left-- == 0) {
            length += step < 2 ? 2 * step - 1 : random_below(random, step);
            left = length % 40;
        }
    }
}

/* Runs of one symbol, or any. */
static void
fill(random_source *random, uint32_t *ids, uint32_t n, uint32_t vocabulary)
{
    uint32_t repeats = random_below(random, 2) * random_below(random, 8);
    if (random_below(random, 4) == 0) {
        fill_with_steps(random, ids, n, vocabulary);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = i > 0 && random_below(random, repeats + 1) != 0
                     ? ids[i - 1]
                     : random_id(random, vocabulary);
    }
}

/* The state: of its own, or a piece of the pattern with faults, some of them
 * unknown symbols. */
static void
random_pair(random_source *random, pair *out, uint32_t m)
{
    static const uint32_t vocabularies[] = {1, 2, 3, 8, 50, 400};
    uint32_t vocabulary = vocabularies[random_below(random, 6)];
    out->n = random_below(random, random_below(random, 4) ? 40 : MOST);
    out->m = m;
    fill(random, out->a, out->n, vocabulary);
    fill(random, out->b, out->m, vocabulary);
    if (out->n > 0 && random_below(random, 2) == 0) {
        uint32_t shift = random_below(random, out->n);
        for (uint32_t j = 0; j < m; j++) {
            out->b[j] = out->a[(j + shift) % out->n];
        }
    }
    for (uint32_t faults = random_below(random, 6); m > 0 && faults > 0;
         faults--) {
        out->b[random_below(random, m)] = random_below(random, 2)
                                              ? KF_SYMBOL_NONE
                                              : random_id(random, vocabulary);
    }
}

/* --- comparing --- */

static void
check_sum(const kf_alignment *sum, const plain *p)
{
    uint32_t matched = 0;
    for (uint32_t b = 0; b < p->count; b++) {
        matched += p->blocks[b].k;
    }
    CHECK(sum->matched == matched && sum->blocks == p->count);
    CHECK(sum->first == (p->count > 0 ? p->blocks[0].i : 0));
    CHECK(sum->end ==
          (p->count > 0 ? p->blocks[p->count - 1].i + p->blocks[p->count - 1].k
                        : 0));
}

static uint32_t
positions_in_state(const pair *both)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < both->n; i++) {
        for (uint32_t j = 0; j < both->m; j++) {
            if (both->a[i] == both->b[j]) {
                count++;
                break;
            }
        }
    }
    return count;
}

static void
check_need(const pair *both, const kf_align_state *state,
           kf_align_scratch *scratch, const plain *p)
{
    uint32_t most = positions_in_state(both);
    kf_alignment sum;
    kf_align(state, scratch, both->a, both->n, most, &sum);
    check_sum(&sum, p);
    kf_align(state, scratch, both->a, both->n, most + 1, &sum);
    CHECK(sum.matched == 0 && sum.blocks == 0 && sum.first == 0 &&
          sum.end == 0);
}

/* The list is of its exact size, so that ASan sees what is written behind. */
static void
check_blocks(const pair *both, const kf_align_state *state,
             kf_align_scratch *scratch, const plain *p)
{
    size_t most = both->n < both->m ? both->n : both->m;
    kf_block *blocks = malloc((most + 1) * sizeof *blocks);
    kf_alignment sum;
    kf_align_blocks(state, scratch, both->a, both->n, blocks, &sum);
    check_sum(&sum, p);
    CHECK(sum.blocks == p->count &&
          memcmp(blocks, p->blocks, p->count * sizeof *blocks) == 0);
    free(blocks);
}

static uint64_t pairs[KF_CPU_LEVELS];

/* With every variant that this CPU has. */
static void
compare(const pair *both, kf_align_state *state, kf_align_scratch *scratch)
{
    static plain p;
    uint32_t lcs = plain_lcs(both->a, both->n, both->b, both->m);
    p = (plain){.a = both->a, .b = both->b};
    split(&p, 0, both->n, 0, both->m);
    join(&p);
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        if (!kf_cpu_has((kf_cpu_level)level)) {
            continue;
        }
        kf_align_state_force(state, (kf_cpu_level)level);
        check_blocks(both, state, scratch, &p);
        check_need(both, state, scratch, &p);
        CHECK(kf_align_lcs(state, scratch, both->a, both->n) == lcs);
        pairs[level]++;
    }
}

#define SEEN_WORDS ((MOST + 63) / 64 + 1)

/* What was noted over some patterns, against a look at every position: the
 * same bits and no other, added to what the set had before. */
static void
check_seen(const pair *both, uint32_t from, uint32_t end,
           const kf_align_state *state, const kf_align_scratch *scratch,
           bool *noted)
{
    uint64_t seen[SEEN_WORDS] = {0};
    uint32_t before = both->m == 0 ? 0 : end % both->m;
    seen[before / 64] = (uint64_t)1 << (before % 64);
    kf_align_collect_seen(state, scratch, seen);
    for (uint32_t j = 0; j < SEEN_WORDS * 64; j++) {
        for (uint32_t i = from; j < both->m && i < end; i++) {
            noted[j] = noted[j] || both->a[i] == both->b[j];
        }
        CHECK(((seen[j / 64] >> (j % 64)) & 1) ==
              (j == before || (j < both->m && noted[j])));
    }
}

static void
check_pairs(random_source *random, uint32_t m)
{
    pair both;
    kf_align_state *state;
    kf_align_scratch *scratch;
    bool noted[MOST] = {false};
    random_pair(random, &both, m);
    CHECK(kf_align_state_new(&kf_alloc_default, both.b, m, &state, NULL) ==
          KF_OK);
    CHECK(kf_align_scratch_new(&kf_alloc_default, state, MOST, &scratch,
                               NULL) == KF_OK);
    for (int patterns = 0; patterns < 3; patterns++) {
        uint32_t from = random_below(random, both.n + 1);
        uint32_t end = from + random_below(random, both.n - from + 1);
        kf_alignment sum;
        compare(&both, state, scratch);
        kf_align(state, scratch, both.a, both.n, 0, &sum);
        kf_align_note_seen(state, scratch, from, end);
        check_seen(&both, from, end, state, scratch, noted);
        fill(random, both.a, both.n, 5); /* the next pattern, same memory */
    }
    kf_align_scratch_free(scratch);
    kf_align_state_free(state);
}

static void
test_against_the_plain_way(random_source *random)
{
    static const uint32_t more[] = {0, 126, 127, 128, 129, 192, 200, 256};
    for (uint32_t m = 1; m <= 70; m++) {
        for (int round = 0; round < 8; round++) {
            check_pairs(random, m);
        }
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        for (int round = 0; round < 30; round++) {
            check_pairs(random, more[i]);
        }
    }
}

/* Nothing known in the state, and ids that all want the same slot. */
static void
test_strange_states(void)
{
    uint32_t state_ids[MOST];
    pair both = {.n = 60};
    for (uint32_t m = 1; m <= 130; m += 43) {
        for (uint32_t step = 0; step < 3; step++) {
            kf_align_state *state;
            kf_align_scratch *scratch;
            both.m = m;
            for (uint32_t j = 0; j < m; j++) {
                state_ids[j] =
                    step == 0 ? KF_SYMBOL_NONE : j << (step == 1 ? 26 : 20);
                both.b[j] = state_ids[j];
            }
            for (uint32_t i = 0; i < both.n; i++) {
                both.a[i] = i << (step == 1 ? 26 : 20);
            }
            CHECK(kf_align_state_new(&kf_alloc_default, state_ids, m, &state,
                                     NULL) == KF_OK);
            CHECK(kf_align_scratch_new(&kf_alloc_default, state, MOST,
                                       &scratch, NULL) == KF_OK);
            compare(&both, state, scratch);
            kf_align_scratch_free(scratch);
            kf_align_state_free(state);
        }
    }
}

static void
test_no_memory(uint32_t m, int least)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    static uint32_t ids[MOST];
    int failures = 0;
    for (uint32_t j = 0; j < m; j++) {
        ids[j] = j;
    }
    CHECK_EACH_FAILURE (memory, done) {
        kf_align_state *state = NULL;
        kf_align_scratch *scratch = NULL;
        kf_error err = {.code = KF_OK};
        done =
            kf_align_state_new(&alloc, ids, m, &state, &err) == KF_OK &&
            kf_align_scratch_new(&alloc, state, 20, &scratch, &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && scratch == NULL));
        failures += !done;
        kf_align_scratch_free(scratch);
        kf_align_state_free(state);
    }
    CHECK(failures >= least);
}

int
main(void)
{
    random_source random = random_start();
    test_against_the_plain_way(&random);
    test_strange_states();
    test_no_memory(20, 4);
    test_no_memory(200, 10);
    for (int level = 0; level < KF_CPU_LEVELS; level++) {
        printf("%s: %llu pairs\n", kf_cpu_level_name((kf_cpu_level)level),
               (unsigned long long)pairs[level]);
    }
    return check_report();
}
