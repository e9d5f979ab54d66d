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

typedef struct {
    uint32_t global;
    uint32_t count; /* in all patterns */
} symbol;

/* Occurrences of a symbol so far in one pattern. A new pass over a pattern
 * has a new stamp, so that nothing has to be cleared. */
typedef struct {
    uint32_t stamp;
    uint32_t times;
} occurrences;

typedef struct {
    const kf_alloc *alloc;
    const kf_pattern *const *patterns;
    kf_segment_header header; /* its counts, as they become known */
    uint64_t n_array;         /* postings that are not in bitmaps */
    uint32_t tries;           /* of multipliers */
    uint32_t *lengths;        /* by row */
    uint32_t *rows;           /* by local */
    uint32_t *starts;         /* by row: its first id */
    uint32_t *digits;         /* of sorting */
    kf_slot *slots;           /* local: number of arrival */
    symbol *symbols;          /* by number of arrival */
    size_t symbol_room;
    uint32_t *by_count;   /* numbers of arrival, the most frequent first */
    uint32_t *ranks;      /* by number of arrival: local symbol */
    uint32_t *keys;       /* by id: number of arrival, then local symbol */
    occurrences *seen;    /* by local symbol */
    uint32_t stamp;       /* of the pass over a pattern */
    uint32_t *first_list; /* by local symbol */
    kf_list *lists;
    uint32_t *next; /* by list: where the next posting goes */
} builder;

static void
free_builder(builder *b)
{
    void *blocks[] = {b->lengths, b->rows,    b->starts,     b->digits,
                      b->slots,   b->symbols, b->by_count,   b->ranks,
                      b->keys,    b->seen,    b->first_list, b->lists,
                      b->next};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        kf_release(b->alloc, blocks[i]);
    }
}

/* --- sorting --- */

/* Stable: items into sorted by 16 bits of keys[item]. */
static void
sort_by_digit(const uint32_t *keys, unsigned shift, const uint32_t *items,
              uint32_t *sorted, size_t count, uint32_t digits[DIGIT])
{
    uint32_t sum = 0;
    memset(digits, 0, DIGIT * sizeof *digits);
    for (size_t i = 0; i < count; i++) {
        digits[keys[items[i]] >> shift & 0xffff]++;
    }
    for (size_t i = 0; i < DIGIT; i++) {
        uint32_t here = digits[i];
        digits[i] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[digits[keys[items[i]] >> shift & 0xffff]++] = items[i];
    }
}

static void
measure_rows(builder *b, uint32_t *present)
{
    kf_segment_header *h = &b->header;
    for (uint32_t row = 0; row < KF_SEGMENT_ROWS; row++) {
        if (b->patterns[row] != NULL) {
            b->lengths[row] = b->patterns[row]->n;
            present[h->n_patterns++] = row;
        }
    }
}

/* Rows by length, then by row; and where their ids will start. */
static bool
sort_rows(builder *b)
{
    kf_segment_header *h = &b->header;
    uint32_t length = 0;
    b->lengths = kf_allocate(b->alloc, KF_SEGMENT_ROWS, sizeof(uint32_t));
    b->rows = kf_allocate(b->alloc, KF_SEGMENT_ROWS, sizeof(uint32_t));
    b->starts = kf_allocate(b->alloc, KF_SEGMENT_ROWS, sizeof(uint32_t));
    b->digits = kf_allocate(b->alloc, DIGIT, sizeof(uint32_t));
    if (b->lengths == NULL || b->rows == NULL || b->starts == NULL ||
        b->digits == NULL) {
        return false;
    }
    measure_rows(b, b->starts);
    sort_by_digit(b->lengths, 0, b->starts, b->rows, h->n_patterns, b->digits);
    for (uint32_t local = 0; local < h->n_patterns; local++) {
        uint32_t row = b->rows[local];
        b->starts[row] = (uint32_t)h->n_ids;
        h->n_runs += b->lengths[row] != length;
        length = b->lengths[row];
        h->n_ids += length;
    }
    return true;
}

/* --- symbols --- */

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
fill_slots(builder *b)
{
    memset(b->slots, 0xff, b->header.n_slots * sizeof *b->slots);
    for (uint32_t number = 0; number < b->header.n_symbols; number++) {
        uint32_t global = b->symbols[number].global;
        kf_slot *slot = find_slot(b, global);
        if (slot == NULL) {
            return false;
        }
        *slot = (kf_slot){global, number};
    }
    return true;
}

static bool
double_slots(builder *b)
{
    kf_segment_header *h = &b->header;
    uint32_t n_slots = h->n_slots == 0 ? FIRST_SLOTS : h->n_slots * 2;
    if (n_slots == 0) {
        return false;
    }
    kf_release(b->alloc, b->slots);
    b->slots = kf_allocate(b->alloc, n_slots, sizeof *b->slots);
    h->n_slots = n_slots;
    return b->slots != NULL;
}

/* Other multipliers until no place is too crowded: whoever chose the symbols
 * so that they meet chose them for one of them. */
static bool
rebuild_slots(builder *b)
{
    while (!fill_slots(b)) {
        b->header.multiplier = b->header.multiplier * 1664525u + 1013904222u;
        if (++b->tries % TRIES == 0 && !double_slots(b)) {
            return false;
        }
    }
    return true;
}

static bool
add_symbol(builder *b, uint32_t global, uint32_t *number)
{
    kf_segment_header *h = &b->header;
    kf_slot *slot;
    bool full = h->n_symbols >= h->n_slots / 2;
    if (!kf_grow(b->alloc, (void **)&b->symbols, &b->symbol_room,
                 (size_t)h->n_symbols + 1, sizeof *b->symbols)) {
        return false;
    }
    *number = h->n_symbols++;
    b->symbols[*number] = (symbol){global, 0};
    slot = full ? NULL : find_slot(b, global);
    if (slot == NULL) {
        return (!full || double_slots(b)) && rebuild_slots(b);
    }
    *slot = (kf_slot){global, *number};
    return true;
}

/* The ids of all patterns as numbers of arrival. */
static bool
number_symbols(builder *b)
{
    b->keys = kf_allocate(b->alloc, b->header.n_ids, sizeof *b->keys);
    if (b->keys == NULL || !double_slots(b) || !rebuild_slots(b)) {
        return false;
    }
    for (uint32_t row = 0; row < KF_SEGMENT_ROWS; row++) {
        const kf_pattern *pattern = b->patterns[row];
        uint32_t n = pattern == NULL ? 0 : pattern->n;
        for (uint32_t i = 0; i < n; i++) {
            const kf_slot *slot = find_slot(b, pattern->ids[i]);
            uint32_t number = 0;
            if (slot != NULL && slot->global == pattern->ids[i]) {
                number = slot->local;
            }
            else if (!add_symbol(b, pattern->ids[i], &number)) {
                return false;
            }
            b->symbols[number].count++;
            b->keys[b->starts[row] + i] = number;
        }
    }
    return true;
}

/* Descending by count: ascending by what is missing to the largest number. */
static void
sort_symbols(builder *b, uint32_t *missing, uint32_t *spare)
{
    uint32_t n = b->header.n_symbols;
    for (uint32_t number = 0; number < n; number++) {
        missing[number] = UINT32_MAX - b->symbols[number].count;
        spare[number] = number;
    }
    sort_by_digit(missing, 0, spare, b->by_count, n, b->digits);
    sort_by_digit(missing, 16, b->by_count, spare, n, b->digits);
}

/* Ranks, and by_count as its inverse. */
static bool
rank_symbols(builder *b)
{
    uint32_t n = b->header.n_symbols;
    uint32_t *sorted = kf_allocate(b->alloc, n, sizeof *sorted);
    b->by_count = kf_allocate(b->alloc, n, sizeof *b->by_count);
    b->ranks = kf_allocate(b->alloc, n, sizeof *b->ranks);
    if (sorted == NULL || b->by_count == NULL || b->ranks == NULL) {
        kf_release(b->alloc, sorted);
        return false;
    }
    sort_symbols(b, b->ranks, sorted);
    for (uint32_t local = 0; local < n; local++) {
        b->by_count[local] = sorted[local];
        b->ranks[sorted[local]] = local;
    }
    kf_release(b->alloc, sorted);
    return true;
}

/* --- lists --- */

/* How often the pass has met the symbol before. */
static inline uint32_t
times_before(builder *b, uint32_t local)
{
    occurrences *seen = &b->seen[local];
    uint32_t times = seen->stamp == b->stamp ? seen->times : 0;
    *seen = (occurrences){b->stamp, times + 1};
    return times;
}

/* Make the keys local symbols; first_list[symbol + 1]: how often a pattern
 * has it at most. */
static void
measure_symbols(builder *b)
{
    uint32_t *keys = b->keys;
    uint32_t *most = b->first_list + 1;
    for (uint32_t local = 0; local < b->header.n_patterns; local++) {
        uint32_t n = b->lengths[b->rows[local]];
        b->stamp++;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t times;
            keys[i] = b->ranks[keys[i]];
            times = times_before(b, keys[i]) + 1;
            if (times > most[keys[i]]) {
                most[keys[i]] = times;
            }
        }
        keys += n;
    }
}

static bool
number_lists(builder *b)
{
    kf_segment_header *h = &b->header;
    b->seen = kf_allocate_zero(b->alloc, h->n_symbols, sizeof *b->seen);
    b->first_list = kf_allocate_zero(b->alloc, (size_t)h->n_symbols + 1,
                                     sizeof *b->first_list);
    if (b->seen == NULL || b->first_list == NULL) {
        return false;
    }
    measure_symbols(b);
    for (uint32_t symbol = 0; symbol < h->n_symbols; symbol++) {
        b->first_list[symbol + 1] += b->first_list[symbol];
    }
    h->n_lists = b->first_list[h->n_symbols];
    return true;
}

static void
count_lists(builder *b)
{
    const uint32_t *keys = b->keys;
    for (uint32_t local = 0; local < b->header.n_patterns; local++) {
        uint32_t n = b->lengths[b->rows[local]];
        b->stamp++;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t times = times_before(b, keys[i]);
            b->lists[b->first_list[keys[i]] + times].count++;
        }
        keys += n;
    }
}

/* Where each list starts: bitmaps before arrays. */
static void
place_lists(builder *b)
{
    kf_segment_header *h = &b->header;
    uint64_t bitmap = 0;
    uint64_t array;
    for (uint32_t list = 0; list < h->n_lists; list++) {
        h->n_bitmaps += b->lists[list].count > KF_LIST_DENSE;
    }
    array = (uint64_t)h->n_bitmaps * KF_BITMAP_UNITS;
    for (uint32_t list = 0; list < h->n_lists; list++) {
        uint32_t count = b->lists[list].count;
        bool dense = count > KF_LIST_DENSE;
        b->lists[list].start = (uint32_t)(dense ? bitmap : array);
        b->next[list] = b->lists[list].start;
        bitmap += dense ? KF_BITMAP_UNITS : 0;
        array += dense ? 0 : count;
    }
    b->n_array = array - bitmap;
}

static bool
make_lists(builder *b)
{
    if (!number_lists(b)) {
        return false;
    }
    b->lists = kf_allocate_zero(b->alloc, b->header.n_lists, sizeof *b->lists);
    b->next = kf_allocate(b->alloc, b->header.n_lists, sizeof *b->next);
    if (b->lists == NULL || b->next == NULL) {
        return false;
    }
    count_lists(b);
    place_lists(b);
    return true;
}

/* --- the image --- */

static void
write_symbols(const builder *b, char *image)
{
    const kf_segment_header *h = &b->header;
    uint32_t *globals = (uint32_t *)(image + h->globals);
    kf_slot *slots = (kf_slot *)(image + h->slots);
    for (uint32_t local = 0; local < h->n_symbols; local++) {
        globals[local] = b->symbols[b->by_count[local]].global;
    }
    for (uint32_t slot = 0; slot < h->n_slots; slot++) {
        slots[slot] = b->slots[slot];
        if (slots[slot].global != KF_SYMBOL_NONE) {
            slots[slot].local = b->ranks[slots[slot].local];
        }
    }
    memcpy(image + h->first_list, b->first_list,
           ((size_t)h->n_symbols + 1) * sizeof *b->first_list);
    memcpy(image + h->lists, b->lists, h->n_lists * sizeof *b->lists);
}

static void
write_rows(const builder *b, char *image)
{
    const kf_segment_header *h = &b->header;
    kf_run *run = (kf_run *)(image + h->runs);
    uint16_t *order = (uint16_t *)(image + h->order);
    uint16_t *places = (uint16_t *)(image + h->places);
    uint32_t length = 0;
    for (uint32_t local = 0; local < h->n_patterns; local++) {
        uint32_t row = b->rows[local];
        order[local] = (uint16_t)row;
        places[row] = (uint16_t)local;
        if (b->lengths[row] != length) {
            length = b->lengths[row];
            *run++ = (kf_run){length, local, b->starts[row]};
        }
    }
    *run = (kf_run){0, h->n_patterns, h->n_ids};
}

static void
write_ends(const builder *b, char *image)
{
    uint64_t *bits = (uint64_t *)(image + b->header.ends);
    for (uint32_t row = 0; row < KF_SEGMENT_ROWS; row++) {
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
write_ids(const builder *b, char *image)
{
    const kf_segment_header *h = &b->header;
    uint16_t *narrow = (uint16_t *)(image + h->ids);
    if (h->id_bytes == 4) {
        memcpy(narrow, b->keys, h->n_ids * sizeof *b->keys);
        return;
    }
    for (uint64_t id = 0; id < h->n_ids; id++) {
        narrow[id] = (uint16_t)b->keys[id];
    }
}

static inline void
write_posting(builder *b, uint16_t *postings, uint32_t list, uint32_t local)
{
    if (b->lists[list].count > KF_LIST_DENSE) {
        uint64_t *words = (uint64_t *)(postings + b->lists[list].start);
        words[local / 64] |= (uint64_t)1 << (local % 64);
    }
    else {
        postings[b->next[list]++] = (uint16_t)local;
    }
}

static void
write_postings(builder *b, char *image)
{
    uint16_t *postings = (uint16_t *)(image + b->header.postings);
    const uint32_t *keys = b->keys;
    for (uint32_t local = 0; local < b->header.n_patterns; local++) {
        uint32_t n = b->lengths[b->rows[local]];
        b->stamp++;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t list = b->first_list[keys[i]] + times_before(b, keys[i]);
            write_posting(b, postings, list, local);
        }
        keys += n;
    }
}

static kf_segment *
make_image(builder *b)
{
    kf_segment_header *h = &b->header;
    kf_segment *segment;
    char *block;
    char *image;
    kf_segment_layout(h);
    h->magic = KF_SEGMENT_MAGIC;
    h->size = kf_segment_size(h, b->n_array);
    block = h->size > SIZE_MAX - KF_SEGMENT_ALIGN
                ? NULL
                : kf_allocate_zero(b->alloc, 1, h->size + KF_SEGMENT_ALIGN);
    if (block == NULL) {
        return NULL;
    }
    image = block + (-(uintptr_t)block & (KF_SEGMENT_ALIGN - 1));
    memcpy(image, h, sizeof *h);
    write_symbols(b, image);
    write_rows(b, image);
    write_ends(b, image);
    write_ids(b, image);
    write_postings(b, image);
    segment = kf_segment_new(b->alloc, image, block);
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
