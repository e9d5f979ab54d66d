/* A sealed block of patterns: immutable, sorted by length, with inverted
 * lists; one position-independent image that can be written to a file and
 * mapped.
 *
 * Rows are the knowledge base's numbers of patterns in learning order. A
 * segment holds patterns of 65,536 rows in a row, base..base+65535. Inside it
 * they are sorted by length, then by row; the place in that order is the
 * pattern's `local` number. Symbols are numbered again, the most frequent
 * first, so that 16 bits are enough where the segment has at most 65,536 of
 * them; where it has more, the few bits above those are kept apart. Where
 * tables of symbols would take much, as over many rare ones, the local symbol
 * is the distance of the global id from the least one, and there are none.
 *
 *   image   header, then arrays at the header's offsets, each aligned to 64:
 *     globals[n_symbols]   u32  local symbol -> global id; not there where
 *                          that is a distance
 *     numbers[n_numbers]   u16  global id - least -> local symbol, 65,535
 *                          where it has none
 *     slots[n_slots]       kf_slot, open addressing, instead of the numbers
 *                          where those would take more or not be enough
 *     runs[n_runs + 1]     patterns of one length; the last is a sentinel
 *     ids[n_ids]           u16  low bits of the local symbols, pattern after
 *                          pattern
 *     high[...]            their other bits, high_bits each
 *     ends[n_ids / 64 + 2] u64  bit per id: the last symbol of its event; not
 *                          there where each event has one symbol
 *     order[n_patterns]    u16  local -> row - base, ascending in a run
 *     run_of[n_rows]       u8, u16 from 257 runs on: row - base - first_row
 *                          -> the run where the pattern is, if it is
 *     more[n_more + 1]     kf_more_lists of the symbols that have more than
 *                          one list, ascending; the last is a sentinel
 *     bitmaps[n_bitmaps]   u32  numbers of the lists that are bitmaps,
 *                          ascending
 *     groups[...]          kf_list_group, KF_GROUP_LISTS lists each. The k-th
 *                          list of a symbol: patterns that have it at least k
 *                          times; the first lists of all symbols, then the
 *                          other ones, symbol by symbol
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
    uint64_t start; /* in units of 2 bytes from the start of postings */
    uint32_t count; /* patterns; KF_LIST_BITMAP: a bitmap */
} kf_list;

#define KF_LIST_BITMAP UINT32_MAX
#define KF_GROUP_LISTS 14u

/* Where lists end that are no bitmaps; a bitmap takes nothing. */
typedef struct {
    uint32_t start; /* of the first one, in locals, behind the bitmaps */
    uint16_t ends[KF_GROUP_LISTS]; /* from there; 0 behind the last list */
} kf_list_group;

typedef struct {
    uint32_t symbol; /* the sentinel has KF_SYMBOL_NONE */
    uint32_t list;   /* its second one; the sentinel has n_lists */
} kf_more_lists;

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
    uint32_t n_more;
    uint32_t n_bitmaps;
    uint32_t least;     /* global id */
    uint32_t is_direct; /* 1: local symbols are distances from it */
    uint32_t n_numbers;
    uint32_t n_slots;    /* 0, or a power of two, at least 2 * n_symbols */
    uint32_t multiplier; /* of the slots, odd */
    uint32_t first_row;
    uint32_t n_rows;
    uint32_t is_single; /* 1: each event has one symbol */
    uint32_t high_bits; /* of a symbol above the 16 low ones: 0, 1, 2, 4, 8,
                         * 16 */
    uint32_t zero;
    uint64_t globals; /* offsets in bytes */
    uint64_t numbers;
    uint64_t slots;
    uint64_t runs;
    uint64_t ids;
    uint64_t high;
    uint64_t ends;
    uint64_t order;
    uint64_t run_of;
    uint64_t more;
    uint64_t bitmaps;
    uint64_t groups;
    uint64_t postings;
} kf_segment_header;

/* Pointers into the image, resolved once. */
typedef struct kf_segment {
    const kf_segment_header *header;
    const uint32_t *globals; /* NULL where symbols are distances */
    const uint16_t *numbers;
    const kf_slot *slots;
    const kf_run *runs;
    const uint16_t *ids;
    const uint8_t *high;  /* NULL where high_bits is 0 */
    const uint64_t *ends; /* NULL where each event has one symbol */
    const uint16_t *order;
    const uint8_t *run_of8;   /* NULL where there are 257 runs */
    const uint16_t *run_of16; /* NULL where there are fewer */
    const kf_more_lists *more;
    const uint32_t *bitmaps;
    const kf_list_group *groups;
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

/* Local number of a symbol, KF_SYMBOL_NONE where the segment has not got it;
 * where symbols are distances it may have one with an empty list instead. */
uint32_t kf_segment_symbol(const kf_segment *segment, uint32_t global);

/* Have the processor fetch what kf_segment_symbol will look at for all of
 * them, before the first is looked at. */
void kf_segment_prefetch(const kf_segment *segment, const uint32_t *globals,
                         uint32_t count);

/* Global id of a local symbol. */
static inline uint32_t
kf_segment_global(const kf_segment *segment, uint32_t symbol)
{
    return segment->globals != NULL ? segment->globals[symbol]
                                    : segment->header->least + symbol;
}

/* The run that holds the local number, which is below n_patterns. */
const kf_run *kf_segment_run(const kf_segment *segment, uint32_t local);

/* The local number of the pattern at row - base, KF_SEGMENT_ROWS where the
 * segment has none there. */
uint32_t kf_segment_local(const kf_segment *segment, uint32_t at);

/* Local symbol at place i of all ids. */
static inline uint32_t
kf_segment_id(const kf_segment *segment, uint64_t i)
{
    uint32_t bits;
    uint32_t high;
    if (segment->high == NULL) {
        return segment->ids[i];
    }
    bits = segment->header->high_bits;
    high = bits == 16 ? ((const uint16_t *)segment->high)[i]
                      : segment->high[i * bits / 8] >> (i * bits % 8);
    return segment->ids[i] | (high & ((1u << bits) - 1)) << 16;
}

/* The local symbols at n places from i on, where high_bits is not 0. */
void kf_segment_widen(const kf_segment *segment, uint64_t i, uint64_t n,
                      uint32_t *out);

static inline bool
kf_segment_is_end(const kf_segment *segment, uint64_t i)
{
    return segment->ends == NULL || (segment->ends[i / 64] >> (i % 64) & 1);
}

/* Number of the bitmap, the first of them that is no smaller. */
uint32_t kf_segment_bitmap(const kf_segment *segment, uint32_t list);

static inline kf_list
kf_segment_list(const kf_segment *segment, uint32_t list)
{
    const kf_list_group *group = &segment->groups[list / KF_GROUP_LISTS];
    uint32_t i = list % KF_GROUP_LISTS;
    uint32_t from = i == 0 ? 0 : group->ends[i - 1];
    uint32_t count = group->ends[i] - from;
    if (count == 0) {
        uint32_t number = kf_segment_bitmap(segment, list);
        bool is_bitmap = number < segment->header->n_bitmaps &&
                         segment->bitmaps[number] == list;
        return (kf_list){is_bitmap ? (uint64_t)number * KF_BITMAP_UNITS : 0,
                         is_bitmap ? KF_LIST_BITMAP : 0};
    }
    return (kf_list){(uint64_t)segment->header->n_bitmaps * KF_BITMAP_UNITS +
                         group->start + from,
                     count};
}

/* The second list of the symbol, and behind its last one; both equal where it
 * has only one. */
void kf_segment_more(const kf_segment *segment, uint32_t symbol,
                     uint32_t *first, uint32_t *end);

/* Copy a pattern out: n global ids, then n_events ends (see pattern.h), into
 * out, which has room for 2 * n. Returns n; *n_events is set. */
uint32_t kf_segment_read(const kf_segment *segment, uint32_t local,
                         uint32_t *out, uint32_t *n_events);

#endif
