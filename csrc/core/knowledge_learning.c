#include "kato_fast/knowledge.h"

#include "knowledge_contents.h"
#include "knowledge_met.h"

#include <string.h>

/* How to take one learn back. */
typedef struct {
    uint32_t row;
    bool is_new;
    bool replaced; /* emotives hold a share of what was there before */
    kf_emotives *emotives;
} undo;

/* Sequences that are named at a time, before they are learned. */
#define NAMED_AHEAD ((size_t)32)

/* --- learning: the writer's --- */

/* A pattern in the head's arena, its symbols interned; under the exclusive
 * lock, since readers look symbols up. */
static kf_status
make_pattern(kf_knowledge *knowledge, const kf_sequence *sequence,
             const uint8_t name[KF_NAME_SIZE], kf_met *met, kf_pattern **out,
             kf_error *err)
{
    kf_status status;
    kf_contents *now = &knowledge->now;
    kf_symbols *symbols = now->root->symbols;
    kf_pattern *pattern = kf_arena_take(
        &now->head->arena, kf_pattern_size(sequence->n, sequence->n_events));
    if (pattern == NULL) {
        return kf_no_memory(err);
    }
    memcpy(pattern->name, name, KF_NAME_SIZE);
    pattern->n = sequence->n;
    pattern->n_events = sequence->n_events;
    status = kf_met_intern(met, symbols, sequence, pattern->ids, err);
    if (status != KF_OK) {
        return status;
    }
    memcpy(pattern->ids + pattern->n, sequence->ends,
           sequence->n_events * sizeof *sequence->ends);
    if (!kf_counters_reserve(&now->counters, kf_symbols_count(symbols))) {
        return kf_no_memory(err);
    }
    *out = pattern;
    return KF_OK;
}

static kf_status
over_the_limit(kf_error *err)
{
    return kf_fail(err, KF_TOO_LARGE,
                   "frequency must keep every total at most %llu",
                   (unsigned long long)KF_COUNTER_MAX);
}

/* What a write needs of memory beyond the pattern itself. */
static kf_status
reserve_values(kf_knowledge *knowledge, uint32_t row, uint64_t frequency,
               const kf_emotives *emotives, kf_error *err)
{
    kf_columns *columns = &knowledge->now.columns;
    if (!kf_columns_reserve_frequency(columns, row, frequency) ||
        (emotives != NULL && !kf_columns_reserve_emotives(columns, row))) {
        return kf_no_memory(err);
    }
    return KF_OK;
}

/* Append the sequence as a new row; under the exclusive lock. */
static kf_status
add_pattern(kf_knowledge *knowledge, const kf_sequence *sequence,
            const uint8_t name[KF_NAME_SIZE], uint64_t frequency, kf_met *met,
            uint32_t *row, kf_error *err)
{
    kf_contents *now = &knowledge->now;
    kf_pattern *pattern = NULL;
    kf_status status;
    if (!kf_counters_fit(&now->counters, sequence->n, frequency)) {
        return over_the_limit(err);
    }
    if (!kf_rows_reserve(knowledge, now)) {
        return kf_no_memory(err);
    }
    status = reserve_values(knowledge, now->n_rows, frequency,
                            sequence->emotives, err);
    if (status == KF_OK) {
        status = make_pattern(knowledge, sequence, name, met, &pattern, err);
    }
    if (status != KF_OK) {
        return status;
    }
    *row = kf_rows_append(knowledge, now, pattern);
    kf_columns_set_frequency(&now->columns, *row, frequency);
    kf_emotives_release(
        kf_columns_swap_emotives(&now->columns, *row, sequence->emotives));
    kf_counters_add(&now->counters, pattern->ids, pattern->n, frequency);
    atomic_store(&knowledge->n_patterns, now->n_patterns);
    return KF_OK;
}

/* One learn more of a known row; under the exclusive lock. */
static kf_status
count_again(kf_knowledge *knowledge, const kf_sequence *sequence, uint32_t row,
            undo *back, kf_error *err)
{
    kf_contents *now = &knowledge->now;
    uint64_t frequency = kf_columns_frequency(&now->columns, row) + 1;
    const kf_pattern *pattern = kf_rows_read_back(knowledge, row);
    kf_status status;
    if (!kf_counters_fit(&now->counters, pattern->n, 1)) {
        return over_the_limit(err);
    }
    status =
        reserve_values(knowledge, row, frequency, sequence->emotives, err);
    if (status != KF_OK) {
        return status;
    }
    kf_columns_set_frequency(&now->columns, row, frequency);
    kf_counters_add(&now->counters, pattern->ids, pattern->n, 1);
    back->replaced = sequence->emotives != NULL;
    if (back->replaced) {
        back->emotives =
            kf_columns_swap_emotives(&now->columns, row, sequence->emotives);
    }
    return KF_OK;
}

static kf_status
learn_one(kf_knowledge *knowledge, const kf_sequence *sequence, kf_met *met,
          kf_learned *learned, undo *back, kf_error *err)
{
    kf_contents *now = &knowledge->now;
    kf_status status = kf_rows_seal_if_full(knowledge, now, true, err);
    uint32_t row;
    *back = (undo){KF_NO_ROW, false, false, NULL};
    if (status != KF_OK) {
        return status;
    }
    if (!kf_rows_reserve_buffer(knowledge,
                                sequence->n)) { /* undoing reads it */
        return kf_no_memory(err);
    }
    row = kf_names_find(knowledge, learned->name, knowledge->buffer);
    pthread_rwlock_wrlock(&knowledge->lock);
    knowledge->writes++;
    if (row != KF_NO_ROW) {
        status = count_again(knowledge, sequence, row, back, err);
    }
    else {
        status =
            add_pattern(knowledge, sequence, learned->name, 1, met, &row, err);
        back->is_new = true;
    }
    pthread_rwlock_unlock(&knowledge->lock);
    back->row = row;
    learned->is_new = back->is_new;
    return status;
}

static void
mark_gone(const kf_contents *now, uint32_t row)
{
    kf_head *head = now->root->blocks[row / KF_SEGMENT_ROWS].head;
    if (head != NULL) {
        head->gone[row % KF_SEGMENT_ROWS] = 1;
    }
}

/* Take the row's pattern and all it counted away; its number is never used
 * again, since a search may have looked at it. buffer is reserved. */
static void
drop_row(kf_knowledge *knowledge, uint32_t row)
{
    kf_contents *now = &knowledge->now;
    uint8_t name[KF_NAME_SIZE];
    const kf_pattern *pattern = kf_rows_read_back(knowledge, row);
    size_t slot;
    kf_emotives *emotives;
    kf_root_name(now->root, knowledge->unicode, row, knowledge->buffer);
    memcpy(name, pattern->name, KF_NAME_SIZE);
    slot = kf_names_slot(knowledge, name, knowledge->buffer);
    pattern = kf_rows_read_back(knowledge, row);
    pthread_rwlock_wrlock(&knowledge->lock);
    knowledge->writes++;
    kf_counters_remove(&now->counters, pattern->ids, pattern->n,
                       kf_columns_frequency(&now->columns, row));
    kf_columns_set_frequency(&now->columns, row, 0);
    emotives = kf_columns_swap_emotives(&now->columns, row, NULL);
    kf_names_remove(knowledge, slot);
    now->n_patterns--;
    now->live_symbols -= pattern->n;
    now->gone_symbols += pattern->n;
    mark_gone(now, row);
    atomic_store(&knowledge->n_patterns, now->n_patterns);
    pthread_rwlock_unlock(&knowledge->lock);
    kf_emotives_release(emotives);
}

static void
unlearn_one(kf_knowledge *knowledge, undo *back)
{
    kf_contents *now = &knowledge->now;
    const kf_pattern *pattern;
    if (back->is_new) {
        drop_row(knowledge, back->row);
        return;
    }
    pattern = kf_rows_read_back(knowledge, back->row);
    pthread_rwlock_wrlock(&knowledge->lock);
    knowledge->writes++;
    kf_counters_remove(&now->counters, pattern->ids, pattern->n, 1);
    kf_columns_set_frequency(&now->columns, back->row,
                             kf_columns_frequency(&now->columns, back->row) -
                                 1);
    if (back->replaced) {
        kf_emotives_release(kf_columns_swap_emotives(&now->columns, back->row,
                                                     back->emotives));
    }
    pthread_rwlock_unlock(&knowledge->lock);
}

static size_t
end_of_some(size_t first, size_t count)
{
    return count - first < NAMED_AHEAD ? count : first + NAMED_AHEAD;
}

static void
name_some(const kf_knowledge *knowledge, const kf_sequence *sequences,
          size_t first, size_t count, kf_learned *learned)
{
    for (size_t i = first; i < end_of_some(first, count); i++) {
        kf_knowledge_name(knowledge, &sequences[i], learned[i].name);
    }
}

/* Have what the next sequences need at hand: their names, and the places of
 * those. The first were named without the writers' lock. */
static void
prepare_some(const kf_knowledge *knowledge, const kf_sequence *sequences,
             size_t first, size_t count, kf_learned *learned)
{
    if (first != 0) {
        name_some(knowledge, sequences, first, count, learned);
    }
    for (size_t i = first; i < end_of_some(first, count); i++) {
        kf_names_prefetch(knowledge, learned[i].name);
    }
}

/* The first of them have their names. */
static kf_status
learn_all(kf_knowledge *knowledge, const kf_sequence *sequences, size_t count,
          kf_met *met, kf_learned *learned, undo *log, kf_error *err)
{
    kf_status status = KF_OK;
    size_t done = 0;
    while (done < count && status == KF_OK) {
        if (done % NAMED_AHEAD == 0) {
            prepare_some(knowledge, sequences, done, count, learned);
        }
        status = learn_one(knowledge, &sequences[done], met, &learned[done],
                           &log[done], err);
        done += status == KF_OK;
    }
    for (size_t i = done; i-- > 0;) {
        if (status != KF_OK) {
            unlearn_one(knowledge, &log[i]);
        }
        kf_emotives_release(log[i].emotives);
    }
    if (status != KF_OK) { /* rows of what was undone are gaps */
        kf_knowledge_tidy(knowledge);
    }
    return status;
}

/* A batch that was too small for its own has the writers', which is made
 * under the exclusive lock, since its size is asked for. */
static kf_met *
met_of_batch(kf_knowledge *knowledge, kf_met *batch)
{
    if (batch->places != NULL) {
        return batch;
    }
    if (knowledge->met.texts == NULL) {
        pthread_rwlock_wrlock(&knowledge->lock);
        kf_met_for_few(&knowledge->alloc,
                       kf_symbols_count(knowledge->now.root->symbols),
                       &knowledge->met);
        pthread_rwlock_unlock(&knowledge->lock);
    }
    return &knowledge->met;
}

kf_status
kf_knowledge_learn(kf_knowledge *knowledge, const kf_sequence *sequences,
                   size_t count, kf_learned *out, kf_error *err)
{
    kf_status status = kf_knowledge_check_writable(knowledge, err);
    kf_met met;
    undo *log;
    if (status == KF_OK) {
        status =
            kf_met_for_batch(&knowledge->alloc, sequences, count, &met, err);
    }
    if (status != KF_OK) {
        return status;
    }
    log = kf_allocate(&knowledge->alloc, count, sizeof *log);
    if (log == NULL) {
        kf_met_free(&knowledge->alloc, &met);
        return kf_no_memory(err);
    }
    name_some(knowledge, sequences, 0, count, out);
    pthread_mutex_lock(&knowledge->writing);
    status = learn_all(knowledge, sequences, count,
                       met_of_batch(knowledge, &met), out, log, err);
    kf_rows_make_pieces(&knowledge->now);
    pthread_mutex_unlock(&knowledge->writing);
    kf_release(&knowledge->alloc, log);
    kf_met_free(&knowledge->alloc, &met);
    return status;
}

/* Other values for a known row; under the exclusive lock. */
static kf_status
set_values(kf_knowledge *knowledge, const kf_sequence *sequence, uint32_t row,
           uint64_t frequency, kf_error *err)
{
    kf_contents *now = &knowledge->now;
    uint64_t before = kf_columns_frequency(&now->columns, row);
    const kf_pattern *pattern = kf_rows_read_back(knowledge, row);
    kf_status status =
        reserve_values(knowledge, row, frequency, sequence->emotives, err);
    if (status != KF_OK) {
        return status;
    }
    kf_counters_remove(&now->counters, pattern->ids, pattern->n, before);
    if (!kf_counters_fit(&now->counters, pattern->n, frequency)) {
        kf_counters_add(&now->counters, pattern->ids, pattern->n, before);
        return over_the_limit(err);
    }
    kf_counters_add(&now->counters, pattern->ids, pattern->n, frequency);
    kf_columns_set_frequency(&now->columns, row, frequency);
    kf_emotives_release(
        kf_columns_swap_emotives(&now->columns, row, sequence->emotives));
    return KF_OK;
}

kf_status
kf_contents_put(kf_knowledge *knowledge, const kf_sequence *sequence,
                uint64_t frequency, const uint8_t name[KF_NAME_SIZE],
                kf_met *met, kf_error *err)
{
    uint32_t row = kf_names_find(knowledge, name, knowledge->buffer);
    if (row != KF_NO_ROW) {
        return set_values(knowledge, sequence, row, frequency, err);
    }
    return add_pattern(knowledge, sequence, name, frequency, met, &row, err);
}

static kf_status
put_one(kf_knowledge *knowledge, const kf_sequence *sequence,
        uint64_t frequency, const uint8_t name[KF_NAME_SIZE], kf_error *err)
{
    kf_contents *now = &knowledge->now;
    kf_status status = kf_rows_seal_if_full(knowledge, now, true, err);
    kf_met none = {0};
    if (status != KF_OK) {
        return status;
    }
    if (!kf_rows_reserve_buffer(knowledge, 0)) {
        return kf_no_memory(err);
    }
    pthread_rwlock_wrlock(&knowledge->lock);
    knowledge->writes++;
    status = kf_contents_put(knowledge, sequence, frequency, name, &none, err);
    pthread_rwlock_unlock(&knowledge->lock);
    return status;
}

kf_status
kf_knowledge_put(kf_knowledge *knowledge, const kf_sequence *sequence,
                 uint64_t frequency, uint8_t name[KF_NAME_SIZE], kf_error *err)
{
    kf_status status = kf_knowledge_check_writable(knowledge, err);
    if (status != KF_OK) {
        return status;
    }
    kf_knowledge_name(knowledge, sequence, name);
    pthread_mutex_lock(&knowledge->writing);
    status = put_one(knowledge, sequence, frequency, name, err);
    kf_rows_make_pieces(&knowledge->now);
    pthread_mutex_unlock(&knowledge->writing);
    return status;
}

/* --- forgetting --- */

kf_status
kf_knowledge_forget(kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE],
                    bool *found, kf_error *err)
{
    uint32_t row = KF_NO_ROW;
    if (kf_knowledge_check_writable(knowledge, err) != KF_OK) {
        return KF_INVALID;
    }
    pthread_mutex_lock(&knowledge->writing);
    if (!kf_rows_reserve_buffer(knowledge, 0)) {
        pthread_mutex_unlock(&knowledge->writing);
        return kf_no_memory(err);
    }
    row = kf_names_find(knowledge, name, knowledge->buffer);
    if (row != KF_NO_ROW) {
        drop_row(knowledge, row);
        kf_knowledge_tidy(knowledge);
    }
    pthread_mutex_unlock(&knowledge->writing);
    *found = row != KF_NO_ROW;
    return KF_OK;
}

/* --- a part of a whole --- */

static kf_status
check_whole(const kf_whole *whole, kf_error *err)
{
    uint64_t most =
        whole->learns > whole->members ? whole->learns : whole->members;
    for (size_t i = 0; i < whole->count; i++) {
        uint64_t members = whole->symbols[i].members;
        most = members > most ? members : most;
    }
    return most > KF_COUNTER_MAX
               ? kf_fail(err, KF_INVALID, "counters must be at most %llu",
                         (unsigned long long)KF_COUNTER_MAX)
               : KF_OK;
}

kf_status
kf_knowledge_count_as(kf_knowledge *knowledge, const kf_whole *whole,
                      kf_error *err)
{
    kf_contents *now = &knowledge->now;
    kf_counters *counters = &now->counters;
    kf_status status = kf_knowledge_check_writable(knowledge, err);
    if (status == KF_OK) {
        status = check_whole(whole, err);
    }
    if (status != KF_OK) {
        return status;
    }
    pthread_rwlock_wrlock(&knowledge->lock);
    for (size_t id = 0; id < counters->capacity; id++) {
        counters->members[id] = 0;
    }
    for (size_t i = 0; i < whole->count; i++) {
        uint32_t id =
            kf_symbols_find(now->root->symbols, whole->symbols[i].text);
        if (id < counters->capacity) { /* KF_SYMBOL_NONE is not */
            counters->members[id] = whole->symbols[i].members;
        }
    }
    counters->n_symbols = whole->n_symbols;
    counters->totals.patterns = whole->learns;
    counters->totals.symbols_in_patterns = whole->members;
    knowledge->read_only = true;
    knowledge->writes++;
    pthread_rwlock_unlock(&knowledge->lock);
    return KF_OK;
}
