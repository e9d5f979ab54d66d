/* CBOR (RFC 8949) from outside: whole, checked and bounded before anything is
 * built from it.
 *
 * libcbor's stateless decoder names one head after the other; nesting, limits
 * and what may stand where are decided here. The answer is a flat list of
 * items in the order of the bytes, which point into them. Taken is what JSON
 * has, and byte strings: no tags, no undefined, maps with text as keys. Sizes
 * that are only declared allocate nothing. Pure; safe from any thread. */
#ifndef KATO_FAST_WIRE_CBOR_H
#define KATO_FAST_WIRE_CBOR_H

#include "kato_fast/alloc.h"
#include "kato_fast/status.h"

#include <stdbool.h>
#include <stdint.h>

#define KF_CBOR_MAX_DEPTH 256

typedef enum {
    KF_CBOR_UNSIGNED, /* number */
    KF_CBOR_NEGATIVE, /* -1 - number */
    KF_CBOR_DOUBLE,
    KF_CBOR_NULL,
    KF_CBOR_FALSE,
    KF_CBOR_TRUE,
    KF_CBOR_BYTES,  /* number bytes at start */
    KF_CBOR_TEXT,   /* the same, valid UTF-8 */
    KF_CBOR_CHUNKS, /* number items follow, all BYTES or all TEXT */
    KF_CBOR_ARRAY,  /* number items follow, with theirs behind them */
    KF_CBOR_MAP /* number pairs follow, each a TEXT (or its chunks) first */
} kf_cbor_kind;

typedef struct {
    kf_cbor_kind kind;
    bool text;    /* of CHUNKS: text or bytes */
    size_t at;    /* the item's first byte */
    size_t start; /* of BYTES and TEXT: their first byte */
    union {
        uint64_t number;
        double value;
    } is;
} kf_cbor_item;

typedef struct {
    size_t max_depth; /* arrays and maps inside each other; at most
                       * KF_CBOR_MAX_DEPTH */
    size_t max_items; /* keys and chunks count, too */
    bool finite;      /* refuse infinities and NaN */
} kf_cbor_limits;

typedef struct {
    const kf_alloc *alloc; /* borrowed, outlives the items */
    kf_cbor_item *items;   /* owned */
    size_t n;
    size_t capacity;
} kf_cbor_items;

void kf_cbor_items_init(kf_cbor_items *items, const kf_alloc *alloc);
void kf_cbor_items_free(kf_cbor_items *items);

/* Append the items of exactly one value. data: borrowed, what items point
 * into. KF_INVALID or KF_TOO_LARGE with the byte where it went wrong. */
KF_MUST_USE kf_status kf_cbor_decode(const unsigned char *data, size_t size,
                                     const kf_cbor_limits *limits,
                                     kf_cbor_items *items, kf_error *err);

/* The linked library's version, as its header has it. */
extern const char kf_cbor_library_version[];

#endif
