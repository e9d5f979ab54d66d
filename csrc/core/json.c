#include "kato_fast/json.h"

#include "kato_fast/decimal.h"

#include <stdbool.h>

static inline bool
is_plain(char byte)
{
    return (unsigned char)byte >= 0x20 && byte != '"' && byte != '\\';
}

#define EVERY_BYTE(byte) (0x0101010101010101u * (uint64_t)(byte))

/* Whether all 8 bytes are plain. Subtracting borrows only out of bytes that
 * are below the limit, so the first hit is never missed or made up; ~word
 * lets bytes from 0x80 up, which UTF-8 has, pass. */
static inline bool
are_plain(const char *bytes)
{
    uint64_t word, quote, slash;
    memcpy(&word, bytes, sizeof word);
    quote = word ^ EVERY_BYTE('"');
    slash = word ^ EVERY_BYTE('\\');
    return ((((word - EVERY_BYTE(0x20)) & ~word) |
             ((quote - EVERY_BYTE(1)) & ~quote) |
             ((slash - EVERY_BYTE(1)) & ~slash)) &
            EVERY_BYTE(0x80)) == 0;
}

/* How many plain bytes are first. */
static inline size_t
plain_run(const char *bytes, size_t size)
{
    size_t i = 0;
    while (size - i >= 8 && are_plain(bytes + i)) {
        i += 8;
    }
    while (i < size && is_plain(bytes[i])) {
        i++;
    }
    return i;
}

/* The letter behind the backslash, or 0 where it takes a \u escape. */
static inline char
short_escape(char byte)
{
    switch (byte) {
    case '"':
    case '\\':
        return byte;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\f':
        return 'f';
    case '\b':
        return 'b';
    default:
        return 0;
    }
}

static void
put_escape(kf_buffer *buffer, char byte)
{
    char escape[6] = {'\\', short_escape(byte)};
    if (escape[1] != 0) {
        kf_buffer_append(buffer, escape, 2);
        return;
    }
    memcpy(escape + 1, "u00", 3);
    escape[4] = "01"[byte >> 4];
    escape[5] = "0123456789abcdef"[byte & 15];
    kf_buffer_append(buffer, escape, 6);
}

void
kf_json_string(kf_buffer *buffer, const char *utf8, size_t size)
{
    size_t i = 0;
    kf_buffer_put(buffer, '"');
    for (;;) {
        size_t run = plain_run(utf8 + i, size - i);
        kf_buffer_append(buffer, utf8 + i, run);
        i += run;
        if (i == size) {
            break;
        }
        put_escape(buffer, utf8[i++]);
    }
    kf_buffer_put(buffer, '"');
}

size_t
kf_json_string_size(const char *utf8, size_t size)
{
    size_t total = size + 2;
    size_t i = 0;
    while ((i += plain_run(utf8 + i, size - i)) < size) {
        total += short_escape(utf8[i++]) != 0 ? 1 : 5;
    }
    return total;
}

/* Numbers are written where they stay. */

static inline bool
has_room(kf_buffer *buffer, size_t count)
{
    return buffer->capacity - buffer->size >= count ||
           kf_buffer_reserve(buffer, count);
}

void
kf_json_double(kf_buffer *buffer, double value)
{
    if (has_room(buffer, KF_DECIMAL_MAX)) {
        buffer->size += kf_decimal_write(value, buffer->data + buffer->size);
    }
}

void
kf_json_uint(kf_buffer *buffer, uint64_t value)
{
    if (has_room(buffer, KF_DECIMAL_UINT_MAX)) {
        buffer->size +=
            kf_decimal_write_uint(value, buffer->data + buffer->size);
    }
}

void
kf_json_int(kf_buffer *buffer, int64_t value)
{
    if (value < 0) {
        kf_buffer_put(buffer, '-');
        kf_json_uint(buffer, 0 - (uint64_t)value);
    }
    else {
        kf_json_uint(buffer, (uint64_t)value);
    }
}
