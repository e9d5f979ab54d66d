#include "kato_fast/pattern.h"

uint32_t
kf_pattern_event_from(const kf_pattern *pattern, uint32_t position)
{
    const uint32_t *ends = kf_pattern_ends(pattern);
    uint32_t low = 0;
    uint32_t high = pattern->n_events;
    if (position == 0) {
        return 0;
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
    uint64_t hash = 0x9e3779b97f4a7c15u;
    for (uint32_t event = first; event < pattern->n_events; event++) {
        uint64_t sum = 0;
        for (; at < ends[event]; at++) {
            sum += mix(pattern->ids[at] + 0x9e3779b97f4a7c15u);
        }
        hash = mix(hash ^ sum) + 0x9e3779b97f4a7c15u;
    }
    return hash;
}
