/* The same patterns in an open block and in a sealed one, roots over such
 * blocks, and questions to them, for the tests of what works on a root. */
#ifndef KATO_FAST_BLOCKS_H
#define KATO_FAST_BLOCKS_H

#include "check.h"
#include "sequence.h"

#include "kato_fast/scan.h"

#include <stdlib.h>
#include <string.h>

#define SECRET 0x123456789abcdefu

/* The same patterns in an open block, in one with pieces, and in a sealed one,
 * where some are forgotten. */
typedef struct {
    kf_head *head;
    kf_head *pieced; /* its patterns are those of head */
    kf_segment *segment;
    uint32_t longest;
    bool forgotten[KF_SEGMENT_ROWS]; /* of the segment */
} block;

static inline void
add_pattern(kf_head *head, const uint32_t *ids, uint32_t n,
            const uint32_t *ends, uint32_t n_events)
{
    kf_pattern *pattern =
        kf_arena_take(&head->arena, kf_pattern_size(n, n_events));
    memset(pattern->name, 0, KF_NAME_SIZE);
    pattern->n = n;
    pattern->n_events = n_events;
    memcpy(pattern->ids, ids, n * sizeof *ids);
    memcpy(pattern->ids + n, ends, n_events * sizeof *ends);
    head->patterns[head->count++] = pattern;
}

#define LONGEST 100

/* Few symbols often, the others seldom. */
static inline uint32_t
random_symbol(random_source *random, uint32_t vocabulary)
{
    uint32_t limit = random_below(random, vocabulary) + 1;
    return random_below(random, random_below(random, limit) + 1);
}

/* symbols: 0 for a vocabulary of ever new ones, from 1000 on. */
static inline void
random_pattern(random_source *random, kf_head *head, uint32_t symbols)
{
    uint32_t ids[LONGEST];
    uint32_t ends[LONGEST];
    uint32_t n_events = 0;
    uint32_t limit = symbols == 0 ? LONGEST : random_below(random, LONGEST);
    uint32_t n = 2;
    uint32_t most = 1 + random_below(random, 4);
    n += random_below(random, limit > 2 ? limit - 1 : 1);
    for (uint32_t i = 0; i < n; i++) {
        ids[i] = symbols != 0 ? random_symbol(random, symbols)
                 : random_below(random, 9) != 0
                     ? 1000 + head->count * LONGEST + i
                     : random_symbol(random, 50);
    }
    for (uint32_t end = 0; end < n;) {
        end += 1 + random_below(random, most);
        end = end < n ? end : n;
        ends[n_events++] = end;
    }
    add_pattern(head, ids, n, ends, n_events);
}

static inline void
seal(block *out, random_source *random, uint32_t forget_one_of)
{
    const kf_pattern **patterns = calloc(KF_SEGMENT_ROWS, sizeof *patterns);
    memset(out->forgotten, 0, sizeof out->forgotten);
    out->longest = 0;
    for (uint32_t row = 0; row < out->head->count; row++) {
        const kf_pattern *pattern = out->head->patterns[row];
        out->forgotten[row] =
            forget_one_of != 0 && random_below(random, forget_one_of) == 0;
        patterns[row] = out->forgotten[row] ? NULL : pattern;
        out->longest = pattern->n > out->longest ? pattern->n : out->longest;
    }
    CHECK(kf_segment_build(&kf_alloc_default, patterns, &out->segment, NULL) ==
          KF_OK);
    free(patterns);
    CHECK(kf_head_new(&kf_alloc_default, &out->pieced, NULL) == KF_OK);
    out->pieced->count = out->head->count;
    memcpy(out->pieced->patterns, out->head->patterns,
           out->head->count * sizeof *patterns);
    kf_head_make_pieces(out->pieced);
    CHECK(out->pieced->n_pieces == out->head->count / KF_HEAD_PIECE);
}

/* Forms of a block. */
enum {
    OPEN,
    PIECED,
    SEALED,
    FORMS
};

static inline kf_block_of_rows
rows_of(const block *of, int form)
{
    return (kf_block_of_rows){form == SEALED ? of->segment : NULL,
                              form == SEALED   ? NULL
                              : form == PIECED ? of->pieced
                                               : of->head};
}

static inline block *
random_block(random_source *random, uint32_t count, uint32_t symbols)
{
    block *made = calloc(1, sizeof *made);
    CHECK(kf_head_new(&kf_alloc_default, &made->head, NULL) == KF_OK);
    while (made->head->count < count) {
        random_pattern(random, made->head, symbols);
    }
    seal(made, random, random_below(random, 2) * 10);
    return made;
}

static inline void
free_block(block *old)
{
    kf_head_release(old->pieced);
    kf_head_release(old->head);
    kf_segment_release(old->segment);
    free(old);
}

/* Symbol 0 is "0" and so on. */
static inline kf_symbols *
number_symbols(uint32_t count)
{
    kf_symbols *symbols;
    CHECK(kf_symbols_new(&kf_alloc_default, sequence_key, &symbols, NULL) ==
          KF_OK);
    for (uint32_t i = 0; i < count; i++) {
        char text[16];
        kf_text given = {text, (size_t)sprintf(text, "%u", i)};
        uint32_t id;
        CHECK(kf_symbols_intern(symbols, given, &id, NULL) == KF_OK);
        CHECK(id == i);
    }
    return symbols;
}

static inline kf_root *
new_root(kf_symbols *symbols, const kf_block_of_rows *blocks, size_t n)
{
    kf_root *root = NULL;
    CHECK(kf_root_new(&kf_alloc_default, symbols, blocks, n, &root, NULL) ==
          KF_OK);
    return root;
}

/* --- questions --- */

#define STATE_MAX 130

typedef struct {
    kf_state *state;
    uint32_t *need;
    kf_scan scan;
    kf_host_index index;
    kf_spares spares;
    kf_scan_scratch *scratch;
    uint64_t seen[(STATE_MAX + 63) / 64];
} question;

static inline void
ask(question *q, const kf_root *root, const uint32_t *ids, uint32_t m,
    double threshold, uint32_t longest)
{
    char text[STATE_MAX][16];
    kf_text texts[STATE_MAX];
    memset(q, 0, sizeof *q);
    for (uint32_t j = 0; j < m; j++) {
        int size =
            sprintf(text[j], ids[j] == KF_SYMBOL_NONE ? "?" : "%u", ids[j]);
        texts[j] = (kf_text){text[j], (size_t)size};
    }
    CHECK(kf_state_encode(&kf_alloc_default, root->symbols, texts, m,
                          &q->state, NULL) == KF_OK);
    CHECK(kf_candidates_needs(&kf_alloc_default, KF_KATO_2025_09, threshold, m,
                              longest, &q->need, NULL) == KF_OK);
    q->scan = (kf_scan){.alloc = &kf_alloc_default,
                        .root = root,
                        .state = q->state,
                        .need = q->need,
                        .longest = longest,
                        .threshold = threshold,
                        .regions = true,
                        .secret = SECRET,
                        .spares = &q->spares};
    CHECK(kf_spares_init(&q->spares) == 0);
    CHECK(kf_scan_scratch_new(&q->scan, &q->scratch, NULL) == KF_OK);
}

static inline void
end(question *q)
{
    kf_scan_scratch_free(q->scratch);
    kf_spares_free(&q->spares);
    kf_release(&kf_alloc_default, q->need);
    kf_state_free(q->state);
}

static inline void
scan(question *q, uint32_t first, uint32_t last, kf_matches *out)
{
    CHECK(kf_scan_rows(&q->scan, q->scratch, first, last, out, NULL) == KF_OK);
}

#endif
