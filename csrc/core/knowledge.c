#include "kato_fast/knowledge.h"

#include "knowledge_contents.h"

#include <string.h>

/* --- contents --- */

void
kf_contents_free(const kf_alloc *alloc, kf_contents *old)
{
    kf_columns_free(&old->columns, old->n_rows);
    if (!old->mapped) {
        kf_counters_free(&old->counters);
        kf_release(alloc, old->names.slots);
    }
    kf_root_release(old->root); /* last: it keeps what is mapped */
}

/* Writing functions ask before they do anything. */
kf_status
kf_knowledge_check_writable(const kf_knowledge *knowledge, kf_error *err)
{
    if (knowledge->read_only) {
        return kf_fail(err, KF_INVALID,
                       "the knowledge base is a read-only snapshot");
    }
    return KF_OK;
}

/* A root whose blocks are those of `before` (may be NULL) but the last,
 * which is `sealed` where that is not NULL, and a new head. */
kf_status
kf_contents_root(const kf_knowledge *knowledge, const kf_root *before,
                 kf_segment *sealed, kf_symbols *symbols, kf_root **out,
                 kf_error *err)
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
    status = kf_contents_root(knowledge, NULL, NULL, symbols, &out->root, err);
    if (status == KF_OK &&
        !kf_names_make(alloc, 0, KF_NAMES_FIRST, &out->names)) {
        status = kf_no_memory(err);
    }
    if (status != KF_OK) {
        kf_contents_free(alloc, out);
        return status;
    }
    out->head = out->root->blocks[0].head;
    return KF_OK;
}

kf_status
kf_contents_make_empty(const kf_knowledge *knowledge, kf_contents *out,
                       kf_error *err)
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
void
kf_contents_replace(kf_knowledge *knowledge, const kf_contents *fresh)
{
    kf_contents old;
    pthread_rwlock_wrlock(&knowledge->lock);
    old = knowledge->now;
    knowledge->now = *fresh;
    kf_met_forget(&knowledge->met);
    knowledge->era++;
    knowledge->writes++;
    atomic_store(&knowledge->n_patterns, fresh->n_patterns);
    pthread_rwlock_unlock(&knowledge->lock);
    kf_contents_free(&knowledge->alloc, &old);
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
    knowledge->generation = options->generation;
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
    status = kf_contents_make_empty(knowledge, &knowledge->now, err);
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
    kf_contents_free(&alloc, &knowledge->now);
    kf_release(&alloc, knowledge->buffer);
    kf_met_free(&alloc, &knowledge->met);
    end_locks_and_workers(knowledge);
    kf_release(&alloc, knowledge);
}

kf_status
kf_knowledge_clear(kf_knowledge *knowledge, kf_error *err)
{
    kf_contents fresh;
    kf_status status = kf_knowledge_check_writable(knowledge, err);
    if (status != KF_OK) {
        return status;
    }
    pthread_mutex_lock(&knowledge->writing);
    status = kf_contents_make_empty(knowledge, &fresh, err);
    if (status == KF_OK) {
        kf_contents_replace(knowledge, &fresh);
    }
    pthread_mutex_unlock(&knowledge->writing);
    return status;
}

/* --- names of sequences --- */

void
kf_knowledge_name(const kf_knowledge *knowledge, const kf_sequence *sequence,
                  uint8_t name[KF_NAME_SIZE])
{
    kf_naming naming;
    kf_naming_start(&naming, knowledge->unicode);
    kf_naming_events(&naming, sequence->symbols, sequence->ends,
                     sequence->n_events);
    kf_naming_finish(&naming, name);
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
             kf_met_memory(&knowledge->met) +
             now->n_rows * (sizeof(uint8_t) + sizeof(uint32_t)) +
             now->names.n_slots * sizeof *now->names.slots +
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
        .generation = knowledge->generation,
        .unicode = knowledge->unicode,
        .secret = knowledge->secret,
        .workers = knowledge->workers,
        .spares = &knowledge->spares,
    };
}

void
kf_knowledge_ask_pieces(kf_knowledge *knowledge, const kf_root *root,
                        uint32_t n_rows)
{
    kf_head *head = root->blocks[root->n_blocks - 1].head;
    size_t before = (root->n_blocks - 1) * KF_SEGMENT_ROWS;
    if (!atomic_load_explicit(&head->asked, memory_order_relaxed)) {
        atomic_store_explicit(&head->asked, true, memory_order_relaxed);
    }
    if (n_rows < before ||
        (n_rows - before) / KF_HEAD_PIECE <=
            atomic_load_explicit(&head->n_pieces, memory_order_acquire)) {
        return;
    }
    if (pthread_mutex_trylock(&knowledge->writing) == 0) {
        if (head == knowledge->now.head) { /* not sealed meanwhile */
            kf_head_make_pieces(head);
        }
        pthread_mutex_unlock(&knowledge->writing);
    }
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
    *row = kf_names_find(knowledge, name, buffer);
    kf_release(&knowledge->alloc, buffer);
    return KF_OK;
}
