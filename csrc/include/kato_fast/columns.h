/* What is kept beside the patterns, by row: frequency, emotives, and the
 * first eight bytes of the name.
 *
 * Columns of 65,536 rows that never move. Frequencies have 32 bits until one
 * of a block needs more; emotives have no column until a pattern has some.
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
    uint32_t *frequency; /* NULL where wide is used */
    uint64_t *wide;
    uint64_t *prefix;
    kf_emotives **emotives; /* NULL: no row of the block has any */
} kf_column;

typedef struct {
    const kf_alloc *alloc;
    kf_column *blocks;
    size_t n_blocks;
    size_t capacity;
    size_t memory; /* of columns in use and of emotives */
    bool borrowed; /* frequencies and prefixes belong to someone else, and
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

/* Room for a frequency that 32 bits do not hold, for emotives. */
bool kf_columns_reserve_wide(kf_columns *columns, uint32_t row);
bool kf_columns_reserve_emotives(kf_columns *columns, uint32_t row);

static inline uint64_t
kf_columns_frequency(const kf_columns *columns, uint32_t row)
{
    const kf_column *block = &columns->blocks[row / KF_COLUMN_ROWS];
    uint32_t at = row % KF_COLUMN_ROWS;
    return block->wide != NULL ? block->wide[at] : block->frequency[at];
}

static inline uint64_t
kf_columns_prefix(const kf_columns *columns, uint32_t row)
{
    return columns->blocks[row / KF_COLUMN_ROWS].prefix[row % KF_COLUMN_ROWS];
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
void kf_columns_set_prefix(kf_columns *columns, uint32_t row, uint64_t prefix);

/* Put a share of the new list in (may be NULL), give the old one out: owned
 * by the caller now. */
kf_emotives *kf_columns_swap_emotives(kf_columns *columns, uint32_t row,
                                      kf_emotives *emotives);

#endif
