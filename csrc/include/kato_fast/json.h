/* JSON text, equal byte for byte to
 * json.dumps(x, ensure_ascii=False, separators=(",", ":")).
 *
 * Writers append to a kf_buffer; failure is in the buffer. */
#ifndef KATO_FAST_JSON_H
#define KATO_FAST_JSON_H

#include "kato_fast/buffer.h"

#include <stdint.h>

/* A string with its quotes. utf8 is valid UTF-8, size bytes, borrowed. */
void kf_json_string(kf_buffer *buffer, const char *utf8, size_t size);

/* Bytes that kf_json_string appends. */
size_t kf_json_string_size(const char *utf8, size_t size);

/* A finite double as repr writes it. */
void kf_json_double(kf_buffer *buffer, double value);

void kf_json_int(kf_buffer *buffer, int64_t value);
void kf_json_uint(kf_buffer *buffer, uint64_t value);

#endif
