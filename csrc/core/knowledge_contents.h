/* What a knowledge base is made of. Internal to those who read or replace all
 * of it at once: knowledge*.c, moment.c. */
#ifndef KATO_FAST_KNOWLEDGE_CONTENTS_H
#define KATO_FAST_KNOWLEDGE_CONTENTS_H

#include "kato_fast/columns.h"
#include "kato_fast/knowledge.h"
#include "knowledge_met.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

/* Names to rows: open addressing, at most four fifths full. SHA-1 is random
 * enough but known to whoever sends patterns, so slots come from a tag, the
 * upper half of a product with a secret odd factor. A slot keeps as many bits
 * of the tag as its row leaves free: most rows of other names are passed
 * without a look at them. */
typedef struct {
    uint32_t *slots; /* KF_NO_ROW: free */
    size_t n_slots;
    unsigned row_bits; /* of a slot, the lower ones; 1 to 32 */
} kf_name_table;

/* All that clearing replaces. */
typedef struct {
    kf_root *root; /* its last block is the head */
    kf_head *head; /* borrowed from root */
    kf_columns columns;
    kf_name_table names;
    kf_counters counters;
    uint32_t n_rows;
    uint32_t n_patterns;
    uint32_t longest;
    uint64_t live_symbols; /* of patterns that are there */
    uint64_t gone_symbols; /* of patterns that were forgotten */
    bool mapped; /* columns, names and counters are a snapshot's: read only */
} kf_contents;

struct kf_knowledge {
    kf_alloc alloc;
    uint8_t key[16];
    uint64_t secret;
    bool indexed;
    kf_generation generation;
    unsigned unicode;
    bool read_only; /* for good: mapped, or counted as a part of a whole */
    kf_workers *workers;
    kf_spares spares;        /* working memory of searches */
    pthread_mutex_t writing; /* one writer at a time */
    pthread_rwlock_t lock;   /* what readers see, see the header */
    kf_contents now;
    uint64_t era;
    uint64_t writes;
    atomic_size_t n_patterns; /* of now, for who holds no lock */
    kf_pattern *buffer;       /* the writer's: one pattern read back */
    uint32_t buffer_longest;  /* it has room for so many symbols */
    kf_met met;               /* the writer's: by text, for small batches */
};

/* The odd factor of the table of names. */
static inline uint64_t
kf_knowledge_secret(const uint8_t key[16])
{
    uint64_t secret;
    memcpy(&secret, key + 8, sizeof secret);
    return secret | 1;
}

/* --- names to rows: knowledge_names.c --- */

static inline uint32_t
kf_name_tag(const kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE])
{
    uint64_t prefix;
    memcpy(&prefix, name, sizeof prefix);
    return (uint32_t)((prefix * knowledge->secret) >> 32);
}

#define KF_NAMES_FIRST 64u

/* An empty table of at least n_slots slots for rows below n_rows, or so many
 * as can be told apart, owned; false without memory. */
bool kf_names_make(const kf_alloc *alloc, size_t n_slots, uint32_t n_rows,
                   kf_name_table *table);

/* Room for one name more, which gets the next row: a quarter more slots, bits
 * for more rows, or both, where they are too few. */
bool kf_names_reserve(const kf_knowledge *knowledge, kf_contents *to);

/* For a load, which is slow where slots grow by quarters: whether so many more
 * names do not fit; twice the slots; and at its end, no more slots than are
 * usual. Without memory they stay as they are. Under the exclusive lock. */
bool kf_names_want(const kf_contents *to, uint32_t count);
void kf_names_double(const kf_knowledge *knowledge, kf_contents *to);
void kf_names_fit(const kf_knowledge *knowledge, kf_contents *to);

/* The slot of the name in the table of now, or the free one where it belongs.
 * buffer: room to read any pattern back. */
size_t kf_names_slot(const kf_knowledge *knowledge,
                     const uint8_t name[KF_NAME_SIZE], kf_pattern *buffer);

/* The row of the name in the table of now, or KF_NO_ROW. */
uint32_t kf_names_find(const kf_knowledge *knowledge,
                       const uint8_t name[KF_NAME_SIZE], kf_pattern *buffer);

/* Have the name's slot at hand when it is asked for. */
void kf_names_prefetch(const kf_knowledge *knowledge,
                       const uint8_t name[KF_NAME_SIZE]);

/* Add a row, whose name is in no slot; one more must fit. */
void kf_names_add(kf_name_table *table, uint32_t tag, uint32_t row);

/* Free a slot in the table of now; columns still have the row's tag. */
void kf_names_remove(kf_knowledge *knowledge, size_t slot);

/* --- contents: knowledge.c --- */

/* No writer but who made them may know of them. */
KF_MUST_USE kf_status kf_contents_make_empty(const kf_knowledge *knowledge,
                                             kf_contents *out, kf_error *err);
void kf_contents_free(const kf_alloc *alloc, kf_contents *old);

/* A root whose blocks are those of `before` (may be NULL) but the last,
 * which is `sealed` where that is not NULL, and a new head. */
KF_MUST_USE kf_status kf_contents_root(const kf_knowledge *knowledge,
                                       const kf_root *before,
                                       kf_segment *sealed, kf_symbols *symbols,
                                       kf_root **out, kf_error *err);

/* Let readers see these contents from now on, free the old ones. */
void kf_contents_replace(kf_knowledge *knowledge, const kf_contents *fresh);

/* Writing functions ask before they do anything. */
KF_MUST_USE kf_status
kf_knowledge_check_writable(const kf_knowledge *knowledge, kf_error *err);

/* --- rows: knowledge_rows.c, the writer's, on contents that it alone sees
 * or under the exclusive lock --- */

/* Room for one row more, but for symbols and counters. */
bool kf_rows_reserve(const kf_knowledge *knowledge, kf_contents *to);

/* The row gets the pattern, with frequency 0; all room is there. */
uint32_t kf_rows_append(const kf_knowledge *knowledge, kf_contents *to,
                        const kf_pattern *pattern);

/* Where the head is full, a segment takes its place, a new head comes
 * behind. seen: readers see these contents. */
KF_MUST_USE kf_status kf_rows_seal_if_full(kf_knowledge *knowledge,
                                           kf_contents *to, bool seen,
                                           kf_error *err);

/* The pieces of the head that are full, where a search wants them. */
void kf_rows_make_pieces(kf_contents *to);

/* Room to read any pattern back, also one of n symbols that is to come. */
bool kf_rows_reserve_buffer(kf_knowledge *knowledge, uint32_t n);

/* The row's pattern in the buffer. */
const kf_pattern *kf_rows_read_back(kf_knowledge *knowledge, uint32_t row);

/* --- knowledge_learning.c --- */

/* Set a pattern's values, or append it; under the exclusive lock, with room
 * in the head, and in the buffer for any pattern that is there. */
KF_MUST_USE kf_status kf_contents_put(kf_knowledge *knowledge,
                                      const kf_sequence *sequence,
                                      uint64_t frequency,
                                      const uint8_t name[KF_NAME_SIZE],
                                      kf_met *met, kf_error *err);

/* --- knowledge_tidy.c --- */

/* Build contents without what forgotten patterns left, where that is much,
 * and let them take over. Where there is no memory for that it stays, until
 * the next time. */
void kf_knowledge_tidy(kf_knowledge *knowledge);

/* --- life: knowledge.c --- */

/* A knowledge base that takes the contents where this succeeds; NULL: the
 * caller puts some in before anyone else sees it. */
KF_MUST_USE kf_status kf_knowledge_with(const kf_alloc *alloc,
                                        const kf_knowledge_options *options,
                                        const kf_contents *contents,
                                        kf_knowledge **out, kf_error *err);

#endif
