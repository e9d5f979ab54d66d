/* What a search sees: every pattern by row, in blocks of 65,536 rows.
 *
 * Full blocks are sealed segments; the last one is the open head, to which
 * learning appends. A root is immutable but for its head, which only grows:
 * rows below the number that a reader was given never change. Shared
 * (counted), so that results and running searches keep what they look at;
 * a writer publishes a new root for each block it opens or seals. */
#ifndef KATO_FAST_ROOT_H
#define KATO_FAST_ROOT_H

#include "kato_fast/alloc.h"
#include "kato_fast/arena.h"
#include "kato_fast/pattern.h"
#include "kato_fast/segment.h"
#include "kato_fast/status.h"
#include "kato_fast/symbols.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of the open block that get a segment of their own once searches look
 * at the block, so that they need not look at each row. */
#define KF_HEAD_PIECE 2048u
#define KF_HEAD_PIECES (KF_SEGMENT_ROWS / KF_HEAD_PIECE)

/* The open block: patterns as they were learned, in an arena. Only the
 * writer adds; a row is visible to whoever was told of it under the lock.
 * Its first rows are also in pieces[0..n_pieces-1], segments of KF_HEAD_PIECE
 * rows; a piece is complete before n_pieces counts it. */
typedef struct {
    kf_alloc alloc;
    atomic_size_t shares;
    kf_arena arena;
    const kf_pattern **patterns; /* KF_SEGMENT_ROWS */
    uint32_t count;              /* the writer's */
    /* By row, 1 where the pattern was forgotten: a search may skip it. The
     * pattern stays, since results may hold it. */
    _Atomic uint8_t *gone;
    atomic_bool asked; /* a search has looked at it */
    atomic_uint n_pieces;
    kf_segment *pieces[KF_HEAD_PIECES];
} kf_head;

KF_MUST_USE kf_status kf_head_new(const kf_alloc *alloc, kf_head **out,
                                  kf_error *err);
kf_head *kf_head_share(kf_head *head);
void kf_head_release(kf_head *head); /* NULL is allowed */

/* Make the pieces that the rows fill. Only the writer may call it. Without
 * memory fewer are made, which costs time and nothing else. */
void kf_head_make_pieces(kf_head *head);

/* Either one or the other. */
typedef struct {
    kf_segment *segment;
    kf_head *head;
} kf_block_of_rows;

typedef struct {
    kf_alloc alloc;
    atomic_size_t shares;
    kf_symbols *symbols; /* a share */
    size_t n_blocks;
    kf_block_of_rows blocks[]; /* shares */
} kf_root;

/* An owned root of these blocks; takes shares of them and of symbols. */
KF_MUST_USE kf_status kf_root_new(const kf_alloc *alloc, kf_symbols *symbols,
                                  const kf_block_of_rows *blocks,
                                  size_t n_blocks, kf_root **out,
                                  kf_error *err);
kf_root *kf_root_share(kf_root *root);
void kf_root_release(kf_root *root); /* NULL is allowed */

/* Symbols of the pattern at the row. */
uint32_t kf_root_length(const kf_root *root, uint32_t row);

/* Copy the pattern out: global ids, then ends, into out, which has room for
 * twice its length. Returns the length; *n_events is set. */
uint32_t kf_root_read(const kf_root *root, uint32_t row, uint32_t *out,
                      uint32_t *n_events);

/* Set pattern->name; pattern is what kf_root_read gave for the row. The name
 * is kept in the head and made again for a segment. */
void kf_root_name(const kf_root *root, unsigned unicode, uint32_t row,
                  kf_pattern *pattern);

#endif
