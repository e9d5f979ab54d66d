#include "kato_fast/align.h"

#include "align_drive.h"
#include "kato_fast/align_words.h"
#include "kato_fast/symbols.h"
#include "kernels/align_kernel.h"

#include <string.h>

#define WORD_BITS KF_WORD_BITS
#define PERFECT_TRIES 16
#define PERFECT_BITS_MAX 14

/* The symbols of the state in a hash table, see align_kernel.h. `perfect`: no
 * two symbols share a slot, so one look is enough; otherwise linear probing
 * from there. */
struct kf_align_state {
    kf_alloc alloc;
    kf_align_table table;
    uint32_t n_distinct;
    uint32_t slots_mask;
    bool perfect;
    kf_align_slot *slots; /* owned; the table's */
    const kf_align_variant *variant;
    uint32_t *starts;  /* m > 64, by number, n_distinct + 1 */
    uint32_t *places;  /* m > 64: ascending positions, symbol after symbol */
    uint32_t *numbers; /* m > 64, by position; KF_SYMBOL_NONE: unknown */
};

struct kf_align_scratch {
    kf_alloc alloc;
    uint32_t n_max;
    kf_align_rows *rows; /* a pair for the kernels: n <= 64, table perfect */
    uint64_t hits;       /* of the pair at hand */
    bool is_pair;        /* the last pattern was one */
    uint32_t count;      /* other patterns: matched positions */
    bool has_runs;       /* m <= 64: two of them may stand in a row in both */
    uint32_t *at;        /* their positions in the pattern */
    uint64_t *mask;      /* m <= 64: their state positions */
    uint64_t *level;     /* m <= 64: ends of runs of the length at hand */
    uint32_t *number;    /* m > 64: their symbols */
    uint32_t *run;       /* m > 64: run length by state position, shifted by
                          * 1 */
    uint32_t *next_run;
    uint64_t *words;      /* m > 64: LCS state, and one symbol's positions */
    kf_align_area *areas; /* m > 64 */
    uint64_t seen_bits;   /* m <= 64: by position */
    bool *seen;           /* m > 64: by number */
};

/* --- preparing the state --- */

static inline uint32_t
slot_of(const kf_align_state *state, uint32_t id)
{
    return (id * state->table.multiplier) >> state->table.shift;
}

/* The slot that holds the id, or the free one where it belongs. */
static inline uint32_t
probe(const kf_align_state *state, uint32_t id)
{
    uint32_t slot = slot_of(state, id);
    while (state->slots[slot].key != id &&
           state->slots[slot].key != KF_SYMBOL_NONE) {
        slot = (slot + 1) & state->slots_mask;
    }
    return slot;
}

static bool
allocate_slots(kf_align_state *state, uint32_t bits)
{
    size_t slots = (size_t)1 << bits;
    kf_release(&state->alloc, state->slots);
    state->slots = kf_allocate(&state->alloc, slots, sizeof *state->slots);
    state->table.shift = 32 - bits;
    state->table.slots = state->slots;
    state->slots_mask = (uint32_t)slots - 1;
    return state->slots != NULL;
}

/* Whether every id finds its slot at the first look. */
static bool
fill_slots(kf_align_state *state, const uint32_t *ids)
{
    bool perfect = true;
    for (size_t slot = 0; slot <= state->slots_mask; slot++) {
        state->slots[slot] =
            (kf_align_slot){0, KF_SYMBOL_NONE, KF_SYMBOL_NONE};
    }
    for (uint32_t j = 0; j < state->table.m; j++) {
        if (ids[j] != KF_SYMBOL_NONE) {
            uint32_t slot = probe(state, ids[j]);
            perfect = perfect && slot == slot_of(state, ids[j]);
            state->slots[slot].key = ids[j];
        }
    }
    return perfect;
}

static uint32_t
next_multiplier(uint32_t multiplier)
{
    return multiplier * 1664525u + 1013904222u; /* stays odd */
}

/* A table of at least four slots a symbol; short states try multipliers and
 * larger tables until no two symbols meet. */
static bool
build_slots(kf_align_state *state, const uint32_t *ids)
{
    uint32_t bits = 6;
    while (((uint32_t)1 << bits) < 4 * state->table.m) {
        bits++;
    }
    state->table.multiplier = 0x9e3779b1u;
    for (;; bits++) {
        if (!allocate_slots(state, bits)) {
            return false;
        }
        for (int i = 0; i < PERFECT_TRIES; i++) {
            state->perfect = fill_slots(state, ids);
            if (state->perfect || state->table.m > WORD_BITS) {
                return true;
            }
            state->table.multiplier = next_multiplier(state->table.multiplier);
        }
        if (bits >= PERFECT_BITS_MAX) {
            return true;
        }
    }
}

static void
build_masks(kf_align_state *state, const uint32_t *ids)
{
    for (uint32_t j = 0; j < state->table.m; j++) {
        if (ids[j] != KF_SYMBOL_NONE) {
            state->slots[probe(state, ids[j])].mask |= (uint64_t)1 << j;
        }
    }
}

/* Number the distinct symbols; starts[number + 1] counts their positions. */
static void
number_symbols(kf_align_state *state, const uint32_t *ids)
{
    for (uint32_t j = 0; j < state->table.m; j++) {
        kf_align_slot *slot;
        state->numbers[j] = KF_SYMBOL_NONE;
        if (ids[j] == KF_SYMBOL_NONE) {
            continue;
        }
        slot = &state->slots[probe(state, ids[j])];
        if (slot->number == KF_SYMBOL_NONE) {
            slot->number = state->n_distinct++;
        }
        state->numbers[j] = slot->number;
        state->starts[slot->number + 1]++;
    }
}

static bool
build_places(kf_align_state *state, const uint32_t *ids)
{
    const kf_alloc *alloc = &state->alloc;
    uint32_t *filled;
    state->numbers =
        kf_allocate(alloc, state->table.m, sizeof *state->numbers);
    state->places = kf_allocate(alloc, state->table.m, sizeof *state->places);
    state->starts = kf_allocate_zero(alloc, (size_t)state->table.m + 1,
                                     sizeof *state->starts);
    filled = kf_allocate_zero(alloc, state->table.m, sizeof *filled);
    if (state->numbers == NULL || state->places == NULL ||
        state->starts == NULL || filled == NULL) {
        kf_release(alloc, filled);
        return false;
    }
    number_symbols(state, ids);
    for (uint32_t i = 0; i < state->n_distinct; i++) {
        state->starts[i + 1] += state->starts[i];
    }
    for (uint32_t j = 0; j < state->table.m; j++) {
        uint32_t number = state->numbers[j];
        if (number != KF_SYMBOL_NONE) {
            state->places[state->starts[number] + filled[number]++] = j;
        }
    }
    kf_release(alloc, filled);
    return true;
}

kf_status
kf_align_state_new(const kf_alloc *alloc, const uint32_t *ids, uint32_t m,
                   kf_align_state **out, kf_error *err)
{
    kf_align_state *state = kf_allocate_zero(alloc, 1, sizeof *state);
    if (state == NULL) {
        return kf_no_memory(err);
    }
    state->alloc = *alloc;
    state->table.m = m;
    state->variant = kf_align_variant_of(kf_cpu_choose());
    if (!build_slots(state, ids) ||
        (m > WORD_BITS && !build_places(state, ids))) {
        kf_align_state_free(state);
        return kf_no_memory(err);
    }
    if (m <= WORD_BITS) {
        build_masks(state, ids);
    }
    *out = state;
    return KF_OK;
}

void
kf_align_state_free(kf_align_state *state)
{
    kf_alloc alloc;
    if (state == NULL) {
        return;
    }
    alloc = state->alloc;
    kf_release(&alloc, state->slots);
    kf_release(&alloc, state->numbers);
    kf_release(&alloc, state->places);
    kf_release(&alloc, state->starts);
    kf_release(&alloc, state);
}

void
kf_align_state_force(kf_align_state *state, kf_cpu_level level)
{
    state->variant = kf_align_variant_of(level);
}

/* --- working memory --- */

static bool
uses_pairs(const kf_align_state *state)
{
    return state->table.m <= WORD_BITS && state->perfect;
}

static bool
allocate_word_scratch(kf_align_scratch *scratch, const kf_align_state *state)
{
    const kf_alloc *alloc = &scratch->alloc;
    size_t n = (size_t)scratch->n_max + 1;
    if (uses_pairs(state)) {
        scratch->rows = kf_allocate_zero(alloc, 1, sizeof *scratch->rows);
        if (scratch->rows == NULL || scratch->n_max <= WORD_BITS) {
            return scratch->rows != NULL;
        }
    }
    scratch->at = kf_allocate(alloc, n, sizeof *scratch->at);
    scratch->mask = kf_allocate(alloc, n, sizeof *scratch->mask);
    scratch->level = kf_allocate(alloc, n, sizeof *scratch->level);
    return scratch->at != NULL && scratch->mask != NULL &&
           scratch->level != NULL;
}

static bool
allocate_list_scratch(kf_align_scratch *scratch, const kf_align_state *state)
{
    const kf_alloc *alloc = &scratch->alloc;
    size_t n = (size_t)scratch->n_max + 1;
    size_t m = (size_t)state->table.m + 1;
    size_t words = (state->table.m + WORD_BITS - 1) / WORD_BITS;
    scratch->at = kf_allocate(alloc, n, sizeof *scratch->at);
    scratch->number = kf_allocate(alloc, n, sizeof *scratch->number);
    scratch->run = kf_allocate_zero(alloc, m, sizeof *scratch->run);
    scratch->next_run = kf_allocate_zero(alloc, m, sizeof *scratch->run);
    scratch->words = kf_allocate_zero(alloc, 2 * words, sizeof(uint64_t));
    scratch->seen = kf_allocate_zero(alloc, state->n_distinct, sizeof(bool));
    scratch->areas =
        kf_allocate(alloc, (n < m ? n : m) + 1, sizeof *scratch->areas);
    return scratch->at != NULL && scratch->number != NULL &&
           scratch->run != NULL && scratch->next_run != NULL &&
           scratch->words != NULL && scratch->seen != NULL &&
           scratch->areas != NULL;
}

kf_status
kf_align_scratch_new(const kf_alloc *alloc, const kf_align_state *state,
                     uint32_t n_max, kf_align_scratch **out, kf_error *err)
{
    kf_align_scratch *scratch = kf_allocate_zero(alloc, 1, sizeof *scratch);
    if (scratch == NULL) {
        return kf_no_memory(err);
    }
    scratch->alloc = *alloc;
    scratch->n_max = n_max;
    if (!(state->table.m <= WORD_BITS
              ? allocate_word_scratch(scratch, state)
              : allocate_list_scratch(scratch, state))) {
        kf_align_scratch_free(scratch);
        return kf_no_memory(err);
    }
    *out = scratch;
    return KF_OK;
}

void
kf_align_scratch_free(kf_align_scratch *scratch)
{
    kf_alloc alloc;
    if (scratch == NULL) {
        return;
    }
    alloc = scratch->alloc;
    kf_release(&alloc, scratch->rows);
    kf_release(&alloc, scratch->at);
    kf_release(&alloc, scratch->mask);
    kf_release(&alloc, scratch->level);
    kf_release(&alloc, scratch->number);
    kf_release(&alloc, scratch->run);
    kf_release(&alloc, scratch->next_run);
    kf_release(&alloc, scratch->words);
    kf_release(&alloc, scratch->seen);
    kf_release(&alloc, scratch->areas);
    kf_release(&alloc, scratch);
}

/* --- positions of the pattern that occur in the state --- */

/* Without a branch: whether a symbol is in the state is a coin toss that the
 * processor cannot predict. */
static inline uint32_t
find_words(const kf_align_state *state, kf_align_scratch *scratch,
           const uint32_t *ids, uint32_t n)
{
    uint32_t *at = scratch->at;
    uint64_t *mask = scratch->mask;
    uint64_t before = 0;
    uint64_t runs = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        const kf_align_slot *slot = &state->slots[probe(state, ids[i])];
        uint64_t hit = slot->key == ids[i];
        uint64_t bits = slot->mask & -hit;
        runs |= (before << 1) & bits;
        before = bits;
        at[count] = i;
        mask[count] = bits;
        count += (uint32_t)hit;
    }
    scratch->has_runs = runs != 0;
    return count;
}

static void
find_positions(const kf_align_state *state, kf_align_scratch *scratch,
               const uint32_t *ids, uint32_t n)
{
    uint32_t count = 0;
    if (state->table.m > WORD_BITS) {
        for (uint32_t i = 0; i < n; i++) {
            const kf_align_slot *slot = &state->slots[probe(state, ids[i])];
            scratch->at[count] = i;
            scratch->number[count] = slot->number;
            count += slot->key == ids[i];
        }
    }
    else {
        count = find_words(state, scratch, ids, n);
    }
    scratch->count = count;
    scratch->is_pair = false;
}

/* --- longer states: lists of positions --- */

/* A pattern's matched positions in a state. */
typedef struct {
    const kf_align_state *state;
    kf_align_scratch *scratch;
} lists;

static void
clear_runs(const kf_align_state *state, uint32_t number, uint32_t *run)
{
    for (uint32_t q = state->starts[number]; q < state->starts[number + 1];
         q++) {
        run[state->places[q] + 1] = 0;
    }
}

/* The first place of the symbol that is not before `from`. */
static uint32_t
place_from(const kf_align_state *state, uint32_t number, uint32_t from)
{
    uint32_t low = state->starts[number];
    uint32_t high = state->starts[number + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (state->places[middle] < from) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

/* difflib's own walk: i upward, for each the positions j of its symbol upward,
 * run length (i, j) = run length (i-1, j-1) + 1, kept only if longer. */
static void
longest_list_run(void *of, const kf_align_area *range, kf_block *out,
                 uint32_t *end)
{
    const kf_align_state *state = ((const lists *)of)->state;
    kf_align_scratch *scratch = ((const lists *)of)->scratch;
    uint32_t *run = scratch->run;
    uint32_t *next_run = scratch->next_run;
    out->k = 0;
    for (uint32_t p = range->low; p < range->high; p++) {
        uint32_t number = scratch->number[p];
        bool adjacent =
            p > range->low && scratch->at[p] == scratch->at[p - 1] + 1;
        uint32_t *swap;
        for (uint32_t q = place_from(state, number, range->from);
             q < state->starts[number + 1] && state->places[q] < range->to;
             q++) {
            uint32_t j = state->places[q];
            uint32_t length = (adjacent ? run[j] : 0) + 1;
            next_run[j + 1] = length;
            if (length > out->k) {
                *out = (kf_block){scratch->at[p] + 1 - length, j + 1 - length,
                                  length};
                *end = p;
            }
        }
        if (p > range->low) {
            clear_runs(state, scratch->number[p - 1], run);
        }
        swap = run;
        run = next_run;
        next_run = swap;
    }
    if (range->high > range->low) {
        clear_runs(state, scratch->number[range->high - 1], run);
    }
}

static void
walk_lists(void *of, const kf_align_area *range, kf_align_sink *to)
{
    const kf_align_state *state = ((const lists *)of)->state;
    const kf_align_scratch *scratch = ((const lists *)of)->scratch;
    uint32_t from = range->from;
    for (uint32_t p = range->low; p < range->high && from < range->to; p++) {
        uint32_t number = scratch->number[p];
        uint32_t q = place_from(state, number, from);
        if (q < state->starts[number + 1] && state->places[q] < range->to) {
            kf_align_emit(to, (kf_block){scratch->at[p], state->places[q], 1});
            from = state->places[q] + 1;
        }
    }
}

/* --- the public functions --- */

/* Whether enough symbols of the pattern are in the state. */
static bool
prepare(const kf_align_state *state, kf_align_scratch *scratch,
        const uint32_t *ids, uint32_t n, uint32_t need, kf_alignment *out)
{
    find_positions(state, scratch, ids, n);
    *out = (kf_alignment){0, 0, 0, 0};
    return scratch->count >= need && scratch->count != 0;
}

static void
align_long(const kf_align_state *state, kf_align_scratch *scratch,
           kf_block *blocks, kf_alignment *out)
{
    if (state->table.m <= WORD_BITS) {
        kf_align_words words = {scratch->count, scratch->at, scratch->mask,
                                scratch->level, scratch->has_runs};
        kf_align_words_run(&words, state->table.m, blocks, out);
    }
    else {
        lists both = {state, scratch};
        kf_align_area whole = {0, scratch->count, 0, state->table.m, 0};
        kf_align_sink to = {{0, 0, 0, 0}, blocks};
        kf_align_drive(&both, longest_list_run, walk_lists, whole, scratch->at,
                       scratch->areas, &to);
        *out = to.sum;
    }
}

static void
align(const kf_align_state *state, kf_align_scratch *scratch,
      const uint32_t *ids, uint32_t n, uint32_t need, kf_block *blocks,
      kf_alignment *out)
{
    if (n <= WORD_BITS && scratch->rows != NULL) {
        scratch->hits = state->variant->pair(&state->table, scratch->rows, ids,
                                             n, need, blocks, out);
        scratch->is_pair = true;
    }
    else if (prepare(state, scratch, ids, n, need, out)) {
        align_long(state, scratch, blocks, out);
    }
}

void
kf_align(const kf_align_state *state, kf_align_scratch *scratch,
         const uint32_t *ids, uint32_t n, uint32_t need, kf_alignment *out)
{
    align(state, scratch, ids, n, need, NULL, out);
}

void
kf_align_blocks(const kf_align_state *state, kf_align_scratch *scratch,
                const uint32_t *ids, uint32_t n, kf_block *blocks,
                kf_alignment *out)
{
    align(state, scratch, ids, n, 0, blocks, out);
}

/* Bit-parallel LCS (H. Hyyro, 2004): zero bits of v mark matched state
 * positions; one addition per matched symbol moves them. */
static uint32_t
lcs_words(const kf_align_state *state, const kf_align_scratch *scratch)
{
    uint64_t v = ~(uint64_t)0;
    for (uint32_t p = 0; p < scratch->count; p++) {
        uint64_t hits = v & scratch->mask[p];
        v = (v + hits) | (v & ~scratch->mask[p]);
    }
    return (uint32_t)__builtin_popcountll(~v &
                                          kf_align_bits(0, state->table.m));
}

static void
lcs_step(uint64_t *v, const uint64_t *mask, size_t words)
{
    uint64_t carry = 0;
    for (size_t w = 0; w < words; w++) {
        uint64_t hits = v[w] & mask[w];
        uint64_t sum = v[w] + hits;
        uint64_t carried = sum + carry;
        carry = (uint64_t)(sum < hits) | (uint64_t)(carried < carry);
        v[w] = carried | (v[w] & ~mask[w]);
    }
}

static uint32_t
lcs_lists(const kf_align_state *state, kf_align_scratch *scratch)
{
    size_t words = (state->table.m + WORD_BITS - 1) / WORD_BITS;
    uint64_t *v = scratch->words;
    uint64_t *mask = v + words;
    uint32_t length = 0;
    memset(v, 0xff, words * sizeof *v);
    for (uint32_t p = 0; p < scratch->count; p++) {
        const uint32_t *places = state->places;
        uint32_t from = state->starts[scratch->number[p]];
        uint32_t end = state->starts[scratch->number[p] + 1];
        for (uint32_t q = from; q < end; q++) {
            mask[places[q] / WORD_BITS] |= (uint64_t)1
                                           << (places[q] % WORD_BITS);
        }
        lcs_step(v, mask, words);
        for (uint32_t q = from; q < end; q++) {
            mask[places[q] / WORD_BITS] = 0;
        }
    }
    for (uint32_t j = 0; j < state->table.m; j++) {
        length += (~v[j / WORD_BITS] >> (j % WORD_BITS)) & 1;
    }
    return length;
}

uint32_t
kf_align_lcs(const kf_align_state *state, kf_align_scratch *scratch,
             const uint32_t *ids, uint32_t n)
{
    if (n <= WORD_BITS && scratch->rows != NULL) {
        return state->variant->lcs(&state->table, ids, n);
    }
    find_positions(state, scratch, ids, n);
    return state->table.m <= WORD_BITS ? lcs_words(state, scratch)
                                       : lcs_lists(state, scratch);
}

void
kf_align_note_seen(const kf_align_state *state, kf_align_scratch *scratch,
                   uint32_t from, uint32_t end)
{
    if (scratch->is_pair) {
        uint64_t rest = scratch->hits & kf_align_bits(from, end);
        for (; rest != 0; rest &= rest - 1) {
            scratch->seen_bits |=
                scratch->rows->levels[0][__builtin_ctzll(rest)];
        }
        return;
    }
    for (uint32_t p = 0; p < scratch->count; p++) {
        if (scratch->at[p] < from || scratch->at[p] >= end) {
            continue;
        }
        if (state->table.m <= WORD_BITS) {
            scratch->seen_bits |= scratch->mask[p];
        }
        else {
            scratch->seen[scratch->number[p]] = true;
        }
    }
}

void
kf_align_collect_seen(const kf_align_state *state,
                      const kf_align_scratch *scratch, uint64_t *seen)
{
    if (state->table.m <= WORD_BITS) {
        seen[0] |= scratch->seen_bits;
        return;
    }
    for (uint32_t j = 0; j < state->table.m; j++) {
        if (state->numbers[j] != KF_SYMBOL_NONE &&
            scratch->seen[state->numbers[j]]) {
            seen[j / WORD_BITS] |= (uint64_t)1 << (j % WORD_BITS);
        }
    }
}
