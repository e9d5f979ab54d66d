#include "kato_fast/arena.h"

#include <stdint.h>

#define FIRST_BLOCK ((size_t)4096)
#define LARGEST_BLOCK ((size_t)1 << 20)

struct kf_arena_block {
    kf_arena_block *previous;
    size_t used;
    size_t size;
    uint64_t data[]; /* uint64_t for the alignment */
};

void
kf_arena_init(kf_arena *arena, const kf_alloc *alloc)
{
    arena->alloc = alloc;
    arena->last = NULL;
    arena->block_size = FIRST_BLOCK;
    arena->memory = 0;
}

void
kf_arena_free(kf_arena *arena)
{
    kf_arena_block *block = arena->last;
    while (block != NULL) {
        kf_arena_block *previous = block->previous;
        kf_release(arena->alloc, block);
        block = previous;
    }
    kf_arena_init(arena, arena->alloc);
}

static kf_arena_block *
new_block(kf_arena *arena, size_t size)
{
    kf_arena_block *block;
    if (size < arena->block_size) {
        size = arena->block_size;
    }
    if (size > SIZE_MAX - sizeof *block) {
        return NULL;
    }
    block = kf_allocate(arena->alloc, 1, sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    block->previous = arena->last;
    block->used = 0;
    block->size = size;
    arena->last = block;
    arena->memory += sizeof *block + size;
    if (arena->block_size < LARGEST_BLOCK) {
        arena->block_size *= 2;
    }
    return block;
}

void *
kf_arena_take(kf_arena *arena, size_t size)
{
    kf_arena_block *block = arena->last;
    void *taken;
    if (size > SIZE_MAX - 8) {
        return NULL;
    }
    size = (size + 7) & ~(size_t)7;
    if (block == NULL || block->size - block->used < size) {
        block = new_block(arena, size);
        if (block == NULL) {
            return NULL;
        }
    }
    taken = (char *)block->data + block->used;
    block->used += size;
    return taken;
}
