#include "kato_fast/align.h"

#include "align_lists.h"

#include <string.h>

#define WORD_BITS KF_WORD_BITS
/* Where one in so many positions of the state has the symbol, a row of the
 * table of runs is made for all of them, many at a time. */
#define DENSE_SHARE 16u

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

void
kf_align_lists_run(const kf_align_state *state, kf_align_scratch *scratch,
                   kf_block *blocks, kf_alignment *out)
{
    lists both = {state, scratch};
    kf_align_area whole = {0, scratch->count, 0, state->table.m, 0, 0};
    kf_align_sink to = {{0, 0, 0, 0}, blocks};
    kf_align_drive(&both, longest_list_run, walk_lists, whole, scratch->at,
                   scratch->areas, &to);
    *out = to.sum;
}

/* --- common subsequences --- */

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
    lcs_step(v, mask, kf_align_words_of(state));
    for (uint32_t q = from; q < end; q++) {
        mask[places[q] / WORD_BITS] = 0;
    }
}

uint32_t
kf_align_lists_lcs(const kf_align_state *state, kf_align_scratch *scratch)
{
    size_t words = kf_align_words_of(state);
    uint64_t *v = scratch->words;
    uint32_t length = 0;
    memset(v, 0xff, words * sizeof *v);
    for (uint32_t p = 0; p < scratch->count; p++) {
        uint32_t number = scratch->number[p];
        if (state->has_mask[number] != 0) {
            lcs_step(v, kf_align_mask_of(state, number), words);
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
