#include "kato_fast/moment.h"

#include "knowledge_contents.h"

#include <string.h>

static bool
copy_names(const kf_name_table *names, kf_moment *out)
{
    out->n_names = names->n_slots;
    out->row_bits = names->row_bits;
    out->names = kf_allocate(&out->alloc, names->n_slots, sizeof *out->names);
    if (out->names == NULL) {
        return false;
    }
    memcpy(out->names, names->slots, names->n_slots * sizeof *out->names);
    return true;
}

/* Symbols that a failed learn left behind may have no counters yet: zero. */
static bool
copy_counters(const kf_counters *counters, kf_moment *out)
{
    size_t known = out->n_symbols < counters->capacity ? out->n_symbols
                                                       : counters->capacity;
    size_t size = known * sizeof *counters->frequency;
    kf_counters *copy = &out->counters;
    copy->frequency =
        kf_allocate_zero(&out->alloc, out->n_symbols, sizeof *copy->frequency);
    copy->members =
        kf_allocate_zero(&out->alloc, out->n_symbols, sizeof *copy->members);
    if (copy->frequency == NULL || copy->members == NULL) {
        return false;
    }
    if (size > 0) {
        memcpy(copy->frequency, counters->frequency, size);
        memcpy(copy->members, counters->members, size);
    }
    copy->capacity = out->n_symbols;
    copy->n_symbols = counters->n_symbols;
    copy->totals = counters->totals;
    return true;
}

/* No writer runs. */
static bool
copy_contents(const kf_contents *now, kf_moment *out)
{
    out->n_rows = now->n_rows;
    out->n_patterns = now->n_patterns;
    out->longest = now->longest;
    out->n_symbols = kf_symbols_count(now->root->symbols);
    out->root = kf_root_share(now->root);
    return kf_columns_copy(&now->columns, now->n_rows, &out->columns) &&
           copy_names(&now->names, out) && copy_counters(&now->counters, out);
}

kf_status
kf_moment_take(kf_knowledge *knowledge, kf_moment *out, kf_error *err)
{
    bool copied;
    memset(out, 0, sizeof *out);
    out->alloc = knowledge->alloc;
    memcpy(out->key, knowledge->key, sizeof out->key);
    out->indexed = knowledge->indexed;
    out->generation = knowledge->generation;
    out->unicode = knowledge->unicode;
    kf_columns_init(&out->columns, &out->alloc);
    kf_counters_init(&out->counters, &out->alloc);
    pthread_mutex_lock(&knowledge->writing);
    copied = copy_contents(&knowledge->now, out);
    pthread_mutex_unlock(&knowledge->writing);
    if (!copied) {
        kf_moment_free(out);
        return kf_no_memory(err);
    }
    return KF_OK;
}

void
kf_moment_free(kf_moment *moment)
{
    kf_columns_free(&moment->columns, moment->n_rows);
    if (!moment->mapped) {
        kf_counters_free(&moment->counters);
        kf_release(&moment->alloc, moment->names);
    }
    kf_root_release(moment->root); /* last: it keeps what is mapped */
}

kf_status
kf_moment_open(kf_moment *moment, unsigned threads, kf_knowledge **out,
               kf_error *err)
{
    kf_knowledge_options options = {.indexed = moment->indexed,
                                    .generation = moment->generation,
                                    .unicode = moment->unicode,
                                    .threads = threads};
    kf_contents contents = {
        .root = moment->root,
        .head = moment->root->blocks[moment->root->n_blocks - 1].head,
        .columns = moment->columns,
        .names = {moment->names, moment->n_names, moment->row_bits},
        .counters = moment->counters,
        .n_rows = moment->n_rows,
        .n_patterns = moment->n_patterns,
        .longest = moment->longest,
        .mapped = true,
    };
    memcpy(options.key, moment->key, sizeof options.key);
    return kf_knowledge_with(&moment->alloc, &options, &contents, out, err);
}
