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

/* What an id stands for: where its UTF-8 text and its JSON text are. Where
 * nothing had to be escaped, the one is inside the other. */
typedef struct {
    uint64_t bytes; /* from the start of the table's texts */
    uint64_t json;
    uint32_t size;
    uint32_t json_size;
} kf_symbol_entry;

typedef struct {
    uint32_t hash; /* upper half of the 64 bits */
    uint32_t id;   /* KF_SYMBOL_NONE: free */
} kf_symbol_slot;

/* A whole table in three position-independent arrays. */
typedef struct {
    const kf_symbol_entry *entries; /* by id */
    uint32_t count;
    const kf_symbol_slot *slots;
    size_t n_slots; /* a power of two, at most three quarters used */
    const char *texts;
    size_t texts_size;
} kf_symbols_image;

/* An owned image of the first `count` symbols, to be freed with
 * kf_symbols_image_free. Needs no lock. */
KF_MUST_USE kf_status kf_symbols_copy(const kf_symbols *symbols,
                                      uint32_t count, kf_symbols_image *out,
                                      kf_error *err);
void kf_symbols_image_free(const kf_alloc *alloc, kf_symbols_image *image);

/* A table over an image that is not copied (mapped from a file); nothing may
 * be interned in it. key: the one it was made with. Checks all that reading
 * would trust, KF_INVALID says what is wrong and where; that slots and JSON
 * agree with the texts is a checksum's task. release(context) is called when
 * the last share goes; it is not called where this fails. */
KF_MUST_USE kf_status kf_symbols_open(const kf_alloc *alloc,
                                      const uint8_t key[16],
                                      const kf_symbols_image *image,
                                      void (*release)(void *context),
                                      void *context, kf_symbols **out,
                                      kf_error *err);

kf_symbols *kf_symbols_share(kf_symbols *symbols);
void kf_symbols_release(kf_symbols *symbols); /* NULL is allowed */

uint32_t kf_symbols_count(const kf_symbols *symbols);

/* The id of the text, made if it is new. text is borrowed for the call. */
KF_MUST_USE kf_status kf_symbols_intern(kf_symbols *symbols, kf_text text,
                                        uint32_t *id, kf_error *err);

/* The id of the text, or KF_SYMBOL_NONE. */
uint32_t kf_symbols_find(const kf_symbols *symbols, kf_text text);

/* Entries live in chunks that never move, so that a reader without the lock
 * may look at any id it was given. Chunk c holds twice as many as the one
 * before. */
#define KF_SYMBOLS_FIRST_BITS 8
#define KF_SYMBOLS_FIRST ((uint32_t)1 << KF_SYMBOLS_FIRST_BITS)
#define KF_SYMBOLS_CHUNKS 23

/* What reading many texts in a row needs, borrowed from the table. */
typedef struct {
    kf_symbol_entry *const *chunks;
    uintptr_t texts; /* where an entry's texts are counted from */
} kf_symbols_reader;

kf_symbols_reader kf_symbols_read(const kf_symbols *symbols);

static inline kf_symbol_entry *
kf_symbols_entry(kf_symbols_reader reader, uint32_t id)
{
    uint32_t from_first = id + KF_SYMBOLS_FIRST;
    unsigned top = 31 - (unsigned)__builtin_clz(from_first);
    kf_symbol_entry *chunk = reader.chunks[top - KF_SYMBOLS_FIRST_BITS];
    return chunk + (from_first ^ (uint32_t)1 << top);
}

kf_text kf_symbols_text(const kf_symbols *symbols, uint32_t id);
kf_text kf_symbols_json(const kf_symbols *symbols, uint32_t id);

size_t kf_symbols_memory(const kf_symbols *symbols);

#endif
