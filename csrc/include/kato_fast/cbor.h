/* CBOR (RFC 8949), equal byte for byte to cbor2.dumps of the same values:
 * definite lengths, shortest heads, doubles always as 64 bits.
 *
 * Writers append to a kf_buffer; failure is in the buffer. */
#ifndef KATO_FAST_CBOR_H
#define KATO_FAST_CBOR_H

#include "kato_fast/buffer.h"

#include <stdint.h>

/* Major types (section 3.1), in the upper three bits of a first byte. */
typedef enum {
    KF_CBOR_MAJOR_UNSIGNED = 0 << 5,
    KF_CBOR_MAJOR_NEGATIVE = 1 << 5,
    KF_CBOR_MAJOR_BYTES = 2 << 5,
    KF_CBOR_MAJOR_TEXT = 3 << 5,
    KF_CBOR_MAJOR_ARRAY = 4 << 5,
    KF_CBOR_MAJOR_MAP = 5 << 5
} kf_cbor_major;

/* The shortest head (section 4.2.1): the first byte alone below 24. */
void kf_cbor_head(kf_buffer *buffer, kf_cbor_major major, uint64_t value);

void kf_cbor_uint(kf_buffer *buffer, uint64_t value);
void kf_cbor_negative(kf_buffer *buffer, uint64_t value); /* -1 - value */
void kf_cbor_bytes(kf_buffer *buffer, const void *bytes, size_t size);
void kf_cbor_bool(kf_buffer *buffer, bool value);
void kf_cbor_null(kf_buffer *buffer);
void kf_cbor_text(kf_buffer *buffer, const char *utf8, size_t size);
void kf_cbor_array(kf_buffer *buffer, uint64_t count); /* items follow */
void kf_cbor_map(kf_buffer *buffer, uint64_t count);   /* pairs follow */

/* Finite doubles in 64 bits; infinities and the one quiet NaN in 16. */
void kf_cbor_double(kf_buffer *buffer, double value);

#endif
