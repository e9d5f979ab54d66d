/* What a pattern keeps of the emotives it was learned with: a short list of
 * maps from name to number, and their average.
 *
 * Immutable and shared (counted); safe from any thread. Which maps are kept
 * is decided by the caller. */
#ifndef KATO_FAST_EMOTIVES_H
#define KATO_FAST_EMOTIVES_H

#include "kato_fast/alloc.h"
#include "kato_fast/status.h"
#include "kato_fast/symbols.h"

#include <stdint.h>

typedef struct {
    kf_text name; /* UTF-8, inside the kf_emotives */
    double value;
} kf_emotive;

typedef struct {
    const kf_emotive *items; /* in insertion order, names distinct */
    uint32_t count;
} kf_emotive_map;

typedef struct kf_emotives kf_emotives;

/* An owned list of n_maps maps (0 is allowed); names and values are copied.
 * The average is, per name in order of first appearance, the sum over the
 * maps that have it, left to right from 0, divided by their number. */
KF_MUST_USE kf_status kf_emotives_new(const kf_alloc *alloc,
                                      const kf_emotive_map *maps,
                                      uint32_t n_maps, kf_emotives **out,
                                      kf_error *err);
kf_emotives *kf_emotives_share(kf_emotives *emotives); /* NULL is allowed */
void kf_emotives_release(kf_emotives *emotives);       /* NULL is allowed */

uint32_t kf_emotives_count(const kf_emotives *emotives);
kf_emotive_map kf_emotives_map(const kf_emotives *emotives, uint32_t index);
kf_emotive_map kf_emotives_average(const kf_emotives *emotives);
size_t kf_emotives_memory(const kf_emotives *emotives); /* NULL gives 0 */

#endif
