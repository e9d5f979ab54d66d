#include "kato_fast/cbor.h"

#include <math.h>

/* A first byte and the value behind it, big endian in `size` bytes. */
static void
put_sized(kf_buffer *buffer, unsigned first, uint64_t value, size_t size)
{
    unsigned char bytes[9] = {(unsigned char)first};
    for (size_t i = size; i > 0; i--) {
        bytes[i] = (unsigned char)value;
        value >>= 8;
    }
    kf_buffer_append(buffer, bytes, 1 + size);
}

void
kf_cbor_head(kf_buffer *buffer, kf_cbor_major major, uint64_t value)
{
    if (value < 24) {
        put_sized(buffer, (unsigned)major | (unsigned)value, 0, 0);
    }
    else if (value <= UINT8_MAX) {
        put_sized(buffer, major | 24, value, 1);
    }
    else if (value <= UINT16_MAX) {
        put_sized(buffer, major | 25, value, 2);
    }
    else if (value <= UINT32_MAX) {
        put_sized(buffer, major | 26, value, 4);
    }
    else {
        put_sized(buffer, major | 27, value, 8);
    }
}

void
kf_cbor_uint(kf_buffer *buffer, uint64_t value)
{
    kf_cbor_head(buffer, KF_CBOR_MAJOR_UNSIGNED, value);
}

void
kf_cbor_negative(kf_buffer *buffer, uint64_t value)
{
    kf_cbor_head(buffer, KF_CBOR_MAJOR_NEGATIVE, value);
}

void
kf_cbor_bytes(kf_buffer *buffer, const void *bytes, size_t size)
{
    kf_cbor_head(buffer, KF_CBOR_MAJOR_BYTES, size);
    kf_buffer_append(buffer, bytes, size);
}

void
kf_cbor_bool(kf_buffer *buffer, bool value)
{
    kf_buffer_put(buffer, value ? '\xf5' : '\xf4');
}

void
kf_cbor_null(kf_buffer *buffer)
{
    kf_buffer_put(buffer, '\xf6');
}

void
kf_cbor_text(kf_buffer *buffer, const char *utf8, size_t size)
{
    kf_cbor_head(buffer, KF_CBOR_MAJOR_TEXT, size);
    kf_buffer_append(buffer, utf8, size);
}

void
kf_cbor_array(kf_buffer *buffer, uint64_t count)
{
    kf_cbor_head(buffer, KF_CBOR_MAJOR_ARRAY, count);
}

void
kf_cbor_map(kf_buffer *buffer, uint64_t count)
{
    kf_cbor_head(buffer, KF_CBOR_MAJOR_MAP, count);
}

void
kf_cbor_double(kf_buffer *buffer, double value)
{
    uint64_t bits;
    if (!isfinite(value)) {
        put_sized(buffer, 0xf9,
                  isnan(value) ? 0x7e00
                  : value > 0  ? 0x7c00
                               : 0xfc00,
                  2);
        return;
    }
    memcpy(&bits, &value, sizeof bits);
    put_sized(buffer, 0xfb, bits, 8);
}
