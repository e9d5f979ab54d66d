#include "kato_fast/prediction.h"

#include "kato_fast/decimal.h"

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
    kf_knowledge_view view;
    const kf_state *state;
    kf_align_scratch *scratch;
    kf_candidates candidates;
    kf_matches matches;
    use_table uses;
    bool has_uses;
} search;

static void
end_search(search *s)
{
    kf_align_scratch_free(s->scratch);
    kf_candidates_free(&s->view, &s->candidates);
    kf_matches_free(s->view.alloc, &s->matches);
    if (s->has_uses) {
        free_use_table(s->view.alloc, &s->uses);
    }
}

/* Steps up to align. What was made is released by end_search. */
static kf_status
find_matches(search *s, double threshold, bool regions, kf_error *err)
{
    kf_status status =
        kf_candidates_find(&s->view, s->state->ids, s->state->m, threshold,
                           &s->candidates, err);
    if (status == KF_OK) {
        status =
            kf_align_scratch_new(s->view.alloc, s->state->align,
                                 s->view.longest, &s->scratch, err);
    }
    if (status == KF_OK) {
        status = kf_score_align(&s->view, s->state, &s->candidates, threshold,
                                regions, s->scratch, &s->matches, err);
    }
    return status;
}

/* --- assembling one prediction --- */

/* Count every symbol of present, then of the state. A symbol of the state
 * has a probability only where some match has it in its present. */
static void
count_uses(search *s, const kf_match *match, kf_metric_input *input)
{
    use_table *table = &s->uses;
    const kf_pattern *pattern = match->pattern;
    uint32_t start = kf_pattern_start(pattern, match->past_end);
    uint32_t end = kf_pattern_start(pattern, match->present_end);
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
            kf_align_was_seen(s->state->align, s->scratch, j)) {
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
    count_uses(s, match, &input);
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
    const kf_pattern *pattern = match->pattern;
    double m = match->alignment.matched;
    double x = s->state->m - match->alignment.matched;
    double present = kf_pattern_start(pattern, match->present_end) -
                     kf_pattern_start(pattern, match->past_end);
    out->evidence = m / pattern->n;
    out->confidence = m / present;
    out->similarity = match->similarity;
    out->fragmentation = (double)match->alignment.blocks - 1.0;
    out->snr = (2.0 * m - x) / (2.0 * m + x);
}

static bool
set_blocks(search *s, kf_arena *arena, const kf_match *match,
           kf_prediction *out)
{
    uint32_t n_blocks = match->alignment.blocks;
    kf_block *blocks = kf_arena_take(arena, n_blocks * sizeof *blocks);
    kf_alignment again;
    if (blocks == NULL) {
        return false;
    }
    kf_align_blocks(s->state->align, s->scratch, match->pattern->ids,
                    match->pattern->n, blocks, &again);
    out->blocks = blocks;
    out->n_blocks = n_blocks;
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
    out->pattern = match->pattern;
    out->frequency = match->frequency;
    out->past_end = match->past_end;
    out->present_end = match->present_end;
    if (!set_blocks(s, arena, match, out) ||
        !set_extras(s, arena, out, match->alignment.matched) ||
        !set_missing(s, arena, out)) {
        return false;
    }
    set_shares(s, match, out);
    set_metrics(s, match, out);
    out->emotives = kf_emotives_share(s->view.rows[match->row].emotives);
    return true;
}

static bool
assemble(search *s, const uint32_t *ranked, size_t count, kf_predictions *out)
{
    out->items = kf_arena_take(&out->arena, count * sizeof *out->items);
    if (out->items == NULL ||
        !make_use_table(s->view.alloc, s->view.longest, s->state->m,
                        &s->uses)) {
        return false;
    }
    s->has_uses = true;
    while (out->count < count) {
        if (!assemble_one(s, &out->arena, &s->matches.items[ranked[out->count]],
                          &out->items[out->count])) {
            return false;
        }
        out->count++;
    }
    return true;
}

/* Steps from score on. */
static kf_status
finish(search *s, size_t max_predictions, kf_predictions *out, kf_error *err)
{
    const kf_alloc *alloc = s->view.alloc;
    uint32_t *ranked = NULL;
    size_t count;
    kf_status status =
        kf_score_ensemble(alloc, &s->matches, &out->futures, err);
    if (status == KF_OK) {
        status = kf_score_rank(alloc, &s->matches, max_predictions, &ranked,
                               &count, err);
    }
    if (status == KF_OK && !assemble(s, ranked, count, out)) {
        status = kf_no_memory(err);
    }
    out->matched = s->matches.count;
    kf_release(alloc, ranked);
    return status;
}

static kf_status
predict_locked(kf_knowledge *knowledge, const kf_text *texts, uint32_t m,
               double threshold, size_t max_predictions, kf_predictions *out,
               kf_error *err)
{
    search s = {.view = kf_knowledge_look(knowledge)};
    kf_status status = kf_state_encode(&out->alloc, s.view.patterns, texts, m,
                                       &out->state, err);
    if (status == KF_OK) {
        s.state = out->state;
        status = find_matches(&s, threshold, true, err);
        if (status == KF_OK && s.matches.count > 0) {
            status = finish(&s, max_predictions, out, err);
        }
    }
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
        kf_knowledge_lock_shared(knowledge);
        status = predict_locked(knowledge, texts, m, threshold,
                                max_predictions, predictions, err);
        kf_knowledge_unlock_shared(knowledge);
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
    kf_release(&alloc, predictions->future_order);
    pthread_mutex_destroy(&predictions->lock);
    kf_release(&alloc, predictions);
}

kf_status
kf_predictions_order_futures(kf_predictions *predictions,
                             const uint32_t **out, kf_error *err)
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

/* --- match --- */

static kf_status
list_matches(const search *s, kf_match_list *out, kf_error *err)
{
    size_t count = s->matches.count;
    out->names = kf_allocate(&out->alloc, count, sizeof *out->names);
    out->ratios = kf_allocate(&out->alloc, count, sizeof *out->ratios);
    if (out->names == NULL || out->ratios == NULL) {
        kf_match_list_free(out);
        return kf_no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(out->names[i], s->matches.items[i].pattern->name,
               KF_NAME_SIZE);
        out->ratios[i] = s->matches.items[i].similarity;
    }
    out->count = count;
    return KF_OK;
}

static kf_status
match_locked(kf_knowledge *knowledge, const kf_text *texts, uint32_t m,
             double threshold, kf_state **state, kf_match_list *out,
             kf_error *err)
{
    search s = {.view = kf_knowledge_look(knowledge)};
    kf_status status = kf_state_encode(s.view.alloc, s.view.patterns, texts, m,
                                       state, err);
    if (status == KF_OK) {
        s.state = *state;
        status = find_matches(&s, threshold, false, err);
    }
    if (status == KF_OK) {
        status = list_matches(&s, out, err);
    }
    end_search(&s);
    return status;
}

kf_status
kf_match_all(kf_knowledge *knowledge, const kf_text *texts, uint32_t m,
             double threshold, kf_match_list *out, kf_error *err)
{
    kf_match_list list = {.alloc = *kf_knowledge_alloc(knowledge)};
    kf_state *state = NULL;
    kf_status status = KF_OK;
    if (m >= 2) {
        kf_knowledge_lock_shared(knowledge);
        status = match_locked(knowledge, texts, m, threshold, &state, &list,
                              err);
        kf_knowledge_unlock_shared(knowledge);
        kf_state_free(state);
    }
    if (status == KF_OK) {
        *out = list;
    }
    return status;
}

void
kf_match_list_free(kf_match_list *list)
{
    kf_release(&list->alloc, list->names);
    kf_release(&list->alloc, list->ratios);
    list->names = NULL;
    list->ratios = NULL;
    list->count = 0;
}
