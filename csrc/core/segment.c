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
    h->id_bytes = h->n_symbols <= 65536 ? 2 : 4;
    h->globals = place(&end, h->n_symbols, sizeof(uint32_t));
    h->slots = place(&end, h->n_slots, sizeof(kf_slot));
    h->runs = place(&end, (uint64_t)h->n_runs + 1, sizeof(kf_run));
    h->ids = place(&end, h->n_ids, h->id_bytes);
    h->ends = place(&end, h->n_ids / 64 + 2, sizeof(uint64_t));
    h->order = place(&end, h->n_patterns, sizeof(uint16_t));
    h->places = place(&end, KF_SEGMENT_ROWS, sizeof(uint16_t));
    h->more_lists = place(&end, (uint64_t)h->n_symbols + 1, sizeof(uint32_t));
    h->lists = place(&end, h->n_lists, sizeof(kf_list));
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
    segment->globals = (const uint32_t *)(bytes + h->globals);
    segment->slots = (const kf_slot *)(bytes + h->slots);
    segment->runs = (const kf_run *)(bytes + h->runs);
    segment->ids16 =
        h->id_bytes == 2 ? (const uint16_t *)(bytes + h->ids) : NULL;
    segment->ids32 =
        h->id_bytes == 4 ? (const uint32_t *)(bytes + h->ids) : NULL;
    segment->ends = (const uint64_t *)(bytes + h->ends);
    segment->order = (const uint16_t *)(bytes + h->order);
    segment->places = (const uint16_t *)(bytes + h->places);
    segment->more_lists = (const uint32_t *)(bytes + h->more_lists);
    segment->lists = (const kf_list *)(bytes + h->lists);
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

uint32_t
kf_segment_symbol(const kf_segment *segment, uint32_t global)
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

void
kf_segment_prefetch(const kf_segment *segment, const uint32_t *globals,
                    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch(
            &segment->slots[kf_segment_slot(segment->header, globals[i])]);
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
kf_segment_read(const kf_segment *segment, uint32_t local, uint32_t *out,
                uint32_t *n_events)
{
    const kf_run *run = kf_segment_run(segment, local);
    uint64_t start = run->offset + (uint64_t)(local - run->first) * run->n;
    uint32_t *ends = out + run->n;
    uint32_t events = 0;
    for (uint32_t i = 0; i < run->n; i++) {
        uint64_t id = start + i;
        out[i] = segment->globals[segment->ids16 != NULL ? segment->ids16[id]
                                                         : segment->ids32[id]];
        ends[events] = i + 1;
        events += (segment->ends[id / 64] >> (id % 64)) & 1;
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
        h->n_ids > ids_max || h->n_symbols > h->n_ids ||
        h->n_lists < h->n_symbols || h->n_lists > h->n_ids ||
        h->n_bitmaps > h->n_lists) {
        return REFUSE(err, "counts contradict each other");
    }
    if ((h->n_slots & (h->n_slots - 1)) != 0 || h->n_slots == 0 ||
        h->n_slots / 2 < h->n_symbols) {
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

/* Each symbol is found, in a bounded number of steps, and nothing else. */
static kf_status
check_symbol(const kf_segment *segment, uint32_t local, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    uint32_t global = segment->globals[local];
    uint32_t slot = kf_segment_slot(h, global);
    for (uint32_t probes = 0; probes < KF_PROBES_MAX; probes++) {
        if (segment->slots[slot].global == global ||
            segment->slots[slot].global == KF_SYMBOL_NONE) {
            break;
        }
        slot = (slot + 1) & (h->n_slots - 1);
    }
    if (global == KF_SYMBOL_NONE || segment->slots[slot].global != global ||
        segment->slots[slot].local != local) {
        return REFUSE(err, "symbol %u is not in its slot", local);
    }
    return KF_OK;
}

static kf_status
check_symbols(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    uint32_t used = 0;
    for (uint32_t slot = 0; slot < h->n_slots; slot++) {
        bool is_used = segment->slots[slot].global != KF_SYMBOL_NONE;
        used += is_used;
        if (!is_used && segment->slots[slot].local != KF_SYMBOL_NONE) {
            return REFUSE(err, "slot %u is half free", slot);
        }
    }
    if (used != h->n_symbols) {
        return REFUSE(err, "%u of %u symbols have slots", used, h->n_symbols);
    }
    for (uint32_t local = 0; local < h->n_symbols; local++) {
        if (check_symbol(segment, local, err) != KF_OK) {
            return KF_INVALID;
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
    if (segment->ids16 != NULL) {
        for (uint64_t id = 0; id < n_ids; id++) {
            uint16_t local = segment->ids16[id];
            largest16 = local > largest16 ? local : largest16;
        }
        return largest16;
    }
    for (uint64_t id = 0; id < n_ids; id++) {
        uint32_t local = segment->ids32[id];
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
    for (uint32_t i = 0; i < h->n_runs; i++) {
        const kf_run *run = &segment->runs[i];
        uint64_t id = run->offset + run->n - 1;
        for (uint32_t local = run->first; local < run[1].first; local++) {
            if ((segment->ends[id / 64] >> (id % 64) & 1) == 0) {
                return REFUSE(err, "pattern %u has no end", local);
            }
            id += run->n;
        }
    }
    if (segment->ends[tail] >> (h->n_ids % 64) != 0 ||
        segment->ends[tail + 1] != 0) {
        return REFUSE(err, "ends behind the last id");
    }
    return KF_OK;
}

static kf_status
check_order(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    for (uint32_t local = 0; local < h->n_patterns; local++) {
        if (segment->places[segment->order[local]] != local) {
            return REFUSE(err, "pattern %u is not in its place", local);
        }
    }
    for (uint32_t row = 0; row < KF_SEGMENT_ROWS; row++) {
        uint32_t local = segment->places[row];
        if (local != 0 &&
            (local >= h->n_patterns || segment->order[local] != row)) {
            return REFUSE(err, "row %u has the place of another", row);
        }
    }
    return KF_OK;
}

static kf_status
check_bitmap(const kf_segment *segment, uint32_t list, kf_error *err)
{
    const uint64_t *words =
        (const uint64_t *)(segment->postings + segment->lists[list].start);
    uint32_t n_patterns = segment->header->n_patterns;
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
    if (count != segment->lists[list].count) {
        return REFUSE(err, "list %u has %u patterns, says %u", list, count,
                      segment->lists[list].count);
    }
    return KF_OK;
}

static kf_status
check_array(const kf_segment *segment, uint32_t list, kf_error *err)
{
    const uint16_t *locals = segment->postings + segment->lists[list].start;
    uint32_t count = segment->lists[list].count;
    uint16_t falls = 0;
    for (uint32_t i = 1; i < count; i++) {
        falls |= locals[i - 1] >= locals[i];
    }
    if (falls != 0) {
        return REFUSE(err, "list %u does not ascend", list);
    }
    if (locals[count - 1] >= segment->header->n_patterns) {
        return REFUSE(err, "list %u has patterns behind the last", list);
    }
    return KF_OK;
}

/* Starts and counts of all lists, before any posting is looked at. */
static kf_status
check_lists(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    uint64_t bitmap = 0;
    uint64_t array = (uint64_t)h->n_bitmaps * KF_BITMAP_UNITS;
    uint64_t total = 0;
    for (uint32_t list = 0; list < h->n_lists; list++) {
        uint32_t count = segment->lists[list].count;
        uint64_t *end = count > KF_LIST_DENSE ? &bitmap : &array;
        if (count == 0 || count > h->n_patterns ||
            segment->lists[list].start != *end) {
            return REFUSE(err, "list %u is not behind the one before it",
                          list);
        }
        *end += count > KF_LIST_DENSE ? KF_BITMAP_UNITS : count;
        total += count;
    }
    if (total != h->n_ids ||
        bitmap != (uint64_t)h->n_bitmaps * KF_BITMAP_UNITS ||
        h->postings + 2 * array != h->size) {
        return REFUSE(err, "its lists do not add up");
    }
    return KF_OK;
}

static kf_status
check_more_lists(const kf_segment *segment, kf_error *err)
{
    const kf_segment_header *h = segment->header;
    for (uint32_t symbol = 0; symbol < h->n_symbols; symbol++) {
        if (segment->more_lists[symbol] > segment->more_lists[symbol + 1]) {
            return REFUSE(err, "symbol %u has lists of another", symbol);
        }
    }
    if (segment->more_lists[0] != h->n_symbols ||
        segment->more_lists[h->n_symbols] != h->n_lists) {
        return REFUSE(err, "its lists are not those of its symbols");
    }
    return KF_OK;
}

static kf_status
check_postings(const kf_segment *segment, kf_error *err)
{
    for (uint32_t list = 0; list < segment->header->n_lists; list++) {
        kf_status status = segment->lists[list].count > KF_LIST_DENSE
                               ? check_bitmap(segment, list, err)
                               : check_array(segment, list, err);
        if (status != KF_OK) {
            return status;
        }
    }
    return KF_OK;
}

static kf_status
check_image(const kf_segment *segment, kf_error *err)
{
    static kf_status (*const checks[])(const kf_segment *, kf_error *) = {
        check_symbols, check_runs,       check_ids,   check_ends,
        check_order,   check_more_lists, check_lists, check_postings,
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
