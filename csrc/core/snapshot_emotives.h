/* Emotives of a block of rows, as bytes and back. Internal to saving and
 * opening a snapshot. */
#ifndef KATO_FAST_SNAPSHOT_EMOTIVES_H
#define KATO_FAST_SNAPSHOT_EMOTIVES_H

#include "kato_fast/buffer.h"
#include "kato_fast/columns.h"

/* Append the records of the block's first `rows` rows. Failure is in the
 * buffer. */
void kf_snapshot_write_emotives(kf_buffer *buffer, const kf_column *block,
                                uint32_t rows);

/* Make the emotives of rows first..first+rows-1 from `size` bytes that are
 * not trusted. columns: its blocks are there and have no emotives yet. */
KF_MUST_USE kf_status kf_snapshot_read_emotives(const char *bytes, size_t size,
                                                kf_columns *columns,
                                                uint32_t first, uint32_t rows,
                                                kf_error *err);

#endif
