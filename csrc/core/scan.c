#include "kato_fast/scan.h"

#include "kato_fast/align_local.h"
#include "kato_fast/postings.h"

#include <string.h>

/* What does not depend on the question, large and worth keeping. */
typedef struct {
    kf_alloc alloc;
    kf_align_local *local;
    kf_postings_scratch *postings;
    uint16_t *locals;   /* KF_SEGMENT_ROWS candidates */
    uint64_t *rows;     /* bit per row of a segment: it has a match */
    uint32_t *match_of; /* by row of a segment */
    kf_match *matches;  /* of a segment, by local */
    uint64_t *hash_room;
    size_t hash_capacity;
    uint32_t *wide; /* WIDE_MAX symbols that take more than 16 bits, once
                     * there are some */
} buffers;

struct kf_scan_scratch {
    kf_alloc alloc;
    kf_spares *spares;
    kf_align_scratch *align;
    uint64_t seen; /* state positions that fast matches have in the present */
    buffers *room; /* while a segment is scanned */
    uint32_t n_matches;
    const uint64_t *hashed; /* by symbol of the segment, or NULL */
    uint32_t *symbols;      /* of the state, in the segment's numbers */
    uint32_t *pattern;      /* one read out of a segment */
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
    scratch->spares = scan->spares;
    status = kf_align_scratch_new(alloc, scan->state->align, scan->longest,
                                  &scratch->align, err);
    if (status == KF_OK) {
        scratch->pattern = kf_allocate(alloc, 2 * (size_t)scan->longest + 2,
                                       sizeof *scratch->pattern);
        scratch->keys =
            kf_allocate(alloc, scan->state->m, sizeof *scratch->keys);
        scratch->symbols =
            kf_allocate(alloc, scan->state->m, sizeof *scratch->symbols);
    }
    if (scratch->pattern == NULL || scratch->keys == NULL ||
        scratch->symbols == NULL) {
        kf_scan_scratch_free(scratch);
        return kf_no_memory(err);
    }
    *out = scratch;
    return KF_OK;
}

static void
free_buffers(void *item)
{
    buffers *room = item;
    kf_alloc alloc = room->alloc;
    kf_align_local_free(room->local);
    kf_postings_scratch_free(room->postings);
    kf_release(&alloc, room->locals);
    kf_release(&alloc, room->rows);
    kf_release(&alloc, room->match_of);
    kf_release(&alloc, room->matches);
    kf_release(&alloc, room->hash_room);
    kf_release(&alloc, room->wide);
    kf_release(&alloc, room);
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
    kf_release(&alloc, scratch->pattern);
    kf_release(&alloc, scratch->keys);
    kf_release(&alloc, scratch->symbols);
    kf_release(&alloc, scratch);
}

static kf_status
make_buffers(const kf_alloc *alloc, buffers **out, kf_error *err)
{
    buffers *room = kf_allocate_zero(alloc, 1, sizeof *room);
    kf_status status;
    if (room == NULL) {
        return kf_no_memory(err);
    }
    room->alloc = *alloc;
    room->locals = kf_allocate(alloc, KF_SEGMENT_ROWS, sizeof *room->locals);
    room->rows =
        kf_allocate_zero(alloc, KF_SEGMENT_BITMAP_WORDS, sizeof *room->rows);
    room->match_of =
        kf_allocate(alloc, KF_SEGMENT_ROWS, sizeof *room->match_of);
    room->matches = kf_allocate(alloc, KF_SEGMENT_ROWS, sizeof *room->matches);
    status = kf_postings_scratch_new(alloc, &room->postings, err);
    if (status == KF_OK) {
        status = kf_align_local_new(alloc, kf_cpu_choose(), &room->local, err);
    }
    if (status != KF_OK || room->locals == NULL || room->rows == NULL ||
        room->match_of == NULL || room->matches == NULL) {
        free_buffers(room);
        return kf_no_memory(err);
    }
    *out = room;
    return KF_OK;
}

/* Room is large, and most of all it is warm: whoever scans next gets it. */
static kf_status
take_room(kf_scan_scratch *scratch, kf_error *err)
{
    scratch->room = kf_spares_take(scratch->spares);
    return scratch->room != NULL
               ? KF_OK
               : make_buffers(&scratch->alloc, &scratch->room, err);
}

static void
give_room(kf_scan_scratch *scratch)
{
    kf_spares_give(scratch->spares, scratch->room, free_buffers);
    scratch->room = NULL;
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

/* Align the pattern where it passes. common: the symbols that its similarity
 * counts. KATO 2.1 counts a subsequence, of which any threshold above 0 needs
 * a symbol, and then looks for blocks. */
static bool
compare(const kf_scan *scan, kf_scan_scratch *scratch, const uint32_t *ids,
        uint32_t n, kf_alignment *alignment, uint32_t *common)
{
    const kf_align_state *state = scan->state->align;
    if (scan->generation == KF_KATO_2_1) {
        *common = kf_align_lcs(state, scratch->align, ids, n);
        if (*common >= scan->need[n]) {
            kf_align(state, scratch->align, ids, n, 0, alignment);
        }
        return *common >= scan->need[n];
    }
    kf_align(state, scratch->align, ids, n, scan->need[n], alignment);
    *common = alignment->matched;
    return passes(scan, alignment, scan->need[n]);
}

/* The first event that starts at or behind the position, n_events where none
 * does: events are few, and those of one symbol need no search. */
static uint32_t
event_from(const uint32_t *ends, uint32_t n, uint32_t n_events,
           uint32_t position)
{
    uint32_t event = 0;
    if (n == n_events || position == 0) {
        return position;
    }
    while (ends[event] < position) {
        event++;
    }
    return event + 1;
}

static inline uint32_t
start_of(const uint32_t *ends, uint32_t event)
{
    return event == 0 ? 0 : ends[event - 1];
}

/* Section 6.1 of the host: the present is whole events from the first to the
 * last touched one, and one event before, if that merely contains the first
 * matched symbol. */
static void
find_present(const uint32_t *ids, uint32_t n, const uint32_t *ends,
             uint32_t n_events, const kf_alignment *alignment, kf_match *match,
             uint32_t *future_event)
{
    uint32_t event = event_from(ends, n, n_events, alignment->first);
    match->present_start = 0;
    match->present_end = (uint16_t)n;
    *future_event = n_events;
    if (alignment->blocks == 0) {
        return;
    }
    if (event > 0) {
        uint32_t start = start_of(ends, event);
        uint32_t i = start_of(ends, event - 1);
        while (i < start && ids[i] != ids[alignment->first]) {
            i++;
        }
        event -= i < start;
    }
    match->present_start = (uint16_t)start_of(ends, event);
    *future_event = event_from(ends, n, n_events, alignment->end);
    match->present_end = (uint16_t)start_of(ends, *future_event);
}

/* Symbols from position i on, which begin with the event. */
static void
hash_future(uint64_t secret, const uint32_t *ids, uint32_t i,
            const uint32_t *ends, uint32_t event, uint32_t n_events,
            uint64_t out[2])
{
    kf_future_hash hash;
    kf_future_hash_start(&hash);
    for (; event < n_events; event++) {
        for (; i < ends[event]; i++) {
            kf_future_hash_symbol(&hash, kf_future_symbol(secret, ids[i]));
        }
        kf_future_hash_event(&hash);
    }
    kf_future_hash_finish(&hash, out);
}

/* The match of a pattern whose alignment was the last on the scratch. */
static void
fill_match(const kf_scan *scan, kf_scan_scratch *scratch, uint32_t row,
           const uint32_t *ids, uint32_t n, uint32_t n_events,
           const kf_alignment *alignment, uint32_t common, kf_match *out)
{
    uint32_t future_event;
    out->row = row;
    out->n = (uint16_t)n;
    out->matched = (uint16_t)alignment->matched;
    out->similarity =
        kf_similarity(scan->generation, common, n + scan->state->m);
    if (!scan->regions) {
        return;
    }
    find_present(ids, n, ids + n, n_events, alignment, out, &future_event);
    kf_align_note_seen(scan->state->align, scratch->align, out->present_start,
                       out->present_end);
    hash_future(scan->secret, ids, out->present_end, ids + n, future_event,
                n_events, out->future_hash);
}

static bool
is_candidate(const kf_scan *scan, const uint32_t *ids, uint32_t n)
{
    return (n < scan->state->m ? n : scan->state->m) >= scan->need[n] &&
           (scan->index == NULL || kf_host_index_finds(scan->index, ids, n));
}

/* --- the open block --- */

static kf_status
scan_open_rows(const kf_scan *scan, kf_scan_scratch *scratch,
               const kf_head *head, uint32_t first, uint32_t end,
               kf_matches *out, kf_error *err)
{
    for (uint32_t row = first; row < end; row++) {
        const kf_pattern *pattern = head->patterns[row % KF_SEGMENT_ROWS];
        uint32_t n = pattern->n;
        kf_alignment alignment;
        uint32_t common;
        kf_match match;
        if (head->gone[row % KF_SEGMENT_ROWS] != 0 ||
            !is_candidate(scan, pattern->ids, n) ||
            !compare(scan, scratch, pattern->ids, n, &alignment, &common)) {
            continue;
        }
        fill_match(scan, scratch, row, pattern->ids, n, pattern->n_events,
                   &alignment, common, &match);
        if (!kf_matches_append(scan->alloc, out, &match)) {
            return kf_no_memory(err);
        }
    }
    return KF_OK;
}

/* --- a sealed block --- */

/* The state in the segment's own symbols. */
static void
find_symbols(const kf_scan *scan, const kf_segment *segment,
             kf_scan_scratch *scratch)
{
    const kf_state *state = scan->state;
    kf_segment_prefetch(segment, state->ids, state->m);
    for (uint32_t j = 0; j < state->m; j++) {
        scratch->symbols[j] = state->ids[j] != KF_SYMBOL_NONE
                                  ? kf_segment_symbol(segment, state->ids[j])
                                  : KF_SYMBOL_NONE;
    }
}

/* The distinct ones that the segment has, with their counts. */
static uint32_t
make_keys(const kf_scan *scan, kf_scan_scratch *scratch)
{
    const kf_state *state = scan->state;
    uint32_t count = 0;
    for (uint32_t k = 0; k < state->n_distinct; k++) {
        uint32_t symbol = scratch->symbols[state->distinct[k].first];
        if (symbol != KF_SYMBOL_NONE) {
            scratch->keys[count++] =
                (kf_postings_key){symbol, state->distinct[k].count};
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
        return all_locals(segment, scratch->room->locals);
    }
    return kf_postings_candidates(
        segment, scratch->keys, make_keys(scan, scratch), scan->need,
        scratch->room->postings, scratch->room->locals);
}

static kf_match *
note_match(kf_scan_scratch *scratch, uint32_t at)
{
    scratch->room->match_of[at] = scratch->n_matches;
    scratch->room->rows[at / 64] |= (uint64_t)1 << (at % 64);
    return &scratch->room->matches[scratch->n_matches++];
}

/* One by one, read out: any state, any index, any generation. */
static void
align_slowly(const kf_scan *scan, kf_scan_scratch *scratch,
             const kf_segment *segment, uint32_t base, uint32_t count)
{
    for (uint32_t c = 0; c < count; c++) {
        uint32_t local = scratch->room->locals[c];
        uint32_t *ids = scratch->pattern;
        uint32_t n_events;
        uint32_t n = kf_segment_read(segment, local, ids, &n_events);
        uint32_t at = segment->order[local];
        kf_alignment alignment;
        uint32_t common;
        if (is_candidate(scan, ids, n) &&
            compare(scan, scratch, ids, n, &alignment, &common)) {
            fill_match(scan, scratch, base + at, ids, n, n_events, &alignment,
                       common, note_match(scratch, at));
        }
    }
}

/* The first event end at or behind position i of the segment's ids. */
static uint64_t
end_from(const kf_segment *segment, uint64_t i)
{
    uint64_t w = i / 64;
    uint64_t bits;
    if (segment->ends == NULL) {
        return i;
    }
    bits = segment->ends[w] & (~(uint64_t)0 << (i % 64));
    while (bits == 0) {
        bits = segment->ends[++w];
    }
    return w * 64 + (uint64_t)__builtin_ctzll(bits);
}

/* The start of the event that ends at i; the pattern starts at `first`. */
static uint64_t
start_before(const kf_segment *segment, uint64_t i, uint64_t first)
{
    while (i > first && !kf_segment_is_end(segment, i - 1)) {
        i--;
    }
    return i;
}

/* As find_present, on the bits of the segment. offset: of the pattern. */
static void
find_present_in(const kf_segment *segment, uint64_t offset, uint32_t n,
                const kf_alignment *alignment, kf_match *match)
{
    uint64_t first = offset + alignment->first;
    uint64_t start = offset;
    match->present_start = 0;
    match->present_end = (uint16_t)n;
    if (alignment->blocks == 0) {
        return;
    }
    if (alignment->first > 0) {
        start = end_from(segment, first - 1) + 1;
    }
    if (start > offset) {
        uint64_t before = start_before(segment, start - 1, offset);
        uint64_t i = before;
        while (i < start &&
               kf_segment_id(segment, i) != kf_segment_id(segment, first)) {
            i++;
        }
        start = i < start ? before : start;
    }
    match->present_start = (uint16_t)(start - offset);
    match->present_end =
        (uint16_t)(end_from(segment, offset + alignment->end - 1) + 1 -
                   offset);
}

static void
hash_future_in(const kf_scan *scan, const kf_segment *segment,
               const uint64_t *hashed, uint64_t offset, const kf_match *match,
               uint64_t out[2])
{
    kf_future_hash hash;
    kf_future_hash_start(&hash);
    for (uint64_t i = offset + match->present_end; i < offset + match->n;
         i++) {
        uint32_t symbol = kf_segment_id(segment, i);
        kf_future_hash_symbol(
            &hash, hashed != NULL
                       ? hashed[symbol]
                       : kf_future_symbol(scan->secret,
                                          kf_segment_global(segment, symbol)));
        if (kf_segment_is_end(segment, i)) {
            kf_future_hash_event(&hash);
        }
    }
    kf_future_hash_finish(&hash, out);
}

/* Candidates that are aligned at a time; of a segment with more symbols than
 * 16 bits can tell as many as have no more than so many together, or one. */
#define BATCH 256u
#define WIDE_MAX 65536u

static void
fill_match_in(const kf_scan *scan, kf_scan_scratch *scratch,
              const kf_segment *segment, const kf_run *run, uint64_t offset,
              const kf_alignment *alignment, kf_match *out)
{
    out->n = (uint16_t)run->n;
    out->matched = (uint16_t)alignment->matched;
    out->similarity = kf_similarity(scan->generation, alignment->matched,
                                    run->n + scan->state->m);
    if (scan->regions) {
        find_present_in(segment, offset, run->n, alignment, out);
        hash_future_in(scan, segment, scratch->hashed, offset, out,
                       out->future_hash);
    }
}

/* symbols: positions of the state that may be in the pattern. */
static void
note_seen(kf_scan_scratch *scratch, uint64_t symbols, const void *ids,
          uint32_t id_bytes, const kf_match *match)
{
    const kf_align_local *local = scratch->room->local;
    if ((symbols & kf_align_local_known(local) & ~scratch->seen) != 0) {
        scratch->seen |= kf_align_local_seen(
            local, ids, id_bytes, match->present_start, match->present_end);
    }
}

/* Some candidates of a segment. */
typedef struct {
    const uint16_t *locals;
    uint32_t count;
    uint32_t base;     /* row of the segment's first */
    const kf_run *run; /* of the first candidate, or one before it */
    kf_alignment alignments[BATCH];
    uint64_t symbols[BATCH];
} batch;

static inline uint64_t
offset_of(const kf_run *run, uint32_t local)
{
    return run->offset + (uint64_t)(local - run->first) * run->n;
}

/* Those of a batch that pass, with their alignments. wide: their symbols where
 * the segment's are not in one place, else NULL. */
static void
take_matches(const kf_scan *scan, kf_scan_scratch *scratch,
             const kf_segment *segment, const batch *of, const uint32_t *wide)
{
    const kf_run *run = of->run;
    for (uint32_t c = 0; c < of->count; c++) {
        uint32_t local = of->locals[c];
        uint64_t offset;
        while (local >= run[1].first) {
            run++;
        }
        offset = offset_of(run, local);
        if (passes(scan, &of->alignments[c], scan->need[run->n])) {
            uint32_t at = segment->order[local];
            kf_match *match = note_match(scratch, at);
            match->row = of->base + at;
            fill_match_in(scan, scratch, segment, run, offset,
                          &of->alignments[c], match);
            if (scan->regions && wide != NULL) {
                note_seen(scratch, of->symbols[c], wide, 4, match);
            }
            else if (scan->regions) {
                note_seen(scratch, of->symbols[c], segment->ids + offset, 2,
                          match);
            }
        }
        wide = wide != NULL ? wide + run->n : NULL;
    }
}

static void
align_narrow(const kf_scan *scan, kf_scan_scratch *scratch,
             const kf_segment *segment, batch *of)
{
    kf_align_source source = {segment->ids, 2, of->run, scan->need};
    kf_align_local_many(scratch->room->local, &source, of->locals, of->count,
                        of->alignments, scan->regions ? of->symbols : NULL);
    take_matches(scan, scratch, segment, of, NULL);
}

/* Symbols of the first patterns of the batch, as many as there is room for,
 * one pattern behind the other. runs: what they are then. */
static void
widen(const kf_segment *segment, batch *of, uint32_t *wide, kf_run *runs)
{
    const kf_run *run = of->run;
    uint32_t total = 0;
    uint32_t length = 0;
    uint32_t c = 0;
    for (; c < of->count; c++) {
        while (of->locals[c] >= run[1].first) {
            run++;
        }
        if (run->n > WIDE_MAX - total) {
            break;
        }
        if (run->n != length) {
            length = run->n;
            *runs++ = (kf_run){length, c, total};
        }
        kf_segment_widen(segment, offset_of(run, of->locals[c]), length,
                         wide + total);
        total += length;
    }
    *runs = (kf_run){0, c, total};
    of->count = c;
}

static void
align_wide(const kf_scan *scan, kf_scan_scratch *scratch,
           const kf_segment *segment, batch *of)
{
    kf_run runs[BATCH + 1];
    uint16_t numbers[BATCH];
    kf_align_source source = {scratch->room->wide, 4, runs, scan->need};
    widen(segment, of, scratch->room->wide, runs);
    for (uint32_t c = 0; c < of->count; c++) {
        numbers[c] = (uint16_t)c;
    }
    kf_align_local_many(scratch->room->local, &source, numbers, of->count,
                        of->alignments, scan->regions ? of->symbols : NULL);
    take_matches(scan, scratch, segment, of, scratch->room->wide);
}

/* What each of the segment's symbols adds to the hash of a future, where the
 * candidates are so many that most of it will be asked for. */
static bool
hash_symbols(const kf_scan *scan, kf_scan_scratch *scratch,
             const kf_segment *segment, uint32_t count)
{
    uint32_t n = segment->header->n_symbols;
    void *room = scratch->room->hash_room;
    scratch->hashed = NULL;
    if (!scan->regions || count < n / 4) {
        return true;
    }
    if (!kf_grow(&scratch->alloc, &room, &scratch->room->hash_capacity, n,
                 sizeof *scratch->room->hash_room)) {
        return false;
    }
    scratch->hashed = scratch->room->hash_room = room;
    for (uint32_t symbol = 0; symbol < n; symbol++) {
        scratch->room->hash_room[symbol] =
            kf_future_symbol(scan->secret, kf_segment_global(segment, symbol));
    }
    return true;
}

static bool
ensure_wide(kf_scan_scratch *scratch, const kf_segment *segment)
{
    buffers *room = scratch->room;
    if (segment->high != NULL && room->wide == NULL) {
        room->wide =
            kf_allocate(&scratch->alloc, WIDE_MAX, sizeof *room->wide);
    }
    return segment->high == NULL || room->wide != NULL;
}

static void
align_all(const kf_scan *scan, kf_scan_scratch *scratch,
          const kf_segment *segment, uint32_t base, uint32_t count)
{
    batch of;
    of.base = base;
    of.run = segment->runs;
    for (uint32_t c = 0; c < count; c += of.count) {
        of.locals = scratch->room->locals + c;
        of.count = count - c < BATCH ? count - c : BATCH;
        while (*of.locals >= of.run[1].first) {
            of.run++;
        }
        if (segment->high != NULL) {
            align_wide(scan, scratch, segment, &of);
        }
        else {
            align_narrow(scan, scratch, segment, &of);
        }
    }
}

static kf_status
align_fast(const kf_scan *scan, kf_scan_scratch *scratch,
           const kf_segment *segment, uint32_t base, uint32_t count,
           kf_error *err)
{
    const kf_segment_header *header = segment->header;
    kf_status status = kf_align_local_prepare(
        scratch->room->local, scratch->symbols, scan->state->m,
        header->n_symbols, segment->runs[header->n_runs - 1].n, err);
    if (status != KF_OK) {
        return status;
    }
    if (!hash_symbols(scan, scratch, segment, count) ||
        !ensure_wide(scratch, segment)) {
        return kf_no_memory(err);
    }
    align_all(scan, scratch, segment, base, count);
    return KF_OK;
}

/* Rows first..end-1 of the block, in row order; the notes are wiped. */
static bool
append_by_row(const kf_scan *scan, kf_scan_scratch *scratch, uint32_t first,
              uint32_t end, kf_matches *out)
{
    bool done = kf_matches_reserve(scan->alloc, out, scratch->n_matches);
    for (uint32_t w = 0; w < KF_SEGMENT_BITMAP_WORDS; w++) {
        uint64_t bits = scratch->room->rows[w];
        scratch->room->rows[w] = 0;
        for (; bits != 0 && done; bits &= bits - 1) {
            uint32_t at = w * 64 + (uint32_t)__builtin_ctzll(bits);
            if (at >= first && at < end) {
                out->items[out->count++] =
                    scratch->room->matches[scratch->room->match_of[at]];
            }
        }
    }
    return done;
}

static kf_status
scan_in_room(const kf_scan *scan, kf_scan_scratch *scratch,
             const kf_segment *segment, uint32_t first, uint32_t end,
             kf_matches *out, kf_error *err)
{
    uint32_t base = first - first % KF_SEGMENT_ROWS;
    kf_status status = KF_OK;
    uint32_t count;
    scratch->n_matches = 0;
    find_symbols(scan, segment, scratch);
    count = find_locals(scan, segment, scratch);
    if (count == 0) {
        return KF_OK;
    }
    if (scan->state->m > KF_ALIGN_LOCAL_MAX || scan->index != NULL ||
        scan->generation == KF_KATO_2_1) {
        align_slowly(scan, scratch, segment, base, count);
    }
    else {
        status = align_fast(scan, scratch, segment, base, count, err);
    }
    if (status == KF_OK && scratch->n_matches > 0 &&
        !append_by_row(scan, scratch, first - base, end - base, out)) {
        status = kf_no_memory(err);
    }
    return status;
}

static kf_status
scan_segment(const kf_scan *scan, kf_scan_scratch *scratch,
             const kf_segment *segment, uint32_t first, uint32_t end,
             kf_matches *out, kf_error *err)
{
    kf_status status = take_room(scratch, err);
    if (status == KF_OK) {
        status = scan_in_room(scan, scratch, segment, first, end, out, err);
        give_room(scratch);
    }
    return status;
}

/* Rows that are in pieces by those, the rest one by one. A piece with rows
 * that the search was not told of may have longer patterns than it has room
 * for. */
static kf_status
scan_head(const kf_scan *scan, kf_scan_scratch *scratch, const kf_head *head,
          uint32_t first, uint32_t end, kf_matches *out, kf_error *err)
{
    uint32_t base = first - first % KF_SEGMENT_ROWS;
    unsigned n_pieces =
        atomic_load_explicit(&head->n_pieces, memory_order_acquire);
    uint32_t number = (first - base) / KF_HEAD_PIECE;
    uint32_t stop = base + (number + 1) * KF_HEAD_PIECE;
    kf_status status = KF_OK;
    for (; number < n_pieces && stop <= end && status == KF_OK; number++) {
        status = scan_segment(scan, scratch, head->pieces[number], first, stop,
                              out, err);
        first = stop;
        stop += KF_HEAD_PIECE;
    }
    if (status == KF_OK && first < end) {
        status = scan_open_rows(scan, scratch, head, first, end, out, err);
    }
    return status;
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
    seen[0] |= scratch->seen;
}
