/* The layout of a snapshot. Internal to saving and opening one. */
#ifndef KATO_FAST_SNAPSHOT_FORMAT_H
#define KATO_FAST_SNAPSHOT_FORMAT_H

#include "kato_fast/metrics.h"
#include "kato_fast/segment.h"

#include <stdint.h>

#define KF_SNAPSHOT_MAGIC "KFSNAP\x1a\n" /* 8 bytes: no text editor's work */
#define KF_SNAPSHOT_ORDER 0x01020304u
#define KF_SNAPSHOT_VERSION 2u
#define KF_SNAPSHOT_ALIGN 64u
/* Flags. */
#define KF_SNAPSHOT_INDEXED 1u
#define KF_SNAPSHOT_2_1 2u /* of kf_generation */

typedef enum {
    KF_SECTION_SYMBOLS,
    KF_SECTION_TEXTS,
    KF_SECTION_SLOTS,
    KF_SECTION_FREQUENCY,
    KF_SECTION_MEMBERS,
    KF_SECTION_NAMES,
    KF_SECTION_SEGMENT, /* from here on once a block, in this order */
    KF_SECTION_FREQUENCIES,
    KF_SECTION_TAGS,
    KF_SECTION_EMOTIVES
} kf_section_kind;

#define KF_SECTIONS_SHARED 6u
#define KF_SECTIONS_OF_BLOCK 4u

typedef struct {
    char magic[8];
    uint64_t checksum; /* of all that follows, to the end of the table */
    uint32_t order;    /* of bytes */
    uint32_t version;
    uint64_t size;       /* of the file */
    uint32_t n_sections; /* 6, and 4 a block */
    uint32_t flags;
    uint32_t unicode;  /* version of the names, see naming.h */
    uint32_t row_bits; /* of the slots of names */
    uint32_t n_rows;
    uint32_t n_patterns; /* rows that are not forgotten */
    uint32_t n_symbols;
    uint32_t n_used; /* symbols that are in a pattern */
    uint64_t total_patterns;
    uint64_t total_symbols;
    uint64_t total_symbols_in_patterns;
    uint8_t key[16];
    uint8_t zeros[24];
} kf_snapshot_header;

typedef struct {
    uint32_t kind;
    uint32_t block; /* 0 for shared sections */
    uint64_t offset;
    uint64_t size;     /* without the zeros behind it */
    uint64_t checksum; /* with them, which makes no difference */
} kf_snapshot_section;

/* Emotives of a block: for each row that has some, ascending, a record; each
 * map and item directly behind the one before. All are 8-aligned. */
typedef struct {
    uint32_t at; /* row in the block */
    uint32_t n_maps;
} kf_snapshot_record;

typedef struct {
    uint32_t n_items;
    uint32_t zero;
} kf_snapshot_map;

typedef struct {
    double value;
    uint32_t name_size; /* bytes of UTF-8 that follow, then zeros */
    uint32_t zero;
} kf_snapshot_item;

static inline uint64_t
kf_snapshot_align(uint64_t size)
{
    return (size + KF_SNAPSHOT_ALIGN - 1) & ~(uint64_t)(KF_SNAPSHOT_ALIGN - 1);
}

static inline uint32_t
kf_snapshot_blocks(uint32_t n_rows)
{
    return (uint32_t)(((uint64_t)n_rows + KF_SEGMENT_ROWS - 1) /
                      KF_SEGMENT_ROWS);
}

static inline kf_section_kind
kf_snapshot_kind(uint32_t section)
{
    return (kf_section_kind)(section < KF_SECTIONS_SHARED
                                 ? section
                                 : KF_SECTION_SEGMENT +
                                       (section - KF_SECTIONS_SHARED) %
                                           KF_SECTIONS_OF_BLOCK);
}

static inline uint32_t
kf_snapshot_block(uint32_t section)
{
    return section < KF_SECTIONS_SHARED
               ? 0
               : (section - KF_SECTIONS_SHARED) / KF_SECTIONS_OF_BLOCK;
}

static inline uint32_t
kf_snapshot_section_of(uint32_t block, kf_section_kind kind)
{
    return KF_SECTIONS_SHARED + block * KF_SECTIONS_OF_BLOCK +
           ((uint32_t)kind - KF_SECTION_SEGMENT);
}

/* Where the first section starts. */
static inline uint64_t
kf_snapshot_first(uint32_t n_sections)
{
    return kf_snapshot_align(sizeof(kf_snapshot_header) +
                             n_sections * sizeof(kf_snapshot_section));
}

#endif
