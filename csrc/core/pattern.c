#include "kato_fast/pattern.h"

uint32_t
kf_pattern_event_from(const kf_pattern *pattern, uint32_t position)
{
    const uint32_t *ends = kf_pattern_ends(pattern);
    uint32_t low = 0;
    uint32_t high = pattern->n_events;
    if (position == 0 || pattern->n_events == pattern->n) {
        return position; /* every event has one symbol */
    }
    /* The start of event e is ends[e - 1]; find the first end >= position. */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ends[middle] >= position) {
            high = middle;
        }
        else {
            low = middle + 1;
        }
    }
    return low < pattern->n_events ? low + 1 : pattern->n_events;
}

/* splitmix64's finaliser, S. Vigna. */
static uint64_t
mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t
kf_pattern_future_hash(const kf_pattern *pattern, uint32_t first)
{
    const uint32_t *ends = kf_pattern_ends(pattern);
    uint32_t at = kf_pattern_start(pattern, first);
    uint64_t hash = 1;
    for (uint32_t event = first; event < pattern->n_events; event++) {
        uint64_t sum = 0;
        for (; at < ends[event]; at++) {
            sum += mix(pattern->ids[at] + 0x9e3779b97f4a7c15u);
        }
        hash = hash * 0xd1342543de82ef95u + sum;
    }
    return mix(hash);
}

kf_status
kf_patterns_new(const kf_alloc *alloc, const uint8_t key[16],
                kf_patterns **out, kf_error *err)
{
    kf_patterns *patterns = kf_allocate_zero(alloc, 1, sizeof *patterns);
    kf_status status;
    if (patterns == NULL) {
        return kf_no_memory(err);
    }
    patterns->alloc = *alloc;
    atomic_init(&patterns->shares, 1);
    kf_arena_init(&patterns->arena, &patterns->alloc);
    status = kf_symbols_new(alloc, key, &patterns->symbols, err);
    if (status != KF_OK) {
        kf_release(alloc, patterns);
        return status;
    }
    *out = patterns;
    return KF_OK;
}

kf_patterns *
kf_patterns_share(kf_patterns *patterns)
{
    atomic_fetch_add_explicit(&patterns->shares, 1, memory_order_relaxed);
    return patterns;
}

void
kf_patterns_release(kf_patterns *patterns)
{
    kf_alloc alloc;
    if (patterns == NULL || atomic_fetch_sub_explicit(&patterns->shares, 1,
                                                      memory_order_acq_rel) >
                                1) {
        return;
    }
    alloc = patterns->alloc;
    kf_symbols_release(patterns->symbols);
    kf_arena_free(&patterns->arena);
    kf_release(&alloc, patterns);
}
