#include "kato_fast/score.h"

#include <stdlib.h>
#include <string.h>

/* --- matches and futures --- */

bool
kf_matches_append(const kf_alloc *alloc, kf_matches *matches,
                  const kf_match *match)
{
    void *items = matches->items;
    if (!kf_grow(alloc, &items, &matches->capacity, matches->count + 1,
                 sizeof *match)) {
        return false;
    }
    matches->items = items;
    matches->items[matches->count++] = *match;
    return true;
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

/* --- score --- */

/* Futures by hash: open addressing, at most half full. */
typedef struct {
    uint32_t *slots; /* index of a future, or KF_NO_FUTURE */
    size_t mask;
} future_table;

static bool
append_future(const kf_alloc *alloc, kf_futures *futures,
              const kf_match *match)
{
    void *items = futures->items;
    if (!kf_grow(alloc, &items, &futures->capacity, futures->count + 1,
                 sizeof *futures->items)) {
        return false;
    }
    futures->items = items;
    futures->items[futures->count++] =
        (kf_future){.hash = {match->future_hash[0], match->future_hash[1]},
                    .row = match->row,
                    .start = match->present_end};
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
static bool
find_future(const kf_alloc *alloc, const future_table *table,
            kf_futures *futures, kf_match *match)
{
    size_t slot = (size_t)match->future_hash[0] & table->mask;
    for (; table->slots[slot] != KF_NO_FUTURE;
         slot = (slot + 1) & table->mask) {
        const kf_future *known = &futures->items[table->slots[slot]];
        if (known->hash[0] == match->future_hash[0] &&
            known->hash[1] == match->future_hash[1]) {
            match->future = table->slots[slot];
            return true;
        }
    }
    if (!append_future(alloc, futures, match)) {
        return false;
    }
    match->future = (uint32_t)(futures->count - 1);
    table->slots[slot] = match->future;
    return true;
}

/* Slots that are fetched before their turn: the table of a large ensemble is
 * in no cache. */
#define AHEAD 12

static bool
group_by_future(const kf_alloc *alloc, kf_matches *matches,
                kf_futures *futures)
{
    future_table table;
    bool done = true;
    if (!make_future_table(alloc, matches->count, &table)) {
        return false;
    }
    for (size_t i = 0; i < matches->count && done; i++) {
        kf_match *match = &matches->items[i];
        if (i + AHEAD < matches->count) {
            __builtin_prefetch(
                &table.slots[match[AHEAD].future_hash[0] & table.mask], 1);
        }
        match->future = KF_NO_FUTURE;
        matches->frequency += match->frequency;
        if (match->present_end < match->n) {
            done = find_future(alloc, &table, futures, match);
        }
        if (done && match->future != KF_NO_FUTURE) {
            kf_future *future = &futures->items[match->future];
            future->weight += (double)match->frequency * match->similarity;
            future->members++;
        }
    }
    kf_release(alloc, table.slots);
    return done;
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
    double total;
    matches->frequency = 0;
    if (!group_by_future(alloc, matches, out)) {
        return kf_no_memory(err);
    }
    total = (double)matches->frequency;
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
