/* A knowledge base in one file that is mapped, not parsed.
 *
 *   file     header, table of sections, sections; every part starts at a
 *            multiple of 64 bytes, zeros between them
 *     symbols     kf_symbol_entry by id
 *     texts       what their offsets point into: UTF-8 and JSON
 *     slots       kf_symbol_slot, the hash table of the texts
 *     frequency   u64 by symbol: occurrences over all learns
 *     members     u64 by symbol: learns whose pattern contains it
 *     names       u32, the hash table from the names' tags to rows
 *     for each 65,536 rows in learning order:
 *       segment     the image of kato_fast/segment.h
 *       frequencies by row: u8, u16, u32 or u64, as one needs it; 0:
 *                   forgotten
 *       tags        u32 by row: upper half of the product of the first 8
 *                   bytes of the pattern's name, as a number, and of the
 *                   last 8 bytes of the key, which is made odd
 *       emotives    of the rows that have some, see snapshot_format.h
 *
 * The order of bytes is that of the machine which wrote it; others refuse
 * it. Header, table and each section have a checksum (checksum.h): opening
 * reads all of the file once and finds every byte that has changed. The key
 * of the hash tables is in the file, so it is no secret any more from
 * whoever may read that; so is the Unicode version of the names, which the
 * opened knowledge base goes on with.
 *
 * Pages of the file are shared by all processes that have it open. Replace
 * an open file (as saving does), never write into it or cut it off: the
 * process that reads it would see other bytes, or end with SIGBUS. Emotives
 * are the only part that is copied into memory.
 *
 * Errors: KF_SYSTEM where the operating system refuses; KF_INVALID, with the
 * place, for a file that is damaged, foreign, or of another version. */
#ifndef KATO_FAST_SNAPSHOT_H
#define KATO_FAST_SNAPSHOT_H

#include "kato_fast/alloc.h"
#include "kato_fast/knowledge.h"
#include "kato_fast/status.h"

#include <stdbool.h>

/* Asked now and then while saving: true ends it with KF_STOPPED. */
typedef struct {
    bool (*stop)(void *context); /* NULL: never */
    void *context;
} kf_snapshot_caller;

/* Write one moment of the knowledge base to path, while others read and
 * learn. A file of that name is replaced when the new one is complete and on
 * disk; until then it has another name in the same folder, which is removed
 * where this fails. */
KF_MUST_USE kf_status kf_snapshot_save(kf_knowledge *knowledge,
                                       const char *path,
                                       kf_snapshot_caller caller,
                                       kf_error *err);

/* A read-only knowledge base over the file, freed as any other; results that
 * were taken from it keep the file mapped. Writing functions fail with
 * KF_INVALID. threads: that checking and one search may use. */
KF_MUST_USE kf_status kf_snapshot_open(const kf_alloc *alloc, const char *path,
                                       unsigned threads, kf_knowledge **out,
                                       kf_error *err);

#endif
