#include "kato_fast/align.h"

#include "kato_fast/align_words.h"
#include "kato_fast/symbols.h"

#include <string.h>

#define WORD_BITS 64
#define PERFECT_TRIES 16
#define PERFECT_BITS_MAX 14
#define DIRECT_MAX 65535u

/* One place of the hash table. */
typedef struct {
    uint64_t mask;   /* m <= 64: bit j is set where ids[j] is the key */
    uint32_t key;    /* KF_SYMBOL_NONE: free */
    uint32_t number; /* m > 64: of the distinct symbol */
} state_slot;

/* The symbols of the state in a hash table: slot of an id is
 * (id * multiplier) >> shift. `perfect`: no two symbols share a slot, so one
 * look is enough; otherwise linear probing from there. */
struct kf_align_state {
    kf_alloc alloc;
    uint32_t m;
    uint32_t n_distinct;
    uint32_t multiplier;
    uint32_t shift;
    uint32_t slots_mask;
    bool perfect;
    state_slot *slots;
    /* m <= 64 and no symbol over DIRECT_MAX: which[id] is the number of the
     * symbol, from 1, and 0 for ids that are not in the state; ids from
     * n_which on are not either, which[n_which] stands for them all. */
    uint8_t *which;
    uint32_t n_which;
    uint64_t which_mask[WORD_BITS + 1];
    uint32_t *starts;  /* m > 64, by number, n_distinct + 1 */
    uint32_t *places;  /* m > 64: ascending positions, symbol after symbol */
    uint32_t *numbers; /* m > 64, by position; KF_SYMBOL_NONE: unknown */
};

/* A sub-problem (`block.k` is 0): matched positions low..high-1 against the
 * state's positions from..to-1; or a block that waits for what is left of
 * it. */
typedef struct {
    uint32_t low;
    uint32_t high;
    uint32_t from;
    uint32_t to;
    kf_block block;
} task;

struct kf_align_scratch {
    kf_alloc alloc;
    uint32_t n_max;
    uint32_t count;   /* matched positions of the pattern at hand */
    bool has_runs;    /* m <= 64: two of them may stand in a row in both */
    uint32_t *at;     /* their positions in the pattern */
    uint64_t *mask;   /* m <= 64: their state positions */
    uint64_t *level;  /* m <= 64: ends of runs of the length at hand */
    uint32_t *number; /* m > 64: their symbols */
    uint32_t *run;    /* m > 64: run length by state position, shifted by 1 */
    uint32_t *next_run;
    uint64_t *words; /* m > 64: LCS state, and one symbol's positions */
    task *tasks;
    uint64_t seen_bits; /* m <= 64: by position */
    bool *seen;         /* m > 64: by number */
};

/* Where blocks go: counted, and stored where blocks is not NULL. */
typedef struct {
    kf_alignment sum;
    kf_block *blocks;
} sink;

static inline void
emit(sink *to, kf_block block)
{
    if (to->sum.blocks == 0) {
        to->sum.first = block.i;
    }
    if (to->blocks != NULL) {
        to->blocks[to->sum.blocks] = block;
    }
    to->sum.blocks++;
    to->sum.matched += block.k;
    to->sum.end = block.i + block.k;
}

/* --- preparing the state --- */

static inline uint32_t
slot_of(const kf_align_state *state, uint32_t id)
{
    return (id * state->multiplier) >> state->shift;
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
    state->shift = 32 - bits;
    state->slots_mask = (uint32_t)slots - 1;
    return state->slots != NULL;
}

/* Whether every id finds its slot at the first look. */
static bool
fill_slots(kf_align_state *state, const uint32_t *ids)
{
    bool perfect = true;
    for (size_t slot = 0; slot <= state->slots_mask; slot++) {
        state->slots[slot] = (state_slot){0, KF_SYMBOL_NONE, KF_SYMBOL_NONE};
    }
    for (uint32_t j = 0; j < state->m; j++) {
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
    while (((uint32_t)1 << bits) < 4 * state->m) {
        bits++;
    }
    state->multiplier = 0x9e3779b1u;
    for (;; bits++) {
        if (!allocate_slots(state, bits)) {
            return false;
        }
        for (int i = 0; i < PERFECT_TRIES; i++) {
            state->perfect = fill_slots(state, ids);
            if (state->perfect || state->m > WORD_BITS) {
                return true;
            }
            state->multiplier = next_multiplier(state->multiplier);
        }
        if (bits >= PERFECT_BITS_MAX) {
            return true;
        }
    }
}

static void
build_masks(kf_align_state *state, const uint32_t *ids)
{
    for (uint32_t j = 0; j < state->m; j++) {
        if (ids[j] != KF_SYMBOL_NONE) {
            state->slots[probe(state, ids[j])].mask |= (uint64_t)1 << j;
        }
    }
}

/* A table by id where that is small: one load in place of a hash. */
static bool
build_which(kf_align_state *state, const uint32_t *ids)
{
    uint32_t largest = 0;
    uint8_t numbers = 0;
    for (uint32_t j = 0; j < state->m; j++) {
        if (ids[j] != KF_SYMBOL_NONE && ids[j] > largest) {
            largest = ids[j];
        }
    }
    if (largest > DIRECT_MAX) {
        return true;
    }
    state->n_which = largest + 1;
    state->which =
        kf_allocate_zero(&state->alloc, (size_t)state->n_which + 1, 1);
    if (state->which == NULL) {
        return false;
    }
    for (uint32_t j = 0; j < state->m; j++) {
        if (ids[j] != KF_SYMBOL_NONE) {
            uint8_t *which = &state->which[ids[j]];
            *which = *which != 0 ? *which : ++numbers;
            state->which_mask[*which] |= (uint64_t)1 << j;
        }
    }
    return true;
}

/* Number the distinct symbols; starts[number + 1] counts their positions. */
static void
number_symbols(kf_align_state *state, const uint32_t *ids)
{
    for (uint32_t j = 0; j < state->m; j++) {
        state_slot *slot;
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
    state->numbers = kf_allocate(alloc, state->m, sizeof *state->numbers);
    state->places = kf_allocate(alloc, state->m, sizeof *state->places);
    state->starts =
        kf_allocate_zero(alloc, (size_t)state->m + 1, sizeof *state->starts);
    filled = kf_allocate_zero(alloc, state->m, sizeof *filled);
    if (state->numbers == NULL || state->places == NULL ||
        state->starts == NULL || filled == NULL) {
        kf_release(alloc, filled);
        return false;
    }
    number_symbols(state, ids);
    for (uint32_t i = 0; i < state->n_distinct; i++) {
        state->starts[i + 1] += state->starts[i];
    }
    for (uint32_t j = 0; j < state->m; j++) {
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
    state->m = m;
    if (!build_slots(state, ids) ||
        !(m > WORD_BITS ? build_places(state, ids)
                        : build_which(state, ids))) {
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
    kf_release(&alloc, state->which);
    kf_release(&alloc, state->numbers);
    kf_release(&alloc, state->places);
    kf_release(&alloc, state->starts);
    kf_release(&alloc, state);
}

/* --- working memory --- */

static bool
allocate_word_scratch(kf_align_scratch *scratch)
{
    const kf_alloc *alloc = &scratch->alloc;
    size_t n = (size_t)scratch->n_max + 1;
    scratch->mask = kf_allocate(alloc, n, sizeof *scratch->mask);
    scratch->level = kf_allocate(alloc, n, sizeof *scratch->level);
    scratch->tasks =
        kf_allocate(alloc, 2 * WORD_BITS + 4, sizeof *scratch->tasks);
    return scratch->mask != NULL && scratch->level != NULL &&
           scratch->tasks != NULL;
}

static bool
allocate_list_scratch(kf_align_scratch *scratch, const kf_align_state *state)
{
    const kf_alloc *alloc = &scratch->alloc;
    size_t n = (size_t)scratch->n_max + 1;
    size_t m = (size_t)state->m + 1;
    size_t words = (state->m + WORD_BITS - 1) / WORD_BITS;
    scratch->number = kf_allocate(alloc, n, sizeof *scratch->number);
    scratch->run = kf_allocate_zero(alloc, m, sizeof *scratch->run);
    scratch->next_run = kf_allocate_zero(alloc, m, sizeof *scratch->run);
    scratch->words = kf_allocate_zero(alloc, 2 * words, sizeof(uint64_t));
    scratch->seen = kf_allocate_zero(alloc, state->n_distinct, sizeof(bool));
    scratch->tasks =
        kf_allocate(alloc, 2 * (n < m ? n : m) + 4, sizeof *scratch->tasks);
    return scratch->number != NULL && scratch->run != NULL &&
           scratch->next_run != NULL && scratch->words != NULL &&
           scratch->seen != NULL && scratch->tasks != NULL;
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
    scratch->at = kf_allocate(alloc, (size_t)n_max + 1, sizeof *scratch->at);
    if (scratch->at == NULL ||
        !(state->m <= WORD_BITS ? allocate_word_scratch(scratch)
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
    kf_release(&alloc, scratch->at);
    kf_release(&alloc, scratch->mask);
    kf_release(&alloc, scratch->level);
    kf_release(&alloc, scratch->number);
    kf_release(&alloc, scratch->run);
    kf_release(&alloc, scratch->next_run);
    kf_release(&alloc, scratch->words);
    kf_release(&alloc, scratch->seen);
    kf_release(&alloc, scratch->tasks);
    kf_release(&alloc, scratch);
}

/* --- positions of the pattern that occur in the state --- */

/* Without a branch: whether a symbol is in the state is a coin toss that the
 * processor cannot predict. */
static uint32_t
find_directly(const kf_align_state *state, kf_align_scratch *scratch,
              const uint32_t *ids, uint32_t n)
{
    const uint8_t *which = state->which;
    const uint64_t *masks = state->which_mask;
    uint32_t limit = state->n_which;
    uint32_t *at = scratch->at;
    uint64_t *mask = scratch->mask;
    uint64_t before = 0;
    uint64_t runs = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t number = which[ids[i] < limit ? ids[i] : limit];
        uint64_t bits = masks[number];
        runs |= (before << 1) & bits;
        before = bits;
        at[count] = i;
        mask[count] = bits;
        count += number != 0;
    }
    scratch->has_runs = runs != 0;
    return count;
}

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
        const state_slot *slot =
            &state->slots[state->perfect ? slot_of(state, ids[i])
                                         : probe(state, ids[i])];
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
    if (state->m > WORD_BITS) {
        for (uint32_t i = 0; i < n; i++) {
            const state_slot *slot = &state->slots[probe(state, ids[i])];
            scratch->at[count] = i;
            scratch->number[count] = slot->number;
            count += slot->key == ids[i];
        }
    }
    else if (state->which != NULL) {
        count = find_directly(state, scratch, ids, n);
    }
    else {
        count = find_words(state, scratch, ids, n);
    }
    scratch->count = count;
}

/* --- states of up to 64 symbols: words --- */

/* Bits from..to-1, to <= 64. */
static inline uint64_t
bits_between(uint32_t from, uint32_t to)
{
    uint64_t below = to == WORD_BITS ? ~(uint64_t)0 : ((uint64_t)1 << to) - 1;
    return from == WORD_BITS ? 0 : below & (~(uint64_t)0 << from);
}

/* The longest run of the sub-problem: out->k is 0 where there is none. The
 * bits of level[p] are the state positions at which a run of the length at
 * hand ends that also ends at matched position p; one shift and mask per
 * step makes them those of the next length. *end is the matched position
 * at which it ends. */
static inline void
longest_word_run(kf_align_scratch *scratch, const task *range, kf_block *out,
                 uint32_t *end)
{
    uint64_t allowed = bits_between(range->from, range->to);
    uint64_t *level = scratch->level;
    const uint64_t *mask = scratch->mask;
    const uint32_t *at = scratch->at;
    uint32_t first = range->high;
    uint64_t bits = 0;
    uint32_t length = 0;
    for (uint32_t p = range->high; p-- > range->low;) {
        level[p] = mask[p] & allowed;
        if (level[p] != 0) {
            first = p;
            bits = level[p];
        }
    }
    while (bits != 0) {
        uint32_t low = first;
        uint64_t longer = 0;
        length++;
        *end = first;
        out->j = (uint32_t)__builtin_ctzll(bits) + 1 - length;
        for (uint32_t p = range->high - 1; p > low; p--) {
            uint64_t next = at[p] == at[p - 1] + 1
                                ? (level[p - 1] << 1) & mask[p] & allowed
                                : 0;
            level[p] = next;
            if (next != 0) {
                first = p;
                longer = next;
            }
        }
        level[low] = 0;
        bits = longer;
    }
    out->k = length;
    out->i = length != 0 ? at[*end] + 1 - length : 0;
}

/* Where no run is longer than one symbol, the recursion is a walk from left
 * to right that takes the earliest allowed position each time: nothing is
 * left of the first choice, and the rest has no longer run either. */
static inline void
walk_single_matches(const kf_align_scratch *scratch, const task *range,
                    uint32_t first, sink *to)
{
    uint64_t allowed = bits_between(range->from, range->to);
    for (uint32_t p = first; p < range->high; p++) {
        uint64_t bits = scratch->mask[p] & allowed;
        if (bits != 0) {
            uint32_t j = (uint32_t)__builtin_ctzll(bits);
            emit(to, (kf_block){scratch->at[p], j, 1});
            allowed &= ~(((uint64_t)2 << j) - 1);
        }
    }
}

static void
align_words(const kf_align_state *state, kf_align_scratch *scratch, sink *to)
{
    task *tasks = scratch->tasks;
    size_t left = 1;
    tasks[0] = (task){0, scratch->count, 0, state->m, {0, 0, 0}};
    while (left > 0) {
        task here = tasks[--left];
        kf_block block;
        uint32_t end = 0;
        if (here.block.k != 0) {
            emit(to, here.block);
            continue;
        }
        longest_word_run(scratch, &here, &block, &end);
        if (block.k == 1) {
            walk_single_matches(scratch, &here, end, to);
        }
        else if (block.k > 1) {
            uint32_t behind = block.j + block.k;
            if (end + 1 < here.high && behind < here.to) {
                tasks[left++] =
                    (task){end + 1, here.high, behind, here.to, {0, 0, 0}};
            }
            tasks[left++] = (task){0, 0, 0, 0, block};
            if (end + 1 - block.k > here.low && block.j > here.from) {
                tasks[left++] = (task){here.low,
                                       end + 1 - block.k,
                                       here.from,
                                       block.j,
                                       {0, 0, 0}};
            }
        }
    }
}

/* --- longer states: lists of positions --- */

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
longest_list_run(const kf_align_state *state, kf_align_scratch *scratch,
                 const task *range, kf_block *out, uint32_t *end)
{
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
align_lists(const kf_align_state *state, kf_align_scratch *scratch, sink *to)
{
    task *tasks = scratch->tasks;
    size_t left = 1;
    tasks[0] = (task){0, scratch->count, 0, state->m, {0, 0, 0}};
    while (left > 0) {
        task here = tasks[--left];
        kf_block block;
        uint32_t end = 0;
        if (here.block.k != 0) {
            emit(to, here.block);
            continue;
        }
        longest_list_run(state, scratch, &here, &block, &end);
        if (block.k != 0) {
            uint32_t behind = block.j + block.k;
            if (end + 1 < here.high && behind < here.to) {
                tasks[left++] =
                    (task){end + 1, here.high, behind, here.to, {0, 0, 0}};
            }
            tasks[left++] = (task){0, 0, 0, 0, block};
            if (end + 1 - block.k > here.low && block.j > here.from) {
                tasks[left++] = (task){here.low,
                                       end + 1 - block.k,
                                       here.from,
                                       block.j,
                                       {0, 0, 0}};
            }
        }
    }
}

/* --- the public functions --- */

static void
align(const kf_align_state *state, kf_align_scratch *scratch,
      const uint32_t *ids, uint32_t n, uint32_t need, sink *to)
{
    find_positions(state, scratch, ids, n);
    if (scratch->count < need || scratch->count == 0) {
        return;
    }
    if (state->m <= WORD_BITS && to->blocks == NULL) {
        kf_align_words words = {scratch->count, scratch->at, scratch->mask,
                                scratch->level, scratch->has_runs};
        kf_align_words_run(&words, state->m, &to->sum);
    }
    else if (state->m <= WORD_BITS) {
        align_words(state, scratch, to);
    }
    else {
        align_lists(state, scratch, to);
    }
}

void
kf_align(const kf_align_state *state, kf_align_scratch *scratch,
         const uint32_t *ids, uint32_t n, uint32_t need, kf_alignment *out)
{
    sink to = {{0, 0, 0, 0}, NULL};
    align(state, scratch, ids, n, need, &to);
    *out = to.sum;
}

void
kf_align_blocks(const kf_align_state *state, kf_align_scratch *scratch,
                const uint32_t *ids, uint32_t n, kf_block *blocks,
                kf_alignment *out)
{
    sink to = {{0, 0, 0, 0}, blocks};
    align(state, scratch, ids, n, 0, &to);
    *out = to.sum;
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
    return (uint32_t)__builtin_popcountll(~v & bits_between(0, state->m));
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
    size_t words = (state->m + WORD_BITS - 1) / WORD_BITS;
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
    for (uint32_t j = 0; j < state->m; j++) {
        length += (~v[j / WORD_BITS] >> (j % WORD_BITS)) & 1;
    }
    return length;
}

uint32_t
kf_align_lcs(const kf_align_state *state, kf_align_scratch *scratch,
             const uint32_t *ids, uint32_t n)
{
    find_positions(state, scratch, ids, n);
    return state->m <= WORD_BITS ? lcs_words(state, scratch)
                                 : lcs_lists(state, scratch);
}

void
kf_align_note_seen(const kf_align_state *state, kf_align_scratch *scratch,
                   uint32_t from, uint32_t end)
{
    for (uint32_t p = 0; p < scratch->count; p++) {
        if (scratch->at[p] < from || scratch->at[p] >= end) {
            continue;
        }
        if (state->m <= WORD_BITS) {
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
    if (state->m <= WORD_BITS) {
        seen[0] |= scratch->seen_bits;
        return;
    }
    for (uint32_t j = 0; j < state->m; j++) {
        if (state->numbers[j] != KF_SYMBOL_NONE &&
            scratch->seen[state->numbers[j]]) {
            seen[j / WORD_BITS] |= (uint64_t)1 << (j % WORD_BITS);
        }
    }
}
