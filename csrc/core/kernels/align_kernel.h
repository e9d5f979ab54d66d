/* What the variants of kf_align_local_many, and of aligning one pair, share.
 * Each variant defines
 *
 *     KF_TARGET       the attribute of its functions
 *     KF_LANES        how many patterns it walks at once
 *     walk_lanes(...) the walk
 *     fill_many(...)  a step of the search for runs
 *     find_hits(...)  which symbols of one pattern are in the state
 *
 * and includes align_runs.h, align_batch.h, align_pair.h and align_row.h,
 * which say what they do and hold the rest. */
#ifndef KATO_FAST_KERNELS_ALIGN_KERNEL_H
#define KATO_FAST_KERNELS_ALIGN_KERNEL_H

#include "kato_fast/align_local.h"

#define KF_INLINE static inline __attribute__((always_inline))
#define KF_WORD_BITS 64
#define KF_ALIGN_ROW (KF_WORD_BITS + 8) /* a vector may end behind it */
#define KF_LEVELS 7                     /* runs of 1, 2, 4, ..., 64 */
#define KF_ALIGN_BLOCK 32               /* tasks of one call of a kernel */

/* One pattern of n <= 64 symbols. */
typedef struct {
    const void *ids;
    uint32_t n;
    uint32_t need;
} kf_align_task;

/* Align 1 to KF_ALIGN_BLOCK patterns, none longer than the last. symbols may
 * be NULL. */
typedef void kf_align_kernel(kf_align_local *local, uint32_t id_bytes,
                             const kf_align_task *tasks, uint32_t count,
                             kf_alignment *out, uint64_t *symbols);

/* Working memory of one pattern, see align_runs.h. */
typedef struct {
    uint64_t levels[KF_LEVELS][KF_ALIGN_ROW];
} kf_align_rows;

/* The symbols of a state in a hash table: slot of an id is
 * (id * multiplier) >> shift. */
typedef struct {
    uint64_t mask;   /* bit j is set where the key is at state position j */
    uint32_t key;    /* KF_SYMBOL_NONE: free */
    uint32_t number; /* of the distinct symbol; not for kernels */
} kf_align_slot;

/* A state of m <= 64 symbols, no two of which share a slot. */
typedef struct {
    const kf_align_slot *slots;
    uint32_t multiplier;
    uint32_t shift;
    uint32_t m;
} kf_align_table;

/* Align one pattern of n <= 64 symbols: kf_align, or kf_align_blocks if
 * blocks is not NULL. Returns the positions that occur in the state;
 * rows->levels[0] of those is their state positions. */
typedef uint64_t kf_align_pair(const kf_align_table *table,
                               kf_align_rows *rows, const uint32_t *ids,
                               uint32_t n, uint32_t need, kf_block *blocks,
                               kf_alignment *out);

/* Length of the longest common subsequence of such a pair. */
typedef uint32_t kf_align_subsequence(const kf_align_table *table,
                                      const uint32_t *ids, uint32_t n);

/* A row of difflib's table: to[j] is the length of the run that ends at
 * position j - 1 of the state and at the row's symbol, whose number is
 * `number`; from[j] that of the row before, and begins anew where `follows`
 * is false. count: positions, numbers of them; from[0] is 0. Returns the
 * longest; where that is more than `known`, *first is its first position.
 * longest[j], unless longest is NULL, becomes the longest that ever ended at
 * the position. */
typedef uint32_t kf_align_table_row(const uint16_t *numbers, uint32_t number,
                                    uint32_t count, bool follows,
                                    const uint16_t *from, uint16_t *to,
                                    uint16_t *longest, uint32_t known,
                                    uint32_t *first);

typedef struct {
    kf_align_kernel *many;
    kf_align_pair *pair;
    kf_align_subsequence *lcs;
    kf_align_table_row *row;
} kf_align_variant;

extern const kf_align_variant kf_align_scalar;
#if defined(__x86_64__) && defined(__GNUC__)
extern const kf_align_variant kf_align_avx2;
extern const kf_align_variant kf_align_avx512;
#elif defined(__aarch64__) && defined(__GNUC__)
extern const kf_align_variant kf_align_neon;
#endif

/* level: one that kf_cpu_has. */
const kf_align_variant *kf_align_variant_of(kf_cpu_level level);

struct kf_align_local {
    kf_alloc alloc;
    kf_align_kernel *kernel;
    uint32_t m;
    uint32_t n_distinct;
    uint32_t distinct[KF_WORD_BITS]; /* number - 1 -> local symbol */
    uint64_t known;
    /* masks[number]: the state positions of a symbol; masks[0] is 0. */
    uint64_t masks[KF_WORD_BITS + 1];
    /* By local symbol: 0, or its number. All 0 beside distinct[]. Two steps,
     * since a table of words by local symbol would not stay in the cache. */
    uint8_t *numbers;
    size_t n_numbers;
    /* For patterns of more than 64 symbols, see align_words.h. */
    uint32_t n_max;
    uint32_t *at;
    uint64_t *mask;
    uint64_t *level;
    kf_align_rows rows;
};

KF_INLINE uint32_t
kf_align_id(const void *ids, uint32_t i, uint32_t id_bytes)
{
    return id_bytes == 2 ? ((const uint16_t *)ids)[i]
                         : ((const uint32_t *)ids)[i];
}

/* The state positions of the symbol at position i of a pattern. */
KF_INLINE uint64_t
kf_align_mask(const kf_align_local *local, const void *ids, uint32_t i,
              uint32_t id_bytes)
{
    return local->masks[local->numbers[kf_align_id(ids, i, id_bytes)]];
}

#endif
