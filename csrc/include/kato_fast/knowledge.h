/* The resident knowledge base: patterns in learning order, their names,
 * frequencies, emotives, and the counters kept while learning.
 *
 * Two locks. Writers exclude each other; each changes what readers see in
 * one short exclusive section, so that a search waits for microseconds at
 * most. A search looks at a kf_root without any lock, then takes the shared
 * lock for what changes: frequencies, counters, rows learned meanwhile.
 * Every function takes the locks itself unless its comment says otherwise.
 * Writing functions change nothing where they fail. */
#ifndef KATO_FAST_KNOWLEDGE_H
#define KATO_FAST_KNOWLEDGE_H

#include "kato_fast/alloc.h"
#include "kato_fast/emotives.h"
#include "kato_fast/generation.h"
#include "kato_fast/metrics.h"
#include "kato_fast/pattern.h"
#include "kato_fast/root.h"
#include "kato_fast/spares.h"
#include "kato_fast/status.h"
#include "kato_fast/workers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct kf_knowledge kf_knowledge;

/* A sequence as it comes in, borrowed for the call: n symbols (2 to
 * KF_SYMBOLS_MAX) of valid UTF-8, and for each event the number of symbols
 * up to its end. */
typedef struct {
    const kf_text *symbols;
    uint32_t n;
    const uint32_t *ends;
    uint32_t n_events;
    kf_emotives *emotives; /* borrowed; the new list, or NULL: see functions */
} kf_sequence;

typedef struct {
    uint8_t name[KF_NAME_SIZE];
    bool is_new;
} kf_learned;

typedef struct {
    uint8_t key[16]; /* random, for hashes that input must not steer */
    bool indexed;    /* candidates are those of the host's lossy index */
    kf_generation generation;
    unsigned unicode; /* version for names, see naming.h */
    unsigned threads; /* that one search may use, 1 to KF_WORKERS_MAX */
} kf_knowledge_options;

KF_MUST_USE kf_status kf_knowledge_new(const kf_alloc *alloc,
                                       const kf_knowledge_options *options,
                                       kf_knowledge **out, kf_error *err);
void kf_knowledge_free(kf_knowledge *knowledge); /* NULL is allowed */

/* The name that a sequence would be learned under. Takes no lock. */
void kf_knowledge_name(const kf_knowledge *knowledge,
                       const kf_sequence *sequence,
                       uint8_t name[KF_NAME_SIZE]);

/* Learn `count` sequences in order, all or none. emotives: replaces what the
 * pattern keeps; NULL leaves it. out: count items. */
KF_MUST_USE kf_status kf_knowledge_learn(kf_knowledge *knowledge,
                                         const kf_sequence *sequences,
                                         size_t count, kf_learned *out,
                                         kf_error *err);

/* Set a pattern's frequency (at least 1) and emotives (NULL: none) to these
 * values, whatever they were; a new pattern goes last. */
KF_MUST_USE kf_status kf_knowledge_put(kf_knowledge *knowledge,
                                       const kf_sequence *sequence,
                                       uint64_t frequency,
                                       uint8_t name[KF_NAME_SIZE],
                                       kf_error *err);

/* *found: whether there was a pattern of that name. */
KF_MUST_USE kf_status kf_knowledge_forget(kf_knowledge *knowledge,
                                          const uint8_t name[KF_NAME_SIZE],
                                          bool *found, kf_error *err);

KF_MUST_USE kf_status kf_knowledge_clear(kf_knowledge *knowledge,
                                         kf_error *err);

/* A symbol of the whole, and its members there. */
typedef struct {
    kf_text text;
    uint64_t members;
} kf_counted;

/* Of a larger whole that is counted elsewhere. */
typedef struct {
    const kf_counted *symbols; /* borrowed; those that are here are enough */
    size_t count;
    uint32_t n_symbols; /* in all of it */
    uint64_t learns;
    uint64_t members; /* of all symbols together */
} kf_whole;

/* Let answers be those of the whole, of which the patterns here are a part;
 * from then on nothing may be written. Before others see the knowledge
 * base. */
KF_MUST_USE kf_status kf_knowledge_count_as(kf_knowledge *knowledge,
                                            const kf_whole *whole,
                                            kf_error *err);

/* Patterns; a moment's truth, takes no lock. */
size_t kf_knowledge_count(const kf_knowledge *knowledge);

/* Whether a call might have to wait for another thread now: a moment's
 * truth, for callers who hold a lock of their own that others want. */
bool kf_knowledge_is_busy(kf_knowledge *knowledge);

/* Borrowed, as long as the knowledge base. Takes no lock. */
const kf_alloc *kf_knowledge_alloc(const kf_knowledge *knowledge);

size_t kf_knowledge_memory(kf_knowledge *knowledge);

/* --- reading under the shared lock --- */

void kf_knowledge_lock_shared(kf_knowledge *knowledge);
void kf_knowledge_unlock_shared(kf_knowledge *knowledge);

/* What a search works on; the lock must be held while it is taken. */
typedef struct {
    kf_root *root; /* borrowed: take a share to keep it beyond the lock */
    const kf_counters *counters; /* valid only under the lock */
    uint64_t era;    /* another one where rows mean other patterns */
    uint64_t writes; /* another one after each change */
    uint32_t n_rows;
    uint32_t longest; /* no pattern has more symbols */
    bool indexed;
    kf_generation generation;
    unsigned unicode;
    uint64_t secret;     /* for hashes */
    kf_workers *workers; /* borrowed, as long as the knowledge base */
    kf_spares *spares;   /* likewise */
} kf_knowledge_view;

kf_knowledge_view kf_knowledge_look(kf_knowledge *knowledge);

/* The lock must be held; row below n_rows. A forgotten row has frequency 0. */
uint64_t kf_knowledge_frequency(const kf_knowledge *knowledge, uint32_t row);
kf_emotives *kf_knowledge_emotives(const kf_knowledge *knowledge,
                                   uint32_t row); /* borrowed, may be NULL */

/* The row of that name, KF_NO_ROW where there is none. The lock must be
 * held. */
#define KF_NO_ROW UINT32_MAX
KF_MUST_USE kf_status kf_knowledge_find(const kf_knowledge *knowledge,
                                        const uint8_t name[KF_NAME_SIZE],
                                        uint32_t *row, kf_error *err);

/* --- searching, without the lock --- */

/* The search that took this root and number of rows is about to look at them:
 * let the open block have its pieces, now unless a writer is at work, who
 * makes them then. */
void kf_knowledge_ask_pieces(kf_knowledge *knowledge, const kf_root *root,
                             uint32_t n_rows);

#endif
