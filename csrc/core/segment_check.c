/* An image that a file or another process hands over is looked at whole
 * before a search trusts it. */
#include "kato_fast/segment.h"

#include "segment_image.h"

#include <string.h>

#define REFUSE(err, ...) (kf_fail(err, KF_INVALID, "segment: " __VA_ARGS__))

#define ONE_HIGH_BIT 65536u /* what the one high bit of an id stands for */
#define FALLS_CHUNK 32768u

/* Counts first, so that no offset made of them can run over. */
static kf_status
check_counts(const kf_segment_header *h, size_t size, kf_error *err)
{
    const uint64_t ids_max = (uint64_t)KF_SEGMENT_ROWS * KF_SYMBOLS_MAX;
    if (h->magic != KF_SEGMENT_MAGIC) {
        return REFUSE(err, "not one of this version");
    }
    if (h->size != size) {
        return REFUSE(err, "says it has %llu bytes, has %zu",
                      (unsigned long long)h->size, size);
    }
    if (h->n_patterns > KF_SEGMENT_ROWS || h->n_runs > h->n_patterns ||
        h->n_ids > ids_max || h->is_direct > 1 || h->zero != 0 ||
        h->n_symbols > h->n_ids + (h->is_direct ? KF_SEGMENT_RANGE : 0) ||
        h->n_lists < h->n_symbols || h->n_lists - h->n_symbols > h->n_ids ||
        h->n_bitmaps > h->n_lists) {
        return REFUSE(err, "counts contradict each other");
    }
    if (h->first_row > KF_SEGMENT_ROWS ||
        h->n_rows > KF_SEGMENT_ROWS - h->first_row ||
        h->n_patterns > h->n_rows || h->n_more > h->n_symbols ||
        h->is_single > 1 || (h->n_patterns == 0) != (h->n_runs == 0) ||
        (h->n_runs == 0 && h->n_rows != 0)) {
        return REFUSE(err, "counts contradict each other");
    }
    if (h->is_direct && (h->n_slots != 0 || h->n_numbers != 0 ||
                         h->n_symbols > UINT32_MAX - h->least)) {
        return REFUSE(err, "has symbols of no id");
    }
    if (h->n_slots != 0 &&
        ((h->n_slots & (h->n_slots - 1)) != 0 ||
         h->n_slots / 2 < h->n_symbols || h->n_numbers != 0)) {
        return REFUSE(err, "%u slots for %u symbols", h->n_slots,
                      h->n_symbols);
    }
    return KF_OK;
}

static kf_status
check_layout(const kf_segment_header *h, size_t size, kf_error *err)
{
    kf_segment_header expected = *h;
    kf_segment_layout(&expected);
    if (memcmp(&expected, h, sizeof *h) != 0) {
        return REFUSE(err, "offsets are not those of its counts");
    }
    if (kf_segment_size(h, 0) > size) {
        return REFUSE(err, "%zu bytes are too few for its counts", size);
    }
    return KF_OK;
}

/* The symbol is in one of the slots that are looked at for it. */
static bool
is_in_slots(const kf_segment *segment, uint32_t local)
{
    const kf_segment_header *h = segment->header;
    uint32_t global = segment->globals[local];
    uint32_t slot = kf_segment_slot(h, global);
    for (uint32_t probes = 0; probes < KF_PROBES_MAX; probes++) {
        if (segment->slots[slot].global == global ||
            segment->slots[slot].global == KF_SYMBOL_NONE) {
            return segment->slots[slot].global == global &&
                   segment->slots[slot].local == local;
        }
        slot = (slot + 1) & (h->n_slots - 1);
    }
    return false;
}

/* Symbols that the slots have. */
static kf_status
count_slots(const kf_segment *segment, uint32_t *used, kf_error *err)
{
    for (uint32_t slot = 0; slot < segment->header->n_slots; slot++) {
        bool is_used = segment->slots[slot].global != KF_SYMBOL_NONE;
        *used += is_used;
        if (!is_used && segment->slots[slot].local != KF_SYMBOL_NONE) {
            return REFUSE(err, "slot %u is half free", slot);
        }
    }
    return KF_OK;
}

static uint32_t
count_numbers(const kf_segment *segment)
{
    uint32_t used = 0;
    for (uint32_t at = 0; at < segment->header->n_numbers; at++) {
        used += segment->numbers[at] != UINT16_MAX;
    }
    return used;
}

/* Each symbol is found, in a bounded number of steps, and nothing else. */
static kf_status
check_symbols(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    uint32_t used = count_numbers(segment);
    if (h->is_direct) {
        return KF_OK;
    }
    if (count_slots(segment, &used, err) != KF_OK) {
        return KF_INVALID;
    }
    if (used != h->n_symbols) {
        return REFUSE(err, "%u of %u symbols have numbers", used,
                      h->n_symbols);
    }
    for (uint32_t local = 0; local < h->n_symbols; local++) {
        uint32_t global = segment->globals[local];
        if (global == KF_SYMBOL_NONE ||
            (h->n_slots != 0 ? !is_in_slots(segment, local)
                             : kf_segment_symbol(segment, global) != local)) {
            return REFUSE(err, "symbol %u is not where it is looked for",
                          local);
        }
    }
    return KF_OK;
}

static kf_status
check_runs(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    kf_run expected = {0, 0, 0};
    for (uint32_t i = 0; i < h->n_runs; i++) {
        const kf_run *run = &segment->runs[i];
        if (run->n <= expected.n || run->n > KF_SYMBOLS_MAX ||
            run->first != expected.first || run->offset != expected.offset ||
            run[1].first <= run->first || run[1].first > h->n_patterns) {
            return REFUSE(err, "run %u is not behind the one before it", i);
        }
        expected.n = run->n;
        expected.first = run[1].first;
        expected.offset += (uint64_t)run->n * (run[1].first - run->first);
    }
    if (expected.first != h->n_patterns || expected.offset != h->n_ids ||
        segment->runs[h->n_runs].n != 0 ||
        segment->runs[h->n_runs].first != expected.first ||
        segment->runs[h->n_runs].offset != expected.offset) {
        return REFUSE(err, "its runs do not add up");
    }
    return KF_OK;
}

static uint32_t
largest_id(const kf_segment *segment)
{
    uint64_t n_ids = segment->header->n_ids;
    uint32_t largest = 0;
    for (uint64_t i = 0; i < n_ids; i++) {
        uint32_t local = kf_segment_id(segment, i);
        largest = local > largest ? local : largest;
    }
    return largest;
}

/* Without a way out, so that the compiler can take many at a time. */
static bool
are_low_ids_known(const kf_segment *segment)
{
    uint64_t n_ids = segment->header->n_ids;
    uint16_t largest = 0;
    for (uint64_t i = 0; i < n_ids; i++) {
        uint16_t local = segment->ids[i];
        largest = local > largest ? local : largest;
    }
    return n_ids == 0 || largest < segment->header->n_symbols;
}

typedef uint16_t eight __attribute__((vector_size(16)));

/* Where all have one high bit: those with it set have few enough low ones.
 * Eight ids, with a byte of high bits, at a time. */
static bool
are_wide_ids_known(const kf_segment *segment)
{
    const eight each = {1, 2, 4, 8, 16, 32, 64, 128};
    const eight known =
        (eight){0} + (uint16_t)(segment->header->n_symbols - ONE_HIGH_BIT - 1);
    uint64_t n_ids = segment->header->n_ids;
    uint64_t i = 0;
    eight wrong = {0};
    bool is_known = true;
    for (; i + 8 <= n_ids; i += 8) {
        eight low;
        memcpy(&low, segment->ids + i, sizeof low);
        wrong |=
            (eight)((each & segment->high[i / 8]) != 0) & (eight)(low > known);
    }
    for (; i < n_ids; i++) {
        is_known &= kf_segment_id(segment, i) < segment->header->n_symbols;
    }
    for (int lane = 0; lane < 8; lane++) {
        is_known &= wrong[lane] == 0;
    }
    return is_known;
}

static kf_status
check_ids(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    bool is_known = h->high_bits == 0   ? are_low_ids_known(segment)
                    : h->high_bits == 1 ? are_wide_ids_known(segment)
                                        : false;
    uint32_t largest = is_known ? 0 : largest_id(segment);
    if (!is_known && largest >= h->n_symbols) {
        return REFUSE(err, "an id is symbol %u of %u", largest, h->n_symbols);
    }
    return KF_OK;
}

/* The last symbol of a pattern ends an event. */
static kf_status
check_ends(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    uint64_t tail = h->n_ids / 64;
    for (uint32_t i = 0; i < h->n_runs && !h->is_single; i++) {
        const kf_run *run = &segment->runs[i];
        uint64_t id = run->offset + run->n - 1;
        for (uint32_t local = run->first; local < run[1].first; local++) {
            if ((segment->ends[id / 64] >> (id % 64) & 1) == 0) {
                return REFUSE(err, "pattern %u has no end", local);
            }
            id += run->n;
        }
    }
    if (!h->is_single && (segment->ends[tail] >> (h->n_ids % 64) != 0 ||
                          segment->ends[tail + 1] != 0)) {
        return REFUSE(err, "ends behind the last id");
    }
    return KF_OK;
}

static inline uint32_t
run_of(const kf_segment *segment, uint32_t row)
{
    return segment->run_of8 != NULL ? segment->run_of8[row]
                                    : segment->run_of16[row];
}

/* Rows that ascend in each run, whose run is this one, are found there by
 * kf_segment_local. */
static kf_status
check_run_rows(const kf_segment *segment, uint32_t number, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    const kf_run *run = &segment->runs[number];
    uint16_t falls = 0;
    for (uint32_t local = run->first + 1; local < run[1].first; local++) {
        falls |= segment->order[local - 1] >= segment->order[local];
    }
    if (falls != 0) {
        return REFUSE(err, "rows of run %u do not ascend", number);
    }
    for (uint32_t local = run->first; local < run[1].first; local++) {
        uint32_t row = segment->order[local] - h->first_row;
        if (row >= h->n_rows || run_of(segment, row) != number) {
            return REFUSE(err, "pattern %u is not in its place", local);
        }
    }
    return KF_OK;
}

static kf_status
check_order(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    for (uint32_t row = 0; row < h->n_rows; row++) {
        if (run_of(segment, row) >= h->n_runs) {
            return REFUSE(err, "row %u is in run %u of %u", row,
                          run_of(segment, row), h->n_runs);
        }
    }
    for (uint32_t run = 0; run < h->n_runs; run++) {
        if (check_run_rows(segment, run, err) != KF_OK) {
            return KF_INVALID;
        }
    }
    return KF_OK;
}

/* Adds its patterns to total. */
static kf_status
check_bitmap(const kf_segment *segment, uint32_t number, uint64_t *total,
             kf_error *err)
{
    const uint64_t *words =
        (const uint64_t *)(segment->postings +
                           (uint64_t)number * KF_BITMAP_UNITS);
    uint32_t n_patterns = segment->header->n_patterns;
    uint32_t list = segment->bitmaps[number];
    uint32_t count = 0;
    for (uint32_t word = 0; word < KF_SEGMENT_BITMAP_WORDS; word++) {
        uint32_t first = word * 64;
        uint64_t beyond = first >= n_patterns ? UINT64_MAX
                          : first + 64 <= n_patterns
                              ? 0
                              : UINT64_MAX << (n_patterns - first);
        if ((words[word] & beyond) != 0) {
            return REFUSE(err, "list %u has patterns behind the last", list);
        }
        count += (uint32_t)__builtin_popcountll(words[word]);
    }
    if (count <= KF_LIST_DENSE) {
        return REFUSE(err, "list %u has %u patterns in a bitmap", list, count);
    }
    *total += count;
    return KF_OK;
}

/* Postings of all lists that are no bitmaps, one list behind the other. */
static const uint16_t *
arrays_of(const kf_segment *segment, uint64_t *count)
{
    const kf_segment_header *h = segment->header;
    uint64_t start = (uint64_t)h->n_bitmaps * KF_BITMAP_UNITS;
    *count = (h->size - h->postings) / 2 - start;
    return segment->postings + start;
}

/* Places of all arrays that do not lie above the one before them, SIZE_MAX
 * where one is beyond the last pattern. Many at a time, since lists of rare
 * symbols are short. */
static size_t
count_falls(const kf_segment *segment)
{
    uint64_t count;
    const uint16_t *all = arrays_of(segment, &count);
    uint16_t largest = 0;
    size_t falls = 0;
    for (uint64_t i = 0; i < count;) {
        uint64_t end = i + FALLS_CHUNK < count ? i + FALLS_CHUNK : count;
        uint16_t here = 0; /* of 16 bits, as what is counted */
        largest = all[i] > largest ? all[i] : largest;
        falls += i > 0 && all[i - 1] >= all[i];
        for (i++; i < end; i++) {
            largest = all[i] > largest ? all[i] : largest;
            here += all[i - 1] >= all[i];
        }
        falls += here;
    }
    return count > 0 && largest >= segment->header->n_patterns ? SIZE_MAX
                                                               : falls;
}

/* Those of them at which a list begins. */
static size_t
count_steps(const kf_segment *segment)
{
    const kf_segment_header *h = segment->header;
    uint64_t count;
    const uint16_t *all = arrays_of(segment, &count);
    size_t steps = 0;
    for (uint32_t list = 0; list < h->n_lists; list++) {
        const kf_list_group *group = &segment->groups[list / KF_GROUP_LISTS];
        uint32_t i = list % KF_GROUP_LISTS;
        uint32_t from = i == 0 ? 0 : group->ends[i - 1];
        uint64_t at = group->start + from;
        steps += group->ends[i] > from && at > 0 && all[at - 1] >= all[at];
    }
    return steps;
}

static kf_status
refuse_array(const kf_segment *segment, kf_error *err)
{
    for (uint32_t list = 0; list < segment->header->n_lists; list++) {
        kf_list at = kf_segment_list(segment, list);
        const uint16_t *locals = segment->postings + at.start;
        for (uint32_t i = 0; at.count != KF_LIST_BITMAP && i < at.count; i++) {
            if (i > 0 && locals[i - 1] >= locals[i]) {
                return REFUSE(err, "list %u does not ascend", list);
            }
            if (locals[i] >= segment->header->n_patterns) {
                return REFUSE(err, "list %u has patterns behind the last",
                              list);
            }
        }
    }
    return REFUSE(err, "its lists do not ascend");
}

/* A list without an end of its own is the next bitmap, or that of a distance
 * that no symbol has. */
static bool
is_list(const kf_segment *segment, uint32_t list, uint32_t before,
        uint32_t *bitmap)
{
    const kf_segment_header *h = segment->header;
    const kf_list_group *group = &segment->groups[list / KF_GROUP_LISTS];
    uint32_t end = group->ends[list % KF_GROUP_LISTS];
    if (end == before && *bitmap < h->n_bitmaps &&
        segment->bitmaps[*bitmap] == list) {
        ++*bitmap;
        return true;
    }
    if (end == before) {
        return h->is_direct && list < h->n_symbols;
    }
    return end > before && end - before <= KF_LIST_DENSE &&
           end - before <= h->n_patterns;
}

/* Where all lists are, before any posting is looked at. */
static kf_status
check_lists(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    uint32_t bitmap = 0;
    uint64_t array = 0;
    uint32_t before = 0;
    for (uint32_t list = 0; list < h->n_lists; list++) {
        const kf_list_group *group = &segment->groups[list / KF_GROUP_LISTS];
        if (list % KF_GROUP_LISTS == 0) {
            array += before;
            before = 0;
        }
        if (group->start != array ||
            !is_list(segment, list, before, &bitmap)) {
            return REFUSE(err, "list %u is not behind the one before it",
                          list);
        }
        before = group->ends[list % KF_GROUP_LISTS];
    }
    array += before;
    if (bitmap != h->n_bitmaps ||
        h->postings + 2 * (array + (uint64_t)bitmap * KF_BITMAP_UNITS) !=
            h->size) {
        return REFUSE(err, "its lists do not add up");
    }
    return KF_OK;
}

/* Behind the last list. */
static kf_status
check_last_group(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    for (uint64_t list = h->n_lists;
         list < (uint64_t)kf_segment_groups(h) * KF_GROUP_LISTS; list++) {
        if (segment->groups[list / KF_GROUP_LISTS]
                .ends[list % KF_GROUP_LISTS] != 0) {
            return REFUSE(err, "a list behind the last one");
        }
    }
    return KF_OK;
}

static kf_status
check_more_lists(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    const kf_more_lists *more = segment->more;
    for (uint32_t i = 0; i < h->n_more; i++) {
        if (more[i].symbol >= h->n_symbols ||
            (i > 0 && more[i].symbol <= more[i - 1].symbol) ||
            more[i].list >= more[i + 1].list) {
            return REFUSE(err, "symbol %u has lists of another",
                          more[i].symbol);
        }
    }
    if (more[0].list != h->n_symbols ||
        more[h->n_more].symbol != KF_SYMBOL_NONE ||
        more[h->n_more].list != h->n_lists) {
        return REFUSE(err, "its lists are not those of its symbols");
    }
    return KF_OK;
}

static kf_status
check_postings(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    uint64_t total;
    arrays_of(segment, &total);
    for (uint32_t number = 0; number < h->n_bitmaps; number++) {
        if (check_bitmap(segment, number, &total, err) != KF_OK) {
            return KF_INVALID;
        }
    }
    if (total != h->n_ids) {
        return REFUSE(err, "its lists do not add up");
    }
    return count_falls(segment) == count_steps(segment)
               ? KF_OK
               : refuse_array(segment, err);
}

kf_status
kf_segment_check(const kf_segment *segment, kf_error *err)
{
    static kf_status (*const checks[])(const kf_segment *, kf_error *) = {
        check_symbols, check_runs,       check_ids,
        check_ends,    check_order,      check_more_lists,
        check_lists,   check_last_group, check_postings,
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (checks[i](segment, err) != KF_OK) {
            return KF_INVALID;
        }
    }
    return KF_OK;
}

kf_status
kf_segment_check_header(const void *image, size_t size, kf_error *err)
{
    if ((uintptr_t)image % KF_SEGMENT_ALIGN != 0) {
        return REFUSE(err, "is not aligned to %u", KF_SEGMENT_ALIGN);
    }
    if (size < sizeof(kf_segment_header)) {
        return REFUSE(err, "%zu bytes are too few for a header", size);
    }
    if (check_counts(image, size, err) != KF_OK ||
        check_layout(image, size, err) != KF_OK) {
        return KF_INVALID;
    }
    return KF_OK;
}
