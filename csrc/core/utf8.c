#include "kato_fast/utf8.h"

#include <stdint.h>
#include <string.h>

static size_t
skip_ascii(const uint8_t *bytes, size_t at, size_t size)
{
    for (; size - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, 8);
        if ((word & 0x8080808080808080u) != 0) {
            break;
        }
    }
    while (at < size && bytes[at] < 0x80) {
        at++;
    }
    return at;
}

/* Bytes of the sequence that begins at b, which is not ASCII; 0 where it is
 * none. */
static size_t
sequence_size(const uint8_t *b, size_t left)
{
    size_t size = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    uint8_t least = b[0] == 0xe0 ? 0xa0 : b[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t most = b[0] == 0xed ? 0x9f : b[0] == 0xf4 ? 0x8f : 0xbf;
    if (b[0] < 0xc2 || b[0] > 0xf4 || left < size || b[1] < least ||
        b[1] > most) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((b[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

bool
kf_utf8_is_valid(const char *text, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t at = skip_ascii(bytes, 0, size);
    while (at < size) {
        size_t more = sequence_size(bytes + at, size - at);
        if (more == 0) {
            return false;
        }
        at = skip_ascii(bytes, at + more, size);
    }
    return true;
}
