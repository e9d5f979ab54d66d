#include "kato_fast/align.h"

#include "align_lists.h"
#include "kato_fast/align_words.h"
#include "kato_fast/symbols.h"

#include <string.h>

#define WORD_BITS KF_WORD_BITS
#define PERFECT_TRIES 16
#define PERFECT_BITS_MAX 14

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
        state->numbers[j] = KF_NO_NUMBER;
        if (ids[j] == KF_SYMBOL_NONE) {
            continue;
        }
        slot = &state->slots[probe(state, ids[j])];
        if (slot->number == KF_SYMBOL_NONE) {
            slot->number = state->n_distinct++;
        }
        state->numbers[j] = (uint16_t)slot->number;
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
        if (number != KF_NO_NUMBER) {
            state->places[state->starts[number] + filled[number]++] = j;
        }
    }
    kf_release(alloc, filled);
    return true;
}

/* The places are there. */
static bool
build_long_masks(kf_align_state *state)
{
    uint32_t words = kf_align_words_of(state);
    uint8_t count = 0;
    state->has_mask = kf_allocate_zero(&state->alloc, state->n_distinct,
                                       sizeof *state->has_mask);
    if (state->has_mask == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < state->n_distinct; i++) {
        if (state->starts[i + 1] - state->starts[i] >= words) {
            state->has_mask[i] = ++count;
        }
    }
    state->masks = kf_allocate_zero(&state->alloc, (size_t)count * words,
                                    sizeof *state->masks);
    for (uint32_t j = 0; state->masks != NULL && j < state->table.m; j++) {
        uint32_t number = state->numbers[j];
        if (number != KF_NO_NUMBER && state->has_mask[number] != 0) {
            kf_align_mask_of(state, number)[j / WORD_BITS] |=
                (uint64_t)1 << (j % WORD_BITS);
        }
    }
    return state->masks != NULL;
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
        (m > WORD_BITS &&
         !(build_places(state, ids) && build_long_masks(state)))) {
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
    kf_release(&alloc, state->has_mask);
    kf_release(&alloc, state->masks);
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
    size_t words = kf_align_words_of(state);
    scratch->at = kf_allocate(alloc, n, sizeof *scratch->at);
    scratch->number = kf_allocate(alloc, n, sizeof *scratch->number);
    scratch->run = kf_allocate_zero(alloc, m, sizeof *scratch->run);
    scratch->next_run = kf_allocate_zero(alloc, m, sizeof *scratch->run);
    scratch->bounds = kf_allocate(alloc, n, sizeof *scratch->bounds);
    scratch->columns = kf_allocate(alloc, m, sizeof *scratch->columns);
    scratch->words = kf_allocate_zero(alloc, 2 * words, sizeof(uint64_t));
    scratch->seen = kf_allocate_zero(alloc, state->n_distinct, sizeof(bool));
    scratch->areas =
        kf_allocate(alloc, (n < m ? n : m) + 1, sizeof *scratch->areas);
    return scratch->at != NULL && scratch->number != NULL &&
           scratch->run != NULL && scratch->next_run != NULL &&
           scratch->bounds != NULL && scratch->columns != NULL &&
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
    kf_release(&alloc, scratch->bounds);
    kf_release(&alloc, scratch->columns);
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
        kf_align_lists_run(state, scratch, blocks, out);
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

uint32_t
kf_align_lcs(const kf_align_state *state, kf_align_scratch *scratch,
             const uint32_t *ids, uint32_t n)
{
    if (n <= WORD_BITS && scratch->rows != NULL) {
        return state->variant->lcs(&state->table, ids, n);
    }
    find_positions(state, scratch, ids, n);
    return state->table.m <= WORD_BITS ? lcs_words(state, scratch)
                                       : kf_align_lists_lcs(state, scratch);
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
        if (state->numbers[j] != KF_NO_NUMBER &&
            scratch->seen[state->numbers[j]]) {
            seen[j / WORD_BITS] |= (uint64_t)1 << (j % WORD_BITS);
        }
    }
}
