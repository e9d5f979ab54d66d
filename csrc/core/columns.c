#include "kato_fast/columns.h"

#include <string.h>

void
kf_columns_init(kf_columns *columns, const kf_alloc *alloc)
{
    memset(columns, 0, sizeof *columns);
    columns->alloc = alloc;
}

static void
release_emotives(kf_column *block, uint32_t rows)
{
    for (uint32_t at = 0; block->emotives != NULL && at < rows; at++) {
        kf_emotives_release(block->emotives[at]);
    }
}

void
kf_columns_free(kf_columns *columns, uint32_t rows)
{
    const kf_alloc *alloc = columns->alloc;
    for (size_t b = 0; b < columns->n_blocks; b++) {
        kf_column *block = &columns->blocks[b];
        release_emotives(block, kf_columns_rows_of(rows, b));
        if (!columns->borrowed) {
            kf_release(alloc, block->frequency);
            kf_release(alloc, block->wide);
            kf_release(alloc, block->prefix);
        }
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

/* --- whole columns --- */

bool
kf_columns_reserve_blocks(kf_columns *columns, size_t n_blocks)
{
    void *blocks = columns->blocks;
    if (n_blocks <= columns->n_blocks) {
        return true;
    }
    if (!kf_grow(columns->alloc, &blocks, &columns->capacity, n_blocks,
                 sizeof *columns->blocks)) {
        return false;
    }
    columns->blocks = blocks;
    memset(columns->blocks + columns->n_blocks, 0,
           (n_blocks - columns->n_blocks) * sizeof *columns->blocks);
    columns->n_blocks = n_blocks;
    return true;
}

/* NULL, which is no failure, where there is no such column. */
static bool
copy_column(const kf_alloc *alloc, const void *column, size_t size, void **out)
{
    *out = NULL;
    if (column == NULL) {
        return true;
    }
    *out = kf_allocate(alloc, 1, size);
    if (*out == NULL) {
        return false;
    }
    memcpy(*out, column, size);
    return true;
}

static bool
copy_block(const kf_alloc *alloc, const kf_column *block, uint32_t rows,
           kf_column *out)
{
    void *frequency;
    void *wide;
    void *prefix;
    void *emotives;
    /* All four are tried, so that all four are set. */
    bool copied = copy_column(alloc, block->frequency, rows * sizeof(uint32_t),
                              &frequency);
    copied = copy_column(alloc, block->wide, rows * sizeof(uint64_t), &wide) &&
             copied;
    copied =
        copy_column(alloc, block->prefix, rows * sizeof(uint64_t), &prefix) &&
        copied;
    copied = copy_column(alloc, block->emotives, rows * sizeof(kf_emotives *),
                         &emotives) &&
             copied;
    *out = (kf_column){frequency, wide, prefix, emotives};
    for (uint32_t at = 0; out->emotives != NULL && at < rows; at++) {
        kf_emotives_share(out->emotives[at]);
    }
    return copied;
}

bool
kf_columns_copy(const kf_columns *columns, uint32_t rows, kf_columns *out)
{
    size_t n_blocks = (rows + (size_t)KF_COLUMN_ROWS - 1) / KF_COLUMN_ROWS;
    bool copied = kf_columns_reserve_blocks(out, n_blocks);
    for (size_t b = 0; copied && b < n_blocks; b++) {
        copied = copy_block(out->alloc, &columns->blocks[b],
                            kf_columns_rows_of(rows, b), &out->blocks[b]);
    }
    if (!copied) {
        kf_columns_free(out, rows);
    }
    return copied;
}
