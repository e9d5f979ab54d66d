/* Symbols: text to dense u32 ids and back.
 *
 * Ids are given in order of first arrival and never change. The hash is
 * SipHash-1-3 with a key given at construction, so that input cannot choose
 * collisions. A symbol's JSON text (with quotes) and its UTF-8 bytes are
 * stored once, in blocks that never move: pointers stay valid as long as the
 * table. A table is shared (counted). Interning needs the owner's exclusive
 * lock; reading the text of an id that was handed out needs none. */
#ifndef KATO_FAST_SYMBOLS_H
#define KATO_FAST_SYMBOLS_H

#include "kato_fast/alloc.h"
#include "kato_fast/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KF_SYMBOL_MAX_BYTES ((size_t)1 << 20)
#define KF_SYMBOL_NONE UINT32_MAX

typedef struct {
    const char *bytes; /* borrowed UTF-8, valid as long as the table */
    size_t size;
} kf_text;

typedef struct kf_symbols kf_symbols;

KF_MUST_USE kf_status kf_symbols_new(const kf_alloc *alloc,
                                     const uint8_t key[16], kf_symbols **out,
                                     kf_error *err);
kf_symbols *kf_symbols_share(kf_symbols *symbols);
void kf_symbols_release(kf_symbols *symbols); /* NULL is allowed */

uint32_t kf_symbols_count(const kf_symbols *symbols);

/* The id of the text, made if it is new. text is borrowed for the call. */
KF_MUST_USE kf_status kf_symbols_intern(kf_symbols *symbols, kf_text text,
                                        uint32_t *id, kf_error *err);

/* The id of the text, or KF_SYMBOL_NONE. */
uint32_t kf_symbols_find(const kf_symbols *symbols, kf_text text);

kf_text kf_symbols_text(const kf_symbols *symbols, uint32_t id);
kf_text kf_symbols_json(const kf_symbols *symbols, uint32_t id);

size_t kf_symbols_memory(const kf_symbols *symbols);

#endif
