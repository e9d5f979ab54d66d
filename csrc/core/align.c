#include "kato_fast/align.h"

#include "align_drive.h"
#include "kato_fast/align_words.h"
#include "kato_fast/symbols.h"
#include "kernels/align_kernel.h"

#include <string.h>

#define WORD_BITS KF_WORD_BITS
/* Of KF_SYMBOLS_MAX symbols none has it. */
#define NO_NUMBER UINT16_MAX
/* Where one in so many positions of the state has the symbol, a row of the
 * table of runs is made for all of them, many at a time. */
#define DENSE_SHARE 16u
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
    uint16_t *numbers; /* m > 64, by position; NO_NUMBER: unknown */
    /* m > 64: symbols that stand at as many positions as a mask of all of
     * them has words, of which there are at most 64, have one. */
    uint8_t *has_mask; /* by number: 0, or its number among those + 1 */
    uint64_t *masks;
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
    uint16_t *run;       /* m > 64: run length by state position, shifted by
                          * 1; all 0 between searches */
    uint16_t *next_run;
    /* m > 64: no run that ends at the matched position, at the position of the
     * state, is longer in the area that it is in. */
    uint16_t *bounds;
    uint16_t *columns;
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
        state->numbers[j] = NO_NUMBER;
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
        if (number != NO_NUMBER) {
            state->places[state->starts[number] + filled[number]++] = j;
        }
    }
    kf_release(alloc, filled);
    return true;
}

static uint32_t
words_of(const kf_align_state *state)
{
    return (state->table.m + WORD_BITS - 1) / WORD_BITS;
}

static uint64_t *
mask_of(const kf_align_state *state, uint32_t number)
{
    size_t masks_before = state->has_mask[number] - (size_t)1;
    return state->masks + masks_before * words_of(state);
}

/* The places are there. */
static bool
build_long_masks(kf_align_state *state)
{
    uint32_t words = words_of(state);
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
        if (number != NO_NUMBER && state->has_mask[number] != 0) {
            mask_of(state, number)[j / WORD_BITS] |= (uint64_t)1
                                                     << (j % WORD_BITS);
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
    size_t words = words_of(state);
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

/* --- longer states: lists of positions --- */

/* A pattern's matched positions in a state. */
typedef struct {
    const kf_align_state *state;
    kf_align_scratch *scratch;
} lists;

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

static bool
is_dense(const kf_align_state *state, uint32_t number,
         const kf_align_area *range)
{
    uint64_t count = state->starts[number + 1] - state->starts[number];
    return count * DENSE_SHARE >= range->to - range->from;
}

/* Set the row's lengths, where the symbol may have left some, back to 0. */
static void
clear_row(const kf_align_state *state, uint32_t number,
          const kf_align_area *range, uint16_t *row)
{
    if (is_dense(state, number, range)) {
        memset(row + range->from + 1, 0,
               (range->to - range->from) * sizeof *row);
        return;
    }
    for (uint32_t q = state->starts[number]; q < state->starts[number + 1];
         q++) {
        row[state->places[q] + 1] = 0;
    }
}

/* The two rows of the table that are looked at: that of position p, and that
 * before it, which counts where p follows it in the pattern. */
typedef struct {
    uint32_t number; /* of the symbol at p */
    bool follows;
    const uint16_t *before;
    uint16_t *row;
    uint16_t *columns; /* bounds to be raised, or NULL */
} row_pair;

/* Returns the longest run of the row, *last: where the first of them ends in
 * the state. row is all 0. */
static uint32_t
fill_sparse_row(const kf_align_state *state, const kf_align_area *range,
                const row_pair *at, uint32_t *last)
{
    uint32_t end = state->starts[at->number + 1];
    uint32_t longest = 0;
    for (uint32_t q = place_from(state, at->number, range->from);
         q < end && state->places[q] < range->to; q++) {
        uint32_t j = state->places[q];
        uint32_t length = (at->follows ? at->before[j] : 0u) + 1;
        at->row[j + 1] = (uint16_t)length;
        if (at->columns != NULL && length > at->columns[j]) {
            at->columns[j] = (uint16_t)length;
        }
        if (length > longest) {
            longest = length;
            *last = j;
        }
    }
    return longest;
}

/* The same, but *last is set only where the run is longer than `known`; row
 * may hold what an earlier one left. */
static uint32_t
fill_dense_row(const kf_align_state *state, const kf_align_area *range,
               const row_pair *at, uint32_t known, uint32_t *last)
{
    uint32_t from = range->from;
    uint32_t first = 0;
    uint32_t longest = state->variant->row(
        state->numbers + from, at->number, range->to - from, at->follows,
        at->before + from, at->row + from,
        at->columns != NULL ? at->columns + from : NULL, known, &first);
    *last = from + first;
    return longest;
}

/* A stretch of rows, from matched position `first` on; columns: as above. */
typedef struct {
    const lists *both;
    const kf_align_area *range;
    uint32_t first;
    uint16_t *columns;
} stretch;

static uint16_t *
memory_of_row(const stretch *rows, uint32_t p)
{
    const kf_align_scratch *scratch = rows->both->scratch;
    return ((p - rows->first) & 1) != 0 ? scratch->next_run : scratch->run;
}

static void
clear_row_of(const stretch *rows, uint32_t p)
{
    clear_row(rows->both->state, rows->both->scratch->number[p], rows->range,
              memory_of_row(rows, p));
}

/* The row of position p, the next of the stretch, in memory that was another's
 * two rows ago. */
static uint32_t
fill_row(const stretch *rows, uint32_t p, uint32_t known, uint32_t *last)
{
    const kf_align_state *state = rows->both->state;
    const kf_align_scratch *scratch = rows->both->scratch;
    row_pair at = {
        .number = scratch->number[p],
        .follows = p > rows->first && scratch->at[p] == scratch->at[p - 1] + 1,
        .before = memory_of_row(rows, p + 1),
        .row = memory_of_row(rows, p),
        .columns = rows->columns,
    };
    if (is_dense(state, at.number, rows->range)) {
        return fill_dense_row(state, rows->range, &at, known, last);
    }
    if (p >= rows->first + 2) {
        clear_row_of(rows, p - 2);
    }
    return fill_sparse_row(state, rows->range, &at, last);
}

/* The stretch has ended before position `end`. */
static void
clear_stretch(const stretch *rows, uint32_t end)
{
    uint32_t p = end < rows->first + 2 ? rows->first : end - 2;
    for (; p < end; p++) {
        clear_row_of(rows, p);
    }
}

/* The longest run so far: its length, where it ends in the state and at which
 * matched position. */
typedef struct {
    uint32_t k;
    uint32_t last;
    uint32_t p;
} longest_run;

/* difflib's own walk: i upward, for each the positions j of its symbol upward,
 * run length (i, j) = run length (i-1, j-1) + 1, kept only if longer. Bounds
 * of columns are only worth their time where those of rows were not enough. */
static void
search_all(const lists *both, const kf_align_area *range, longest_run *best)
{
    kf_align_scratch *scratch = both->scratch;
    bool is_part = range->most != 0;
    stretch rows = {both, range, range->low,
                    is_part ? scratch->columns : NULL};
    *best = (longest_run){0, 0, 0};
    memset(scratch->columns + range->from, is_part ? 0 : 0xff,
           (range->to - range->from) * sizeof *scratch->columns);
    for (uint32_t p = range->low; p < range->high; p++) {
        uint32_t last = 0;
        uint32_t longest = fill_row(&rows, p, best->k, &last);
        scratch->bounds[p] = (uint16_t)longest;
        if (longest > best->k) {
            *best = (longest_run){longest, last, p};
        }
    }
    clear_stretch(&rows, range->high);
}

static uint32_t
largest_of(const uint16_t *bounds, uint32_t from, uint32_t to)
{
    uint16_t largest = 0;
    for (uint32_t i = from; i < to; i++) {
        largest = bounds[i] > largest ? bounds[i] : largest;
    }
    return largest;
}

/* Find what the bounds of p, and of those behind it that allow as much, really
 * are, until one is `most`: no run is longer, so that none began earlier than
 * so many rows before. Takes rows off *left, and ends where none are. */
static void
look_behind(const lists *both, const kf_align_area *range, uint32_t p,
            uint32_t most, uint32_t *left, longest_run *best)
{
    uint16_t *bounds = both->scratch->bounds;
    stretch rows = {both, range,
                    p - range->low < most ? range->low : p + 1 - most, NULL};
    uint32_t next = rows.first;
    uint32_t longest = 0;
    while (next <= p || (next < range->high && bounds[next] >= most &&
                         longest != most && *left > 0)) {
        uint32_t last = 0;
        uint32_t known = best->k > 0 ? best->k - 1 : 0;
        longest = fill_row(&rows, next, known, &last);
        if (next >= p) {
            bounds[next] = (uint16_t)longest;
            if (longest > best->k || (longest == best->k && next < best->p)) {
                *best = (longest_run){longest, last, next};
            }
        }
        next++;
        *left -= *left > 0;
    }
    clear_stretch(&rows, next);
}

/* The rows that a search by bounds may take: one of so many of the area. */
#define BOUNDED_SHARE 4u
#define BOUNDED_TRIES 16

/* In a part of an area that was searched, look only where a run may be as long
 * as the bounds allow, since it mostly is, or nearly. False where that would
 * take too long. */
static bool
search_by_bounds(const lists *both, const kf_align_area *range,
                 longest_run *best)
{
    const uint16_t *bounds = both->scratch->bounds;
    uint32_t columns =
        largest_of(both->scratch->columns, range->from, range->to);
    uint32_t left = (range->high - range->low) / BOUNDED_SHARE;
    *best = (longest_run){0, 0, range->high};
    for (int tries = 0; tries < BOUNDED_TRIES; tries++) {
        uint32_t most = largest_of(bounds, range->low, range->high);
        uint32_t p = range->low;
        most = columns < most ? columns : most;
        while (bounds[p] < most) {
            p++;
        }
        if (p == best->p) {
            return true;
        }
        if (most <= 1) { /* what to walk, or nothing */
            *best = (longest_run){most, 0, p};
            return true;
        }
        if (most > left) {
            return false;
        }
        look_behind(both, range, p, most, &left, best);
    }
    return false;
}

static void
longest_list_run(void *of, const kf_align_area *range, kf_block *out,
                 uint32_t *end)
{
    const lists *both = of;
    longest_run best = {0, 0, 0};
    out->k = 0;
    if (range->low == range->high) {
        return;
    }
    if (range->most == 0 || !search_by_bounds(both, range, &best)) {
        search_all(both, range, &best);
    }
    if (best.k != 0) {
        *out = (kf_block){both->scratch->at[best.p] + 1 - best.k,
                          best.last + 1 - best.k, best.k};
        *end = best.p;
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
        kf_align_area whole = {0, scratch->count, 0, state->table.m, 0, 0};
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

/* A step by a symbol that has no mask; mask is all 0. */
static void
lcs_step_by_places(const kf_align_state *state, uint32_t number, uint64_t *v,
                   uint64_t *mask)
{
    const uint32_t *places = state->places;
    uint32_t from = state->starts[number];
    uint32_t end = state->starts[number + 1];
    for (uint32_t q = from; q < end; q++) {
        mask[places[q] / WORD_BITS] |= (uint64_t)1 << (places[q] % WORD_BITS);
    }
    lcs_step(v, mask, words_of(state));
    for (uint32_t q = from; q < end; q++) {
        mask[places[q] / WORD_BITS] = 0;
    }
}

static uint32_t
lcs_lists(const kf_align_state *state, kf_align_scratch *scratch)
{
    size_t words = words_of(state);
    uint64_t *v = scratch->words;
    uint32_t length = 0;
    memset(v, 0xff, words * sizeof *v);
    for (uint32_t p = 0; p < scratch->count; p++) {
        uint32_t number = scratch->number[p];
        if (state->has_mask[number] != 0) {
            lcs_step(v, mask_of(state, number), words);
        }
        else {
            lcs_step_by_places(state, number, v, v + words);
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
        if (state->numbers[j] != NO_NUMBER &&
            scratch->seen[state->numbers[j]]) {
            seen[j / WORD_BITS] |= (uint64_t)1 << (j % WORD_BITS);
        }
    }
}
