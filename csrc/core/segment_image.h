/* What building, opening and checking a segment share. Internal to them. */
#ifndef KATO_FAST_SEGMENT_IMAGE_H
#define KATO_FAST_SEGMENT_IMAGE_H

#include "kato_fast/segment.h"

/* "KFSEG" and the version of the layout, as a little-endian number: a
 * foreign byte order does not pass. */
#define KF_SEGMENT_MAGIC 0x0002004745534b46u
#define KF_SEGMENT_ALIGN 64u
/* Symbols are told by their distance where that is below the number of ids
 * and this. */
#define KF_SEGMENT_RANGE 65536u

/* Set the offsets and high_bits by the counts in the header. */
void kf_segment_layout(kf_segment_header *header);

/* Bytes of an image whose header has its offsets; n_array: postings that are
 * not in bitmaps. */
uint64_t kf_segment_size(const kf_segment_header *header, uint64_t n_array);

/* A segment of one share over an image whose header is laid out. Takes
 * `block` (may be NULL) with it where it succeeds; NULL without memory. */
kf_segment *kf_segment_new(const kf_alloc *alloc, const void *image,
                           void *block);

/* KF_INVALID with the reason, before and after kf_segment_new: no offset
 * leaves the image; then all that searches rely on. Time grows with the
 * image, memory is not taken. */
kf_status kf_segment_check_header(const void *image, size_t size,
                                  kf_error *err);
kf_status kf_segment_check(const kf_segment *segment, kf_error *err);

/* A power of two, so that no symbol's bits are in two bytes. */
static inline uint32_t
kf_segment_high_bits(uint32_t n_symbols)
{
    uint32_t bits = n_symbols > 65536 ? 1 : 0;
    while (bits != 0 && bits < 16 && (n_symbols - 1) >> (16 + bits) != 0) {
        bits *= 2;
    }
    return bits;
}

static inline bool
kf_segment_has_few_runs(const kf_segment_header *header)
{
    return header->n_runs <= 256;
}

static inline uint32_t
kf_segment_groups(const kf_segment_header *header)
{
    return (uint32_t)(((uint64_t)header->n_lists + KF_GROUP_LISTS - 1) /
                      KF_GROUP_LISTS);
}

static inline uint32_t
kf_segment_slot(const kf_segment_header *header, uint32_t global)
{
    /* The upper bits of the product are the mixed ones. */
    uint64_t product = (uint64_t)global * header->multiplier & UINT32_MAX;
    return (uint32_t)((product * header->n_slots) >> 32);
}

#endif
