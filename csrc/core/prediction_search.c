#include "kato_fast/prediction.h"

#include "prediction_search.h"

#include <string.h>

void
kf_search_end(kf_search *s)
{
    for (unsigned i = 0; s->scratches != NULL && i < s->n_scratches; i++) {
        kf_scan_scratch_free(s->scratches[i]);
    }
    kf_release(s->alloc, s->scratches);
    kf_matches_free(s->alloc, &s->matches);
    kf_release(s->alloc, s->need);
    kf_release(s->alloc, s->seen);
    kf_state_free(s->state);
    kf_root_release(s->root);
    memset(s, 0, sizeof *s);
}

/* Whether the host's index would call the length of any pattern similar. */
static bool
any_similar(const kf_search *s)
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
take_view(kf_search *s, const kf_asked *asked, kf_error *err)
{
    kf_status status;
    kf_knowledge_lock_shared(s->knowledge);
    s->view = kf_knowledge_look(s->knowledge);
    s->root = kf_root_share(s->view.root);
    status = kf_state_encode(s->alloc, s->root->symbols, asked->texts,
                             asked->m, &s->state, err);
    if (status == KF_OK && s->view.indexed) {
        kf_host_index_ask(s->state->ids, asked->m, &s->index);
        s->index.any_similar = any_similar(s);
    }
    kf_knowledge_unlock_shared(s->knowledge);
    if (status == KF_OK) {
        kf_knowledge_ask_pieces(s->knowledge, s->root, s->view.n_rows);
    }
    return status;
}

static kf_status
prepare(kf_search *s, double threshold, bool regions, kf_error *err)
{
    uint32_t m = s->state->m;
    kf_status status =
        kf_candidates_needs(s->alloc, s->view.generation, threshold, m,
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
                        .generation = s->view.generation,
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
piece_end(const kf_search *s, uint32_t first, uint32_t rows)
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
    kf_search *s;
    uint32_t *firsts; /* n + 1 */
    kf_matches *parts;
    size_t n;
    _Atomic kf_status status;
} job;

static void
scan_piece(void *context, size_t piece, unsigned worker)
{
    job *all = context;
    kf_search *s = all->s;
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
join_parts(kf_search *s, const job *all, kf_error *err)
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
scan_shared(kf_search *s, uint32_t rows, kf_error *err)
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

/* Make room where the next piece would need more: for as many as all rows
 * will have if they are like those that are done. Without memory for that the
 * scan asks for less. */
static void
expect_matches(kf_search *s, uint32_t rows, uint32_t end)
{
    const kf_matches *found = &s->matches;
    double each = s->scanned == 0 ? 0.0 : (double)found->count / s->scanned;
    double room = (double)(found->capacity - found->count);
    if (room < each * (end - s->scanned)) {
        double more = 1.1 * each * (rows - s->scanned);
        (void)kf_matches_reserve(s->alloc, &s->matches, (size_t)more);
    }
}

/* Scan the rows up to `rows` that are not done. */
static kf_status
scan_up_to(kf_search *s, uint32_t rows, kf_error *err)
{
    kf_status status = KF_OK;
    if (rows - s->scanned >= SHARED_ROWS && s->n_scratches > 1) {
        return scan_shared(s, rows, err);
    }
    while (s->scanned < rows && status == KF_OK) {
        uint32_t end = piece_end(s, s->scanned, rows);
        expect_matches(s, rows, end);
        status = kf_scan_rows(&s->scan, s->scratches[0], s->scanned, end,
                              &s->matches, err);
        s->scanned = end;
    }
    return status;
}

/* Whether a symbol of the state that was unknown has been learned. */
static bool
learned_unknown(const kf_search *s)
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
can_continue(const kf_search *s, const kf_knowledge_view *view)
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
settle(const kf_search *s, const kf_match *match, uint32_t *pattern,
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
look_again(kf_search *s, kf_error *err)
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
drop_forgotten(kf_search *s, kf_error *err)
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
catch_up(kf_search *s, const kf_knowledge_view *view, kf_error *err)
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

/* What the search does before it looks at any row. */
static kf_status
begin(kf_search *s, const kf_question *question, kf_error *err)
{
    kf_status status = take_view(s, question->state, err);
    return status == KF_OK
               ? prepare(s, question->threshold, question->regions, err)
               : status;
}

/* From all that was there at first to the matches of now. Returns with the
 * shared lock held, but where *again is set: the contents are others. */
static kf_status
reach_now(kf_search *s, bool *again, kf_error *err)
{
    kf_knowledge_view view;
    kf_knowledge_lock_shared(s->knowledge);
    view = kf_knowledge_look(s->knowledge);
    *again = !can_continue(s, &view);
    if (!*again) {
        return catch_up(s, &view, err);
    }
    kf_knowledge_unlock_shared(s->knowledge);
    return KF_OK;
}

/* Back to what it was before it began. */
static void
start_over(kf_search *s)
{
    const kf_alloc *alloc = s->alloc;
    kf_knowledge *knowledge = s->knowledge;
    kf_search_end(s);
    *s = (kf_search){.alloc = alloc, .knowledge = knowledge};
}

/* The last try keeps the lock from the beginning: see TRIES. */
kf_status
kf_search_find(kf_search *s, const kf_question *question, kf_error *err)
{
    for (int tries = 0;; tries++) {
        bool again = false;
        kf_status status = s->root == NULL ? begin(s, question, err) : KF_OK;
        if (status == KF_OK && tries < TRIES) {
            status = scan_up_to(s, s->view.n_rows, err);
        }
        if (status != KF_OK) {
            kf_knowledge_lock_shared(s->knowledge);
            return status;
        }
        status = reach_now(s, &again, err);
        if (!again) {
            return status;
        }
        start_over(s);
    }
}

/* --- several at once --- */

/* Matches that a batch keeps before it goes on one by one: 40 MB. */
#define HELD_MOST ((size_t)1 << 19)

typedef struct {
    kf_search *searches;
    _Atomic kf_status status;
} round_of_work;

/* The next piece of one search; its first scratch is enough, since no two
 * threads are at the same search. */
static void
scan_next(void *context, size_t i, unsigned worker)
{
    round_of_work *all = context;
    kf_search *s = &all->searches[i];
    uint32_t rows = s->view.n_rows;
    kf_status status;
    (void)worker;
    if (s->scanned < rows && all->status == KF_OK) {
        uint32_t end = piece_end(s, s->scanned, rows);
        status = kf_scan_rows(&s->scan, s->scratches[0], s->scanned, end,
                              &s->matches, NULL);
        s->scanned = end;
        if (status != KF_OK) {
            all->status = status;
        }
    }
}

/* Whether there is more to do, and room for what it finds. */
static bool
goes_on(const kf_search *searches, size_t n)
{
    size_t held = 0;
    bool more = false;
    for (size_t i = 0; i < n; i++) {
        held += searches[i].matches.count;
        more |= searches[i].scanned < searches[i].view.n_rows;
    }
    return more && held < HELD_MOST;
}

kf_status
kf_search_scan_many(kf_search *searches, const kf_question *questions,
                    size_t n, kf_error *err)
{
    round_of_work all = {.searches = searches};
    for (size_t i = 0; i < n; i++) {
        kf_status status = begin(&searches[i], &questions[i], err);
        if (status != KF_OK) {
            return status;
        }
    }
    while (all.status == KF_OK && goes_on(searches, n)) {
        if (searches[0].view.n_rows * n >= SHARED_ROWS) {
            kf_workers_run(searches[0].view.workers, n, scan_next, &all);
        }
        else {
            for (size_t i = 0; i < n; i++) {
                scan_next(&all, i, 0);
            }
        }
    }
    return all.status == KF_OK ? KF_OK : kf_no_memory(err);
}
