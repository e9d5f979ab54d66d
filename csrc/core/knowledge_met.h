/* Ids of symbols that a batch or a load has had lately, so that most of them
 * need no look into the table of symbols.
 *
 * Two ways to know one again, each a table of which a place has the last
 * symbol that came: by where its text lies (who learns a batch has most of
 * its symbols there once, and holds them until it ends: no look at the text)
 * and by a short text itself. Whoever makes texts meet on purpose loses the
 * shortcut, no more. A value of the writer, valid for one table of symbols. */
#ifndef KATO_FAST_KNOWLEDGE_MET_H
#define KATO_FAST_KNOWLEDGE_MET_H

#include "kato_fast/knowledge.h"

typedef struct {
    const char *bytes; /* NULL: free */
    uint32_t size;
    uint32_t id;
} kf_met_place;

typedef struct {
    uint64_t low;
    uint64_t high;
    uint32_t size; /* UINT32_MAX: free */
    uint32_t id;
} kf_met_text;

/* All zero: nothing is remembered. */
typedef struct {
    kf_met_place *places; /* owned, or NULL */
    kf_met_text *texts;   /* likewise */
    unsigned shift;       /* 64 - log2 of the number of places */
    bool reads_on;        /* of texts KF_SHORT_MAX bytes can be read */
} kf_met;

/* By place; nothing for a batch that is too small to be worth it. */
KF_MUST_USE kf_status kf_met_for_batch(const kf_alloc *alloc,
                                       const kf_sequence *sequences,
                                       size_t count, kf_met *out,
                                       kf_error *err);

/* By text, for a load of any length, whose texts are as loader.h says. */
KF_MUST_USE kf_status kf_met_for_load(const kf_alloc *alloc, kf_met *out,
                                      kf_error *err);

/* Let what was made for a load have places for so many symbols, as far as it
 * may grow; then it remembers nothing. Without memory it stays as it is. */
void kf_met_fit(const kf_alloc *alloc, uint32_t n_symbols, kf_met *met);

/* By text, for one small batch after the other; makes what is not there yet,
 * where there are so many symbols that looking for one takes time. Without
 * memory it stays without. */
void kf_met_for_few(const kf_alloc *alloc, uint32_t n_symbols, kf_met *met);

/* Of another table of symbols from now on; what was made by text. */
void kf_met_forget(kf_met *met);

/* Bytes of what was made by text. */
size_t kf_met_memory(const kf_met *met);

void kf_met_free(const kf_alloc *alloc, kf_met *met);

/* The ids of the sequence's symbols, new ones interned. */
KF_MUST_USE kf_status kf_met_intern(kf_met *met, kf_symbols *symbols,
                                    const kf_sequence *sequence, uint32_t *ids,
                                    kf_error *err);

#endif
