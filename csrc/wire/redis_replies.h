/* Replies of a Redis server as one flat list, whatever they hold.
 *
 * hiredis parses, its callbacks append items here in the order they are read:
 * an array's item is followed by its elements. No tree is built, nothing
 * recurses, and a declared length allocates nothing: memory follows the bytes
 * that really came. Depth, count and size are bounded here, because hiredis
 * bounds the depth in some versions only. Not safe from several threads. */
#ifndef KATO_FAST_WIRE_REDIS_REPLIES_H
#define KATO_FAST_WIRE_REDIS_REPLIES_H

#include "kato_fast/buffer.h"
#include "kato_fast/status.h"

#include <stdint.h>

/* What every supported hiredis reads: arrays inside of arrays, seven deep. */
#define KF_REDIS_MAX_DEPTH 7
#define KF_REDIS_MAX_ITEMS ((size_t)1 << 22)

typedef enum {
    KF_REDIS_NIL,
    KF_REDIS_INTEGER, /* number */
    KF_REDIS_BYTES,   /* size bytes from number on; a status is one, too */
    KF_REDIS_ERROR,   /* the same, the server's text */
    KF_REDIS_ARRAY    /* number items follow, with theirs behind them */
} kf_redis_kind;

typedef struct {
    kf_redis_kind kind;
    int64_t number;
    size_t size;
} kf_redis_item;

typedef struct {
    const kf_alloc *alloc; /* borrowed, outlives the replies */
    kf_redis_item *items;  /* owned */
    size_t n_items;
    size_t capacity;
    kf_buffer bytes;
    const char *refusal; /* why the last item was refused, or NULL */
    bool failed;         /* an allocation failed */
} kf_redis_replies;

void kf_redis_replies_init(kf_redis_replies *replies, const kf_alloc *alloc);
void kf_redis_replies_free(kf_redis_replies *replies);

static inline const char *
kf_redis_item_bytes(const kf_redis_replies *replies, const kf_redis_item *item)
{
    return item->size == 0 ? "" : replies->bytes.data + item->number;
}

/* A parser that remembers what it has read of a reply that is not whole. */
typedef struct kf_redis_parser kf_redis_parser;

/* NULL where there is no memory. */
kf_redis_parser *kf_redis_parser_new(void);
void kf_redis_parser_free(kf_redis_parser *parser);

/* Append to replies what is whole after these bytes (borrowed), at most
 * `wanted` replies, and add their count to *whole. KF_INVALID where this is
 * not the protocol, holds what RESP2 has not, or more follows than wanted;
 * KF_TOO_LARGE over a limit: the parser and the rest are of no use then. */
KF_MUST_USE kf_status kf_redis_parse(kf_redis_parser *parser,
                                     kf_redis_replies *replies,
                                     const char *bytes, size_t size,
                                     size_t wanted, size_t *whole,
                                     kf_error *err);

/* The linked library's version, as its header has it. */
extern const char kf_redis_library_version[];

#endif
