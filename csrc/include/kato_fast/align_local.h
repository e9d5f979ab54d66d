/* Ratcliff-Obershelp over the patterns of a segment, in batches.
 *
 * The same answers as kf_align (align.h), for states of up to 64 symbols and
 * patterns stored as local symbols of one segment. The state is prepared
 * anew for each segment, which costs about as much as two patterns.
 *
 * A kf_align_local is reused over segments and searches and belongs to one
 * thread at a time. */
#ifndef KATO_FAST_ALIGN_LOCAL_H
#define KATO_FAST_ALIGN_LOCAL_H

#include "kato_fast/align.h"
#include "kato_fast/alloc.h"
#include "kato_fast/cpu.h"
#include "kato_fast/segment.h"
#include "kato_fast/status.h"

#include <stddef.h>
#include <stdint.h>

#define KF_ALIGN_LOCAL_MAX 64u /* symbols of a state */

typedef struct kf_align_local kf_align_local;

/* Where the patterns are; everything is borrowed for the call. */
typedef struct {
    const void *ids;      /* local symbols, pattern after pattern */
    uint32_t id_bytes;    /* 2 or 4 */
    const kf_run *runs;   /* by length, see segment.h, with the sentinel */
    const uint32_t *need; /* by length of the pattern */
} kf_align_source;

/* level: one that kf_cpu_has. */
KF_MUST_USE kf_status kf_align_local_new(const kf_alloc *alloc,
                                         kf_cpu_level level,
                                         kf_align_local **out, kf_error *err);
void kf_align_local_free(kf_align_local *local); /* NULL is allowed */

/* Prepare for a segment of n_symbols symbols, whose longest pattern has
 * n_max. locals[j] is the segment's symbol at position j of the state, m <=
 * KF_ALIGN_LOCAL_MAX, or KF_SYMBOL_NONE where the segment has not got it.
 * After a failure the state prepared before is gone. */
KF_MUST_USE kf_status kf_align_local_prepare(kf_align_local *local,
                                             const uint32_t *locals,
                                             uint32_t m, uint32_t n_symbols,
                                             uint32_t n_max, kf_error *err);

/* Align the count patterns patterns[0] < patterns[1] < ..., numbers as in
 * segment.h: out[c] is what kf_align gives, all zero where fewer than `need`
 * positions of the pattern occur in the state.
 *
 * symbols may be NULL. symbols[c] gets the state positions whose symbol
 * occurs in the pattern; it may hold a few others, but none is missing. */
void kf_align_local_many(kf_align_local *local, const kf_align_source *source,
                         const uint16_t *patterns, size_t count,
                         kf_alignment *out, uint64_t *symbols);

/* The state positions whose symbol occurs at positions from..end-1 of one
 * pattern, which starts at ids. */
uint64_t kf_align_local_seen(const kf_align_local *local, const void *ids,
                             uint32_t id_bytes, uint32_t from, uint32_t end);

/* The state positions whose symbol the segment has. */
uint64_t kf_align_local_known(const kf_align_local *local);

#endif
