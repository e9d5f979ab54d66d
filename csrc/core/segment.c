#include "kato_fast/segment.h"

#include "segment_image.h"

#include <stdatomic.h>
#include <string.h>

typedef struct {
    kf_segment segment; /* first: a kf_segment * is one of these */
    kf_alloc alloc;
    atomic_size_t shares;
    void *block; /* owned image, NULL for a borrowed one */
    void (*release)(void *context);
    void *context;
} owned_segment;

/* --- layout --- */

static uint64_t
place(uint64_t *end, uint64_t count, uint64_t size)
{
    uint64_t start = (*end + KF_SEGMENT_ALIGN - 1) & ~(uint64_t)63;
    *end = start + count * size;
    return start;
}

void
kf_segment_layout(kf_segment_header *header)
{
    kf_segment_header *h = header;
    uint64_t end = sizeof *h;
    h->high_bits = kf_segment_high_bits(h->n_symbols);
    h->globals =
        place(&end, h->is_direct ? 0 : h->n_symbols, sizeof(uint32_t));
    h->numbers = place(&end, h->n_numbers, sizeof(uint16_t));
    h->slots = place(&end, h->n_slots, sizeof(kf_slot));
    h->runs = place(&end, (uint64_t)h->n_runs + 1, sizeof(kf_run));
    h->ids = place(&end, h->n_ids, sizeof(uint16_t));
    h->high = place(&end, (h->n_ids * h->high_bits + 7) / 8, 1);
    h->ends =
        place(&end, h->is_single ? 0 : h->n_ids / 64 + 2, sizeof(uint64_t));
    h->order = place(&end, h->n_patterns, sizeof(uint16_t));
    h->run_of = place(&end, h->n_rows, kf_segment_has_few_runs(h) ? 1 : 2);
    h->more = place(&end, (uint64_t)h->n_more + 1, sizeof(kf_more_lists));
    h->bitmaps = place(&end, h->n_bitmaps, sizeof(uint32_t));
    h->groups = place(&end, kf_segment_groups(h), sizeof(kf_list_group));
    h->postings = place(&end, 0, 1);
}

uint64_t
kf_segment_size(const kf_segment_header *header, uint64_t n_array)
{
    return header->postings +
           2 * ((uint64_t)header->n_bitmaps * KF_BITMAP_UNITS + n_array);
}

/* --- ownership --- */

static void
resolve(kf_segment *segment, const void *image)
{
    const kf_segment_header *h = image;
    const char *bytes = image;
    segment->header = h;
    segment->globals =
        h->is_direct ? NULL : (const uint32_t *)(bytes + h->globals);
    segment->numbers = (const uint16_t *)(bytes + h->numbers);
    segment->slots = (const kf_slot *)(bytes + h->slots);
    segment->runs = (const kf_run *)(bytes + h->runs);
    segment->ids = (const uint16_t *)(bytes + h->ids);
    segment->high =
        h->high_bits != 0 ? (const uint8_t *)(bytes + h->high) : NULL;
    segment->ends = h->is_single ? NULL : (const uint64_t *)(bytes + h->ends);
    segment->order = (const uint16_t *)(bytes + h->order);
    if (kf_segment_has_few_runs(h)) {
        segment->run_of8 = (const uint8_t *)(bytes + h->run_of);
    }
    else {
        segment->run_of16 = (const uint16_t *)(bytes + h->run_of);
    }
    segment->more = (const kf_more_lists *)(bytes + h->more);
    segment->bitmaps = (const uint32_t *)(bytes + h->bitmaps);
    segment->groups = (const kf_list_group *)(bytes + h->groups);
    segment->postings = (const uint16_t *)(bytes + h->postings);
}

kf_segment *
kf_segment_new(const kf_alloc *alloc, const void *image, void *block)
{
    owned_segment *owned = kf_allocate_zero(alloc, 1, sizeof *owned);
    if (owned == NULL) {
        return NULL;
    }
    resolve(&owned->segment, image);
    owned->alloc = *alloc;
    owned->block = block;
    atomic_init(&owned->shares, 1);
    return &owned->segment;
}

kf_segment *
kf_segment_share(kf_segment *segment)
{
    atomic_fetch_add(&((owned_segment *)segment)->shares, 1);
    return segment;
}

void
kf_segment_release(kf_segment *segment)
{
    owned_segment *owned = (owned_segment *)segment;
    kf_alloc alloc;
    if (owned == NULL || atomic_fetch_sub(&owned->shares, 1) != 1) {
        return;
    }
    alloc = owned->alloc;
    if (owned->release != NULL) {
        owned->release(owned->context);
    }
    kf_release(&alloc, owned->block);
    kf_release(&alloc, owned);
}

/* --- reading --- */

static uint32_t
symbol_in_slots(const kf_segment *segment, uint32_t global)
{
    const kf_segment_header *h = segment->header;
    uint32_t slot = kf_segment_slot(h, global);
    for (;;) {
        kf_slot found = segment->slots[slot];
        if (found.global == global || found.global == KF_SYMBOL_NONE) {
            return found.local;
        }
        slot = (slot + 1) & (h->n_slots - 1);
    }
}

uint32_t
kf_segment_symbol(const kf_segment *segment, uint32_t global)
{
    const kf_segment_header *h = segment->header;
    uint32_t at = global - h->least;
    if (h->is_direct) {
        return at < h->n_symbols ? at : KF_SYMBOL_NONE;
    }
    if (h->n_slots != 0) {
        return symbol_in_slots(segment, global);
    }
    if (at >= h->n_numbers) {
        return KF_SYMBOL_NONE;
    }
    return segment->numbers[at] == UINT16_MAX ? KF_SYMBOL_NONE
                                              : segment->numbers[at];
}

void
kf_segment_prefetch(const kf_segment *segment, const uint32_t *globals,
                    uint32_t count)
{
    const kf_segment_header *h = segment->header;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = globals[i] - h->least;
        if (h->n_slots != 0) {
            __builtin_prefetch(
                &segment->slots[kf_segment_slot(h, globals[i])]);
        }
        else if (at < h->n_numbers) {
            __builtin_prefetch(&segment->numbers[at]);
        }
    }
}

const kf_run *
kf_segment_run(const kf_segment *segment, uint32_t local)
{
    const kf_run *run = segment->runs;
    uint32_t count = segment->header->n_runs;
    while (count > 1) {
        uint32_t half = count / 2;
        run = run[half].first <= local ? run + half : run;
        count -= half;
    }
    return run;
}

uint32_t
kf_segment_local(const kf_segment *segment, uint32_t at)
{
    const kf_segment_header *h = segment->header;
    uint32_t row = at - h->first_row;
    const kf_run *run;
    const uint16_t *order;
    uint32_t count;
    if (row >= h->n_rows) {
        return KF_SEGMENT_ROWS;
    }
    run = segment->runs + (segment->run_of8 != NULL ? segment->run_of8[row]
                                                    : segment->run_of16[row]);
    order = segment->order + run->first;
    count = run[1].first - run->first;
    while (count > 1) {
        uint32_t half = count / 2;
        order = order[half] <= at ? order + half : order;
        count -= half;
    }
    return *order == at ? (uint32_t)(order - segment->order) : KF_SEGMENT_ROWS;
}

void
kf_segment_widen(const kf_segment *segment, uint64_t i, uint64_t n,
                 uint32_t *out)
{
    for (uint64_t end = i + n; i < end; i++) {
        *out++ = kf_segment_id(segment, i);
    }
}

uint32_t
kf_segment_bitmap(const kf_segment *segment, uint32_t list)
{
    const uint32_t *bitmaps = segment->bitmaps;
    uint32_t count = segment->header->n_bitmaps;
    while (count > 0) {
        uint32_t half = (count + 1) / 2;
        bitmaps = bitmaps[half - 1] < list ? bitmaps + half : bitmaps;
        count -= half;
    }
    return (uint32_t)(bitmaps - segment->bitmaps);
}

void
kf_segment_more(const kf_segment *segment, uint32_t symbol, uint32_t *first,
                uint32_t *end)
{
    const kf_more_lists *more = segment->more;
    uint32_t count = segment->header->n_more;
    while (count > 0) {
        uint32_t half = (count + 1) / 2;
        more = more[half - 1].symbol < symbol ? more + half : more;
        count -= half;
    }
    *first = more->list;
    *end = more->symbol == symbol ? more[1].list : more->list;
}

uint32_t
kf_segment_read(const kf_segment *segment, uint32_t local, uint32_t *out,
                uint32_t *n_events)
{
    const kf_run *run = kf_segment_run(segment, local);
    uint64_t start = run->offset + (uint64_t)(local - run->first) * run->n;
    uint32_t *ends = out + run->n;
    uint32_t events = 0;
    for (uint32_t i = 0; i < run->n; i++) {
        out[i] = kf_segment_global(segment, kf_segment_id(segment, start + i));
        ends[events] = i + 1;
        events += kf_segment_is_end(segment, start + i);
    }
    *n_events = events;
    return run->n;
}

/* --- checking an image --- */

#define REFUSE(err, ...) (kf_fail(err, KF_INVALID, "segment: " __VA_ARGS__))

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

/* Without a way out, so that the compiler can take many at a time. */
static uint32_t
largest_id(const kf_segment *segment)
{
    uint64_t n_ids = segment->header->n_ids;
    uint16_t largest16 = 0;
    uint32_t largest32 = 0;
    if (segment->high == NULL) {
        for (uint64_t i = 0; i < n_ids; i++) {
            uint16_t local = segment->ids[i];
            largest16 = local > largest16 ? local : largest16;
        }
        return largest16;
    }
    for (uint64_t i = 0; i < n_ids; i++) {
        uint32_t local = kf_segment_id(segment, i);
        largest32 = local > largest32 ? local : largest32;
    }
    return largest32;
}

static kf_status
check_ids(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    uint32_t largest = largest_id(segment);
    if (h->n_ids > 0 && largest >= h->n_symbols) {
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

/* Ascending in each run, and found there by its row. */
static kf_status
check_order(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    for (uint32_t row = 0; row < h->n_rows; row++) {
        uint32_t run = segment->run_of8 != NULL ? segment->run_of8[row]
                                                : segment->run_of16[row];
        if (run >= h->n_runs) {
            return REFUSE(err, "row %u is in run %u of %u", row, run,
                          h->n_runs);
        }
    }
    for (uint32_t i = 0; i < h->n_runs; i++) {
        const kf_run *run = &segment->runs[i];
        uint16_t falls = 0;
        for (uint32_t local = run->first + 1; local < run[1].first; local++) {
            falls |= segment->order[local - 1] >= segment->order[local];
        }
        if (falls != 0) {
            return REFUSE(err, "rows of run %u do not ascend", i);
        }
    }
    for (uint32_t local = 0; local < h->n_patterns; local++) {
        if (kf_segment_local(segment, segment->order[local]) != local) {
            return REFUSE(err, "pattern %u is not in its place", local);
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

static kf_status
check_array(const kf_segment *segment, uint32_t list, kf_list at,
            kf_error *err)
{
    const uint16_t *locals = segment->postings + at.start;
    uint16_t falls = 0;
    for (uint32_t i = 1; i < at.count; i++) {
        falls |= locals[i - 1] >= locals[i];
    }
    if (falls != 0) {
        return REFUSE(err, "list %u does not ascend", list);
    }
    if (locals[at.count - 1] >= segment->header->n_patterns) {
        return REFUSE(err, "list %u has patterns behind the last", list);
    }
    return KF_OK;
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
    uint64_t total = 0;
    for (uint32_t number = 0; number < h->n_bitmaps; number++) {
        if (check_bitmap(segment, number, &total, err) != KF_OK) {
            return KF_INVALID;
        }
    }
    for (uint32_t list = 0; list < h->n_lists; list++) {
        kf_list at = kf_segment_list(segment, list);
        if (at.count == KF_LIST_BITMAP || at.count == 0) {
            continue;
        }
        total += at.count;
        if (check_array(segment, list, at, err) != KF_OK) {
            return KF_INVALID;
        }
    }
    return total == h->n_ids ? KF_OK : REFUSE(err, "its lists do not add up");
}

static kf_status
check_image(const kf_segment *segment, kf_error *err)
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
kf_segment_open(const kf_alloc *alloc, const void *image, size_t size,
                void (*release)(void *context), void *context,
                kf_segment **out, kf_error *err)
{
    kf_segment *segment;
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
    segment = kf_segment_new(alloc, image, NULL);
    if (segment == NULL) {
        return kf_no_memory(err);
    }
    if (check_image(segment, err) != KF_OK) {
        kf_segment_release(segment);
        return KF_INVALID;
    }
    ((owned_segment *)segment)->release = release;
    ((owned_segment *)segment)->context = context;
    *out = segment;
    return KF_OK;
}
