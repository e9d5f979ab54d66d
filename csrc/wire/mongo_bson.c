#include "wire/mongo_bson.h"

#include <string.h>

double
kf_bson_double(const uint8_t *bytes)
{
    uint64_t bits = kf_bson_u64(bytes);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Bytes of the text with its NUL, both ends known to be inside. */
static bool
until_nul(const uint8_t *bytes, const uint8_t *end, size_t *out)
{
    const uint8_t *nul = memchr(bytes, 0, (size_t)(end - bytes));
    if (nul == NULL) {
        return false;
    }
    *out = (size_t)(nul - bytes) + 1;
    return true;
}

/* The length that stands at the value, plus `more`, if it is `least` or
 * more and fits into what is left. */
static bool
counted(const uint8_t *value, size_t left, size_t more, size_t least,
        size_t *out)
{
    size_t length;
    if (left < 4) {
        return false;
    }
    length = kf_bson_u32(value);
    if (length < least || length > left || length + more > left) {
        return false;
    }
    *out = length + more;
    return true;
}

static bool
regex_size(const uint8_t *value, const uint8_t *end, size_t *out)
{
    size_t pattern;
    size_t options;
    if (!until_nul(value, end, &pattern) ||
        !until_nul(value + pattern, end, &options)) {
        return false;
    }
    *out = pattern + options;
    return true;
}

static bool
fixed(size_t size, size_t left, size_t *out)
{
    *out = size;
    return size <= left;
}

static bool
value_size(uint8_t type, const uint8_t *value, const uint8_t *end, size_t *out)
{
    size_t left = (size_t)(end - value);
    switch (type) {
    case KF_BSON_TEXT:
    case KF_BSON_CODE:
    case KF_BSON_SYMBOL:
        return counted(value, left, 4, 1, out) && value[*out - 1] == 0;
    case KF_BSON_DOCUMENT:
    case KF_BSON_ARRAY:
        return counted(value, left, 0, 5, out);
    case KF_BSON_SCOPED_CODE:
        return counted(value, left, 0, 14, out);
    case KF_BSON_BINARY:
        return counted(value, left, 5, 0, out);
    case KF_BSON_POINTER:
        return counted(value, left, 16, 1, out);
    case KF_BSON_REGEX:
        return regex_size(value, end, out);
    case KF_BSON_DOUBLE:
    case KF_BSON_DATE:
    case KF_BSON_TIMESTAMP:
    case KF_BSON_INT64:
        return fixed(8, left, out);
    case KF_BSON_INT32:
        return fixed(4, left, out);
    case KF_BSON_BOOL:
        return fixed(1, left, out);
    case KF_BSON_OBJECT_ID:
        return fixed(12, left, out);
    case KF_BSON_DECIMAL:
        return fixed(16, left, out);
    case KF_BSON_UNDEFINED:
    case KF_BSON_NULL:
    case KF_BSON_MIN_KEY:
    case KF_BSON_MAX_KEY:
        return fixed(0, left, out);
    default:
        return false;
    }
}

int
kf_bson_next_any(kf_bson_cursor *cursor, kf_bson_element *out)
{
    const uint8_t *key = cursor->at + 1;
    size_t size;
    if (cursor->at == cursor->end) {
        return 0;
    }
    out->type = *cursor->at;
    if (!until_nul(key, cursor->end, &size)) {
        return -1;
    }
    out->key = (kf_text){(const char *)key, size - 1};
    out->value = key + size;
    if (!value_size(out->type, out->value, cursor->end, &out->size)) {
        return -1;
    }
    cursor->at = out->value + out->size;
    return 1;
}
