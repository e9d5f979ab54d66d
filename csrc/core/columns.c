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
            kf_release(alloc, block->tags);
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
    block->width = 1;
    block->frequency = kf_allocate(alloc, KF_COLUMN_ROWS, block->width);
    block->tags = kf_allocate(alloc, KF_COLUMN_ROWS, sizeof *block->tags);
    if (block->frequency == NULL || block->tags == NULL) {
        kf_release(alloc, block->frequency);
        kf_release(alloc, block->tags);
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

static void
set_frequency(void *frequencies, uint32_t width, uint32_t at,
              uint64_t frequency)
{
    switch (width) {
    case 1:
        ((uint8_t *)frequencies)[at] = (uint8_t)frequency;
        return;
    case 2:
        ((uint16_t *)frequencies)[at] = (uint16_t)frequency;
        return;
    case 4:
        ((uint32_t *)frequencies)[at] = (uint32_t)frequency;
        return;
    default:
        ((uint64_t *)frequencies)[at] = frequency;
    }
}

static uint32_t
width_of(uint64_t frequency)
{
    return frequency <= UINT8_MAX    ? 1
           : frequency <= UINT16_MAX ? 2
           : frequency <= UINT32_MAX ? 4
                                     : 8;
}

bool
kf_columns_reserve_frequency(kf_columns *columns, uint32_t row,
                             uint64_t frequency)
{
    kf_column *block = &columns->blocks[row / KF_COLUMN_ROWS];
    uint32_t width = width_of(frequency);
    void *wide;
    if (width <= block->width) {
        return true;
    }
    wide = kf_allocate(columns->alloc, KF_COLUMN_ROWS, width);
    if (wide == NULL) {
        return false;
    }
    /* Rows that are not in use yet hold anything in both. */
    for (uint32_t at = 0; at < KF_COLUMN_ROWS; at++) {
        set_frequency(wide, width, at,
                      kf_column_frequency(block->frequency, block->width, at));
    }
    kf_release(columns->alloc, block->frequency);
    columns->memory += KF_COLUMN_ROWS * (width - block->width);
    block->frequency = wide;
    block->width = width;
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
    set_frequency(block->frequency, block->width, row % KF_COLUMN_ROWS,
                  frequency);
}

void
kf_columns_set_tag(kf_columns *columns, uint32_t row, uint32_t tag)
{
    columns->blocks[row / KF_COLUMN_ROWS].tags[row % KF_COLUMN_ROWS] = tag;
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
    void *tags;
    void *emotives;
    /* All three are tried, so that all three are set. */
    bool copied = copy_column(alloc, block->frequency,
                              (size_t)rows * block->width, &frequency);
    copied = copy_column(alloc, block->tags, rows * sizeof(uint32_t), &tags) &&
             copied;
    copied = copy_column(alloc, block->emotives, rows * sizeof(kf_emotives *),
                         &emotives) &&
             copied;
    *out = (kf_column){frequency, block->width, tags, emotives};
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
