#include "kato_fast/knowledge.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define NO_ROW UINT32_MAX
#define ROWS_MAX ((size_t)NO_ROW)

/* Names to rows: open addressing, at most half full. SHA-1 is random enough
 * but known to whoever sends patterns, so slots come from the upper bits of a
 * product with a secret odd factor. */
typedef struct {
    uint32_t *rows; /* NO_ROW: free */
    unsigned shift; /* 64 - log2 of the number of slots */
    uint64_t secret;
} name_table;

struct kf_knowledge {
    kf_alloc alloc;
    uint8_t key[16];
    bool indexed;
    unsigned unicode;
    pthread_rwlock_t lock;
    kf_patterns *patterns;
    kf_row *rows;
    size_t n_rows;
    size_t rows_capacity;
    atomic_size_t n_patterns;
    name_table names;
    kf_counters counters;
    uint32_t longest;
    size_t emotives_memory;
    size_t unused; /* bytes of patterns that no row has any more */
};

/* How to take one learn back. */
typedef struct {
    uint32_t row;
    bool is_new;
    bool replaced; /* emotives hold a share of what was there before */
    kf_emotives *emotives;
} undo;

/* --- names --- */

static size_t
table_mask(const name_table *table)
{
    return ((size_t)1 << (64 - table->shift)) - 1;
}

static size_t
home_slot(const name_table *table, const uint8_t name[KF_NAME_SIZE])
{
    uint64_t prefix;
    memcpy(&prefix, name, sizeof prefix);
    return (size_t)((prefix * table->secret) >> table->shift);
}

/* The slot of the name, or the free one where it belongs. */
static size_t
name_slot(const kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE])
{
    const name_table *table = &knowledge->names;
    size_t slot = home_slot(table, name);
    while (table->rows[slot] != NO_ROW &&
           memcmp(knowledge->rows[table->rows[slot]].pattern->name, name,
                  KF_NAME_SIZE) != 0) {
        slot = (slot + 1) & table_mask(table);
    }
    return slot;
}

static bool
make_table(const kf_alloc *alloc, unsigned bits, name_table *table)
{
    size_t slots = (size_t)1 << bits;
    table->rows = kf_allocate(alloc, slots, sizeof *table->rows);
    table->shift = 64 - bits;
    if (table->rows == NULL) {
        return false;
    }
    memset(table->rows, 0xff, slots * sizeof *table->rows);
    return true;
}

/* The first table; reads nothing that changes, so it needs no lock. */
static bool
start_table(const kf_knowledge *knowledge, name_table *table)
{
    memcpy(&table->secret, knowledge->key + 8, sizeof table->secret);
    table->secret |= 1;
    return make_table(&knowledge->alloc, 6, table);
}

static bool
grow_table(kf_knowledge *knowledge)
{
    name_table table = knowledge->names;
    if (!make_table(&knowledge->alloc, 64 - table.shift + 1, &table)) {
        return false;
    }
    for (size_t row = 0; row < knowledge->n_rows; row++) {
        const kf_pattern *pattern = knowledge->rows[row].pattern;
        if (pattern != NULL) {
            size_t slot = home_slot(&table, pattern->name);
            while (table.rows[slot] != NO_ROW) {
                slot = (slot + 1) & table_mask(&table);
            }
            table.rows[slot] = (uint32_t)row;
        }
    }
    kf_release(&knowledge->alloc, knowledge->names.rows);
    knowledge->names = table;
    return true;
}

/* Free the slot and move back what had to walk past it. */
static void
remove_name(kf_knowledge *knowledge, size_t slot)
{
    name_table *table = &knowledge->names;
    size_t mask = table_mask(table);
    size_t hole = slot;
    for (size_t next = (slot + 1) & mask; table->rows[next] != NO_ROW;
         next = (next + 1) & mask) {
        const kf_pattern *pattern = knowledge->rows[table->rows[next]].pattern;
        size_t home = home_slot(table, pattern->name);
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            table->rows[hole] = table->rows[next];
            hole = next;
        }
    }
    table->rows[hole] = NO_ROW;
}

/* --- life --- */

kf_status
kf_knowledge_new(const kf_alloc *alloc, const uint8_t key[16], bool indexed,
                 unsigned unicode, kf_knowledge **out, kf_error *err)
{
    kf_knowledge *knowledge = kf_allocate_zero(alloc, 1, sizeof *knowledge);
    if (knowledge == NULL) {
        return kf_no_memory(err);
    }
    if (pthread_rwlock_init(&knowledge->lock, NULL) != 0) {
        kf_release(alloc, knowledge);
        return kf_no_memory(err);
    }
    knowledge->alloc = *alloc;
    memcpy(knowledge->key, key, sizeof knowledge->key);
    knowledge->indexed = indexed;
    knowledge->unicode = unicode;
    kf_counters_init(&knowledge->counters, &knowledge->alloc);
    if (kf_patterns_new(alloc, key, &knowledge->patterns, err) != KF_OK ||
        !start_table(knowledge, &knowledge->names)) {
        kf_knowledge_free(knowledge);
        return kf_no_memory(err);
    }
    *out = knowledge;
    return KF_OK;
}

static void
release_emotives(kf_knowledge *knowledge)
{
    for (size_t row = 0; row < knowledge->n_rows; row++) {
        kf_emotives_release(knowledge->rows[row].emotives);
    }
    knowledge->emotives_memory = 0;
}

void
kf_knowledge_free(kf_knowledge *knowledge)
{
    kf_alloc alloc;
    if (knowledge == NULL) {
        return;
    }
    alloc = knowledge->alloc;
    release_emotives(knowledge);
    kf_counters_free(&knowledge->counters);
    kf_patterns_release(knowledge->patterns);
    kf_release(&alloc, knowledge->rows);
    kf_release(&alloc, knowledge->names.rows);
    pthread_rwlock_destroy(&knowledge->lock);
    kf_release(&alloc, knowledge);
}

/* Fresh parts are made first, so that failing changes nothing. */
kf_status
kf_knowledge_clear(kf_knowledge *knowledge, kf_error *err)
{
    name_table names;
    kf_patterns *patterns;
    if (kf_patterns_new(&knowledge->alloc, knowledge->key, &patterns, err) !=
        KF_OK) {
        return KF_NO_MEMORY;
    }
    if (!start_table(knowledge, &names)) {
        kf_patterns_release(patterns);
        return kf_no_memory(err);
    }
    pthread_rwlock_wrlock(&knowledge->lock);
    release_emotives(knowledge);
    kf_counters_free(&knowledge->counters);
    kf_patterns_release(knowledge->patterns);
    kf_release(&knowledge->alloc, knowledge->names.rows);
    knowledge->patterns = patterns;
    knowledge->names = names;
    knowledge->n_rows = 0;
    knowledge->longest = 0;
    knowledge->unused = 0;
    atomic_store(&knowledge->n_patterns, 0);
    pthread_rwlock_unlock(&knowledge->lock);
    return KF_OK;
}

/* --- rows, under the lock --- */

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

static kf_status
make_pattern(kf_knowledge *knowledge, const kf_sequence *sequence,
             const uint8_t name[KF_NAME_SIZE], kf_pattern **out, kf_error *err)
{
    kf_patterns *patterns = knowledge->patterns;
    kf_pattern *pattern = kf_arena_take(
        &patterns->arena, kf_pattern_size(sequence->n, sequence->n_events));
    if (pattern == NULL) {
        return kf_no_memory(err);
    }
    memcpy(pattern->name, name, KF_NAME_SIZE);
    pattern->n = sequence->n;
    pattern->n_events = sequence->n_events;
    for (uint32_t i = 0; i < sequence->n; i++) {
        kf_status status = kf_symbols_intern(
            patterns->symbols, sequence->symbols[i], &pattern->ids[i], err);
        if (status != KF_OK) {
            knowledge->unused +=
                kf_pattern_size(pattern->n, pattern->n_events);
            return status;
        }
    }
    memcpy(pattern->ids + pattern->n, sequence->ends,
           sequence->n_events * sizeof *sequence->ends);
    *out = pattern;
    return KF_OK;
}

static bool
make_room(kf_knowledge *knowledge)
{
    void *rows = knowledge->rows;
    if (knowledge->n_rows + 1 >= ROWS_MAX ||
        !kf_grow(&knowledge->alloc, &rows, &knowledge->rows_capacity,
                 knowledge->n_rows + 1, sizeof *knowledge->rows)) {
        return false;
    }
    knowledge->rows = rows;
    if (2 * (knowledge->n_patterns + 1) > table_mask(&knowledge->names) + 1 &&
        !grow_table(knowledge)) {
        return false;
    }
    return kf_counters_reserve(&knowledge->counters,
                               kf_symbols_count(knowledge->patterns->symbols));
}

/* Append a row of frequency 0. */
static kf_status
append_row(kf_knowledge *knowledge, const kf_sequence *sequence,
           const uint8_t name[KF_NAME_SIZE], uint32_t *row, kf_error *err)
{
    kf_pattern *pattern = NULL;
    kf_status status = make_pattern(knowledge, sequence, name, &pattern, err);
    if (status != KF_OK) {
        return status;
    }
    if (!make_room(knowledge)) {
        knowledge->unused += kf_pattern_size(pattern->n, pattern->n_events);
        return kf_no_memory(err);
    }
    *row = (uint32_t)knowledge->n_rows++;
    knowledge->rows[*row] = (kf_row){pattern, 0, NULL, pattern->n};
    knowledge->names.rows[name_slot(knowledge, name)] = *row;
    atomic_fetch_add(&knowledge->n_patterns, 1);
    if (pattern->n > knowledge->longest) {
        knowledge->longest = pattern->n;
    }
    return KF_OK;
}

/* The row of the name, made where there is none. */
static kf_status
ensure_row(kf_knowledge *knowledge, const kf_sequence *sequence,
           const uint8_t name[KF_NAME_SIZE], uint32_t *row, bool *is_new,
           kf_error *err)
{
    uint32_t known = knowledge->names.rows[name_slot(knowledge, name)];
    kf_status status;
    if (known != NO_ROW) {
        *row = known;
        *is_new = false;
        return KF_OK;
    }
    status = append_row(knowledge, sequence, name, row, err);
    if (status == KF_OK) {
        *is_new = true;
    }
    return status;
}

/* A row that is last goes for good; another stays as a gap, so that no row
 * changes its number. */
static void
remove_row(kf_knowledge *knowledge, uint32_t row)
{
    kf_row *here = &knowledge->rows[row];
    knowledge->unused += kf_pattern_size(here->n, here->pattern->n_events);
    remove_name(knowledge, name_slot(knowledge, here->pattern->name));
    knowledge->emotives_memory -= kf_emotives_memory(here->emotives);
    kf_emotives_release(here->emotives);
    *here = (kf_row){NULL, 0, NULL, 0};
    atomic_fetch_sub(&knowledge->n_patterns, 1);
    while (knowledge->n_rows > 0 &&
           knowledge->rows[knowledge->n_rows - 1].pattern == NULL) {
        knowledge->n_rows--;
    }
}

static kf_status
over_the_limit(kf_error *err)
{
    return kf_fail(err, KF_TOO_LARGE,
                   "frequency must keep every total at most %llu",
                   (unsigned long long)KF_COUNTER_MAX);
}

/* Put the new list in, give the old one out. */
static kf_emotives *
swap_emotives(kf_knowledge *knowledge, kf_row *row, kf_emotives *emotives)
{
    kf_emotives *before = row->emotives;
    knowledge->emotives_memory += kf_emotives_memory(emotives);
    knowledge->emotives_memory -= kf_emotives_memory(before);
    row->emotives = kf_emotives_share(emotives);
    return before;
}

/* --- giving back what forgotten patterns held --- */

/* Close the gaps once they are half of all rows. */
static void
close_gaps(kf_knowledge *knowledge)
{
    size_t kept = 0;
    if (knowledge->n_rows < 64 ||
        knowledge->n_patterns * 2 > knowledge->n_rows) {
        return;
    }
    for (size_t row = 0; row < knowledge->n_rows; row++) {
        if (knowledge->rows[row].pattern != NULL) {
            size_t slot =
                name_slot(knowledge, knowledge->rows[row].pattern->name);
            knowledge->rows[kept] = knowledge->rows[row];
            knowledge->names.rows[slot] = (uint32_t)kept++;
        }
    }
    knowledge->n_rows = kept;
}

/* Made anew from the rows that are left. */
typedef struct {
    kf_patterns *patterns;
    kf_counters counters;
    const kf_pattern **copies; /* by row; NULL for a gap */
} packed;

static const kf_pattern *
copy_pattern(const kf_symbols *from, kf_patterns *to,
             const kf_pattern *pattern)
{
    size_t size = kf_pattern_size(pattern->n, pattern->n_events);
    kf_pattern *copy = kf_arena_take(&to->arena, size);
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, pattern, size);
    for (uint32_t i = 0; i < pattern->n; i++) {
        if (kf_symbols_intern(to->symbols,
                              kf_symbols_text(from, pattern->ids[i]),
                              &copy->ids[i], NULL) != KF_OK) {
            return NULL;
        }
    }
    return copy;
}

static bool
copy_rows(const kf_knowledge *knowledge, packed *to)
{
    for (size_t row = 0; row < knowledge->n_rows; row++) {
        const kf_row *here = &knowledge->rows[row];
        to->copies[row] = NULL;
        if (here->pattern == NULL) {
            continue;
        }
        to->copies[row] = copy_pattern(knowledge->patterns->symbols,
                                       to->patterns, here->pattern);
        if (to->copies[row] == NULL ||
            !kf_counters_reserve(&to->counters,
                                 kf_symbols_count(to->patterns->symbols))) {
            return false;
        }
        kf_counters_add(&to->counters, to->copies[row], here->frequency);
    }
    return true;
}

static void
free_packed(const kf_alloc *alloc, packed *all)
{
    kf_patterns_release(all->patterns);
    kf_counters_free(&all->counters);
    kf_release(alloc, all->copies);
}

/* Rows keep their numbers; results keep a share of what they point into. */
static void
use_packed(kf_knowledge *knowledge, packed *all)
{
    kf_patterns *patterns = knowledge->patterns;
    kf_counters counters = knowledge->counters;
    for (size_t row = 0; row < knowledge->n_rows; row++) {
        knowledge->rows[row].pattern = all->copies[row];
    }
    knowledge->patterns = all->patterns;
    knowledge->counters = all->counters;
    knowledge->unused = 0;
    all->patterns = patterns;
    all->counters = counters;
}

/* Whether more than half of the patterns' or symbols' memory is unused, and
 * so much that it is worth the work. */
static bool
is_wasteful(const kf_knowledge *knowledge)
{
    uint32_t symbols = kf_symbols_count(knowledge->patterns->symbols);
    uint32_t unused = symbols - knowledge->counters.n_symbols;
    return (knowledge->unused > 65536 &&
            knowledge->unused > knowledge->patterns->arena.memory / 2) ||
           (unused > 4096 && unused > symbols / 2);
}

/* Where there is no memory for it, all stays as it is. */
static void
tidy(kf_knowledge *knowledge)
{
    const kf_alloc *alloc = &knowledge->alloc;
    packed all = {.patterns = NULL};
    close_gaps(knowledge);
    if (!is_wasteful(knowledge)) {
        return;
    }
    kf_counters_init(&all.counters, alloc);
    all.copies = kf_allocate(alloc, knowledge->n_rows, sizeof *all.copies);
    if (all.copies != NULL &&
        kf_patterns_new(alloc, knowledge->key, &all.patterns, NULL) == KF_OK &&
        copy_rows(knowledge, &all)) {
        use_packed(knowledge, &all);
    }
    free_packed(alloc, &all);
}

/* --- learning, under the lock --- */

static kf_status
learn_one(kf_knowledge *knowledge, const kf_sequence *sequence,
          kf_learned *learned, undo *back, kf_error *err)
{
    kf_row *row;
    kf_status status;
    if (!kf_counters_fit(&knowledge->counters, sequence->n, 1)) {
        return over_the_limit(err);
    }
    status = ensure_row(knowledge, sequence, learned->name, &back->row,
                        &learned->is_new, err);
    if (status != KF_OK) {
        return status;
    }
    row = &knowledge->rows[back->row];
    row->frequency++;
    kf_counters_add(&knowledge->counters, row->pattern, 1);
    back->is_new = learned->is_new;
    back->replaced = sequence->emotives != NULL;
    back->emotives = NULL;
    if (back->replaced) {
        back->emotives = swap_emotives(knowledge, row, sequence->emotives);
    }
    return KF_OK;
}

static void
unlearn_one(kf_knowledge *knowledge, undo *back)
{
    kf_row *row = &knowledge->rows[back->row];
    kf_counters_remove(&knowledge->counters, row->pattern, 1);
    row->frequency--;
    if (back->replaced) {
        kf_emotives_release(swap_emotives(knowledge, row, back->emotives));
    }
    if (back->is_new) {
        remove_row(knowledge, back->row);
    }
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
    if (status != KF_OK) {
        tidy(knowledge);
    }
    return status;
}

kf_status
kf_knowledge_learn(kf_knowledge *knowledge, const kf_sequence *sequences,
                   size_t count, kf_learned *out, kf_error *err)
{
    kf_status status;
    undo *log = kf_allocate(&knowledge->alloc, count, sizeof *log);
    if (log == NULL) {
        return kf_no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        kf_knowledge_name(knowledge, &sequences[i], out[i].name);
    }
    pthread_rwlock_wrlock(&knowledge->lock);
    status = learn_all(knowledge, sequences, count, out, log, err);
    pthread_rwlock_unlock(&knowledge->lock);
    kf_release(&knowledge->alloc, log);
    return status;
}

static kf_status
put_locked(kf_knowledge *knowledge, const kf_sequence *sequence,
           const uint8_t name[KF_NAME_SIZE], uint64_t frequency, kf_error *err)
{
    const kf_row *known = kf_knowledge_find(knowledge, name);
    uint64_t before = known != NULL ? known->frequency : 0;
    uint32_t number;
    bool is_new;
    kf_row *row;
    kf_status status;
    if (frequency > before &&
        !kf_counters_fit(&knowledge->counters, sequence->n,
                         frequency - before)) {
        return over_the_limit(err);
    }
    status = ensure_row(knowledge, sequence, name, &number, &is_new, err);
    if (status != KF_OK) {
        return status;
    }
    row = &knowledge->rows[number];
    kf_counters_remove(&knowledge->counters, row->pattern, before);
    kf_counters_add(&knowledge->counters, row->pattern, frequency);
    row->frequency = frequency;
    kf_emotives_release(swap_emotives(knowledge, row, sequence->emotives));
    return KF_OK;
}

kf_status
kf_knowledge_put(kf_knowledge *knowledge, const kf_sequence *sequence,
                 uint64_t frequency, uint8_t name[KF_NAME_SIZE], kf_error *err)
{
    kf_status status;
    kf_knowledge_name(knowledge, sequence, name);
    pthread_rwlock_wrlock(&knowledge->lock);
    status = put_locked(knowledge, sequence, name, frequency, err);
    pthread_rwlock_unlock(&knowledge->lock);
    return status;
}

bool
kf_knowledge_forget(kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE])
{
    uint32_t row;
    pthread_rwlock_wrlock(&knowledge->lock);
    row = knowledge->names.rows[name_slot(knowledge, name)];
    if (row != NO_ROW) {
        const kf_row *here = &knowledge->rows[row];
        kf_counters_remove(&knowledge->counters, here->pattern,
                           here->frequency);
        remove_row(knowledge, row);
        tidy(knowledge);
    }
    pthread_rwlock_unlock(&knowledge->lock);
    return row != NO_ROW;
}

/* --- reading --- */

size_t
kf_knowledge_count(const kf_knowledge *knowledge)
{
    return atomic_load(&knowledge->n_patterns);
}

const kf_alloc *
kf_knowledge_alloc(const kf_knowledge *knowledge)
{
    return &knowledge->alloc;
}

size_t
kf_knowledge_memory(kf_knowledge *knowledge)
{
    size_t memory;
    pthread_rwlock_rdlock(&knowledge->lock);
    memory = sizeof *knowledge + sizeof *knowledge->patterns +
             knowledge->patterns->arena.memory +
             kf_symbols_memory(knowledge->patterns->symbols) +
             knowledge->rows_capacity * sizeof *knowledge->rows +
             (table_mask(&knowledge->names) + 1) * sizeof(uint32_t) +
             knowledge->counters.capacity * 3 * sizeof(uint64_t) +
             knowledge->emotives_memory;
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
kf_knowledge_look(const kf_knowledge *knowledge)
{
    return (kf_knowledge_view){
        .patterns = knowledge->patterns,
        .rows = knowledge->rows,
        .n_rows = knowledge->n_rows,
        .n_patterns = knowledge->n_patterns,
        .counters = &knowledge->counters,
        .longest = knowledge->longest,
        .indexed = knowledge->indexed,
        .alloc = &knowledge->alloc,
    };
}

const kf_row *
kf_knowledge_find(const kf_knowledge *knowledge,
                  const uint8_t name[KF_NAME_SIZE])
{
    uint32_t row = knowledge->names.rows[name_slot(knowledge, name)];
    return row != NO_ROW ? &knowledge->rows[row] : NULL;
}
