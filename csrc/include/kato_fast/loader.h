/* Many patterns into a knowledge base, in short batches, as they come in.
 *
 * What kf_knowledge_put does for each, without what it costs one at a time:
 * the locks are taken once for a batch, a symbol that was met lately is known
 * again by its text, and the head is made searchable in pieces when the load
 * ends. Others may read and write meanwhile. A loader belongs to one thread;
 * its knowledge base outlives it. */
#ifndef KATO_FAST_LOADER_H
#define KATO_FAST_LOADER_H

#include "kato_fast/knowledge.h"

/* Patterns of one call. */
#define KF_LOADER_MAX 64u

/* No event is empty. Of each symbol KF_SHORT_MAX (utf8.h) bytes can be read,
 * also where it has fewer: what stands behind it means nothing. */
typedef struct {
    kf_sequence sequence;
    uint64_t frequency; /* at least 1 */
    kf_text name;       /* as it is stored; its events must give the same */
} kf_loaded;

typedef struct kf_loader kf_loader;

KF_MUST_USE kf_status kf_loader_new(kf_knowledge *knowledge, kf_loader **out,
                                    kf_error *err);

/* Put up to KF_LOADER_MAX patterns; all is borrowed for the call. *done:
 * how many are in, also where the next one failed. */
KF_MUST_USE kf_status kf_loader_put(kf_loader *loader,
                                    const kf_loaded *patterns, size_t count,
                                    size_t *done, kf_error *err);

void kf_loader_end(kf_loader *loader); /* NULL is allowed */

#endif
