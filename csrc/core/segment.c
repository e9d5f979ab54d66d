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

kf_status
kf_segment_open(const kf_alloc *alloc, const void *image, size_t size,
                void (*release)(void *context), void *context,
                kf_segment **out, kf_error *err)
{
    kf_segment *segment;
    if (kf_segment_check_header(image, size, err) != KF_OK) {
        return KF_INVALID;
    }
    segment = kf_segment_new(alloc, image, NULL);
    if (segment == NULL) {
        return kf_no_memory(err);
    }
    if (kf_segment_check(segment, err) != KF_OK) {
        kf_segment_release(segment);
        return KF_INVALID;
    }
    ((owned_segment *)segment)->release = release;
    ((owned_segment *)segment)->context = context;
    *out = segment;
    return KF_OK;
}
