#include "kato_fast/score.h"

#include <stdlib.h>
#include <string.h>

/* --- align --- */

/* Section 6.1 of the host: whole events from the first to the last touched
 * one; then one event moves back from past to present if it merely contains
 * the first matched symbol. */
static void
find_regions(kf_match *match)
{
    const kf_pattern *pattern = match->pattern;
    uint32_t first = match->alignment.first;
    if (match->alignment.blocks == 0) {
        match->past_end = 0;
        match->present_end = pattern->n_events;
        return;
    }
    match->past_end = kf_pattern_event_from(pattern, first);
    match->present_end =
        kf_pattern_event_from(pattern, match->alignment.end);
    if (match->past_end > 0) {
        uint32_t end = kf_pattern_start(pattern, match->past_end);
        uint32_t i = kf_pattern_start(pattern, match->past_end - 1);
        while (i < end && pattern->ids[i] != pattern->ids[first]) {
            i++;
        }
        match->past_end -= i < end;
    }
}

static bool
append_match(const kf_alloc *alloc, kf_matches *matches, const kf_match *match)
{
    void *items = matches->items;
    if (!kf_grow(alloc, &items, &matches->capacity, matches->count + 1,
                 sizeof *match)) {
        return false;
    }
    matches->items = items;
    matches->items[matches->count++] = *match;
    matches->frequency += match->frequency;
    return true;
}

/* Whether the alignment passes: at least `need` symbols, which repeats the
 * host's comparison; without a block only a threshold of exactly 0. */
static bool
passes(const kf_alignment *alignment, uint32_t need, double threshold)
{
    if (alignment->blocks == 0) {
        return threshold == 0.0;
    }
    return alignment->matched >= need;
}

kf_status
kf_score_align(const kf_knowledge_view *knowledge, const kf_state *state,
               const kf_candidates *candidates, double threshold, bool regions,
               kf_align_scratch *scratch, kf_matches *out, kf_error *err)
{
    for (size_t c = 0; c < candidates->count; c++) {
        const kf_row *row = &knowledge->rows[candidates->rows[c]];
        const kf_pattern *pattern = row->pattern;
        kf_match match = {.pattern = pattern,
                          .frequency = row->frequency,
                          .row = candidates->rows[c],
                          .future = KF_NO_FUTURE};
        uint32_t need = candidates->need[pattern->n];
        kf_align(state->align, scratch, pattern->ids, pattern->n, need,
                 &match.alignment);
        if (!passes(&match.alignment, need, threshold)) {
            continue;
        }
        match.similarity =
            2.0 * match.alignment.matched / (pattern->n + state->m);
        if (regions) {
            find_regions(&match);
            kf_align_note_seen(state->align, scratch,
                               kf_pattern_start(pattern, match.past_end),
                               kf_pattern_start(pattern, match.present_end));
        }
        if (!append_match(knowledge->alloc, out, &match)) {
            return kf_no_memory(err);
        }
    }
    return KF_OK;
}

/* --- score --- */

/* Futures by hash: open addressing, at most half full. */
typedef struct {
    uint32_t *slots; /* index of a future, or KF_NO_FUTURE */
    size_t mask;
} future_table;

static int
compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Equal hashes are nearly always equal futures, in the same order as well;
 * what is left is decided by sorting copies. */
static kf_status
same_multiset(const kf_alloc *alloc, const uint32_t *a, const uint32_t *b,
              size_t n, bool *same, kf_error *err)
{
    uint32_t *copies;
    if (memcmp(a, b, n * sizeof *a) == 0) {
        *same = true;
        return KF_OK;
    }
    copies = kf_allocate(alloc, 2 * n, sizeof *copies);
    if (copies == NULL) {
        return kf_no_memory(err);
    }
    memcpy(copies, a, n * sizeof *a);
    memcpy(copies + n, b, n * sizeof *b);
    qsort(copies, n, sizeof *copies, compare_ids);
    qsort(copies + n, n, sizeof *copies, compare_ids);
    *same = memcmp(copies, copies + n, n * sizeof *copies) == 0;
    kf_release(alloc, copies);
    return KF_OK;
}

static kf_status
same_future(const kf_alloc *alloc, const kf_future *future,
            const kf_match *match, bool *same, kf_error *err)
{
    const kf_pattern *a = future->pattern;
    const kf_pattern *b = match->pattern;
    uint32_t events = a->n_events - future->first_event;
    *same = false;
    if (events != b->n_events - match->present_end) {
        return KF_OK;
    }
    for (uint32_t e = 0; e < events; e++) {
        uint32_t a_start = kf_pattern_start(a, future->first_event + e);
        uint32_t b_start = kf_pattern_start(b, match->present_end + e);
        uint32_t n = kf_pattern_ends(a)[future->first_event + e] - a_start;
        kf_status status;
        if (n != kf_pattern_ends(b)[match->present_end + e] - b_start) {
            *same = false;
            return KF_OK;
        }
        status = same_multiset(alloc, a->ids + a_start, b->ids + b_start, n,
                               same, err);
        if (status != KF_OK || !*same) {
            return status;
        }
    }
    return KF_OK;
}

static bool
append_future(const kf_alloc *alloc, kf_futures *futures,
              const kf_match *match, uint64_t hash)
{
    void *items = futures->items;
    if (!kf_grow(alloc, &items, &futures->capacity, futures->count + 1,
                 sizeof *futures->items)) {
        return false;
    }
    futures->items = items;
    futures->items[futures->count++] =
        (kf_future){.pattern = match->pattern,
                    .first_event = match->present_end,
                    .hash = hash};
    return true;
}

static bool
make_future_table(const kf_alloc *alloc, size_t count, future_table *table)
{
    size_t slots = 16;
    while (slots < 2 * count) {
        slots *= 2;
    }
    table->slots = kf_allocate(alloc, slots, sizeof *table->slots);
    table->mask = slots - 1;
    if (table->slots == NULL) {
        return false;
    }
    memset(table->slots, 0xff, slots * sizeof *table->slots);
    return true;
}

/* The future that the match belongs to, made where it is the first. */
static kf_status
find_future(const kf_alloc *alloc, const future_table *table,
            kf_futures *futures, kf_match *match, kf_error *err)
{
    uint64_t hash = kf_pattern_future_hash(match->pattern, match->present_end);
    size_t slot = (size_t)hash & table->mask;
    for (; table->slots[slot] != KF_NO_FUTURE;
         slot = (slot + 1) & table->mask) {
        const kf_future *known = &futures->items[table->slots[slot]];
        bool same = false;
        if (known->hash == hash) {
            kf_status status = same_future(alloc, known, match, &same, err);
            if (status != KF_OK) {
                return status;
            }
        }
        if (same) {
            match->future = table->slots[slot];
            return KF_OK;
        }
    }
    if (!append_future(alloc, futures, match, hash)) {
        return kf_no_memory(err);
    }
    match->future = (uint32_t)(futures->count - 1);
    table->slots[slot] = match->future;
    return KF_OK;
}

static kf_status
group_by_future(const kf_alloc *alloc, kf_matches *matches,
                kf_futures *futures, kf_error *err)
{
    future_table table;
    kf_status status = KF_OK;
    if (!make_future_table(alloc, matches->count, &table)) {
        return kf_no_memory(err);
    }
    for (size_t i = 0; i < matches->count && status == KF_OK; i++) {
        kf_match *match = &matches->items[i];
        if (match->present_end < match->pattern->n_events) {
            status = find_future(alloc, &table, futures, match, err);
        }
        if (status == KF_OK && match->future != KF_NO_FUTURE) {
            kf_future *future = &futures->items[match->future];
            future->weight += (double)match->frequency * match->similarity;
            future->members++;
        }
    }
    kf_release(alloc, table.slots);
    return status;
}

static void
share_weights(kf_futures *futures)
{
    double total = 0.0;
    for (size_t g = 0; g < futures->count; g++) {
        total += futures->items[g].weight;
    }
    for (size_t g = 0; g < futures->count; g++) {
        kf_future *future = &futures->items[g];
        future->aggregate = total > 0.0 ? future->weight / total : 0.0;
    }
}

kf_status
kf_score_ensemble(const kf_alloc *alloc, kf_matches *matches, kf_futures *out,
                  kf_error *err)
{
    double total = (double)matches->frequency;
    kf_status status = group_by_future(alloc, matches, out, err);
    if (status != KF_OK) {
        return status;
    }
    share_weights(out);
    for (size_t i = 0; i < matches->count; i++) {
        kf_match *match = &matches->items[i];
        double strength =
            match->similarity * ((double)match->frequency / total);
        double aggregate = match->future != KF_NO_FUTURE
                               ? out->items[match->future].aggregate
                               : 0.0;
        match->predictive_information =
            aggregate > 0.0 ? strength / aggregate : 0.0;
        match->potential = match->similarity * match->predictive_information;
    }
    return KF_OK;
}

/* --- rank --- */

/* Whether a ranks before b: higher potential, else earlier candidate. */
static inline bool
before(const kf_matches *matches, uint32_t a, uint32_t b)
{
    double x = matches->items[a].potential;
    double y = matches->items[b].potential;
    return x > y || (x == y && a < b);
}

/* Restore the heap, in which a parent ranks behind its children. */
static void
sift_down(const kf_matches *matches, uint32_t *heap, size_t count, size_t at)
{
    uint32_t moving = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count &&
            before(matches, heap[child], heap[child + 1])) {
            child++;
        }
        if (before(matches, heap[child], moving)) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

/* A heap of the best so far, its last on top; then taken out from the last
 * to the first. */
static void
select_best(const kf_matches *matches, uint32_t *heap, size_t kept)
{
    for (size_t i = 0; i < kept; i++) {
        heap[i] = (uint32_t)i;
    }
    for (size_t i = kept / 2; i-- > 0;) {
        sift_down(matches, heap, kept, i);
    }
    for (size_t i = kept; i < matches->count; i++) {
        if (before(matches, (uint32_t)i, heap[0])) {
            heap[0] = (uint32_t)i;
            sift_down(matches, heap, kept, 0);
        }
    }
    for (size_t end = kept; end-- > 1;) {
        uint32_t last = heap[0];
        heap[0] = heap[end];
        heap[end] = last;
        sift_down(matches, heap, end, 0);
    }
}

kf_status
kf_score_rank(const kf_alloc *alloc, const kf_matches *matches, size_t limit,
              uint32_t **out, size_t *count, kf_error *err)
{
    size_t kept = matches->count < limit ? matches->count : limit;
    uint32_t *heap = kf_allocate(alloc, kept, sizeof *heap);
    if (heap == NULL) {
        return kf_no_memory(err);
    }
    if (kept > 0) {
        select_best(matches, heap, kept);
    }
    *out = heap;
    *count = kept;
    return KF_OK;
}

typedef struct {
    double aggregate;
    uint32_t index;
} future_key;

/* Equal aggregates keep their order by index, so any sort will do. */
static int
compare_futures(const void *a, const void *b)
{
    const future_key *x = a;
    const future_key *y = b;
    if (x->aggregate != y->aggregate) {
        return x->aggregate < y->aggregate ? 1 : -1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

kf_status
kf_score_order_futures(const kf_alloc *alloc, const kf_futures *futures,
                       uint32_t **out, kf_error *err)
{
    future_key *keys = kf_allocate(alloc, futures->count, sizeof *keys);
    uint32_t *order = kf_allocate(alloc, futures->count, sizeof *order);
    if (keys == NULL || order == NULL) {
        kf_release(alloc, keys);
        kf_release(alloc, order);
        return kf_no_memory(err);
    }
    for (size_t g = 0; g < futures->count; g++) {
        keys[g] = (future_key){futures->items[g].aggregate, (uint32_t)g};
    }
    qsort(keys, futures->count, sizeof *keys, compare_futures);
    for (size_t g = 0; g < futures->count; g++) {
        order[g] = keys[g].index;
    }
    kf_release(alloc, keys);
    *out = order;
    return KF_OK;
}

void
kf_matches_free(const kf_alloc *alloc, kf_matches *matches)
{
    kf_release(alloc, matches->items);
    matches->items = NULL;
    matches->count = matches->capacity = 0;
}

void
kf_futures_free(const kf_alloc *alloc, kf_futures *futures)
{
    kf_release(alloc, futures->items);
    futures->items = NULL;
    futures->count = futures->capacity = 0;
}
