#include "align_kernel.h"

#define KF_TARGET
#define KF_LANES 1

#include "align_runs.h"

KF_INLINE void
walk_lanes(const kf_align_local *local, const kf_align_task *lanes,
           uint32_t n, uint32_t id_bytes, walk *out)
{
    walk sum = {{0}, {0}, {0}, {0}};
    uint64_t allowed = ~(uint64_t)0;
    uint64_t before = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t mask = kf_align_mask(local, lanes->ids, i, id_bytes);
        uint64_t bit = (uint64_t)1 << i;
        sum.hits[0] |= bit & ((uint64_t)0 - (mask != 0));
        sum.ends[0] |= bit & ((uint64_t)0 - (((before << 1) & mask) != 0));
        sum.taken[0] |= step(mask & allowed, bit, &allowed);
        sum.symbols[0] |= mask;
        before = mask;
    }
    *out = sum;
}

void
kf_align_kernel_scalar(kf_align_local *local, uint32_t id_bytes,
                       const kf_align_task *tasks, uint32_t count,
                       kf_alignment *out, uint64_t *symbols)
{
    align_any(local, id_bytes, tasks, count, out, symbols);
}
