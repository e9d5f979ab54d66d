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
