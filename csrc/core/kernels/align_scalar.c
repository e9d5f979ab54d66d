#include "align_kernel.h"

#define KF_TARGET
#define KF_LANES 1

#include "align_runs.h"
#include "align_batch.h"
#include "align_pair.h"
#include "align_row.h"

/* Positions whose symbol is in the state, ascending. Without a branch, which
 * the processor could not predict; one more than count is written to. */
KF_INLINE uint32_t
find_local_hits(const kf_align_local *local, const void *ids, uint32_t n,
                uint32_t id_bytes, uint8_t *at)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        at[count] = (uint8_t)i;
        count += local->numbers[kf_align_id(ids, i, id_bytes)] != 0;
    }
    return count;
}

KF_INLINE void
walk_lanes(const kf_align_local *local, const kf_align_task *lanes, uint32_t n,
           uint32_t id_bytes, walk *out)
{
    uint8_t at[KF_WORD_BITS + 1];
    uint32_t count = find_local_hits(local, lanes->ids, n, id_bytes, at);
    walk sum = {{0}, {0}, {0}, {0}};
    uint64_t allowed = ~(uint64_t)0;
    uint64_t before = 0;
    for (uint32_t p = 0; p < count; p++) {
        uint64_t mask = kf_align_mask(local, lanes->ids, at[p], id_bytes);
        uint64_t bit = (uint64_t)1 << at[p];
        uint64_t both = (before << 1) & mask;
        bool follows = (sum.hits[0] & (bit >> 1)) != 0;
        sum.ends[0] |= bit & ((uint64_t)0 - ((both != 0) & follows));
        sum.hits[0] |= bit;
        sum.taken[0] |= step(mask & allowed, bit, &allowed);
        sum.symbols[0] |= mask;
        before = mask;
    }
    *out = sum;
}

KF_INLINE uint64_t
fill_many(const uint64_t *below, uint32_t by, uint32_t first, uint32_t last,
          uint64_t *level, uint64_t *columns)
{
    uint64_t found = 0;
    for (uint32_t i = first; i <= last; i++) {
        uint64_t word = (below[i - by] << by) & below[i];
        level[i] = word;
        *columns |= word;
        found |= (uint64_t)(word != 0) << i;
    }
    return found;
}

KF_INLINE uint64_t
find_many(const uint64_t *below, uint32_t by, uint64_t rest, uint64_t allowed)
{
    for (; rest != 0; rest &= rest - 1) {
        uint32_t i = (uint32_t)__builtin_ctzll(rest);
        if ((below[i] & (below[i - by] << by) & allowed) != 0) {
            break;
        }
    }
    return rest;
}

KF_INLINE uint64_t
find_hits(const kf_align_table *table, const uint32_t *ids, uint32_t n)
{
    return find_hits_singly(table, ids, n);
}

static void
many(kf_align_local *local, uint32_t id_bytes, const kf_align_task *tasks,
     uint32_t count, kf_alignment *out, uint64_t *symbols)
{
    align_any(local, id_bytes, tasks, count, out, symbols);
}

const kf_align_variant kf_align_scalar = {many, pair, lcs, row};
