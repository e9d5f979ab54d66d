/* The elements of a BSON document, one after the other, over foreign bytes.
 *
 * Nothing in the bytes is trusted: every length is compared with what is
 * left, and a value is not looked into until it is opened as a document of
 * its own; depth is bounded by who opens. Pure functions, safe from any
 * thread. Knows nothing of the driver. */
#ifndef KATO_FAST_WIRE_MONGO_BSON_H
#define KATO_FAST_WIRE_MONGO_BSON_H

#include "kato_fast/symbols.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KF_BSON_DOUBLE = 0x01,
    KF_BSON_TEXT = 0x02,
    KF_BSON_DOCUMENT = 0x03,
    KF_BSON_ARRAY = 0x04,
    KF_BSON_BINARY = 0x05,
    KF_BSON_UNDEFINED = 0x06,
    KF_BSON_OBJECT_ID = 0x07,
    KF_BSON_BOOL = 0x08,
    KF_BSON_DATE = 0x09,
    KF_BSON_NULL = 0x0a,
    KF_BSON_REGEX = 0x0b,
    KF_BSON_POINTER = 0x0c,
    KF_BSON_CODE = 0x0d,
    KF_BSON_SYMBOL = 0x0e,
    KF_BSON_SCOPED_CODE = 0x0f,
    KF_BSON_INT32 = 0x10,
    KF_BSON_TIMESTAMP = 0x11,
    KF_BSON_INT64 = 0x12,
    KF_BSON_DECIMAL = 0x13,
    KF_BSON_MAX_KEY = 0x7f,
    KF_BSON_MIN_KEY = 0xff
};

/* A document's elements: at stands before the next, end at the closing 0. */
typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} kf_bson_cursor;

typedef struct {
    uint8_t type;
    kf_text key;
    const uint8_t *value; /* size bytes */
    size_t size;
} kf_bson_element;

/* Of a value of 4 or 8 bytes, in BSON's byte order. */
static inline uint32_t
kf_bson_u32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static inline uint64_t
kf_bson_u64(const uint8_t *bytes)
{
    return kf_bson_u32(bytes) | (uint64_t)kf_bson_u32(bytes + 4) << 32;
}

double kf_bson_double(const uint8_t *bytes);

/* Whether exactly size bytes can be one document. */
static inline bool
kf_bson_open(const uint8_t *bytes, size_t size, kf_bson_cursor *out)
{
    if (size < 5 || kf_bson_u32(bytes) != size || bytes[size - 1] != 0) {
        return false;
    }
    out->at = bytes + 4;
    out->end = bytes + size - 1;
    return true;
}

/* kf_bson_next for any key and type. */
int kf_bson_next_any(kf_bson_cursor *cursor, kf_bson_element *out);

/* 1 and the element, 0 at the end, -1 where the bytes are not BSON. What a
 * pattern has most of is found at once: a short key, and a text or array. */
static inline int
kf_bson_next(kf_bson_cursor *cursor, kf_bson_element *out)
{
    const uint8_t *at = cursor->at;
    size_t left = (size_t)(cursor->end - at);
    bool text = left >= 9 && at[0] == KF_BSON_TEXT;
    size_t key, before, length;
    if (!text && (left < 9 || at[0] != KF_BSON_ARRAY)) {
        return kf_bson_next_any(cursor, out);
    }
    key = at[1] == 0 ? 0 : at[2] == 0 ? 1 : at[3] == 0 ? 2 : 3;
    before = key + (text ? 6 : 2);
    length = kf_bson_u32(at + key + 2);
    if (at[key + 1] != 0 || length < (text ? 1 : 5) || length > left ||
        length + before > left || (text && at[before + length - 1] != 0)) {
        return kf_bson_next_any(cursor, out);
    }
    out->type = at[0];
    out->key = (kf_text){(const char *)at + 1, key};
    out->value = at + key + 2;
    out->size = length + (text ? 4 : 0);
    cursor->at = at + before + length;
    return 1;
}

/* Of an element of type KF_BSON_TEXT; not yet known to be UTF-8. */
static inline kf_text
kf_bson_text(const kf_bson_element *element)
{
    return (kf_text){(const char *)element->value + 4, element->size - 5};
}

#endif
