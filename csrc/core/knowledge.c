#include "kato_fast/knowledge.h"

#include "knowledge_contents.h"

#include <string.h>

#define ROWS_MAX ((size_t)UINT32_MAX - KF_SEGMENT_ROWS)
/* What forgotten patterns leave is given back once it is this much and half
 * of all: rows, and symbols that no pattern has any more. */
#define GAPS_MIN 1024
#define GONE_SYMBOLS_MIN 65536
#define UNUSED_SYMBOLS_MIN 4096

/* How to take one learn back. */
typedef struct {
    uint32_t row;
    bool is_new;
    bool replaced; /* emotives hold a share of what was there before */
    kf_emotives *emotives;
} undo;

/* --- contents --- */

static void
free_contents(const kf_alloc *alloc, kf_contents *old)
{
    kf_columns_free(&old->columns, old->n_rows);
    if (!old->mapped) {
        kf_counters_free(&old->counters);
        kf_release(alloc, old->names.rows);
    }
    kf_root_release(old->root); /* last: it keeps what is mapped */
}

/* Writing functions ask before they do anything. */
static kf_status
check_writable(const kf_knowledge *knowledge, kf_error *err)
{
    if (knowledge->read_only) {
        return kf_fail(err, KF_INVALID,
                       "the knowledge base is a read-only snapshot");
    }
    return KF_OK;
}

/* A root whose blocks are those of `before` (may be NULL) but the last,
 * which is `sealed` where that is not NULL, and a new head. */
static kf_status
new_root(const kf_knowledge *knowledge, const kf_root *before,
         kf_segment *sealed, kf_symbols *symbols, kf_root **out, kf_error *err)
{
    const kf_alloc *alloc = &knowledge->alloc;
    size_t kept = sealed != NULL ? before->n_blocks : 0;
    kf_block_of_rows *blocks = kf_allocate(alloc, kept + 1, sizeof *blocks);
    kf_head *head = NULL;
    kf_status status = KF_NO_MEMORY;
    if (blocks != NULL) {
        status = kf_head_new(alloc, &head, err);
    }
    if (status == KF_OK) {
        for (size_t b = 0; b < kept; b++) {
            blocks[b] = before->blocks[b];
        }
        if (sealed != NULL) {
            blocks[kept - 1] = (kf_block_of_rows){sealed, NULL};
        }
        blocks[kept] = (kf_block_of_rows){NULL, head};
        status = kf_root_new(alloc, symbols, blocks, kept + 1, out, err);
    }
    kf_head_release(head);
    kf_release(alloc, blocks);
    return status == KF_OK ? KF_OK : kf_no_memory(err);
}

/* symbols: borrowed. */
static kf_status
make_contents(const kf_knowledge *knowledge, kf_symbols *symbols,
              kf_contents *out, kf_error *err)
{
    const kf_alloc *alloc = &knowledge->alloc;
    kf_status status;
    memset(out, 0, sizeof *out);
    kf_columns_init(&out->columns, alloc);
    kf_counters_init(&out->counters, alloc);
    status = new_root(knowledge, NULL, NULL, symbols, &out->root, err);
    if (status == KF_OK && !kf_names_make(alloc, 6, &out->names)) {
        status = kf_no_memory(err);
    }
    if (status != KF_OK) {
        free_contents(alloc, out);
        return status;
    }
    out->head = out->root->blocks[0].head;
    return KF_OK;
}

static kf_status
empty_contents(const kf_knowledge *knowledge, kf_contents *out, kf_error *err)
{
    kf_symbols *symbols;
    kf_status status =
        kf_symbols_new(&knowledge->alloc, knowledge->key, &symbols, err);
    if (status == KF_OK) {
        status = make_contents(knowledge, symbols, out, err);
        kf_symbols_release(symbols);
    }
    return status;
}

/* Let readers see these contents from now on, free the old ones. */
static void
replace_contents(kf_knowledge *knowledge, const kf_contents *fresh)
{
    kf_contents old;
    pthread_rwlock_wrlock(&knowledge->lock);
    old = knowledge->now;
    knowledge->now = *fresh;
    knowledge->era++;
    knowledge->writes++;
    atomic_store(&knowledge->n_patterns, fresh->n_patterns);
    pthread_rwlock_unlock(&knowledge->lock);
    free_contents(&knowledge->alloc, &old);
}

/* --- life --- */

static bool
init_locks(kf_knowledge *knowledge)
{
    pthread_rwlockattr_t attributes;
    bool made = false;
    if (pthread_mutex_init(&knowledge->writing, NULL) != 0) {
        return false;
    }
    if (pthread_rwlockattr_init(&attributes) == 0) {
#if defined(__GLIBC__)
        /* Searches without a pause must not starve a writer. */
        pthread_rwlockattr_setkind_np(
            &attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
        made = pthread_rwlock_init(&knowledge->lock, &attributes) == 0;
        pthread_rwlockattr_destroy(&attributes);
    }
    if (made && kf_spares_init(&knowledge->spares) != 0) {
        pthread_rwlock_destroy(&knowledge->lock);
        made = false;
    }
    if (!made) {
        pthread_mutex_destroy(&knowledge->writing);
    }
    return made;
}

static void
end_locks_and_workers(kf_knowledge *knowledge)
{
    kf_workers_free(knowledge->workers);
    kf_spares_free(&knowledge->spares);
    pthread_rwlock_destroy(&knowledge->lock);
    pthread_mutex_destroy(&knowledge->writing);
}

kf_status
kf_knowledge_with(const kf_alloc *alloc, const kf_knowledge_options *options,
                  const kf_contents *contents, kf_knowledge **out,
                  kf_error *err)
{
    kf_knowledge *knowledge = kf_allocate_zero(alloc, 1, sizeof *knowledge);
    kf_status status;
    if (knowledge == NULL) {
        return kf_no_memory(err);
    }
    knowledge->alloc = *alloc;
    memcpy(knowledge->key, options->key, sizeof knowledge->key);
    knowledge->secret = kf_knowledge_secret(options->key);
    knowledge->indexed = options->indexed;
    knowledge->unicode = options->unicode;
    status = kf_workers_new(alloc, options->threads, &knowledge->workers, err);
    if (status == KF_OK && !init_locks(knowledge)) {
        status = kf_no_memory(err);
    }
    if (status != KF_OK) {
        kf_workers_free(knowledge->workers);
        kf_release(alloc, knowledge);
        return status;
    }
    if (contents != NULL) {
        knowledge->now = *contents;
        knowledge->read_only = contents->mapped;
        knowledge->now.columns.alloc = &knowledge->alloc;
        knowledge->now.counters.alloc = &knowledge->alloc;
        atomic_store(&knowledge->n_patterns, contents->n_patterns);
    }
    *out = knowledge;
    return KF_OK;
}

kf_status
kf_knowledge_new(const kf_alloc *alloc, const kf_knowledge_options *options,
                 kf_knowledge **out, kf_error *err)
{
    kf_knowledge *knowledge = NULL;
    kf_status status =
        kf_knowledge_with(alloc, options, NULL, &knowledge, err);
    if (status != KF_OK) {
        return status;
    }
    status = empty_contents(knowledge, &knowledge->now, err);
    if (status != KF_OK) {
        end_locks_and_workers(knowledge);
        kf_release(alloc, knowledge);
        return status;
    }
    *out = knowledge;
    return KF_OK;
}

void
kf_knowledge_free(kf_knowledge *knowledge)
{
    kf_alloc alloc;
    if (knowledge == NULL) {
        return;
    }
    alloc = knowledge->alloc;
    free_contents(&alloc, &knowledge->now);
    kf_release(&alloc, knowledge->buffer);
    end_locks_and_workers(knowledge);
    kf_release(&alloc, knowledge);
}

kf_status
kf_knowledge_clear(kf_knowledge *knowledge, kf_error *err)
{
    kf_contents fresh;
    kf_status status = check_writable(knowledge, err);
    if (status != KF_OK) {
        return status;
    }
    pthread_mutex_lock(&knowledge->writing);
    status = empty_contents(knowledge, &fresh, err);
    if (status == KF_OK) {
        replace_contents(knowledge, &fresh);
    }
    pthread_mutex_unlock(&knowledge->writing);
    return status;
}

/* --- adding rows: the writer's, on contents that it alone sees or under the
 * exclusive lock --- */

/* Room for one row more, but for symbols and counters. */
static bool
reserve_row(const kf_knowledge *knowledge, kf_contents *to)
{
    kf_name_table grown;
    if (to->n_rows >= ROWS_MAX ||
        !kf_columns_reserve(&to->columns, to->n_rows)) {
        return false;
    }
    if (((size_t)to->n_patterns + 1) * 4 <= kf_names_slots(&to->names) * 3) {
        return true;
    }
    if (!kf_names_make(&knowledge->alloc, 64 - to->names.shift + 1, &grown)) {
        return false;
    }
    for (size_t slot = 0; slot < kf_names_slots(&to->names); slot++) {
        uint32_t row = to->names.rows[slot];
        if (row != KF_NO_ROW) {
            kf_names_add(knowledge, &grown,
                         kf_columns_prefix(&to->columns, row), row);
        }
    }
    kf_release(&knowledge->alloc, to->names.rows);
    to->names = grown;
    return true;
}

/* The row gets the pattern, with frequency 0; all room is there. */
static uint32_t
append_row(const kf_knowledge *knowledge, kf_contents *to,
           const kf_pattern *pattern)
{
    uint32_t row = to->n_rows++;
    uint64_t prefix = kf_name_prefix(pattern->name);
    to->head->patterns[to->head->count++] = pattern;
    kf_columns_set_frequency(&to->columns, row, 0);
    kf_columns_set_prefix(&to->columns, row, prefix);
    kf_names_add(knowledge, &to->names, prefix, row);
    to->n_patterns++;
    to->live_symbols += pattern->n;
    if (pattern->n > to->longest) {
        to->longest = pattern->n;
    }
    return row;
}

/* The head is full: a segment takes its place, a new head comes behind. */
static kf_status
seal(kf_knowledge *knowledge, kf_contents *to, bool seen, kf_error *err)
{
    kf_root *before = to->root;
    kf_root *after;
    kf_segment *segment;
    kf_status status =
        kf_segment_build(&knowledge->alloc, to->head->patterns, &segment, err);
    if (status != KF_OK) {
        return status;
    }
    status =
        new_root(knowledge, before, segment, before->symbols, &after, err);
    kf_segment_release(segment);
    if (status != KF_OK) {
        return status;
    }
    if (seen) {
        pthread_rwlock_wrlock(&knowledge->lock);
    }
    to->root = after;
    to->head = after->blocks[after->n_blocks - 1].head;
    if (seen) {
        pthread_rwlock_unlock(&knowledge->lock);
    }
    kf_root_release(before);
    return KF_OK;
}

static kf_status
seal_if_full(kf_knowledge *knowledge, kf_contents *to, bool seen,
             kf_error *err)
{
    return to->head->count < KF_SEGMENT_ROWS ? KF_OK
                                             : seal(knowledge, to, seen, err);
}

/* --- names of sequences, patterns read back --- */

void
kf_knowledge_name(const kf_knowledge *knowledge, const kf_sequence *sequence,
                  uint8_t name[KF_NAME_SIZE])
{
    kf_naming naming;
    uint32_t i = 0;
    kf_naming_start(&naming, knowledge->unicode);
    for (uint32_t event = 0; event < sequence->n_events; event++) {
        kf_naming_event(&naming);
        for (; i < sequence->ends[event]; i++) {
            kf_naming_symbol(&naming, sequence->symbols[i].bytes,
                             sequence->symbols[i].size);
        }
    }
    kf_naming_finish(&naming, name);
}

/* Room to read any pattern back, also one of n symbols that is to come. */
static bool
reserve_buffer(kf_knowledge *knowledge, uint32_t n)
{
    uint32_t longest = knowledge->now.longest > n ? knowledge->now.longest : n;
    kf_pattern *buffer;
    if (knowledge->buffer != NULL && knowledge->buffer_longest >= longest) {
        return true;
    }
    buffer =
        kf_allocate(&knowledge->alloc, 1, kf_pattern_size(longest, longest));
    if (buffer == NULL) {
        return false;
    }
    kf_release(&knowledge->alloc, knowledge->buffer);
    knowledge->buffer = buffer;
    knowledge->buffer_longest = longest;
    return true;
}

/* The row's pattern in the buffer. */
static const kf_pattern *
read_back(kf_knowledge *knowledge, uint32_t row)
{
    kf_pattern *buffer = knowledge->buffer;
    buffer->n =
        kf_root_read(knowledge->now.root, row, buffer->ids, &buffer->n_events);
    return buffer;
}

/* --- giving back what forgotten patterns held: the writer's --- */

/* Other contents, which nobody sees yet. */
typedef struct {
    kf_contents fresh;
    uint32_t *numbers; /* of symbols, by old number; KF_SYMBOL_NONE: not met */
} copying;

/* Symbols that no pattern has stay behind, so the others get new numbers. */
static kf_status
renumber(const kf_symbols *from, copying *to, kf_pattern *pattern,
         kf_error *err)
{
    kf_symbols *symbols = to->fresh.root->symbols;
    for (uint32_t i = 0; i < pattern->n; i++) {
        uint32_t old = pattern->ids[i];
        kf_status status = KF_OK;
        if (to->numbers[old] == KF_SYMBOL_NONE) {
            status = kf_symbols_intern(symbols, kf_symbols_text(from, old),
                                       &to->numbers[old], err);
        }
        if (status != KF_OK) {
            return status;
        }
        pattern->ids[i] = to->numbers[old];
    }
    return kf_counters_reserve(&to->fresh.counters, kf_symbols_count(symbols))
               ? KF_OK
               : kf_no_memory(err);
}

/* A row's pattern and name in the new head; the row is not there yet. */
static kf_status
copy_pattern(kf_knowledge *knowledge, uint32_t row, copying *to,
             kf_pattern **out, kf_error *err)
{
    const kf_root *root = knowledge->now.root;
    const kf_pattern *original = read_back(knowledge, row);
    size_t size = kf_pattern_size(original->n, original->n_events);
    kf_pattern *pattern = kf_arena_take(&to->fresh.head->arena, size);
    if (pattern == NULL) {
        return kf_no_memory(err);
    }
    kf_root_name(root, knowledge->unicode, row, knowledge->buffer);
    memcpy(pattern, original, size);
    *out = pattern;
    return renumber(root->symbols, to, pattern, err);
}

static kf_status
copy_row(kf_knowledge *knowledge, uint32_t row, copying *to, kf_error *err)
{
    const kf_columns *columns = &knowledge->now.columns;
    kf_contents *fresh = &to->fresh;
    uint64_t frequency = kf_columns_frequency(columns, row);
    kf_emotives *emotives = kf_columns_emotives(columns, row);
    kf_pattern *pattern = NULL;
    uint32_t copy;
    kf_status status = seal_if_full(knowledge, fresh, false, err);
    if (status == KF_OK) {
        status = copy_pattern(knowledge, row, to, &pattern, err);
    }
    if (status != KF_OK) {
        return status;
    }
    if (!reserve_row(knowledge, fresh) ||
        (frequency > UINT32_MAX &&
         !kf_columns_reserve_wide(&fresh->columns, fresh->n_rows)) ||
        (emotives != NULL &&
         !kf_columns_reserve_emotives(&fresh->columns, fresh->n_rows))) {
        return kf_no_memory(err);
    }
    copy = append_row(knowledge, fresh, pattern);
    kf_columns_set_frequency(&fresh->columns, copy, frequency);
    kf_emotives_release(
        kf_columns_swap_emotives(&fresh->columns, copy, emotives));
    kf_counters_add(&fresh->counters, pattern->ids, pattern->n, frequency);
    return KF_OK;
}

static bool
copy_all(kf_knowledge *knowledge, copying *to)
{
    const kf_contents *now = &knowledge->now;
    uint32_t symbols = kf_symbols_count(now->root->symbols);
    kf_status status = KF_OK;
    to->numbers = kf_allocate(&knowledge->alloc, symbols, sizeof *to->numbers);
    if (to->numbers == NULL) {
        return false;
    }
    memset(to->numbers, 0xff, symbols * sizeof *to->numbers);
    for (uint32_t row = 0; row < now->n_rows && status == KF_OK; row++) {
        if (kf_columns_frequency(&now->columns, row) != 0) {
            status = copy_row(knowledge, row, to, NULL);
        }
    }
    return status == KF_OK;
}

static bool
is_wasteful(const kf_contents *now)
{
    uint32_t gaps = now->n_rows - now->n_patterns;
    uint32_t symbols = kf_symbols_count(now->root->symbols);
    uint32_t unused = symbols - now->counters.n_symbols;
    /* A few long patterns are no reason to copy millions. */
    return (gaps >= GAPS_MIN && gaps >= now->n_rows / 2) ||
           (now->gone_symbols >= GONE_SYMBOLS_MIN &&
            now->gone_symbols >= now->live_symbols) ||
           (unused >= UNUSED_SYMBOLS_MIN && unused >= symbols / 2 &&
            unused >= now->n_patterns / 4);
}

/* Build contents without the waste and let them take over. Where there is no
 * memory for that it stays, until the next time. */
static void
tidy(kf_knowledge *knowledge)
{
    copying to = {.numbers = NULL};
    if (!is_wasteful(&knowledge->now) || !reserve_buffer(knowledge, 0) ||
        empty_contents(knowledge, &to.fresh, NULL) != KF_OK) {
        return;
    }
    if (copy_all(knowledge, &to)) {
        replace_contents(knowledge, &to.fresh);
    }
    else {
        free_contents(&knowledge->alloc, &to.fresh);
    }
    kf_release(&knowledge->alloc, to.numbers);
}

/* --- learning: the writer's --- */

/* A pattern in the head's arena, its symbols interned; under the exclusive
 * lock, since readers look symbols up. */
static kf_status
make_pattern(kf_knowledge *knowledge, const kf_sequence *sequence,
             const uint8_t name[KF_NAME_SIZE], kf_pattern **out, kf_error *err)
{
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
    for (uint32_t i = 0; i < sequence->n; i++) {
        kf_status status = kf_symbols_intern(symbols, sequence->symbols[i],
                                             &pattern->ids[i], err);
        if (status != KF_OK) {
            return status;
        }
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
    if ((frequency > UINT32_MAX && !kf_columns_reserve_wide(columns, row)) ||
        (emotives != NULL && !kf_columns_reserve_emotives(columns, row))) {
        return kf_no_memory(err);
    }
    return KF_OK;
}

/* Append the sequence as a new row; under the exclusive lock. */
static kf_status
add_pattern(kf_knowledge *knowledge, const kf_sequence *sequence,
            const uint8_t name[KF_NAME_SIZE], uint64_t frequency,
            uint32_t *row, kf_error *err)
{
    kf_contents *now = &knowledge->now;
    kf_pattern *pattern = NULL;
    kf_status status;
    if (!kf_counters_fit(&now->counters, sequence->n, frequency)) {
        return over_the_limit(err);
    }
    if (!reserve_row(knowledge, now)) {
        return kf_no_memory(err);
    }
    status = reserve_values(knowledge, now->n_rows, frequency,
                            sequence->emotives, err);
    if (status == KF_OK) {
        status = make_pattern(knowledge, sequence, name, &pattern, err);
    }
    if (status != KF_OK) {
        return status;
    }
    *row = append_row(knowledge, now, pattern);
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
    const kf_pattern *pattern = read_back(knowledge, row);
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
learn_one(kf_knowledge *knowledge, const kf_sequence *sequence,
          kf_learned *learned, undo *back, kf_error *err)
{
    kf_contents *now = &knowledge->now;
    kf_status status = seal_if_full(knowledge, now, true, err);
    uint32_t row;
    *back = (undo){KF_NO_ROW, false, false, NULL};
    if (status != KF_OK) {
        return status;
    }
    if (!reserve_buffer(knowledge, sequence->n)) { /* undoing reads it */
        return kf_no_memory(err);
    }
    row =
        now->names
            .rows[kf_names_slot(knowledge, learned->name, knowledge->buffer)];
    pthread_rwlock_wrlock(&knowledge->lock);
    knowledge->writes++;
    if (row != KF_NO_ROW) {
        status = count_again(knowledge, sequence, row, back, err);
    }
    else {
        status = add_pattern(knowledge, sequence, learned->name, 1, &row, err);
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
    const kf_pattern *pattern = read_back(knowledge, row);
    size_t slot;
    kf_emotives *emotives;
    kf_root_name(now->root, knowledge->unicode, row, knowledge->buffer);
    memcpy(name, pattern->name, KF_NAME_SIZE);
    slot = kf_names_slot(knowledge, name, knowledge->buffer);
    pattern = read_back(knowledge, row);
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
    pattern = read_back(knowledge, back->row);
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

static kf_status
learn_all(kf_knowledge *knowledge, const kf_sequence *sequences, size_t count,
          kf_learned *learned, undo *log, kf_error *err)
{
    kf_status status = KF_OK;
    size_t done = 0;
    while (done < count && status == KF_OK) {
        status = learn_one(knowledge, &sequences[done], &learned[done],
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
        tidy(knowledge);
    }
    return status;
}

kf_status
kf_knowledge_learn(kf_knowledge *knowledge, const kf_sequence *sequences,
                   size_t count, kf_learned *out, kf_error *err)
{
    kf_status status = check_writable(knowledge, err);
    undo *log;
    if (status != KF_OK) {
        return status;
    }
    log = kf_allocate(&knowledge->alloc, count, sizeof *log);
    if (log == NULL) {
        return kf_no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        kf_knowledge_name(knowledge, &sequences[i], out[i].name);
    }
    pthread_mutex_lock(&knowledge->writing);
    status = learn_all(knowledge, sequences, count, out, log, err);
    kf_head_make_pieces(knowledge->now.head);
    pthread_mutex_unlock(&knowledge->writing);
    kf_release(&knowledge->alloc, log);
    return status;
}

/* Other values for a known row; under the exclusive lock. */
static kf_status
set_values(kf_knowledge *knowledge, const kf_sequence *sequence, uint32_t row,
           uint64_t frequency, kf_error *err)
{
    kf_contents *now = &knowledge->now;
    uint64_t before = kf_columns_frequency(&now->columns, row);
    const kf_pattern *pattern = read_back(knowledge, row);
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

static kf_status
put_one(kf_knowledge *knowledge, const kf_sequence *sequence,
        uint64_t frequency, const uint8_t name[KF_NAME_SIZE], kf_error *err)
{
    kf_contents *now = &knowledge->now;
    kf_status status = seal_if_full(knowledge, now, true, err);
    uint32_t row;
    if (status != KF_OK) {
        return status;
    }
    if (!reserve_buffer(knowledge, 0)) {
        return kf_no_memory(err);
    }
    row = now->names.rows[kf_names_slot(knowledge, name, knowledge->buffer)];
    pthread_rwlock_wrlock(&knowledge->lock);
    knowledge->writes++;
    status =
        row != KF_NO_ROW
            ? set_values(knowledge, sequence, row, frequency, err)
            : add_pattern(knowledge, sequence, name, frequency, &row, err);
    pthread_rwlock_unlock(&knowledge->lock);
    return status;
}

kf_status
kf_knowledge_put(kf_knowledge *knowledge, const kf_sequence *sequence,
                 uint64_t frequency, uint8_t name[KF_NAME_SIZE], kf_error *err)
{
    kf_status status = check_writable(knowledge, err);
    if (status != KF_OK) {
        return status;
    }
    kf_knowledge_name(knowledge, sequence, name);
    pthread_mutex_lock(&knowledge->writing);
    status = put_one(knowledge, sequence, frequency, name, err);
    kf_head_make_pieces(knowledge->now.head);
    pthread_mutex_unlock(&knowledge->writing);
    return status;
}

/* --- forgetting --- */

kf_status
kf_knowledge_forget(kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE],
                    bool *found, kf_error *err)
{
    uint32_t row = KF_NO_ROW;
    if (check_writable(knowledge, err) != KF_OK) {
        return KF_INVALID;
    }
    pthread_mutex_lock(&knowledge->writing);
    if (!reserve_buffer(knowledge, 0)) {
        pthread_mutex_unlock(&knowledge->writing);
        return kf_no_memory(err);
    }
    row = knowledge->now.names
              .rows[kf_names_slot(knowledge, name, knowledge->buffer)];
    if (row != KF_NO_ROW) {
        drop_row(knowledge, row);
        tidy(knowledge);
    }
    pthread_mutex_unlock(&knowledge->writing);
    *found = row != KF_NO_ROW;
    return KF_OK;
}

/* --- reading --- */

size_t
kf_knowledge_count(const kf_knowledge *knowledge)
{
    return atomic_load(&knowledge->n_patterns);
}

bool
kf_knowledge_is_busy(kf_knowledge *knowledge)
{
    bool busy = pthread_mutex_trylock(&knowledge->writing) != 0;
    if (!busy) {
        busy = pthread_rwlock_trywrlock(&knowledge->lock) != 0;
        if (!busy) {
            pthread_rwlock_unlock(&knowledge->lock);
        }
        pthread_mutex_unlock(&knowledge->writing);
    }
    return busy;
}

const kf_alloc *
kf_knowledge_alloc(const kf_knowledge *knowledge)
{
    return &knowledge->alloc;
}

static size_t
head_memory(const kf_head *head)
{
    size_t memory = sizeof *head + head->arena.memory +
                    head->count * sizeof *head->patterns;
    for (unsigned i = 0; i < head->n_pieces; i++) {
        memory += sizeof *head->pieces[i] + head->pieces[i]->header->size;
    }
    return memory;
}

static size_t
blocks_memory(const kf_root *root)
{
    size_t memory = sizeof *root + root->n_blocks * sizeof *root->blocks;
    for (size_t b = 0; b < root->n_blocks; b++) {
        const kf_block_of_rows *block = &root->blocks[b];
        if (block->segment != NULL) {
            memory += sizeof *block->segment + block->segment->header->size;
        }
        else {
            memory += head_memory(block->head);
        }
    }
    return memory;
}

size_t
kf_knowledge_memory(kf_knowledge *knowledge)
{
    const kf_contents *now = &knowledge->now;
    size_t memory;
    pthread_rwlock_rdlock(&knowledge->lock);
    memory = sizeof *knowledge + blocks_memory(now->root) +
             kf_symbols_memory(now->root->symbols) + now->columns.memory +
             now->n_rows * (sizeof(uint32_t) + sizeof(uint64_t)) +
             kf_names_slots(&now->names) * sizeof(uint32_t) +
             now->counters.capacity * 3 * sizeof(uint64_t);
    pthread_rwlock_unlock(&knowledge->lock);
    return memory;
}

void
kf_knowledge_lock_shared(kf_knowledge *knowledge)
{
    pthread_rwlock_rdlock(&knowledge->lock);
}

void
kf_knowledge_unlock_shared(kf_knowledge *knowledge)
{
    pthread_rwlock_unlock(&knowledge->lock);
}

kf_knowledge_view
kf_knowledge_look(kf_knowledge *knowledge)
{
    const kf_contents *now = &knowledge->now;
    return (kf_knowledge_view){
        .root = now->root,
        .counters = &now->counters,
        .era = knowledge->era,
        .writes = knowledge->writes,
        .n_rows = now->n_rows,
        .longest = now->longest,
        .indexed = knowledge->indexed,
        .unicode = knowledge->unicode,
        .secret = knowledge->secret,
        .workers = knowledge->workers,
        .spares = &knowledge->spares,
    };
}

uint64_t
kf_knowledge_frequency(const kf_knowledge *knowledge, uint32_t row)
{
    return kf_columns_frequency(&knowledge->now.columns, row);
}

kf_emotives *
kf_knowledge_emotives(const kf_knowledge *knowledge, uint32_t row)
{
    return kf_columns_emotives(&knowledge->now.columns, row);
}

kf_status
kf_knowledge_find(const kf_knowledge *knowledge,
                  const uint8_t name[KF_NAME_SIZE], uint32_t *row,
                  kf_error *err)
{
    uint32_t longest = knowledge->now.longest;
    kf_pattern *buffer =
        kf_allocate(&knowledge->alloc, 1, kf_pattern_size(longest, longest));
    if (buffer == NULL) {
        return kf_no_memory(err);
    }
    *row = knowledge->now.names.rows[kf_names_slot(knowledge, name, buffer)];
    kf_release(&knowledge->alloc, buffer);
    return KF_OK;
}
