#include "kato_fast/scan.h"

#include "kato_fast/postings.h"

#include <string.h>

struct kf_scan_scratch {
    kf_alloc alloc;
    kf_align_scratch *align;
    kf_postings_scratch *postings; /* made when a segment is met */
    uint16_t *locals;              /* KF_SEGMENT_ROWS candidates */
    uint64_t *rows;  /* bit per row of a segment: it has a match */
    uint32_t *match_of; /* by row of a segment */
    kf_match *matches;  /* of a segment, by local */
    uint32_t *pattern;  /* one read out of a segment */
    kf_postings_key *keys;
};

kf_status
kf_scan_scratch_new(const kf_scan *scan, kf_scan_scratch **out, kf_error *err)
{
    const kf_alloc *alloc = scan->alloc;
    kf_scan_scratch *scratch = kf_allocate_zero(alloc, 1, sizeof *scratch);
    kf_status status;
    if (scratch == NULL) {
        return kf_no_memory(err);
    }
    scratch->alloc = *alloc;
    status = kf_align_scratch_new(alloc, scan->state->align, scan->longest,
                                  &scratch->align, err);
    if (status == KF_OK) {
        scratch->pattern =
            kf_allocate(alloc, 2 * (size_t)scan->longest + 2,
                        sizeof *scratch->pattern);
        scratch->keys =
            kf_allocate(alloc, scan->state->m, sizeof *scratch->keys);
    }
    if (scratch->pattern == NULL || scratch->keys == NULL) {
        kf_scan_scratch_free(scratch);
        return kf_no_memory(err);
    }
    *out = scratch;
    return KF_OK;
}

void
kf_scan_scratch_free(kf_scan_scratch *scratch)
{
    kf_alloc alloc;
    if (scratch == NULL) {
        return;
    }
    alloc = scratch->alloc;
    kf_align_scratch_free(scratch->align);
    kf_postings_scratch_free(scratch->postings);
    kf_release(&alloc, scratch->locals);
    kf_release(&alloc, scratch->rows);
    kf_release(&alloc, scratch->match_of);
    kf_release(&alloc, scratch->matches);
    kf_release(&alloc, scratch->pattern);
    kf_release(&alloc, scratch->keys);
    kf_release(&alloc, scratch);
}

/* What only segments need; made once. */
static bool
reserve_for_segments(kf_scan_scratch *scratch)
{
    const kf_alloc *alloc = &scratch->alloc;
    if (scratch->postings != NULL) {
        return true;
    }
    scratch->locals =
        kf_allocate(alloc, KF_SEGMENT_ROWS, sizeof *scratch->locals);
    scratch->rows = kf_allocate_zero(alloc, KF_SEGMENT_BITMAP_WORDS,
                                     sizeof *scratch->rows);
    scratch->match_of =
        kf_allocate(alloc, KF_SEGMENT_ROWS, sizeof *scratch->match_of);
    scratch->matches =
        kf_allocate(alloc, KF_SEGMENT_ROWS, sizeof *scratch->matches);
    if (scratch->locals == NULL || scratch->rows == NULL ||
        scratch->match_of == NULL || scratch->matches == NULL) {
        return false;
    }
    return kf_postings_scratch_new(alloc, &scratch->postings, NULL) == KF_OK;
}

/* --- one pattern --- */

/* At least `need` symbols repeat the host's comparison; without a block only
 * a threshold of exactly 0 lets a pattern pass. */
static bool
passes(const kf_scan *scan, const kf_alignment *alignment, uint32_t need)
{
    if (alignment->blocks == 0) {
        return scan->threshold == 0.0;
    }
    return alignment->matched >= need;
}

/* Section 6.1 of the host: the present is whole events from the first to the
 * last touched one, and one event before, if that merely contains the first
 * matched symbol. */
static void
find_present(const uint32_t *ids, uint32_t n, const uint32_t *ends,
             uint32_t n_events, const kf_alignment *alignment,
             kf_match *match, uint32_t *future_event)
{
    uint32_t first = alignment->first;
    uint32_t event = 0;
    uint32_t before = 0; /* start of the last past event */
    uint32_t start = 0;
    match->present_start = 0;
    match->present_end = (uint16_t)n;
    *future_event = n_events;
    if (alignment->blocks == 0) {
        return;
    }
    for (; start < first; event++) {
        before = start;
        start = ends[event];
    }
    if (start > 0) {
        uint32_t i = before;
        while (i < start && ids[i] != ids[first]) {
            i++;
        }
        match->present_start = (uint16_t)(i < start ? before : start);
    }
    for (; start < alignment->end; event++) {
        start = ends[event];
    }
    match->present_end = (uint16_t)start;
    *future_event = event;
}

/* The match of a pattern whose alignment was the last on the scratch. */
static void
fill_match(const kf_scan *scan, kf_scan_scratch *scratch, uint32_t row,
           const uint32_t *ids, uint32_t n, uint32_t n_events,
           const kf_alignment *alignment, kf_match *out)
{
    uint32_t future_event;
    out->row = row;
    out->n = (uint16_t)n;
    out->matched = (uint16_t)alignment->matched;
    out->similarity = 2.0 * alignment->matched / (n + scan->state->m);
    if (!scan->regions) {
        return;
    }
    find_present(ids, n, ids + n, n_events, alignment, out, &future_event);
    kf_align_note_seen(scan->state->align, scratch->align, out->present_start,
                       out->present_end);
    kf_score_hash_future(scan->secret, ids + out->present_end,
                         ids + n + future_event, n_events - future_event,
                         out->present_end, out->future_hash);
}

static bool
is_candidate(const kf_scan *scan, const uint32_t *ids, uint32_t n)
{
    return (n < scan->state->m ? n : scan->state->m) >= scan->need[n] &&
           (scan->index == NULL || kf_host_index_finds(scan->index, ids, n));
}

/* --- the open block --- */

static kf_status
scan_head(const kf_scan *scan, kf_scan_scratch *scratch, const kf_head *head,
          uint32_t first, uint32_t end, kf_matches *out, kf_error *err)
{
    for (uint32_t row = first; row < end; row++) {
        const kf_pattern *pattern = head->patterns[row % KF_SEGMENT_ROWS];
        uint32_t n = pattern->n;
        kf_alignment alignment;
        kf_match match;
        if (!is_candidate(scan, pattern->ids, n)) {
            continue;
        }
        kf_align(scan->state->align, scratch->align, pattern->ids, n,
                 scan->need[n], &alignment);
        if (!passes(scan, &alignment, scan->need[n])) {
            continue;
        }
        fill_match(scan, scratch, row, pattern->ids, n, pattern->n_events,
                   &alignment, &match);
        if (!kf_matches_append(scan->alloc, out, &match)) {
            return kf_no_memory(err);
        }
    }
    return KF_OK;
}

/* --- a sealed block --- */

/* The state's distinct symbols that the segment has, with their counts. */
static uint32_t
make_keys(const kf_scan *scan, const kf_segment *segment,
          kf_scan_scratch *scratch)
{
    const kf_state *state = scan->state;
    uint32_t count = 0;
    for (uint32_t k = 0; k < state->n_distinct; k++) {
        uint32_t symbol =
            kf_segment_symbol(segment, state->distinct[k].symbol);
        if (symbol != KF_SYMBOL_NONE) {
            scratch->keys[count].symbol = symbol;
            scratch->keys[count++].count = state->distinct[k].count;
        }
    }
    return count;
}

static uint32_t
all_locals(const kf_segment *segment, uint16_t *out)
{
    uint32_t n = segment->header->n_patterns;
    for (uint32_t local = 0; local < n; local++) {
        out[local] = (uint16_t)local;
    }
    return n;
}

/* The host's index and a threshold that asks for nothing look at every
 * pattern; all other searches at those that share enough symbols. */
static uint32_t
find_locals(const kf_scan *scan, const kf_segment *segment,
            kf_scan_scratch *scratch)
{
    if (scan->index != NULL || !(scan->threshold > 0.0)) {
        return all_locals(segment, scratch->locals);
    }
    return kf_postings_candidates(segment, scratch->keys,
                                  make_keys(scan, segment, scratch),
                                  scan->need, scratch->postings,
                                  scratch->locals);
}

/* Matches of the segment by local, noted by row. */
static uint32_t
align_locals(const kf_scan *scan, kf_scan_scratch *scratch,
             const kf_segment *segment, uint32_t base, uint32_t count)
{
    uint32_t matched = 0;
    for (uint32_t c = 0; c < count; c++) {
        uint32_t local = scratch->locals[c];
        uint32_t *ids = scratch->pattern;
        uint32_t n_events;
        uint32_t n = kf_segment_read(segment, local, ids, &n_events);
        uint32_t at = segment->order[local];
        kf_alignment alignment;
        if (!is_candidate(scan, ids, n)) {
            continue;
        }
        kf_align(scan->state->align, scratch->align, ids, n, scan->need[n],
                 &alignment);
        if (!passes(scan, &alignment, scan->need[n])) {
            continue;
        }
        fill_match(scan, scratch, base + at, ids, n, n_events, &alignment,
                   &scratch->matches[matched]);
        scratch->match_of[at] = matched++;
        scratch->rows[at / 64] |= (uint64_t)1 << (at % 64);
    }
    return matched;
}

/* Rows first..end-1 of the block, in row order; the notes are wiped. */
static bool
append_by_row(const kf_scan *scan, kf_scan_scratch *scratch, uint32_t first,
              uint32_t end, kf_matches *out)
{
    bool done = true;
    for (uint32_t w = 0; w < KF_SEGMENT_BITMAP_WORDS; w++) {
        uint64_t bits = scratch->rows[w];
        scratch->rows[w] = 0;
        for (; bits != 0 && done; bits &= bits - 1) {
            uint32_t at = w * 64 + (uint32_t)__builtin_ctzll(bits);
            if (at >= first && at < end) {
                done = kf_matches_append(
                    scan->alloc, out,
                    &scratch->matches[scratch->match_of[at]]);
            }
        }
    }
    return done;
}

static kf_status
scan_segment(const kf_scan *scan, kf_scan_scratch *scratch,
             const kf_segment *segment, uint32_t first, uint32_t end,
             kf_matches *out, kf_error *err)
{
    uint32_t base = first - first % KF_SEGMENT_ROWS;
    uint32_t count;
    if (!reserve_for_segments(scratch)) {
        return kf_no_memory(err);
    }
    count = find_locals(scan, segment, scratch);
    if (align_locals(scan, scratch, segment, base, count) > 0 &&
        !append_by_row(scan, scratch, first - base, end - base, out)) {
        return kf_no_memory(err);
    }
    return KF_OK;
}

kf_status
kf_scan_rows(const kf_scan *scan, kf_scan_scratch *scratch, uint32_t first,
             uint32_t end, kf_matches *out, kf_error *err)
{
    const kf_block_of_rows *block =
        &scan->root->blocks[first / KF_SEGMENT_ROWS];
    if (block->segment != NULL) {
        return scan_segment(scan, scratch, block->segment, first, end, out,
                            err);
    }
    return scan_head(scan, scratch, block->head, first, end, out, err);
}

void
kf_scan_collect_seen(const kf_scan *scan, const kf_scan_scratch *scratch,
                     uint64_t *seen)
{
    kf_align_collect_seen(scan->state->align, scratch->align, seen);
}
