/* One learned pattern: flat symbol ids and event boundaries.
 *
 *   name[20] | n | n_events | ids[n] | ends[n_events]
 *
 * ends[e] is the number of symbols in events 0..e. Immutable once made and
 * in an arena, so that results can hold it; what changes (frequency,
 * emotives) is kept beside it by the knowledge base. */
#ifndef KATO_FAST_PATTERN_H
#define KATO_FAST_PATTERN_H

#include "kato_fast/arena.h"
#include "kato_fast/naming.h"
#include "kato_fast/symbols.h"

#include <stdatomic.h>
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

/* Half-open run of events. */
typedef struct {
    uint32_t first;
    uint32_t end;
} kf_events;

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

/* A hash of the events from `first` on that does not depend on the order
 * inside an event. */
uint64_t kf_pattern_future_hash(const kf_pattern *pattern, uint32_t first);

static inline size_t
kf_pattern_size(uint32_t n, uint32_t n_events)
{
    return sizeof(kf_pattern) + ((size_t)n + n_events) * sizeof(uint32_t);
}

/* Patterns and the symbols that they are made of, shared (counted) by the
 * knowledge base and by results: what one of them holds stays valid until it
 * lets go, also over a clear. Only the knowledge base adds, under its lock. */
typedef struct {
    kf_alloc alloc;
    atomic_size_t shares;
    kf_symbols *symbols;
    kf_arena arena;
} kf_patterns;

KF_MUST_USE kf_status kf_patterns_new(const kf_alloc *alloc,
                                      const uint8_t key[16],
                                      kf_patterns **out, kf_error *err);
kf_patterns *kf_patterns_share(kf_patterns *patterns);
void kf_patterns_release(kf_patterns *patterns); /* NULL is allowed */

#endif
