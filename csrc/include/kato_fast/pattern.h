/* One learned pattern: flat symbol ids and event boundaries.
 *
 *   name[20] | n | n_events | ids[n] | ends[n_events]
 *
 * ends[e] is the number of symbols in events 0..e. Immutable once made, in
 * the arena of an open block or of a result; what changes (frequency,
 * emotives) is kept beside it by the knowledge base. */
#ifndef KATO_FAST_PATTERN_H
#define KATO_FAST_PATTERN_H

#include "kato_fast/naming.h"

#include <stddef.h>
#include <stdint.h>

/* Symbols in a pattern or a state: positions fit in 16 bits. */
#define KF_SYMBOLS_MAX 65535

typedef struct {
    uint8_t name[KF_NAME_SIZE];
    uint32_t n;        /* symbols */
    uint32_t n_events; /* at least 1, none of them empty */
    uint32_t ids[];    /* n ids, then n_events ends */
} kf_pattern;

static inline const uint32_t *
kf_pattern_ends(const kf_pattern *pattern)
{
    return pattern->ids + pattern->n;
}

/* Number of symbols before the event; event may be n_events. */
static inline uint32_t
kf_pattern_start(const kf_pattern *pattern, uint32_t event)
{
    return event == 0 ? 0 : kf_pattern_ends(pattern)[event - 1];
}

/* The first event that starts at or after the position: n_events where none
 * does. */
uint32_t kf_pattern_event_from(const kf_pattern *pattern, uint32_t position);

static inline size_t
kf_pattern_size(uint32_t n, uint32_t n_events)
{
    return sizeof(kf_pattern) + ((size_t)n + n_events) * sizeof(uint32_t);
}

#endif
