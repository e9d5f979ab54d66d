#include "kato_fast/prediction.h"

#include "kato_fast/decimal.h"
#include "prediction_search.h"
#include "prediction_state.h"

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

/* --- assembling one prediction --- */

/* What predictions are made of, and what helps to make them. */
typedef struct {
    kf_search *found;
    kf_align_scratch *align;
    use_table uses;
    bool has_uses;
} assembly;

/* Count every symbol of present, then of the state. A symbol of the state
 * has a probability only where some match has it in its present. */
static void
count_uses(assembly *s, const kf_match *match, const kf_pattern *pattern,
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
    for (uint32_t j = 0; j < s->found->state->m; j++) {
        if (s->found->state->ids[j] != KF_SYMBOL_NONE &&
            ((s->found->seen[j / 64] >> (j % 64)) & 1) != 0) {
            table->uses[ensure_use(table, s->found->state->ids[j])].in_state++;
        }
    }
    for (uint32_t use = 0; use < table->n_uses; use++) {
        table->uses[use].probability =
            kf_counters_probability(s->found->view.counters, table->ids[use]);
    }
    input->uses = table->uses;
    input->n_uses = table->n_uses;
    input->present = table->present;
    input->n = end - start;
    input->n_symbols = s->found->view.counters->n_symbols;
}

/* KATO 2.1 rounds nothing, and leaves two of them 0. */
static void
set_entropies(const assembly *s, const kf_match *match,
              const kf_metric_input *input, kf_prediction *out)
{
    double frequency = (double)match->frequency;
    double learns = (double)s->found->view.counters->totals.patterns;
    double similarity = 1.0 - ((kf_metric_distance(input) * frequency) /
                               (double)s->found->matches.frequency);
    if (s->found->view.generation == KF_KATO_2_1) {
        out->entropy = out->confluence = 0.0;
        out->hamiltonian = out->grand_hamiltonian = 0.0;
        out->itfdf_similarity = similarity;
        return;
    }
    out->entropy = kf_metric_entropy(input);
    out->hamiltonian = kf_metric_hamiltonian(input);
    out->grand_hamiltonian = kf_metric_grand_hamiltonian(input);
    out->confluence = kf_metric_confluence(input, frequency / learns);
    out->itfdf_similarity = kf_decimal_round12(similarity);
}

static void
set_metrics(assembly *s, const kf_ranked *ranked, kf_prediction *out)
{
    const kf_match *match = &s->found->matches.items[ranked->index];
    double frequency = (double)match->frequency;
    double total = (double)s->found->matches.frequency;
    kf_metric_input input;
    count_uses(s, match, out->pattern, &input);
    set_entropies(s, match, &input, out);
    out->predictive_information = ranked->predictive_information;
    out->potential = ranked->potential;
    out->pattern_probability = frequency / total;
    out->weighted_strength = match->similarity * (frequency / total);
}

/* What the regions alone decide (the host's section 6.2). */
static void
set_shares(const assembly *s, const kf_match *match, kf_prediction *out)
{
    double m = match->matched;
    double x = s->found->state->m - (uint32_t)match->matched;
    double present = match->present_end - match->present_start;
    out->evidence = m / match->n;
    out->confidence = m / present;
    out->similarity = match->similarity;
    out->fragmentation = (double)out->n_blocks - 1.0;
    out->snr = (2.0 * m - x) / (2.0 * m + x);
}

/* A copy of the pattern with its name. */
static bool
set_pattern(const assembly *s, kf_arena *arena, const kf_match *match,
            kf_prediction *out)
{
    kf_pattern *pattern =
        kf_arena_take(arena, kf_pattern_size(match->n, match->n));
    if (pattern == NULL) {
        return false;
    }
    pattern->n = kf_root_read(s->found->root, match->row, pattern->ids,
                              &pattern->n_events);
    kf_root_name(s->found->root, s->found->view.unicode, match->row, pattern);
    out->pattern = pattern;
    out->past_end = kf_pattern_event_from(pattern, match->present_start);
    out->present_end = kf_pattern_event_from(pattern, match->present_end);
    return true;
}

static bool
set_blocks(assembly *s, kf_arena *arena, const kf_match *match,
           kf_prediction *out)
{
    size_t most =
        match->n < s->found->state->m ? match->n : s->found->state->m;
    kf_block *blocks = kf_arena_take(arena, (most + 1) * sizeof *blocks);
    kf_alignment again;
    if (blocks == NULL) {
        return false;
    }
    kf_align_blocks(s->found->state->align, s->align, out->pattern->ids,
                    out->pattern->n, blocks, &again);
    out->blocks = blocks;
    out->n_blocks = again.blocks;
    return true;
}

/* Positions of the state that no block covers. */
static bool
set_extras(const assembly *s, kf_arena *arena, kf_prediction *out,
           uint32_t matched)
{
    uint32_t n = s->found->state->m - matched;
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
    for (; j < s->found->state->m; j++) {
        extras[count++] = j;
    }
    out->extras = extras;
    out->n_extras = n;
    return true;
}

/* Positions of the state whose symbol is nowhere in present: by membership,
 * as KATO 2.1 has it for a state with events. */
static bool
set_extras_by_event(assembly *s, kf_arena *arena, kf_prediction *out)
{
    const kf_pattern *pattern = out->pattern;
    const kf_state *state = s->found->state;
    uint32_t *extras = kf_arena_take(arena, state->m * sizeof *extras);
    use_table *table = &s->uses;
    uint32_t end = kf_pattern_start(pattern, out->present_end);
    if (extras == NULL) {
        return false;
    }
    table->stamp++;
    table->n_uses = 0;
    for (uint32_t i = kf_pattern_start(pattern, out->past_end); i < end; i++) {
        ensure_use(table, pattern->ids[i]);
    }
    out->n_extras = 0;
    for (uint32_t j = 0; j < state->m; j++) {
        if (state->ids[j] == KF_SYMBOL_NONE ||
            find_use(table, state->ids[j])->stamp != table->stamp) {
            extras[out->n_extras++] = j;
        }
    }
    out->extras = extras;
    return true;
}

/* Positions of present whose symbol is in no block: by membership, so a
 * matched symbol is never missing elsewhere. */
static bool
set_missing(assembly *s, kf_arena *arena, kf_prediction *out)
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
assemble_one(assembly *s, kf_arena *arena, const kf_ranked *ranked,
             kf_prediction *out)
{
    const kf_match *match = &s->found->matches.items[ranked->index];
    out->frequency = match->frequency;
    if (!set_pattern(s, arena, match, out) ||
        !set_blocks(s, arena, match, out) ||
        !(s->found->state->n_events > 0
              ? set_extras_by_event(s, arena, out)
              : set_extras(s, arena, out, match->matched)) ||
        !set_missing(s, arena, out)) {
        return false;
    }
    set_shares(s, match, out);
    set_metrics(s, ranked, out);
    out->emotives = kf_emotives_share(
        kf_knowledge_emotives(s->found->knowledge, match->row));
    return true;
}

static bool
assemble(assembly *s, const kf_ranked *ranked, size_t count,
         kf_predictions *out)
{
    out->items = kf_arena_take(&out->arena, count * sizeof *out->items);
    if (out->items == NULL ||
        kf_align_scratch_new(s->found->alloc, s->found->state->align,
                             s->found->view.longest, &s->align,
                             NULL) != KF_OK ||
        !make_use_table(s->found->alloc, s->found->view.longest,
                        s->found->state->m, &s->uses)) {
        return false;
    }
    s->has_uses = true;
    if (out->generation == KF_KATO_2_1 &&
        !kf_state_entropies_find(s->found, &out->entropies)) {
        return false;
    }
    while (out->count < count) {
        if (!assemble_one(s, &out->arena, &ranked[out->count],
                          &out->items[out->count])) {
            return false;
        }
        out->count++;
    }
    return true;
}

static void
end_assembly(assembly *s)
{
    kf_align_scratch_free(s->align);
    if (s->has_uses) {
        free_use_table(s->found->alloc, &s->uses);
    }
}

/* Steps from score on, under the lock. */
static kf_status
finish(kf_search *found, const kf_question *question, size_t max_predictions,
       kf_predictions *out, kf_error *err)
{
    assembly s = {.found = found};
    const kf_asked *asked = question->state;
    kf_ranked *ranked = NULL;
    size_t count = 0;
    kf_status status =
        kf_score_ensemble(found->alloc, &found->matches, &out->futures, err);
    if (status == KF_OK) {
        status = kf_score_rank(found->alloc, &found->matches, &out->futures,
                               max_predictions, &ranked, &count, err);
    }
    out->generation = found->view.generation;
    if (status == KF_OK && out->generation == KF_KATO_2_1 &&
        !kf_state_keep_events(found->state, asked->ends, asked->n_events)) {
        status = kf_no_memory(err);
    }
    if (status == KF_OK && !assemble(&s, ranked, count, out)) {
        status = kf_no_memory(err);
    }
    out->matched = found->matches.count;
    out->longest = found->view.longest;
    out->root = kf_root_share(found->root);
    out->state = found->state;
    found->state = NULL;
    kf_release(found->alloc, ranked);
    end_assembly(&s);
    return status;
}

/* The answer to what the search asks; it may have begun. */
static kf_status
answer(kf_search *s, const kf_question *question, size_t max_predictions,
       kf_predictions *out, kf_error *err)
{
    kf_status status = kf_search_find(s, question, err);
    if (status == KF_OK && s->matches.count > 0) {
        status = finish(s, question, max_predictions, out, err);
    }
    kf_knowledge_unlock_shared(s->knowledge);
    return status;
}

/* Without any answer yet. */
static kf_status
make_predictions(const kf_alloc *alloc, kf_predictions **out, kf_error *err)
{
    kf_predictions *predictions =
        kf_allocate_zero(alloc, 1, sizeof *predictions);
    if (predictions == NULL) {
        return kf_no_memory(err);
    }
    if (pthread_mutex_init(&predictions->lock, NULL) != 0) {
        kf_release(alloc, predictions);
        return kf_no_memory(err);
    }
    predictions->alloc = *alloc;
    kf_arena_init(&predictions->arena, &predictions->alloc);
    *out = predictions;
    return KF_OK;
}

kf_status
kf_predict(kf_knowledge *knowledge, const kf_asked *state, double threshold,
           size_t max_predictions, kf_predictions **out, kf_error *err)
{
    kf_question question = {state, threshold, true};
    kf_predictions *predictions = NULL;
    kf_status status =
        make_predictions(kf_knowledge_alloc(knowledge), &predictions, err);
    if (status == KF_OK && state->m >= 2) {
        kf_search s = {.alloc = &predictions->alloc, .knowledge = knowledge};
        status = answer(&s, &question, max_predictions, predictions, err);
        kf_search_end(&s);
    }
    if (status != KF_OK) {
        kf_predictions_free(predictions);
        return status;
    }
    *out = predictions;
    return KF_OK;
}

/* --- several states --- */

/* States that are looked for at once: enough to share what they read, few
 * enough that their own memory stays in the cache beside it. */
#define GROUP 32u

typedef struct {
    kf_search searches[GROUP];
    kf_question questions[GROUP];
    kf_predictions *answers[GROUP]; /* borrowed */
    size_t n;
} group;

/* The next states with something to look for; how many states were taken. */
static size_t
fill_group(kf_knowledge *knowledge, const kf_asked *states, size_t n,
           double threshold, kf_predictions **out, group *g)
{
    size_t taken = 0;
    g->n = 0;
    for (; taken < n && g->n < GROUP; taken++) {
        if (states[taken].m >= 2) {
            kf_predictions *answer = out[taken];
            g->searches[g->n] =
                (kf_search){.alloc = &answer->alloc, .knowledge = knowledge};
            g->questions[g->n] =
                (kf_question){&states[taken], threshold, true};
            g->answers[g->n++] = answer;
        }
    }
    return taken;
}

/* Fewer states than threads are faster one by one, with all threads each. */
static kf_status
answer_group(group *g, unsigned workers, size_t max_predictions, kf_error *err)
{
    kf_status status = KF_OK;
    if (g->n > 1 && g->n >= workers) {
        status = kf_search_scan_many(g->searches, g->questions, g->n, err);
    }
    for (size_t i = 0; i < g->n; i++) {
        if (status == KF_OK) {
            status = answer(&g->searches[i], &g->questions[i], max_predictions,
                            g->answers[i], err);
        }
        kf_search_end(&g->searches[i]);
    }
    return status;
}

static unsigned
workers_of(kf_knowledge *knowledge)
{
    unsigned count;
    kf_knowledge_lock_shared(knowledge);
    count = kf_workers_count(kf_knowledge_look(knowledge).workers);
    kf_knowledge_unlock_shared(knowledge);
    return count;
}

kf_status
kf_predict_many(kf_knowledge *knowledge, const kf_asked *states, size_t n,
                double threshold, size_t max_predictions, kf_predictions **out,
                kf_error *err)
{
    const kf_alloc *alloc = kf_knowledge_alloc(knowledge);
    unsigned workers = workers_of(knowledge);
    group *g = kf_allocate(alloc, 1, sizeof *g);
    kf_status status = g != NULL ? KF_OK : kf_no_memory(err);
    size_t made = 0;
    for (; made < n && status == KF_OK; made += status == KF_OK) {
        status = make_predictions(alloc, &out[made], err);
    }
    for (size_t i = 0; i < n && status == KF_OK;) {
        i += fill_group(knowledge, states + i, n - i, threshold, out + i, g);
        status = answer_group(g, workers, max_predictions, err);
    }
    while (status != KF_OK && made > 0) {
        kf_predictions_free(out[--made]);
    }
    kf_release(alloc, g);
    return status;
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
list_matches(kf_search *s, kf_match_list *out, kf_error *err)
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
    kf_search s = {.alloc = &list.alloc, .knowledge = knowledge};
    kf_asked state = {texts, m, NULL, 0};
    kf_question question = {&state, threshold, false};
    kf_status status = KF_OK;
    if (m >= 2) {
        status = kf_search_find(&s, &question, err);
        if (status == KF_OK) {
            status = list_matches(&s, &list, err);
        }
        kf_knowledge_unlock_shared(knowledge);
        kf_search_end(&s);
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
