#include "kato_fast/score.h"

#include <stdlib.h>
#include <string.h>

/* --- matches and futures --- */

bool
kf_matches_reserve(const kf_alloc *alloc, kf_matches *matches, size_t more)
{
    void *items = matches->items;
    if (!kf_grow_large(alloc, &items, &matches->capacity,
                       matches->count + more, sizeof *matches->items)) {
        return false;
    }
    matches->items = items;
    return true;
}

bool
kf_matches_append(const kf_alloc *alloc, kf_matches *matches,
                  const kf_match *match)
{
    if (!kf_matches_reserve(alloc, matches, 1)) {
        return false;
    }
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
    uint32_t *slots; /* index of a future and 1, or 0 */
    size_t mask;
} future_table;

/* With more than so many, nearly every match has a future of its own. */
#define FUTURES_FEW 4096u

static bool
append_future(const kf_alloc *alloc, kf_futures *futures,
              const kf_match *match, size_t n_matches)
{
    size_t needed = futures->count + 1;
    void *items = futures->items;
    if (needed > futures->capacity && needed > FUTURES_FEW) {
        needed = n_matches;
    }
    if (!kf_grow_large(alloc, &items, &futures->capacity, needed,
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
    table->slots = kf_allocate_large(alloc, slots * sizeof *table->slots);
    table->mask = slots - 1;
    return table->slots != NULL;
}

/* The future that the match belongs to, made where it is the first. */
static bool
find_future(const kf_alloc *alloc, const future_table *table,
            kf_futures *futures, kf_match *match, size_t n_matches)
{
    size_t slot = (size_t)match->future_hash[0] & table->mask;
    for (; table->slots[slot] != 0; slot = (slot + 1) & table->mask) {
        const kf_future *known = &futures->items[table->slots[slot] - 1];
        if (known->hash[0] == match->future_hash[0] &&
            known->hash[1] == match->future_hash[1]) {
            match->future = table->slots[slot] - 1;
            return true;
        }
    }
    if (!append_future(alloc, futures, match, n_matches)) {
        return false;
    }
    match->future = (uint32_t)(futures->count - 1);
    table->slots[slot] = (uint32_t)futures->count;
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
            done = find_future(alloc, &table, futures, match, matches->count);
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
    matches->frequency = 0;
    if (!group_by_future(alloc, matches, out)) {
        return kf_no_memory(err);
    }
    share_weights(out);
    return KF_OK;
}

/* --- rank --- */

static inline kf_ranked
score_match(const kf_matches *matches, const kf_futures *futures,
            uint32_t index)
{
    const kf_match *match = &matches->items[index];
    double total = (double)matches->frequency;
    double strength = match->similarity * ((double)match->frequency / total);
    double aggregate = match->future != KF_NO_FUTURE
                           ? futures->items[match->future].aggregate
                           : 0.0;
    double information = aggregate > 0.0 ? strength / aggregate : 0.0;
    return (kf_ranked){match->similarity * information, information, index};
}

kf_ranked
kf_score_match(const kf_matches *matches, const kf_futures *futures,
               uint32_t index)
{
    return score_match(matches, futures, index);
}

/* Whether a ranks before b: higher potential, else earlier candidate. */
static inline bool
before(const kf_ranked *a, const kf_ranked *b)
{
    return a->potential > b->potential ||
           (a->potential == b->potential && a->index < b->index);
}

/* Restore the heap, in which a parent ranks behind its children. */
static void
sift_down(kf_ranked *heap, size_t count, size_t at)
{
    kf_ranked moving = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && before(&heap[child], &heap[child + 1])) {
            child++;
        }
        if (before(&heap[child], &moving)) {
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
select_best(const kf_matches *matches, const kf_futures *futures,
            kf_ranked *heap, size_t kept)
{
    for (size_t i = 0; i < kept; i++) {
        heap[i] = score_match(matches, futures, (uint32_t)i);
    }
    for (size_t i = kept / 2; i-- > 0;) {
        sift_down(heap, kept, i);
    }
    for (size_t i = kept; i < matches->count; i++) {
        kf_ranked next = score_match(matches, futures, (uint32_t)i);
        if (before(&next, &heap[0])) {
            heap[0] = next;
            sift_down(heap, kept, 0);
        }
    }
    for (size_t end = kept; end-- > 1;) {
        kf_ranked last = heap[0];
        heap[0] = heap[end];
        heap[end] = last;
        sift_down(heap, end, 0);
    }
}

kf_status
kf_score_rank(const kf_alloc *alloc, const kf_matches *matches,
              const kf_futures *futures, size_t limit, kf_ranked **out,
              size_t *count, kf_error *err)
{
    size_t kept = matches->count < limit ? matches->count : limit;
    kf_ranked *heap = kf_allocate(alloc, kept, sizeof *heap);
    if (heap == NULL) {
        return kf_no_memory(err);
    }
    if (kept > 0) {
        select_best(matches, futures, heap, kept);
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
