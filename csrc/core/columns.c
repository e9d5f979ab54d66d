#include "kato_fast/columns.h"

#include <string.h>

void
kf_columns_init(kf_columns *columns, const kf_alloc *alloc)
{
    memset(columns, 0, sizeof *columns);
    columns->alloc = alloc;
}

void
kf_columns_free(kf_columns *columns, uint32_t rows)
{
    const kf_alloc *alloc = columns->alloc;
    for (uint32_t row = 0; row < rows; row++) {
        kf_emotives_release(kf_columns_emotives(columns, row));
    }
    for (size_t b = 0; b < columns->n_blocks; b++) {
        kf_column *block = &columns->blocks[b];
        kf_release(alloc, block->frequency);
        kf_release(alloc, block->wide);
        kf_release(alloc, block->prefix);
        kf_release(alloc, block->emotives);
    }
    kf_release(alloc, columns->blocks);
    kf_columns_init(columns, alloc);
}

static bool
append_block(kf_columns *columns)
{
    const kf_alloc *alloc = columns->alloc;
    void *blocks = columns->blocks;
    kf_column *block;
    if (!kf_grow(alloc, &blocks, &columns->capacity, columns->n_blocks + 1,
                 sizeof *block)) {
        return false;
    }
    columns->blocks = blocks;
    block = &columns->blocks[columns->n_blocks];
    memset(block, 0, sizeof *block);
    /* Not touched yet, so of a small knowledge base only a little is ever
     * backed by memory. */
    block->frequency =
        kf_allocate(alloc, KF_COLUMN_ROWS, sizeof *block->frequency);
    block->prefix = kf_allocate(alloc, KF_COLUMN_ROWS, sizeof *block->prefix);
    if (block->frequency == NULL || block->prefix == NULL) {
        kf_release(alloc, block->frequency);
        kf_release(alloc, block->prefix);
        return false;
    }
    columns->n_blocks++;
    return true;
}

bool
kf_columns_reserve(kf_columns *columns, uint32_t row)
{
    return row / KF_COLUMN_ROWS < columns->n_blocks || append_block(columns);
}

bool
kf_columns_reserve_wide(kf_columns *columns, uint32_t row)
{
    kf_column *block = &columns->blocks[row / KF_COLUMN_ROWS];
    if (block->wide != NULL) {
        return true;
    }
    block->wide =
        kf_allocate(columns->alloc, KF_COLUMN_ROWS, sizeof *block->wide);
    if (block->wide == NULL) {
        return false;
    }
    /* Rows that are not in use yet hold anything in both. */
    for (uint32_t at = 0; at < KF_COLUMN_ROWS; at++) {
        block->wide[at] = block->frequency[at];
    }
    kf_release(columns->alloc, block->frequency);
    block->frequency = NULL;
    columns->memory += KF_COLUMN_ROWS * sizeof(uint32_t);
    return true;
}

bool
kf_columns_reserve_emotives(kf_columns *columns, uint32_t row)
{
    kf_column *block = &columns->blocks[row / KF_COLUMN_ROWS];
    if (block->emotives == NULL) {
        block->emotives = kf_allocate_zero(columns->alloc, KF_COLUMN_ROWS,
                                           sizeof *block->emotives);
        if (block->emotives != NULL) {
            columns->memory += KF_COLUMN_ROWS * sizeof *block->emotives;
        }
    }
    return block->emotives != NULL;
}

void
kf_columns_set_frequency(kf_columns *columns, uint32_t row, uint64_t frequency)
{
    kf_column *block = &columns->blocks[row / KF_COLUMN_ROWS];
    if (block->wide != NULL) {
        block->wide[row % KF_COLUMN_ROWS] = frequency;
    }
    else {
        block->frequency[row % KF_COLUMN_ROWS] = (uint32_t)frequency;
    }
}

void
kf_columns_set_prefix(kf_columns *columns, uint32_t row, uint64_t prefix)
{
    columns->blocks[row / KF_COLUMN_ROWS].prefix[row % KF_COLUMN_ROWS] =
        prefix;
}

kf_emotives *
kf_columns_swap_emotives(kf_columns *columns, uint32_t row,
                         kf_emotives *emotives)
{
    kf_column *block = &columns->blocks[row / KF_COLUMN_ROWS];
    kf_emotives *before;
    if (block->emotives == NULL) { /* then emotives is NULL as well */
        return NULL;
    }
    before = block->emotives[row % KF_COLUMN_ROWS];
    columns->memory += kf_emotives_memory(emotives);
    columns->memory -= kf_emotives_memory(before);
    block->emotives[row % KF_COLUMN_ROWS] = kf_emotives_share(emotives);
    return before;
}
