/* From a state to its matches: candidates, aligned, block by block.
 *
 * Looks at a kf_root only, without any lock; frequencies come later. Blocks
 * may be scanned in any order and by several threads, each with a scratch of
 * its own; the matches of a block are in row order. */
#ifndef KATO_FAST_SCAN_H
#define KATO_FAST_SCAN_H

#include "kato_fast/candidates.h"
#include "kato_fast/root.h"
#include "kato_fast/score.h"
#include "kato_fast/spares.h"
#include "kato_fast/state.h"
#include "kato_fast/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One question; constant while it is scanned. */
typedef struct {
    const kf_alloc *alloc;
    const kf_root *root;
    const kf_state *state;
    const uint32_t *need; /* by pattern length, 0..longest */
    uint32_t longest;
    kf_generation generation;
    double threshold;
    bool regions; /* also find the present, its state symbols, the future */
    uint64_t secret;
    kf_spares *spares;          /* working memory of earlier scans */
    const kf_host_index *index; /* NULL: every pattern is a candidate */
} kf_scan;

typedef struct kf_scan_scratch kf_scan_scratch;

KF_MUST_USE kf_status kf_scan_scratch_new(const kf_scan *scan,
                                          kf_scan_scratch **out,
                                          kf_error *err);
void kf_scan_scratch_free(kf_scan_scratch *scratch); /* NULL is allowed */

/* Append the matches among rows first..end-1, which are in one block, in row
 * order. Rows of forgotten patterns may be among them. */
KF_MUST_USE kf_status kf_scan_rows(const kf_scan *scan,
                                   kf_scan_scratch *scratch, uint32_t first,
                                   uint32_t end, kf_matches *out,
                                   kf_error *err);

/* Add the state positions whose symbol some match has in its present: bit j
 * of seen[(m + 63) / 64] words. */
void kf_scan_collect_seen(const kf_scan *scan, const kf_scan_scratch *scratch,
                          uint64_t *seen);

#endif
