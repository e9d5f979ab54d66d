/* Memory that only grows and never moves, freed as a whole.
 *
 * Pointers stay valid as long as the arena. One writer at a time. */
#ifndef KATO_FAST_ARENA_H
#define KATO_FAST_ARENA_H

#include "kato_fast/alloc.h"

#include <stddef.h>

typedef struct kf_arena_block kf_arena_block;

typedef struct {
    const kf_alloc *alloc; /* borrowed, outlives the arena */
    kf_arena_block *last;
    size_t block_size; /* of the next block; doubles up to a limit */
    size_t memory;     /* bytes taken from alloc */
} kf_arena;

void kf_arena_init(kf_arena *arena, const kf_alloc *alloc);
void kf_arena_free(kf_arena *arena);

/* size bytes aligned to 8, or NULL where there is no memory. */
void *kf_arena_take(kf_arena *arena, size_t size);

#endif
