/* A state, encoded: the symbols that are asked about, as ids where the
 * knowledge base knows them, as text where it does not.
 *
 * Unknown symbols are never interned: asking does not grow the knowledge
 * base. Immutable once made; texts stay valid as long as the state. */
#ifndef KATO_FAST_STATE_H
#define KATO_FAST_STATE_H

#include "kato_fast/align.h"
#include "kato_fast/arena.h"
#include "kato_fast/symbols.h"
#include "kato_fast/status.h"

#include <stdbool.h>
#include <stdint.h>

/* A symbol that the knowledge base knows, and how often and where the
 * state has it. */
typedef struct {
    uint32_t symbol;
    uint32_t count;
    uint32_t first; /* its first position */
} kf_state_symbol;

typedef struct {
    kf_alloc alloc;
    uint32_t m;
    uint32_t *ids; /* KF_SYMBOL_NONE: unknown */
    kf_text *texts;
    kf_text *json;
    kf_state_symbol *distinct; /* by symbol */
    uint32_t n_distinct;
    const uint32_t *ends; /* of its events, where they are kept */
    uint32_t n_events;    /* 0 where they are not */
    kf_align_state *align;
    kf_arena arena;      /* holds the arrays and unknown texts */
    kf_symbols *symbols; /* a share: known texts are in it */
} kf_state;

/* texts: m symbols, borrowed for the call. The knowledge base's lock must be
 * held. Free with kf_state_free. */
KF_MUST_USE kf_status kf_state_encode(const kf_alloc *alloc,
                                      kf_symbols *symbols,
                                      const kf_text *texts, uint32_t m,
                                      kf_state **out, kf_error *err);
/* Also keep where its events end, n_events of them, borrowed for the call;
 * false without memory. */
bool kf_state_keep_events(kf_state *state, const uint32_t *ends,
                          uint32_t n_events);
void kf_state_free(kf_state *state); /* NULL is allowed */

#endif
