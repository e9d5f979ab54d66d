/* What is kept beside the patterns, by row: frequency, emotives, and the tag
 * of the name (knowledge_contents.h).
 *
 * Columns of 65,536 rows that never move. Frequencies have 8 bits, then 16, 32
 * and 64 once one of a block needs them; emotives have no column until a
 * pattern has some.
 * Guarded by the knowledge base's locks. */
#ifndef KATO_FAST_COLUMNS_H
#define KATO_FAST_COLUMNS_H

#include "kato_fast/alloc.h"
#include "kato_fast/emotives.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KF_COLUMN_ROWS 65536u

typedef struct {
    void *frequency;
    uint32_t width; /* bytes of a frequency: 1, 2, 4, 8 */
    uint32_t *tags;
    kf_emotives **emotives; /* NULL: no row of the block has any */
} kf_column;

typedef struct {
    const kf_alloc *alloc;
    kf_column *blocks;
    size_t n_blocks;
    size_t capacity;
    size_t memory; /* of emotives, and what frequencies have above 8 bits */
    bool borrowed; /* frequencies and tags belong to someone else, and
                    * nothing may be set */
} kf_columns;

void kf_columns_init(kf_columns *columns, const kf_alloc *alloc);

/* rows: how many rows are in use. */
void kf_columns_free(kf_columns *columns, uint32_t rows);

/* Make out, which is initialised and empty, a copy of the first `rows` rows,
 * with shares of their emotives. Nothing may be added to it. False, and out
 * is empty, where there is no memory. */
bool kf_columns_copy(const kf_columns *columns, uint32_t rows,
                     kf_columns *out);

/* Blocks for so many rows, without any column yet; for who fills them. */
bool kf_columns_reserve_blocks(kf_columns *columns, size_t n_blocks);

static inline uint32_t
kf_columns_rows_of(uint32_t rows, size_t block)
{
    uint32_t before = (uint32_t)block * KF_COLUMN_ROWS;
    return rows - before < KF_COLUMN_ROWS ? rows - before : KF_COLUMN_ROWS;
}

/* Room for the row; its values are not set. */
bool kf_columns_reserve(kf_columns *columns, uint32_t row);

/* Room for that frequency, for emotives. */
bool kf_columns_reserve_frequency(kf_columns *columns, uint32_t row,
                                  uint64_t frequency);
bool kf_columns_reserve_emotives(kf_columns *columns, uint32_t row);

/* Of a column of that width. */
static inline uint64_t
kf_column_frequency(const void *frequency, uint32_t width, uint32_t at)
{
    switch (width) {
    case 1:
        return ((const uint8_t *)frequency)[at];
    case 2:
        return ((const uint16_t *)frequency)[at];
    case 4:
        return ((const uint32_t *)frequency)[at];
    default:
        return ((const uint64_t *)frequency)[at];
    }
}

static inline uint64_t
kf_columns_frequency(const kf_columns *columns, uint32_t row)
{
    const kf_column *block = &columns->blocks[row / KF_COLUMN_ROWS];
    return kf_column_frequency(block->frequency, block->width,
                               row % KF_COLUMN_ROWS);
}

static inline uint32_t
kf_columns_tag(const kf_columns *columns, uint32_t row)
{
    return columns->blocks[row / KF_COLUMN_ROWS].tags[row % KF_COLUMN_ROWS];
}

/* Borrowed, or NULL. */
static inline kf_emotives *
kf_columns_emotives(const kf_columns *columns, uint32_t row)
{
    const kf_column *block = &columns->blocks[row / KF_COLUMN_ROWS];
    return block->emotives != NULL ? block->emotives[row % KF_COLUMN_ROWS]
                                   : NULL;
}

/* What does not fit must have been reserved. */
void kf_columns_set_frequency(kf_columns *columns, uint32_t row,
                              uint64_t frequency);
void kf_columns_set_tag(kf_columns *columns, uint32_t row, uint32_t tag);

/* Put a share of the new list in (may be NULL), give the old one out: owned
 * by the caller now. */
kf_emotives *kf_columns_swap_emotives(kf_columns *columns, uint32_t row,
                                      kf_emotives *emotives);

#endif
