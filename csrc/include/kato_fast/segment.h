/* A sealed block of patterns: immutable, sorted by length, with inverted
 * lists; one position-independent image that can be written to a file and
 * mapped.
 *
 * Rows are the knowledge base's numbers of patterns in learning order. A
 * segment holds the patterns of 65,536 rows in a row, base..base+65535.
 * Inside it they are sorted by length, then by row; the place in that order
 * is the pattern's `local` number. Symbols are numbered again, the most
 * frequent first, so that 16 bits are enough where the segment has at most
 * 65,536 of them.
 *
 *   image   header, then arrays at the header's offsets, each aligned to 64:
 *     globals[n_symbols]   u32  local symbol -> global id
 *     slots[n_slots]       kf_slot, open addressing, see kf_segment_symbol
 *     runs[n_runs + 1]     patterns of one length; the last is a sentinel
 *     ids[n_ids]           u16 or u32 local symbols, pattern after pattern
 *     ends[n_ids / 64 + 2] u64  bit per id: the last symbol of its event
 *     order[n_patterns]    u16  local -> row - base
 *     places[65536]        u16  row - base -> local; forgotten rows: 0
 *     more_lists[n_symbols + 1] u32  local symbol -> its second list
 *     lists[n_lists]       the k-th list of a symbol: patterns that have it
 *                          at least k times; the first lists of all symbols,
 *                          then the other ones, symbol by symbol
 *     postings             the bitmaps, 8,256 bytes each (lists of more than
 *                          KF_LIST_DENSE patterns), then the ascending u16
 *                          locals of the other lists; both list after list
 *
 * Immutable and shared (counted); safe from any thread. */
#ifndef KATO_FAST_SEGMENT_H
#define KATO_FAST_SEGMENT_H

#include "kato_fast/alloc.h"
#include "kato_fast/pattern.h"
#include "kato_fast/status.h"
#include "kato_fast/symbols.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KF_SEGMENT_ROWS 65536u
#define KF_SEGMENT_BITMAP_WORDS (KF_SEGMENT_ROWS / 64)
/* From one bitmap to the next, in units of 2 bytes: 64 bytes more than the
 * bitmap has, so that the same place of many of them is not in the same set
 * of the first cache, where only 8 have room. */
#define KF_BITMAP_UNITS (KF_SEGMENT_ROWS / 16 + 32)
/* A list of more patterns than this is a bitmap: no list is the larger for
 * it. */
#define KF_LIST_DENSE KF_BITMAP_UNITS
/* A symbol is at most so many slots behind its own: with half of the slots
 * free and good luck the worst of a million is 70, and luck is tried again
 * until it is good. */
#define KF_PROBES_MAX 128u

typedef struct {
    uint32_t n;      /* symbols of each pattern; the sentinel has 0 */
    uint32_t first;  /* first local; the sentinel has n_patterns */
    uint64_t offset; /* of its first id; the sentinel has n_ids */
} kf_run;

typedef struct {
    uint32_t start; /* in units of 2 bytes from the start of postings */
    uint32_t count; /* patterns; more than KF_LIST_DENSE: a bitmap */
} kf_list;

typedef struct {
    uint32_t global; /* KF_SYMBOL_NONE: free */
    uint32_t local;  /* KF_SYMBOL_NONE where it is free */
} kf_slot;

typedef struct {
    uint64_t magic;
    uint64_t size; /* bytes of the whole image */
    uint64_t n_ids;
    uint32_t n_patterns;
    uint32_t n_symbols;
    uint32_t n_runs;
    uint32_t n_lists;
    uint32_t n_bitmaps;
    uint32_t n_slots;    /* a power of two, at least 2 * n_symbols */
    uint32_t multiplier; /* of the slots, odd */
    uint32_t id_bytes;   /* 2 or 4 */
    uint64_t globals;    /* offsets in bytes */
    uint64_t slots;
    uint64_t runs;
    uint64_t ids;
    uint64_t ends;
    uint64_t order;
    uint64_t places;
    uint64_t more_lists;
    uint64_t lists;
    uint64_t postings;
} kf_segment_header;

/* Pointers into the image, resolved once. */
typedef struct kf_segment {
    const kf_segment_header *header;
    const uint32_t *globals;
    const kf_slot *slots;
    const kf_run *runs;
    const uint16_t *ids16; /* NULL where id_bytes is 4 */
    const uint32_t *ids32; /* NULL where id_bytes is 2 */
    const uint64_t *ends;
    const uint16_t *order;
    const uint16_t *places;
    const uint32_t *more_lists;
    const kf_list *lists;
    const uint16_t *postings;
} kf_segment;

/* An owned segment of the patterns at patterns[0..KF_SEGMENT_ROWS-1], by row
 * minus base; NULL for forgotten rows. Borrowed for the call. Fails with
 * KF_NO_MEMORY only. The image is segment->header, header->size bytes. */
KF_MUST_USE kf_status kf_segment_build(const kf_alloc *alloc,
                                       const kf_pattern *const *patterns,
                                       kf_segment **out, kf_error *err);

/* A segment over an image that is not copied (mapped from a file), at an
 * address that is a multiple of 64. Checks everything in it that reading
 * would trust, in time proportional to size; KF_INVALID says what is wrong
 * and where. Whether its lists agree with its patterns is a checksum's
 * task. The image stays valid until release(context) is called, when the
 * last share goes; release may be NULL, and is not called where this
 * fails. */
KF_MUST_USE kf_status kf_segment_open(const kf_alloc *alloc, const void *image,
                                      size_t size,
                                      void (*release)(void *context),
                                      void *context, kf_segment **out,
                                      kf_error *err);

kf_segment *kf_segment_share(kf_segment *segment);
void kf_segment_release(kf_segment *segment); /* NULL is allowed */

/* Local number of a symbol, KF_SYMBOL_NONE where the segment has not got
 * it. */
uint32_t kf_segment_symbol(const kf_segment *segment, uint32_t global);

/* Have the processor fetch what kf_segment_symbol will look at for all of
 * them, before the first is looked at. */
void kf_segment_prefetch(const kf_segment *segment, const uint32_t *globals,
                         uint32_t count);

/* The run that holds the local number, which is below n_patterns. */
const kf_run *kf_segment_run(const kf_segment *segment, uint32_t local);

/* Copy a pattern out: n global ids, then n_events ends (see pattern.h), into
 * out, which has room for 2 * n. Returns n; *n_events is set. */
uint32_t kf_segment_read(const kf_segment *segment, uint32_t local,
                         uint32_t *out, uint32_t *n_events);

#endif
