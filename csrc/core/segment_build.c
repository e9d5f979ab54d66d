/* Building a segment: sort the patterns, number the symbols, count every
 * list, and only then make the image, in one block of the right size. */
#include "kato_fast/segment.h"

#include "segment_image.h"

#include <string.h>

#define FIRST_SLOTS 1024u
#define FIRST_MULTIPLIER 0x9e3779b1u
/* So many multipliers before the table is doubled. */
#define TRIES 4u
#define DIGIT 65536u

/* Occurrences of a symbol so far in one pattern. Another pattern has another
 * stamp, so that nothing has to be cleared. */
typedef struct {
    uint32_t stamp;
    uint32_t times;
} occurrences;

typedef struct {
    const kf_alloc *alloc;
    const kf_pattern *const *patterns;
    uint32_t first; /* row; none before it, and none from the end on */
    uint32_t end;
    kf_segment_header header; /* its counts, as they become known */
    uint64_t n_array;         /* postings that are not in bitmaps */
    uint32_t *lengths;        /* by row */
    uint32_t *rows;           /* by local */
    uint32_t *starts;         /* by row: its first id */
    uint32_t *digits;         /* of sorting */
    /* Symbols have numbers of their own until they are sorted: */
    uint32_t n_numbers;
    uint32_t least;    /* global id of number 0, where globals is NULL */
    uint32_t *globals; /* by number */
    uint32_t *counts;  /* by number; 0: no such symbol */
    size_t globals_room;
    size_t counts_room;
    uint32_t *ranks;  /* by number: local symbol */
    uint32_t *sorted; /* by local symbol: number, then global id */
    kf_slot *slots;
    uint32_t tries;       /* of multipliers */
    uint32_t *keys;       /* by id: number, then local symbol */
    uint16_t *times;      /* by id: occurrences before it in its pattern */
    uint32_t *more_lists; /* by local symbol */
    /* By list: its patterns, and where it starts among its like. */
    uint32_t *list_counts;
    uint32_t *list_starts;
} builder;

static void
free_builder(builder *b)
{
    void *blocks[] = {b->lengths,     b->rows,       b->starts, b->digits,
                      b->globals,     b->counts,     b->ranks,  b->sorted,
                      b->slots,       b->keys,       b->times,  b->more_lists,
                      b->list_counts, b->list_starts};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        kf_release(b->alloc, blocks[i]);
    }
}

/* --- sorting --- */

/* Stable: items into sorted by 16 bits of keys[item]. most: no key is
 * larger. */
static void
sort_by_digit(const uint32_t *keys, unsigned shift, uint32_t most,
              const uint32_t *items, uint32_t *sorted, size_t count,
              uint32_t digits[DIGIT])
{
    uint32_t sum = 0;
    size_t n_digits = most < DIGIT ? most + 1 : DIGIT;
    memset(digits, 0, n_digits * sizeof *digits);
    for (size_t i = 0; i < count; i++) {
        digits[keys[items[i]] >> shift & 0xffff]++;
    }
    for (size_t i = 0; i < n_digits; i++) {
        uint32_t here = digits[i];
        digits[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[digits[keys[items[i]] >> shift & 0xffff]++] = items[i];
    }
}

/* A head's pieces have few rows. */
static void
find_ends(builder *b)
{
    b->end = KF_SEGMENT_ROWS;
    while (b->end > 0 && b->patterns[b->end - 1] == NULL) {
        b->end--;
    }
    while (b->first < b->end && b->patterns[b->first] == NULL) {
        b->first++;
    }
    b->header.first_row = b->first;
    b->header.n_rows = b->end - b->first;
}

/* Returns the length of the longest. */
static uint32_t
measure_rows(builder *b, uint32_t *present)
{
    kf_segment_header *h = &b->header;
    uint32_t longest = 0;
    h->is_single = 1;
    for (uint32_t row = b->first; row < b->end; row++) {
        if (b->patterns[row] != NULL) {
            uint32_t n = b->patterns[row]->n;
            h->is_single &= n == b->patterns[row]->n_events;
            longest = n > longest ? n : longest;
            b->lengths[row] = n;
            present[h->n_patterns++] = row;
        }
    }
    return longest;
}

/* Rows by length, then by row; and where their ids will start. */
static bool
sort_rows(builder *b)
{
    kf_segment_header *h = &b->header;
    uint32_t length = 0;
    uint32_t longest;
    b->lengths = kf_allocate(b->alloc, KF_SEGMENT_ROWS, sizeof(uint32_t));
    b->rows = kf_allocate(b->alloc, KF_SEGMENT_ROWS, sizeof(uint32_t));
    b->starts = kf_allocate(b->alloc, KF_SEGMENT_ROWS, sizeof(uint32_t));
    b->digits = kf_allocate(b->alloc, DIGIT, sizeof(uint32_t));
    if (b->lengths == NULL || b->rows == NULL || b->starts == NULL ||
        b->digits == NULL) {
        return false;
    }
    longest = measure_rows(b, b->starts);
    sort_by_digit(b->lengths, 0, longest, b->starts, b->rows, h->n_patterns,
                  b->digits);
    for (uint32_t local = 0; local < h->n_patterns; local++) {
        uint32_t row = b->rows[local];
        b->starts[row] = (uint32_t)h->n_ids;
        h->n_runs += b->lengths[row] != length;
        length = b->lengths[row];
        h->n_ids += length;
    }
    return true;
}

/* --- slots --- */

/* The symbol's slot or the free one where it belongs; NULL where the place
 * is too crowded. */
static inline kf_slot *
find_slot(const builder *b, uint32_t global)
{
    uint32_t slot = kf_segment_slot(&b->header, global);
    for (uint32_t probes = 0; probes < KF_PROBES_MAX; probes++) {
        kf_slot *found = &b->slots[slot];
        if (found->global == global || found->global == KF_SYMBOL_NONE) {
            return found;
        }
        slot = (slot + 1) & (b->header.n_slots - 1);
    }
    return NULL;
}

static bool
try_slots(builder *b, const uint32_t *globals, uint32_t count)
{
    memset(b->slots, 0xff, b->header.n_slots * sizeof *b->slots);
    for (uint32_t i = 0; i < count; i++) {
        kf_slot *slot = find_slot(b, globals[i]);
        if (slot == NULL) {
            return false;
        }
        *slot = (kf_slot){globals[i], i};
    }
    return true;
}

static bool
resize_slots(builder *b, uint64_t n_slots)
{
    if (n_slots > UINT32_MAX) {
        return false;
    }
    kf_release(b->alloc, b->slots);
    b->slots = kf_allocate(b->alloc, n_slots, sizeof *b->slots);
    b->header.n_slots = (uint32_t)n_slots;
    return b->slots != NULL;
}

static uint64_t
slots_for(uint32_t count)
{
    uint64_t n_slots = FIRST_SLOTS;
    while (n_slots / 2 < count) {
        n_slots *= 2;
    }
    return n_slots;
}

/* Give each global id a slot. Other multipliers until no place is too
 * crowded: whoever chose the ids so that they meet chose them for one of
 * them. */
static bool
fill_slots(builder *b, const uint32_t *globals, uint32_t count)
{
    uint64_t n_slots = slots_for(count);
    if (n_slots > b->header.n_slots && !resize_slots(b, n_slots)) {
        return false;
    }
    while (!try_slots(b, globals, count)) {
        b->header.multiplier = b->header.multiplier * 1664525u + 1013904222u;
        if (++b->tries % TRIES == 0 &&
            !resize_slots(b, (uint64_t)b->header.n_slots * 2)) {
            return false;
        }
    }
    return true;
}

/* --- numbers of symbols --- */

/* Numbers are distances from the least id. */
static void
number_by_distance(builder *b)
{
    uint32_t *counts = b->counts;
    for (uint32_t row = b->first; row < b->end; row++) {
        const kf_pattern *pattern = b->patterns[row];
        uint32_t n = pattern == NULL ? 0 : pattern->n;
        uint32_t *keys = b->keys + b->starts[row];
        for (uint32_t i = 0; i < n; i++) {
            keys[i] = pattern->ids[i] - b->least;
            counts[keys[i]]++;
        }
    }
}

static bool
add_number(builder *b, uint32_t global)
{
    size_t needed = (size_t)b->n_numbers + 1;
    kf_slot *slot;
    if (!kf_grow(b->alloc, (void **)&b->globals, &b->globals_room, needed,
                 sizeof *b->globals) ||
        !kf_grow(b->alloc, (void **)&b->counts, &b->counts_room, needed,
                 sizeof *b->counts)) {
        return false;
    }
    b->globals[b->n_numbers] = global;
    b->counts[b->n_numbers++] = 0;
    slot = needed > b->header.n_slots / 2 ? NULL : find_slot(b, global);
    if (slot == NULL) {
        return fill_slots(b, b->globals, b->n_numbers);
    }
    *slot = (kf_slot){global, b->n_numbers - 1};
    return true;
}

/* Numbers are those of arrival. */
static bool
number_by_arrival(builder *b)
{
    if (!fill_slots(b, NULL, 0)) {
        return false;
    }
    for (uint32_t row = b->first; row < b->end; row++) {
        const kf_pattern *pattern = b->patterns[row];
        uint32_t n = pattern == NULL ? 0 : pattern->n;
        for (uint32_t i = 0; i < n; i++) {
            const kf_slot *slot = find_slot(b, pattern->ids[i]);
            uint32_t number = b->n_numbers;
            if (slot != NULL && slot->global == pattern->ids[i]) {
                number = slot->local;
            }
            else if (!add_number(b, pattern->ids[i])) {
                return false;
            }
            b->counts[number]++;
            b->keys[b->starts[row] + i] = number;
        }
    }
    return true;
}

/* One more than the largest distance from the least id. */
static uint64_t
measure_ids(builder *b)
{
    uint32_t least = UINT32_MAX;
    uint32_t largest = 0;
    for (uint32_t row = b->first; row < b->end; row++) {
        const kf_pattern *pattern = b->patterns[row];
        uint32_t n = pattern == NULL ? 0 : pattern->n;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t id = pattern->ids[i];
            least = id < least ? id : least;
            largest = id > largest ? id : largest;
        }
    }
    b->least = least;
    return least > largest ? 0 : (uint64_t)largest - least + 1;
}

/* By distance, unless that takes more memory than the ids. */
static bool
number_symbols(builder *b)
{
    uint64_t range = measure_ids(b);
    b->keys = kf_allocate(b->alloc, b->header.n_ids, sizeof *b->keys);
    if (b->keys == NULL) {
        return false;
    }
    if (range > b->header.n_ids + KF_SEGMENT_RANGE) {
        return number_by_arrival(b);
    }
    b->n_numbers = (uint32_t)range;
    b->counts = kf_allocate_zero(b->alloc, range, sizeof *b->counts);
    if (b->counts == NULL) {
        return false;
    }
    number_by_distance(b);
    return true;
}

/* --- numbers to local symbols --- */

static uint32_t
largest_count(const builder *b)
{
    uint32_t largest = 0;
    for (uint32_t number = 0; number < b->n_numbers; number++) {
        uint32_t count = b->counts[number];
        largest = count > largest ? count : largest;
    }
    return largest;
}

/* Numbers by descending count: ascending by what is missing to the largest
 * one. */
static void
sort_numbers(builder *b, uint32_t *missing, uint32_t *spare)
{
    uint32_t largest = largest_count(b);
    uint32_t n = 0;
    for (uint32_t number = 0; number < b->n_numbers; number++) {
        if (b->counts[number] != 0) {
            missing[number] = largest - b->counts[number];
            b->sorted[n++] = number;
        }
    }
    sort_by_digit(missing, 0, largest, b->sorted, spare, n, b->digits);
    sort_by_digit(missing, 16, largest >> 16, spare, b->sorted, n, b->digits);
    b->header.n_symbols = n;
}

/* Bytes of what finds so many symbols; has_numbers: by their distance from the
 * least, where that is enough and takes less. */
static uint64_t
bytes_to_find(const builder *b, uint32_t n_symbols, bool *has_numbers)
{
    uint64_t numbers = b->n_numbers * sizeof(uint16_t);
    uint64_t slots = slots_for(n_symbols) * sizeof *b->slots;
    *has_numbers =
        b->globals == NULL && n_symbols < UINT16_MAX && numbers <= slots;
    return *has_numbers ? numbers : slots;
}

static bool
place_symbols(builder *b)
{
    kf_segment_header *h = &b->header;
    bool has_numbers;
    bytes_to_find(b, h->n_symbols, &has_numbers);
    if (!has_numbers) {
        return fill_slots(b, b->sorted, h->n_symbols);
    }
    h->least = b->least;
    h->n_numbers = b->n_numbers;
    return true;
}

/* Make ranks, and global ids of what is sorted. */
static bool
rank_by_count(builder *b)
{
    uint32_t *spare = kf_allocate(b->alloc, b->n_numbers, sizeof *spare);
    b->sorted = kf_allocate(b->alloc, b->n_numbers, sizeof *b->sorted);
    if (b->sorted == NULL || spare == NULL) {
        kf_release(b->alloc, spare);
        return false;
    }
    sort_numbers(b, b->ranks, spare);
    kf_release(b->alloc, spare);
    for (uint32_t local = 0; local < b->header.n_symbols; local++) {
        uint32_t number = b->sorted[local];
        b->ranks[number] = local;
        b->sorted[local] =
            b->globals != NULL ? b->globals[number] : b->least + number;
    }
    return place_symbols(b);
}

/* Distances take no table of symbols, but a list also where there is none,
 * and sometimes a bit more for each id. The order by count is given up only
 * where that saves half a bit an id. */
static bool
is_direct(const builder *b)
{
    uint64_t n_ids = b->header.n_ids;
    uint32_t present = 0;
    uint64_t saved;
    uint64_t lost;
    bool has_numbers;
    for (uint32_t number = 0; number < b->n_numbers; number++) {
        present += b->counts[number] != 0;
    }
    saved =
        present * sizeof(uint32_t) + bytes_to_find(b, present, &has_numbers);
    lost = (uint64_t)(b->n_numbers - present) * sizeof(kf_list_group) /
               KF_GROUP_LISTS +
           n_ids *
               (kf_segment_high_bits(b->n_numbers) -
                kf_segment_high_bits(present)) /
               8;
    return b->globals == NULL && saved > lost + n_ids / 16;
}

static bool
rank_symbols(builder *b)
{
    b->ranks = kf_allocate(b->alloc, b->n_numbers, sizeof *b->ranks);
    if (b->ranks == NULL) {
        return false;
    }
    if (!is_direct(b)) {
        return rank_by_count(b);
    }
    for (uint32_t number = 0; number < b->n_numbers; number++) {
        b->ranks[number] = number;
    }
    b->header.is_direct = 1;
    b->header.least = b->least;
    b->header.n_symbols = b->n_numbers;
    return true;
}

/* --- lists --- */

/* Make the keys local symbols, note how often the pattern had each before,
 * and in most[symbol] the largest of those. */
static void
measure_symbols(builder *b, occurrences *seen, uint32_t *most)
{
    const uint32_t *ranks = b->ranks;
    uint32_t *keys = b->keys;
    uint16_t *times = b->times;
    for (uint32_t local = 0; local < b->header.n_patterns; local++) {
        uint32_t n = b->lengths[b->rows[local]];
        for (uint32_t i = 0; i < n; i++) {
            uint32_t key = ranks[keys[i]];
            /* Without a branch, too. */
            uint32_t is_here = seen[key].stamp == local + 1;
            uint32_t before = seen[key].times & -is_here;
            seen[key] = (occurrences){local + 1, before + 1};
            keys[i] = key;
            times[i] = (uint16_t)before;
            if (before > most[key]) {
                most[key] = before;
            }
        }
        keys += n;
        times += n;
    }
}

static bool
number_lists(builder *b)
{
    kf_segment_header *h = &b->header;
    size_t n = h->n_symbols;
    occurrences *seen = kf_allocate_zero(b->alloc, n, sizeof *seen);
    uint32_t next = h->n_symbols;
    b->times = kf_allocate(b->alloc, h->n_ids, sizeof *b->times);
    b->more_lists = kf_allocate_zero(b->alloc, n + 1, sizeof *b->more_lists);
    if (seen == NULL || b->times == NULL || b->more_lists == NULL) {
        kf_release(b->alloc, seen);
        return false;
    }
    measure_symbols(b, seen, b->more_lists);
    kf_release(b->alloc, seen);
    for (size_t symbol = 0; symbol <= n; symbol++) {
        uint32_t more = b->more_lists[symbol];
        h->n_more += more != 0;
        b->more_lists[symbol] = next;
        next += more;
    }
    h->n_lists = next;
    return true;
}

/* Without a branch: nobody can predict which symbol is a repeated one. */
static inline uint32_t
list_of(const uint32_t *more_lists, uint32_t symbol, uint32_t times)
{
    uint32_t more = more_lists[symbol] + times - 1;
    uint32_t is_more = times != 0;
    return symbol ^ ((symbol ^ more) & -is_more);
}

static void
count_lists(builder *b)
{
    for (uint64_t id = 0; id < b->header.n_ids; id++) {
        b->list_counts[list_of(b->more_lists, b->keys[id], b->times[id])]++;
    }
}

/* Where each list starts: bitmaps by themselves, arrays by themselves. */
static void
place_lists(builder *b)
{
    kf_segment_header *h = &b->header;
    uint32_t array = 0;
    for (uint32_t list = 0; list < h->n_lists; list++) {
        bool dense = b->list_counts[list] > KF_LIST_DENSE;
        b->list_starts[list] = dense ? h->n_bitmaps : array;
        h->n_bitmaps += dense;
        array += dense ? 0 : b->list_counts[list];
    }
    b->n_array = array;
}

static bool
make_lists(builder *b)
{
    size_t n;
    if (!number_lists(b)) {
        return false;
    }
    n = b->header.n_lists;
    b->list_counts = kf_allocate_zero(b->alloc, n, sizeof *b->list_counts);
    b->list_starts = kf_allocate(b->alloc, n, sizeof *b->list_starts);
    if (b->list_counts == NULL || b->list_starts == NULL) {
        return false;
    }
    count_lists(b);
    place_lists(b);
    return true;
}

/* --- the image --- */

static void
write_numbers(const builder *b, char *image)
{
    uint16_t *numbers = (uint16_t *)(image + b->header.numbers);
    for (uint32_t at = 0; at < b->header.n_numbers; at++) {
        numbers[at] = b->counts[at] != 0 ? (uint16_t)b->ranks[at] : UINT16_MAX;
    }
}

static void
write_symbols(const builder *b, char *image)
{
    const kf_segment_header *h = &b->header;
    if (!h->is_direct) {
        memcpy(image + h->globals, b->sorted,
               h->n_symbols * sizeof *b->sorted);
    }
    if (h->n_slots != 0) {
        memcpy(image + h->slots, b->slots, h->n_slots * sizeof *b->slots);
    }
    write_numbers(b, image);
}

static void
write_more(const builder *b, char *image)
{
    const kf_segment_header *h = &b->header;
    kf_more_lists *more = (kf_more_lists *)(image + h->more);
    for (uint32_t symbol = 0; symbol < h->n_symbols; symbol++) {
        uint32_t list = b->more_lists[symbol];
        if (list != b->more_lists[symbol + 1]) {
            *more++ = (kf_more_lists){symbol, list};
        }
    }
    *more = (kf_more_lists){KF_SYMBOL_NONE, h->n_lists};
}

/* Bitmaps take no room among the arrays. */
static void
write_lists(const builder *b, char *image)
{
    const kf_segment_header *h = &b->header;
    uint32_t *bitmaps = (uint32_t *)(image + h->bitmaps);
    kf_list_group *group = (kf_list_group *)(image + h->groups) - 1;
    uint32_t end = 0;
    for (uint32_t list = 0; list < h->n_lists; list++) {
        bool dense = b->list_counts[list] > KF_LIST_DENSE;
        if (list % KF_GROUP_LISTS == 0) {
            (++group)->start = end;
        }
        if (dense) {
            *bitmaps++ = list;
        }
        end += dense ? 0 : b->list_counts[list];
        group->ends[list % KF_GROUP_LISTS] = (uint16_t)(end - group->start);
    }
}

static void
write_rows(const builder *b, char *image)
{
    const kf_segment_header *h = &b->header;
    kf_run *run = (kf_run *)(image + h->runs);
    uint16_t *order = (uint16_t *)(image + h->order);
    uint8_t *narrow = (uint8_t *)(image + h->run_of);
    uint16_t *wide = (uint16_t *)(image + h->run_of);
    bool is_narrow = kf_segment_has_few_runs(h);
    uint32_t length = 0;
    uint32_t n_runs = 0;
    for (uint32_t local = 0; local < h->n_patterns; local++) {
        uint32_t row = b->rows[local];
        order[local] = (uint16_t)row;
        if (b->lengths[row] != length) {
            length = b->lengths[row];
            run[n_runs++] = (kf_run){length, local, b->starts[row]};
        }
        if (is_narrow) {
            narrow[row - h->first_row] = (uint8_t)(n_runs - 1);
        }
        else {
            wide[row - h->first_row] = (uint16_t)(n_runs - 1);
        }
    }
    run[n_runs] = (kf_run){0, h->n_patterns, h->n_ids};
}

static void
write_ends(const builder *b, char *image)
{
    uint64_t *bits = (uint64_t *)(image + b->header.ends);
    for (uint32_t row = b->first; row < b->end && !b->header.is_single;
         row++) {
        const kf_pattern *pattern = b->patterns[row];
        uint32_t n_events = pattern == NULL ? 0 : pattern->n_events;
        for (uint32_t event = 0; event < n_events; event++) {
            uint64_t id =
                (uint64_t)b->starts[row] + kf_pattern_ends(pattern)[event] - 1;
            bits[id / 64] |= (uint64_t)1 << (id % 64);
        }
    }
}

static void
write_high(const builder *b, char *image)
{
    const kf_segment_header *h = &b->header;
    uint8_t *bytes = (uint8_t *)(image + h->high);
    uint32_t bits = h->high_bits;
    for (uint64_t id = 0; id < h->n_ids && bits < 16; id++) {
        uint32_t high = b->keys[id] >> 16;
        bytes[id * bits / 8] |= (uint8_t)(high << (id * bits % 8));
    }
    for (uint64_t id = 0; id < h->n_ids && bits == 16; id++) {
        ((uint16_t *)bytes)[id] = (uint16_t)(b->keys[id] >> 16);
    }
}

static void
write_ids(const builder *b, char *image)
{
    const kf_segment_header *h = &b->header;
    uint16_t *low = (uint16_t *)(image + h->ids);
    for (uint64_t id = 0; id < h->n_ids; id++) {
        low[id] = (uint16_t)b->keys[id];
    }
    if (h->high_bits != 0) {
        write_high(b, image);
    }
}

/* What a posting does not have to know is whether its list is a bitmap:
 * those are written as arrays, too, into `dense`, one after the other. */
static void
scatter_postings(const builder *b, uint16_t **next)
{
    const uint32_t *keys = b->keys;
    const uint16_t *times = b->times;
    for (uint32_t local = 0; local < b->header.n_patterns; local++) {
        uint32_t n = b->lengths[b->rows[local]];
        for (uint32_t i = 0; i < n; i++) {
            uint32_t list = list_of(b->more_lists, keys[i], times[i]);
            *next[list]++ = (uint16_t)local;
        }
        keys += n;
        times += n;
    }
}

static void
write_bitmaps(const builder *b, char *image, const uint16_t *dense)
{
    for (uint32_t list = 0; list < b->header.n_lists; list++) {
        uint32_t count = b->list_counts[list];
        uint64_t *words =
            (uint64_t *)(image + b->header.postings) +
            (uint64_t)b->list_starts[list] * (KF_BITMAP_UNITS / 4);
        if (count <= KF_LIST_DENSE) {
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            words[dense[i] / 64] |= (uint64_t)1 << (dense[i] % 64);
        }
        dense += count;
    }
}

static bool
write_postings(const builder *b, char *image)
{
    const kf_segment_header *h = &b->header;
    uint16_t **next = kf_allocate(b->alloc, h->n_lists, sizeof *next);
    uint16_t *dense =
        kf_allocate(b->alloc, h->n_ids - b->n_array, sizeof *dense);
    uint16_t *arrays = (uint16_t *)(image + h->postings) +
                       (uint64_t)h->n_bitmaps * KF_BITMAP_UNITS;
    uint16_t *end = dense;
    if (next != NULL && dense != NULL) {
        for (uint32_t list = 0; list < h->n_lists; list++) {
            bool is_dense = b->list_counts[list] > KF_LIST_DENSE;
            next[list] = is_dense ? end : arrays + b->list_starts[list];
            end += is_dense ? b->list_counts[list] : 0;
        }
        scatter_postings(b, next);
        write_bitmaps(b, image, dense);
    }
    kf_release(b->alloc, next);
    kf_release(b->alloc, dense);
    return next != NULL && dense != NULL;
}

static kf_segment *
make_image(builder *b)
{
    kf_segment_header *h = &b->header;
    kf_segment *segment = NULL;
    char *block;
    char *image;
    kf_segment_layout(h);
    h->magic = KF_SEGMENT_MAGIC;
    h->size = kf_segment_size(h, b->n_array);
    block = h->size > SIZE_MAX - KF_SEGMENT_ALIGN
                ? NULL
                : kf_allocate_large(b->alloc, h->size + KF_SEGMENT_ALIGN);
    if (block == NULL) {
        return NULL;
    }
    image = block + (-(uintptr_t)block & (KF_SEGMENT_ALIGN - 1));
    memcpy(image, h, sizeof *h);
    write_symbols(b, image);
    write_more(b, image);
    write_lists(b, image);
    write_rows(b, image);
    write_ends(b, image);
    write_ids(b, image);
    if (write_postings(b, image)) {
        segment = kf_segment_new(b->alloc, image, block);
    }
    if (segment == NULL) {
        kf_release(b->alloc, block);
    }
    return segment;
}

kf_status
kf_segment_build(const kf_alloc *alloc, const kf_pattern *const *patterns,
                 kf_segment **out, kf_error *err)
{
    builder b = {
        .alloc = alloc,
        .patterns = patterns,
        .header.multiplier = FIRST_MULTIPLIER,
    };
    kf_segment *segment = NULL;
    find_ends(&b);
    if (sort_rows(&b) && number_symbols(&b) && rank_symbols(&b) &&
        make_lists(&b)) {
        segment = make_image(&b);
    }
    free_builder(&b);
    if (segment == NULL) {
        return kf_no_memory(err);
    }
    *out = segment;
    return KF_OK;
}
