#include "kato_fast/loader.h"

#include "knowledge_contents.h"
#include "knowledge_met.h"
#include "naming_many.h"

#include <string.h>

struct kf_loader {
    kf_knowledge *knowledge; /* borrowed */
    kf_met met;
    uint64_t era; /* of the symbols that were met */
    kf_naming_many room;
};

typedef uint8_t name_of[KF_NAME_SIZE];

kf_status
kf_loader_new(kf_knowledge *knowledge, kf_loader **out, kf_error *err)
{
    const kf_alloc *alloc = &knowledge->alloc;
    kf_status status = kf_knowledge_check_writable(knowledge, err);
    kf_loader *loader;
    if (status != KF_OK) {
        return status;
    }
    loader = kf_allocate_zero(alloc, 1, sizeof *loader);
    if (loader == NULL) {
        return kf_no_memory(err);
    }
    loader->knowledge = knowledge;
    status = kf_met_for_load(alloc, &loader->met, err);
    if (status != KF_OK) {
        kf_release(alloc, loader);
        return status;
    }
    *out = loader;
    return KF_OK;
}

void
kf_loader_end(kf_loader *loader)
{
    kf_knowledge *knowledge;
    if (loader == NULL) {
        return;
    }
    knowledge = loader->knowledge;
    pthread_mutex_lock(&knowledge->writing);
    pthread_rwlock_wrlock(&knowledge->lock);
    kf_names_fit(knowledge, &knowledge->now);
    pthread_rwlock_unlock(&knowledge->lock);
    kf_rows_make_pieces(&knowledge->now);
    pthread_mutex_unlock(&knowledge->writing);
    kf_met_free(&knowledge->alloc, &loader->met);
    kf_release(&knowledge->alloc, loader);
}

/* How many of the patterns, from the first, have the names that are stored
 * with them. */
static size_t
count_named(kf_loader *loader, const kf_loaded *patterns, size_t count,
            name_of *names, kf_error *err)
{
    kf_naming_all(&loader->room, loader->knowledge, patterns, count, names);
    for (size_t i = 0; i < count; i++) {
        char hex[KF_NAME_HEX_SIZE];
        kf_name_to_hex(names[i], hex);
        if (patterns[i].name.size != sizeof hex ||
            memcmp(patterns[i].name.bytes, hex, sizeof hex) != 0) {
            (void)kf_fail(err, KF_INVALID,
                          "its events have the name %.40s here: the store is "
                          "damaged, or was written by a Python with other "
                          "Unicode tables",
                          hex);
            return i;
        }
    }
    return count;
}

/* Put as many as the head has room for; under the exclusive lock. */
static kf_status
fill_head(kf_loader *loader, const kf_loaded *patterns, const name_of *names,
          size_t count, size_t *done, kf_error *err)
{
    kf_knowledge *knowledge = loader->knowledge;
    kf_status status = KF_OK;
    knowledge->writes++;
    while (*done < count && status == KF_OK &&
           knowledge->now.head->count < KF_SEGMENT_ROWS) {
        const kf_loaded *next = &patterns[*done];
        status = kf_contents_put(knowledge, &next->sequence, next->frequency,
                                 names[*done], &loader->met, err);
        *done += status == KF_OK;
    }
    return status;
}

static kf_status
put_all(kf_loader *loader, const kf_loaded *patterns, const name_of *names,
        size_t count, size_t *done, kf_error *err)
{
    kf_knowledge *knowledge = loader->knowledge;
    kf_status status = KF_OK;
    while (*done < count && status == KF_OK) {
        status = kf_rows_seal_if_full(knowledge, &knowledge->now, true, err);
        if (status == KF_OK) {
            pthread_rwlock_wrlock(&knowledge->lock);
            status = fill_head(loader, patterns, names, count, done, err);
            pthread_rwlock_unlock(&knowledge->lock);
        }
    }
    return status;
}

static uint32_t
longest_of(const kf_loaded *patterns, size_t count)
{
    uint32_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t n = patterns[i].sequence.n;
        longest = n > longest ? n : longest;
    }
    return longest;
}

/* The writer's. */
static kf_status
begin_batch(kf_loader *loader, const kf_loaded *patterns, const name_of *names,
            size_t count, kf_error *err)
{
    kf_knowledge *knowledge = loader->knowledge;
    if (loader->era != knowledge->era) { /* cleared or tidied meanwhile */
        kf_met_forget(&loader->met);
        loader->era = knowledge->era;
    }
    kf_met_fit(&knowledge->alloc,
               kf_symbols_count(knowledge->now.root->symbols), &loader->met);
    if (kf_names_want(&knowledge->now, (uint32_t)count)) {
        pthread_rwlock_wrlock(&knowledge->lock);
        kf_names_double(knowledge, &knowledge->now);
        pthread_rwlock_unlock(&knowledge->lock);
    }
    for (size_t i = 0; i < count; i++) {
        kf_names_prefetch(knowledge, names[i]);
    }
    if (!kf_rows_reserve_buffer(knowledge, longest_of(patterns, count))) {
        return kf_no_memory(err);
    }
    return KF_OK;
}

kf_status
kf_loader_put(kf_loader *loader, const kf_loaded *patterns, size_t count,
              size_t *done, kf_error *err)
{
    kf_knowledge *knowledge = loader->knowledge;
    name_of names[KF_LOADER_MAX];
    kf_error unnamed = {.code = KF_OK};
    size_t named = count_named(loader, patterns, count, names, &unnamed);
    kf_status status;
    *done = 0;
    pthread_mutex_lock(&knowledge->writing);
    status = begin_batch(loader, patterns, names, named, err);
    if (status == KF_OK) {
        status = put_all(loader, patterns, names, named, done, err);
    }
    pthread_mutex_unlock(&knowledge->writing);
    if (status == KF_OK && named < count) {
        return kf_fail(err, unnamed.code, "%s", unnamed.message);
    }
    return status;
}
