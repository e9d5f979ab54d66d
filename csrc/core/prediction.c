#include "kato_fast/prediction.h"

#include "kato_fast/decimal.h"
#include "kato_fast/scan.h"

#include <string.h>

/* --- the distinct symbols of present and state --- */

/* Symbol ids to indexes into uses: open addressing, at most half full; a
 * stamp of an earlier prediction counts as free. */
typedef struct {
    uint32_t id;
    uint32_t stamp;
    uint32_t use;
} use_slot;

typedef struct {
    use_slot *slots;
    uint32_t shift;
    uint32_t mask;
    uint32_t stamp;
    kf_symbol_use *uses;
    uint32_t n_uses;
    uint32_t *present;
    uint32_t *ids; /* by use */
} use_table;

static void
free_use_table(const kf_alloc *alloc, use_table *table)
{
    kf_release(alloc, table->slots);
    kf_release(alloc, table->uses);
    kf_release(alloc, table->present);
    kf_release(alloc, table->ids);
}

static bool
make_use_table(const kf_alloc *alloc, uint32_t n, uint32_t m, use_table *table)
{
    uint32_t bits = 4;
    size_t most = (size_t)n + m;
    while (((size_t)1 << bits) < 2 * most) {
        bits++;
    }
    table->slots =
        kf_allocate_zero(alloc, (size_t)1 << bits, sizeof *table->slots);
    table->shift = 32 - bits;
    table->mask = ((uint32_t)1 << bits) - 1;
    table->stamp = 0;
    table->uses = kf_allocate(alloc, most, sizeof *table->uses);
    table->present = kf_allocate(alloc, most, sizeof *table->present);
    table->ids = kf_allocate(alloc, most, sizeof *table->ids);
    if (table->slots == NULL || table->uses == NULL ||
        table->present == NULL || table->ids == NULL) {
        free_use_table(alloc, table);
        return false;
    }
    return true;
}

static use_slot *
find_use(const use_table *table, uint32_t id)
{
    uint32_t at = (id * 0x9e3779b1u) >> table->shift;
    while (table->slots[at].stamp == table->stamp &&
           table->slots[at].id != id) {
        at = (at + 1) & table->mask;
    }
    return &table->slots[at];
}

static uint32_t
ensure_use(use_table *table, uint32_t id)
{
    use_slot *slot = find_use(table, id);
    if (slot->stamp != table->stamp) {
        *slot = (use_slot){id, table->stamp, table->n_uses};
        table->ids[table->n_uses] = id;
        table->uses[table->n_uses++] = (kf_symbol_use){0.0, 0, 0};
    }
    return slot->use;
}

/* --- one question --- */

typedef struct {
    const kf_alloc *alloc;
    kf_knowledge *knowledge;
    kf_root *root; /* a share */
    kf_state *state;
    kf_knowledge_view view;
    kf_scan scan;
    kf_host_index index;
    uint32_t *need;
    kf_scan_scratch **scratches; /* one a worker, made when it works */
    unsigned n_scratches;
    kf_align_scratch *align;
    kf_matches matches;
    uint64_t *seen;   /* state positions that some present has */
    uint32_t scanned; /* rows below are done */
    use_table uses;
    bool has_uses;
} search;

static void
end_search(search *s)
{
    for (unsigned i = 0; s->scratches != NULL && i < s->n_scratches; i++) {
        kf_scan_scratch_free(s->scratches[i]);
    }
    kf_release(s->alloc, s->scratches);
    kf_align_scratch_free(s->align);
    kf_matches_free(s->alloc, &s->matches);
    if (s->has_uses) {
        free_use_table(s->alloc, &s->uses);
    }
    kf_release(s->alloc, s->need);
    kf_release(s->alloc, s->seen);
    kf_state_free(s->state);
    kf_root_release(s->root);
    memset(s, 0, sizeof *s);
}

/* Whether the host's index would call the length of any pattern similar. */
static bool
any_similar(const search *s)
{
    for (uint32_t row = 0; row < s->view.n_rows; row++) {
        if (kf_knowledge_frequency(s->knowledge, row) != 0 &&
            kf_host_index_is_similar(&s->index,
                                     kf_root_length(s->root, row))) {
            return true;
        }
    }
    return false;
}

/* Take what the search looks at, under the lock; encode the state, since
 * learning changes the symbols. */
static kf_status
take_view(search *s, const kf_text *texts, uint32_t m, kf_error *err)
{
    kf_status status;
    kf_knowledge_lock_shared(s->knowledge);
    s->view = kf_knowledge_look(s->knowledge);
    s->root = kf_root_share(s->view.root);
    status =
        kf_state_encode(s->alloc, s->root->symbols, texts, m, &s->state, err);
    if (status == KF_OK && s->view.indexed) {
        kf_host_index_ask(s->state->ids, m, &s->index);
        s->index.any_similar = any_similar(s);
    }
    kf_knowledge_unlock_shared(s->knowledge);
    return status;
}

static kf_status
prepare(search *s, double threshold, bool regions, kf_error *err)
{
    uint32_t m = s->state->m;
    kf_status status = kf_candidates_needs(s->alloc, threshold, m,
                                           s->view.longest, &s->need, err);
    if (status != KF_OK) {
        return status;
    }
    s->seen = kf_allocate_zero(s->alloc, (m + 63) / 64, sizeof *s->seen);
    if (s->seen == NULL) {
        return kf_no_memory(err);
    }
    s->scan = (kf_scan){.alloc = s->alloc,
                        .root = s->root,
                        .state = s->state,
                        .need = s->need,
                        .longest = s->view.longest,
                        .threshold = threshold,
                        .regions = regions,
                        .secret = s->view.secret,
                        .spares = s->view.spares};
    if (s->view.indexed) {
        s->scan.index = &s->index;
    }
    s->n_scratches = kf_workers_count(s->view.workers);
    s->scratches =
        kf_allocate_zero(s->alloc, s->n_scratches, sizeof *s->scratches);
    if (s->scratches == NULL) {
        return kf_no_memory(err);
    }
    return kf_scan_scratch_new(&s->scan, &s->scratches[0], err);
}

/* Rows of an open block that are one piece of the work. */
#define PIECE_ROWS 8192u
/* Rows from which a search is worth waking other threads: 20 us and more. */
#define SHARED_ROWS 16384u

/* The end of the piece that begins with the row. */
static uint32_t
piece_end(const search *s, uint32_t first, uint32_t rows)
{
    uint32_t block = first / KF_SEGMENT_ROWS;
    uint32_t end = s->root->blocks[block].segment != NULL
                       ? (block + 1) * KF_SEGMENT_ROWS
                       : first - first % PIECE_ROWS + PIECE_ROWS;
    return end < rows ? end : rows;
}

/* Pieces of one job; each has a result of its own, so that the order is that
 * of the rows whoever does what. */
typedef struct {
    search *s;
    uint32_t *firsts; /* n + 1 */
    kf_matches *parts;
    size_t n;
    _Atomic kf_status status;
} job;

static void
scan_piece(void *context, size_t piece, unsigned worker)
{
    job *all = context;
    search *s = all->s;
    kf_status status = KF_OK;
    if (all->status != KF_OK) {
        return;
    }
    if (s->scratches[worker] == NULL) {
        status = kf_scan_scratch_new(&s->scan, &s->scratches[worker], NULL);
    }
    if (status == KF_OK) {
        status =
            kf_scan_rows(&s->scan, s->scratches[worker], all->firsts[piece],
                         all->firsts[piece + 1], &all->parts[piece], NULL);
    }
    if (status != KF_OK) {
        all->status = status;
    }
}

static kf_status
join_parts(search *s, const job *all, kf_error *err)
{
    kf_matches *matches = &s->matches;
    void *items = matches->items;
    size_t count = matches->count;
    for (size_t piece = 0; piece < all->n; piece++) {
        count += all->parts[piece].count;
    }
    if (all->status != KF_OK || !kf_grow(s->alloc, &items, &matches->capacity,
                                         count, sizeof *matches->items)) {
        return kf_no_memory(err);
    }
    matches->items = items;
    for (size_t piece = 0; piece < all->n; piece++) {
        const kf_matches *part = &all->parts[piece];
        if (part->count > 0) {
            memcpy(matches->items + matches->count, part->items,
                   part->count * sizeof *part->items);
        }
        matches->count += part->count;
    }
    return KF_OK;
}

static kf_status
scan_shared(search *s, uint32_t rows, kf_error *err)
{
    size_t most = (rows - s->scanned) / PIECE_ROWS + 2 + s->root->n_blocks;
    job all = {.s = s};
    kf_status status = KF_NO_MEMORY;
    all.firsts = kf_allocate(s->alloc, most + 1, sizeof *all.firsts);
    all.parts = kf_allocate_zero(s->alloc, most, sizeof *all.parts);
    if (all.firsts != NULL && all.parts != NULL) {
        uint32_t first = s->scanned;
        for (; first < rows; first = piece_end(s, first, rows)) {
            all.firsts[all.n++] = first;
        }
        all.firsts[all.n] = rows;
        kf_workers_run(s->view.workers, all.n, scan_piece, &all);
        status = join_parts(s, &all, err);
    }
    for (size_t piece = 0; piece < all.n; piece++) {
        kf_matches_free(s->alloc, &all.parts[piece]);
    }
    kf_release(s->alloc, all.firsts);
    kf_release(s->alloc, all.parts);
    s->scanned = rows;
    return status == KF_OK ? KF_OK : kf_no_memory(err);
}

/* Scan the rows up to `rows` that are not done. */
static kf_status
scan_up_to(search *s, uint32_t rows, kf_error *err)
{
    kf_status status = KF_OK;
    if (rows - s->scanned >= SHARED_ROWS && s->n_scratches > 1) {
        return scan_shared(s, rows, err);
    }
    while (s->scanned < rows && status == KF_OK) {
        uint32_t end = piece_end(s, s->scanned, rows);
        status = kf_scan_rows(&s->scan, s->scratches[0], s->scanned, end,
                              &s->matches, err);
        s->scanned = end;
    }
    return status;
}

/* Whether a symbol of the state that was unknown has been learned. */
static bool
learned_unknown(const search *s)
{
    const kf_state *state = s->state;
    for (uint32_t j = 0; j < state->m; j++) {
        if (state->ids[j] == KF_SYMBOL_NONE &&
            kf_symbols_find(state->symbols, state->texts[j]) !=
                KF_SYMBOL_NONE) {
            return true;
        }
    }
    return false;
}

/* Whether what was learned meanwhile can simply be scanned as well: not after
 * a clear, not where a longer pattern came, not where the host's index may
 * find other rows now, not where the state means more now. */
static bool
can_continue(const search *s, const kf_knowledge_view *view)
{
    if (view->era != s->view.era || view->indexed) {
        return view->writes == s->view.writes;
    }
    return view->n_rows == s->view.n_rows ||
           (view->longest == s->view.longest && !learned_unknown(s));
}

/* The index of the symbol in state->distinct, n_distinct where it is not. */
static uint32_t
find_distinct(const kf_state *state, uint32_t symbol)
{
    uint32_t low = 0;
    uint32_t high = state->n_distinct;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (state->distinct[middle].symbol < symbol) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low < state->n_distinct && state->distinct[low].symbol == symbol
               ? low
               : state->n_distinct;
}

/* The match's present has these symbols: they are in doubt no more. Returns
 * how many of them were. pattern: room to read any. */
static uint32_t
settle(const search *s, const kf_match *match, uint32_t *pattern,
       bool *in_doubt)
{
    uint32_t settled = 0;
    uint32_t n_events;
    kf_root_read(s->root, match->row, pattern, &n_events);
    for (uint32_t i = match->present_start; i < match->present_end; i++) {
        uint32_t k = find_distinct(s->state, pattern[i]);
        if (k < s->state->n_distinct && in_doubt[k]) {
            in_doubt[k] = false;
            settled++;
        }
    }
    return settled;
}

/* Of the symbols that some present has, keep those of matches that are not
 * forgotten. Most are met soon. */
static kf_status
look_again(search *s, kf_error *err)
{
    const kf_state *state = s->state;
    bool *in_doubt = kf_allocate_zero(s->alloc, (size_t)state->n_distinct + 1,
                                      sizeof *in_doubt);
    uint32_t *pattern =
        kf_allocate(s->alloc, 2 * (size_t)s->view.longest, sizeof *pattern);
    bool done = in_doubt != NULL && pattern != NULL;
    uint32_t doubts = 0;
    for (uint32_t k = 0; done && k < state->n_distinct; k++) {
        uint32_t j = state->distinct[k].first;
        in_doubt[k] = ((s->seen[j / 64] >> (j % 64)) & 1) != 0;
        doubts += in_doubt[k];
    }
    for (size_t i = 0; done && i < s->matches.count && doubts > 0; i++) {
        const kf_match *match = &s->matches.items[i];
        doubts -=
            match->frequency != 0 ? settle(s, match, pattern, in_doubt) : 0;
    }
    for (uint32_t j = 0; done && j < state->m && doubts > 0; j++) {
        /* An unknown symbol was never seen. */
        if (in_doubt[find_distinct(state, state->ids[j])]) {
            s->seen[j / 64] &= ~((uint64_t)1 << (j % 64));
        }
    }
    kf_release(s->alloc, in_doubt);
    kf_release(s->alloc, pattern);
    return done ? KF_OK : kf_no_memory(err);
}

/* The frequencies of now; what was forgotten is no match. */
static kf_status
drop_forgotten(search *s, kf_error *err)
{
    kf_status status = KF_OK;
    size_t kept = 0;
    for (size_t i = 0; i < s->matches.count; i++) {
        kf_match *match = &s->matches.items[i];
        match->frequency = kf_knowledge_frequency(s->knowledge, match->row);
        kept += match->frequency != 0;
    }
    if (kept == s->matches.count) {
        return KF_OK;
    }
    if (s->scan.regions) {
        status = look_again(s, err);
    }
    kept = 0;
    for (size_t i = 0; i < s->matches.count; i++) {
        if (s->matches.items[i].frequency != 0) {
            s->matches.items[kept++] = s->matches.items[i];
        }
    }
    s->matches.count = kept;
    return status;
}

/* Under the shared lock: the rest of the rows, frequencies, nothing that was
 * forgotten. */
static kf_status
catch_up(search *s, const kf_knowledge_view *view, kf_error *err)
{
    kf_status status;
    if (view->root != s->root) { /* same rows, in other blocks */
        kf_root_release(s->root);
        s->root = kf_root_share(view->root);
        s->scan.root = s->root;
    }
    s->view = *view;
    status = scan_up_to(s, view->n_rows, err);
    for (unsigned i = 0; i < s->n_scratches; i++) {
        if (s->scratches[i] != NULL) {
            kf_scan_collect_seen(&s->scan, s->scratches[i], s->seen);
        }
    }
    return status == KF_OK ? drop_forgotten(s, err) : status;
}

/* How often a search that found other contents starts again before it keeps
 * the lock for all of its work. */
#define TRIES 3

/* Steps up to the matches of one moment. Returns with the shared lock held,
 * also where it fails. What was made is released by end_search. */
static kf_status
find_matches(search *s, const kf_text *texts, uint32_t m, double threshold,
             bool regions, kf_error *err)
{
    const kf_alloc *alloc = s->alloc;
    kf_knowledge *knowledge = s->knowledge;
    for (int tries = 0;; tries++) {
        kf_status status;
        kf_knowledge_view view;
        *s = (search){.alloc = alloc, .knowledge = knowledge};
        status = take_view(s, texts, m, err);
        if (status == KF_OK) {
            status = prepare(s, threshold, regions, err);
        }
        if (status == KF_OK && tries < TRIES) {
            status = scan_up_to(s, s->view.n_rows, err);
        }
        kf_knowledge_lock_shared(knowledge);
        view = kf_knowledge_look(knowledge);
        if (status != KF_OK) {
            return status;
        }
        if (can_continue(s, &view)) {
            return catch_up(s, &view, err);
        }
        kf_knowledge_unlock_shared(knowledge);
        end_search(s);
        *s = (search){.alloc = alloc, .knowledge = knowledge};
    }
}

/* --- assembling one prediction --- */

/* Count every symbol of present, then of the state. A symbol of the state
 * has a probability only where some match has it in its present. */
static void
count_uses(search *s, const kf_match *match, const kf_pattern *pattern,
           kf_metric_input *input)
{
    use_table *table = &s->uses;
    uint32_t start = match->present_start;
    uint32_t end = match->present_end;
    table->stamp++;
    table->n_uses = 0;
    for (uint32_t i = start; i < end; i++) {
        uint32_t use = ensure_use(table, pattern->ids[i]);
        table->present[i - start] = use;
        table->uses[use].in_present++;
    }
    input->n_present = table->n_uses;
    for (uint32_t j = 0; j < s->state->m; j++) {
        if (s->state->ids[j] != KF_SYMBOL_NONE &&
            ((s->seen[j / 64] >> (j % 64)) & 1) != 0) {
            table->uses[ensure_use(table, s->state->ids[j])].in_state++;
        }
    }
    for (uint32_t use = 0; use < table->n_uses; use++) {
        table->uses[use].probability =
            kf_counters_probability(s->view.counters, table->ids[use]);
    }
    input->uses = table->uses;
    input->n_uses = table->n_uses;
    input->present = table->present;
    input->n = end - start;
    input->n_symbols = s->view.counters->n_symbols;
}

static void
set_metrics(search *s, const kf_match *match, kf_prediction *out)
{
    double frequency = (double)match->frequency;
    double total = (double)s->matches.frequency;
    double learns = (double)s->view.counters->totals.patterns;
    kf_metric_input input;
    count_uses(s, match, out->pattern, &input);
    out->entropy = kf_metric_entropy(&input);
    out->hamiltonian = kf_metric_hamiltonian(&input);
    out->grand_hamiltonian = kf_metric_grand_hamiltonian(&input);
    out->confluence = kf_metric_confluence(&input, frequency / learns);
    out->itfdf_similarity = kf_decimal_round12(
        1.0 - ((kf_metric_distance(&input) * frequency) / total));
    out->predictive_information = match->predictive_information;
    out->potential = match->potential;
    out->pattern_probability = frequency / total;
    out->weighted_strength = match->similarity * (frequency / total);
}

/* What the regions alone decide (the host's section 6.2). */
static void
set_shares(const search *s, const kf_match *match, kf_prediction *out)
{
    double m = match->matched;
    double x = s->state->m - (uint32_t)match->matched;
    double present = match->present_end - match->present_start;
    out->evidence = m / match->n;
    out->confidence = m / present;
    out->similarity = match->similarity;
    out->fragmentation = (double)out->n_blocks - 1.0;
    out->snr = (2.0 * m - x) / (2.0 * m + x);
}

/* A copy of the pattern with its name. */
static bool
set_pattern(const search *s, kf_arena *arena, const kf_match *match,
            kf_prediction *out)
{
    kf_pattern *pattern =
        kf_arena_take(arena, kf_pattern_size(match->n, match->n));
    if (pattern == NULL) {
        return false;
    }
    pattern->n =
        kf_root_read(s->root, match->row, pattern->ids, &pattern->n_events);
    kf_root_name(s->root, s->view.unicode, match->row, pattern);
    out->pattern = pattern;
    out->past_end = kf_pattern_event_from(pattern, match->present_start);
    out->present_end = kf_pattern_event_from(pattern, match->present_end);
    return true;
}

static bool
set_blocks(search *s, kf_arena *arena, const kf_match *match,
           kf_prediction *out)
{
    size_t most = match->n < s->state->m ? match->n : s->state->m;
    kf_block *blocks = kf_arena_take(arena, (most + 1) * sizeof *blocks);
    kf_alignment again;
    if (blocks == NULL) {
        return false;
    }
    kf_align_blocks(s->state->align, s->align, out->pattern->ids,
                    out->pattern->n, blocks, &again);
    out->blocks = blocks;
    out->n_blocks = again.blocks;
    return true;
}

/* Positions of the state that no block covers. */
static bool
set_extras(const search *s, kf_arena *arena, kf_prediction *out,
           uint32_t matched)
{
    uint32_t n = s->state->m - matched;
    uint32_t *extras = kf_arena_take(arena, n * sizeof *extras);
    uint32_t count = 0;
    uint32_t j = 0;
    if (extras == NULL) {
        return false;
    }
    for (uint32_t b = 0; b < out->n_blocks; b++) {
        for (; j < out->blocks[b].j; j++) {
            extras[count++] = j;
        }
        j += out->blocks[b].k;
    }
    for (; j < s->state->m; j++) {
        extras[count++] = j;
    }
    out->extras = extras;
    out->n_extras = n;
    return true;
}

/* Positions of present whose symbol is in no block: by membership, so a
 * matched symbol is never missing elsewhere. */
static bool
set_missing(search *s, kf_arena *arena, kf_prediction *out)
{
    const kf_pattern *pattern = out->pattern;
    uint32_t i = kf_pattern_start(pattern, out->past_end);
    uint32_t end = kf_pattern_start(pattern, out->present_end);
    uint32_t *missing = kf_arena_take(arena, (end - i) * sizeof *missing);
    use_table *table = &s->uses;
    if (missing == NULL) {
        return false;
    }
    table->stamp++;
    table->n_uses = 0;
    for (uint32_t b = 0; b < out->n_blocks; b++) {
        for (uint32_t k = 0; k < out->blocks[b].k; k++) {
            ensure_use(table, pattern->ids[out->blocks[b].i + k]);
        }
    }
    out->n_missing = 0;
    for (; i < end; i++) {
        if (find_use(table, pattern->ids[i])->stamp != table->stamp) {
            missing[out->n_missing++] = i;
        }
    }
    out->missing = missing;
    return true;
}

/* The share of emotives is taken last, so that a failure leaves none. */
static bool
assemble_one(search *s, kf_arena *arena, const kf_match *match,
             kf_prediction *out)
{
    out->frequency = match->frequency;
    if (!set_pattern(s, arena, match, out) ||
        !set_blocks(s, arena, match, out) ||
        !set_extras(s, arena, out, match->matched) ||
        !set_missing(s, arena, out)) {
        return false;
    }
    set_shares(s, match, out);
    set_metrics(s, match, out);
    out->emotives =
        kf_emotives_share(kf_knowledge_emotives(s->knowledge, match->row));
    return true;
}

static bool
assemble(search *s, const uint32_t *ranked, size_t count, kf_predictions *out)
{
    out->items = kf_arena_take(&out->arena, count * sizeof *out->items);
    if (out->items == NULL ||
        kf_align_scratch_new(s->alloc, s->state->align, s->view.longest,
                             &s->align, NULL) != KF_OK ||
        !make_use_table(s->alloc, s->view.longest, s->state->m, &s->uses)) {
        return false;
    }
    s->has_uses = true;
    while (out->count < count) {
        if (!assemble_one(s, &out->arena,
                          &s->matches.items[ranked[out->count]],
                          &out->items[out->count])) {
            return false;
        }
        out->count++;
    }
    return true;
}

/* Steps from score on, under the lock. */
static kf_status
finish(search *s, size_t max_predictions, kf_predictions *out, kf_error *err)
{
    uint32_t *ranked = NULL;
    size_t count;
    kf_status status =
        kf_score_ensemble(s->alloc, &s->matches, &out->futures, err);
    if (status == KF_OK) {
        status = kf_score_rank(s->alloc, &s->matches, max_predictions, &ranked,
                               &count, err);
    }
    if (status == KF_OK && !assemble(s, ranked, count, out)) {
        status = kf_no_memory(err);
    }
    out->matched = s->matches.count;
    out->longest = s->view.longest;
    out->root = kf_root_share(s->root);
    out->state = s->state;
    s->state = NULL;
    kf_release(s->alloc, ranked);
    return status;
}

static kf_status
answer(kf_knowledge *knowledge, const kf_text *texts, uint32_t m,
       double threshold, size_t max_predictions, kf_predictions *out,
       kf_error *err)
{
    search s = {.alloc = &out->alloc, .knowledge = knowledge};
    kf_status status = find_matches(&s, texts, m, threshold, true, err);
    if (status == KF_OK && s.matches.count > 0) {
        status = finish(&s, max_predictions, out, err);
    }
    kf_knowledge_unlock_shared(knowledge);
    end_search(&s);
    return status;
}

kf_status
kf_predict(kf_knowledge *knowledge, const kf_text *texts, uint32_t m,
           double threshold, size_t max_predictions, kf_predictions **out,
           kf_error *err)
{
    const kf_alloc *alloc = kf_knowledge_alloc(knowledge);
    kf_predictions *predictions =
        kf_allocate_zero(alloc, 1, sizeof *predictions);
    kf_status status = KF_OK;
    if (predictions == NULL) {
        return kf_no_memory(err);
    }
    if (pthread_mutex_init(&predictions->lock, NULL) != 0) {
        kf_release(alloc, predictions);
        return kf_no_memory(err);
    }
    predictions->alloc = *alloc;
    kf_arena_init(&predictions->arena, &predictions->alloc);
    if (m >= 2) {
        status = answer(knowledge, texts, m, threshold, max_predictions,
                        predictions, err);
    }
    if (status != KF_OK) {
        kf_predictions_free(predictions);
        return status;
    }
    *out = predictions;
    return KF_OK;
}

void
kf_predictions_free(kf_predictions *predictions)
{
    kf_alloc alloc;
    if (predictions == NULL) {
        return;
    }
    alloc = predictions->alloc;
    for (size_t i = 0; i < predictions->count; i++) {
        kf_emotives_release(predictions->items[i].emotives);
    }
    kf_futures_free(&alloc, &predictions->futures);
    kf_arena_free(&predictions->arena);
    kf_state_free(predictions->state);
    kf_root_release(predictions->root);
    kf_release(&alloc, predictions->future_order);
    pthread_mutex_destroy(&predictions->lock);
    kf_release(&alloc, predictions);
}

kf_status
kf_predictions_order_futures(kf_predictions *predictions, const uint32_t **out,
                             kf_error *err)
{
    kf_status status = KF_OK;
    pthread_mutex_lock(&predictions->lock);
    if (predictions->future_order == NULL) {
        status =
            kf_score_order_futures(&predictions->alloc, &predictions->futures,
                                   &predictions->future_order, err);
    }
    if (status == KF_OK) {
        *out = predictions->future_order;
    }
    pthread_mutex_unlock(&predictions->lock);
    return status;
}

kf_pattern *
kf_predictions_room(const kf_predictions *predictions)
{
    size_t size = kf_pattern_size(predictions->longest, predictions->longest);
    return kf_allocate(&predictions->alloc, 1, size);
}

void
kf_predictions_read_future(const kf_predictions *predictions,
                           const kf_future *future, kf_pattern *pattern,
                           uint32_t *first_event)
{
    pattern->n = kf_root_read(predictions->root, future->row, pattern->ids,
                              &pattern->n_events);
    *first_event = kf_pattern_event_from(pattern, future->start);
}

/* --- match --- */

static kf_status
list_matches(search *s, kf_match_list *out, kf_error *err)
{
    size_t count = s->matches.count;
    out->rows = kf_allocate(&out->alloc, count, sizeof *out->rows);
    out->ratios = kf_allocate(&out->alloc, count, sizeof *out->ratios);
    if (out->rows == NULL || out->ratios == NULL) {
        kf_match_list_free(out);
        return kf_no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        out->rows[i] = s->matches.items[i].row;
        out->ratios[i] = s->matches.items[i].similarity;
    }
    out->count = count;
    out->root = kf_root_share(s->root);
    out->unicode = s->view.unicode;
    out->longest = s->view.longest;
    return KF_OK;
}

kf_status
kf_match_all(kf_knowledge *knowledge, const kf_text *texts, uint32_t m,
             double threshold, kf_match_list *out, kf_error *err)
{
    kf_match_list list = {.alloc = *kf_knowledge_alloc(knowledge)};
    search s = {.alloc = &list.alloc, .knowledge = knowledge};
    kf_status status = KF_OK;
    if (m >= 2) {
        status = find_matches(&s, texts, m, threshold, false, err);
        if (status == KF_OK) {
            status = list_matches(&s, &list, err);
        }
        kf_knowledge_unlock_shared(knowledge);
        end_search(&s);
    }
    if (status == KF_OK) {
        *out = list;
    }
    return status;
}

kf_status
kf_match_list_names(const kf_match_list *list, uint8_t (*out)[KF_NAME_SIZE],
                    kf_error *err)
{
    kf_pattern *pattern = kf_allocate(
        &list->alloc, 1, kf_pattern_size(list->longest, list->longest));
    if (pattern == NULL) {
        return kf_no_memory(err);
    }
    for (size_t i = 0; i < list->count; i++) {
        pattern->n = kf_root_read(list->root, list->rows[i], pattern->ids,
                                  &pattern->n_events);
        kf_root_name(list->root, list->unicode, list->rows[i], pattern);
        memcpy(out[i], pattern->name, KF_NAME_SIZE);
    }
    kf_release(&list->alloc, pattern);
    return KF_OK;
}

void
kf_match_list_free(kf_match_list *list)
{
    kf_root_release(list->root);
    kf_release(&list->alloc, list->rows);
    kf_release(&list->alloc, list->ratios);
    list->root = NULL;
    list->rows = NULL;
    list->ratios = NULL;
    list->count = 0;
}
