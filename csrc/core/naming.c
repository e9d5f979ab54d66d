#include "kato_fast/naming.h"

#include "kato_fast/cpu.h"
#include "kato_fast/utf8.h"
#include "kernels/naming.h"
#include "kernels/naming_rounds.h"
#include "unicode_table.h"

#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

/* --- SHA-1 --- */

static inline uint32_t
load_big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
           (uint32_t)bytes[2] << 8 | (uint32_t)bytes[3];
}

/* Word t of the message schedule, in a ring of 16. */
static inline uint32_t
schedule(uint32_t w[16], const uint8_t block[64], int t)
{
    if (t < 16) {
        return w[t] = load_big_endian(block + 4 * t);
    }
    return w[t & 15] = ROTATED(w[(t + 13) & 15] ^ w[(t + 8) & 15] ^
                                   w[(t + 2) & 15] ^ w[t & 15],
                               1);
}

#define SCHEDULED(t) schedule(w, block, t)

static void
compress(uint32_t state[5], const uint8_t block[64])
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3],
             e = state[4];
    uint32_t w[16];
    EIGHTY_ROUNDS;
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void
kf_sha1_blocks_scalar(uint32_t state[5], const uint8_t *blocks, size_t n)
{
    for (; n > 0; n--, blocks += 64) {
        compress(state, blocks);
    }
}

static kf_sha1_blocks
choose_blocks(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (kf_cpu_has_sha()) {
        return kf_sha1_blocks_sha;
    }
#endif
    return kf_sha1_blocks_scalar;
}

/* What is fed gathers in a buffer of several blocks. */

/* Hash the whole blocks that the buffer holds. */
static void
flush(kf_naming *naming)
{
    size_t blocks = naming->used / 64;
    naming->blocks(naming->state, naming->buffer, blocks);
    naming->used %= 64;
    naming->size += blocks * 64;
    memmove(naming->buffer, naming->buffer + blocks * 64, naming->used);
}

/* Where at least `count` bytes may be written; at most KF_NAMING_PIECE. */
static inline uint8_t *
room_for(kf_naming *naming, size_t count)
{
    if (KF_NAMING_BUFFER - naming->used < count) {
        flush(naming);
    }
    return naming->buffer + naming->used;
}

static void
feed(kf_naming *naming, const void *bytes, size_t count)
{
    const uint8_t *next = bytes;
    while (count > 0) {
        size_t part = count < KF_NAMING_PIECE ? count : KF_NAMING_PIECE;
        memcpy(room_for(naming, part), next, part);
        naming->used += part;
        next += part;
        count -= part;
    }
}

static inline void
feed_byte(kf_naming *naming, char byte)
{
    *room_for(naming, 1) = (uint8_t)byte;
    naming->used++;
}

void
kf_naming_start(kf_naming *naming, unsigned unicode)
{
    static const uint32_t initial[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu,
                                        0x10325476u, 0xc3d2e1f0u};
    memcpy(naming->state, initial, sizeof initial);
    naming->blocks = choose_blocks();
    naming->size = 0;
    naming->used = 0;
    naming->unicode = unicode;
    naming->in_event = false;
    naming->first_symbol = true;
    feed_byte(naming, '[');
}

void
kf_naming_event(kf_naming *naming)
{
    uint8_t *at = room_for(naming, 4);
    if (naming->in_event) {
        memcpy(at, "], [", 4);
        naming->used += 4;
    }
    else {
        *at = '[';
        naming->used++;
    }
    naming->in_event = true;
    naming->first_symbol = true;
}

void
kf_naming_finish(kf_naming *naming, uint8_t name[KF_NAME_SIZE])
{
    static const uint8_t padding[64] = {0x80};
    uint8_t length[8];
    uint64_t bits;
    if (naming->in_event) {
        feed_byte(naming, ']');
    }
    feed_byte(naming, ']');
    bits = (naming->size + naming->used) * 8;
    for (int i = 0; i < 8; i++) {
        length[i] = (uint8_t)(bits >> (56 - 8 * i));
    }
    feed(naming, padding, 1 + ((119 - (naming->used & 63)) & 63));
    feed(naming, length, sizeof length);
    flush(naming);
    for (int i = 0; i < KF_NAME_SIZE; i++) {
        name[i] = (uint8_t)(naming->state[i / 4] >> (24 - 8 * (i % 4)));
    }
}

/* repr of a str: unicode_repr in CPython's Objects/unicodeobject.c. */

/* 0 for bytes that repr shows as they are, whatever is around them. */
enum {
    PLAIN = 0,
    SINGLE = 1,
    DOUBLE = 2,
    SPECIAL = 4
};

/* Without branches, so that the compiler can take many bytes at a time. */
static inline unsigned
byte_kind(uint8_t byte)
{
    unsigned special = (byte < 0x20) | (byte == '\\') | (byte >= 0x7f);
    return (byte == '\'') * SINGLE | (byte == '"') * DOUBLE |
           special * SPECIAL;
}

/* An escape of the given letter and number of hex digits. */
static void
feed_hex(kf_naming *naming, char letter, int digits, uint32_t code_point)
{
    feed_byte(naming, '\\');
    feed_byte(naming, letter);
    while (digits-- > 0) {
        feed_byte(naming, hex_digits[(code_point >> (4 * digits)) & 15]);
    }
}

static void
feed_escaped(kf_naming *naming, uint32_t code_point)
{
    if (code_point < 0x100) {
        feed_hex(naming, 'x', 2, code_point);
    }
    else if (code_point < 0x10000) {
        feed_hex(naming, 'u', 4, code_point);
    }
    else {
        feed_hex(naming, 'U', 8, code_point);
    }
}

static void
feed_ascii(kf_naming *naming, char byte, char quote)
{
    static const char from[] = "\n\r\t\\";
    static const char to[] = "nrt\\";
    const char *found = memchr(from, byte, sizeof from - 1);
    if (found != NULL || byte == quote) {
        feed_byte(naming, '\\');
        feed_byte(naming, found != NULL ? to[found - from] : byte);
    }
    else if (byte < 0x20 || byte == 0x7f) {
        feed_escaped(naming, (uint32_t)byte);
    }
    else {
        feed_byte(naming, byte);
    }
}

/* The code point at utf8, which is valid and not ASCII, and its size. */
static inline size_t
decode(const char *utf8, uint32_t *code_point)
{
    const uint8_t *b = (const uint8_t *)utf8;
    if (b[0] < 0xe0) {
        *code_point = (b[0] & 0x1fu) << 6 | (b[1] & 0x3fu);
        return 2;
    }
    if (b[0] < 0xf0) {
        *code_point =
            (b[0] & 0x0fu) << 12 | (b[1] & 0x3fu) << 6 | (b[2] & 0x3fu);
        return 3;
    }
    *code_point = (b[0] & 0x07u) << 18 | (b[1] & 0x3fu) << 12 |
                  (b[2] & 0x3fu) << 6 | (b[3] & 0x3fu);
    return 4;
}

static size_t
feed_wide(kf_naming *naming, const char *utf8)
{
    uint32_t code_point;
    size_t size = decode(utf8, &code_point);
    if (kf_unicode_is_printable(code_point, naming->unicode)) {
        feed(naming, utf8, size);
    }
    else {
        feed_escaped(naming, code_point);
    }
    return size;
}

static void
feed_special(kf_naming *naming, const char *utf8, size_t size, char quote)
{
    size_t i = 0;
    while (i < size) {
        if ((uint8_t)utf8[i] < 0x80) {
            feed_ascii(naming, utf8[i++], quote);
        }
        else {
            i += feed_wide(naming, utf8 + i);
        }
    }
}

/* --- short and plain: what nearly all symbols are --- */

typedef int8_t sixteen_bytes __attribute__((vector_size(16)));
typedef uint64_t two_words __attribute__((vector_size(16)));

/* Whether all bytes of the words are plain ASCII: what is above it is
 * negative. */
static inline bool
are_plain(uint64_t low, uint64_t high)
{
    sixteen_bytes bytes = (sixteen_bytes)(two_words){low, high};
    two_words other =
        (two_words)((bytes < 0x20) | (bytes == 0x7f) | (bytes == '\'') |
                    (bytes == '"') | (bytes == '\\'));
    return (other[0] | other[1]) == 0;
}

static inline void
store_short(uint8_t *out, size_t size, uint64_t low, uint64_t high)
{
    if (size >= 8) {
        memcpy(out, &low, 8);
        memcpy(out + size - 8, &high, 8);
    }
    else if (size >= 4) {
        memcpy(out, &low, 4);
        memcpy(out + size - 4, &high, 4);
    }
    else if (size > 0) {
        const uint8_t *bytes = (const uint8_t *)&low;
        out[0] = bytes[0];
        out[size / 2] = bytes[1];
        out[size - 1] = bytes[2];
    }
}

/* A short symbol; false where it has something to escape. */
static inline bool
load_plain(const char *utf8, size_t size, uint64_t *low, uint64_t *high)
{
    kf_short_load(utf8, size, low, high);
    return are_plain(*low, *high);
}

static void
feed_quoted(kf_naming *naming, const char *utf8, size_t size)
{
    unsigned kinds = PLAIN;
    char quote;
    for (size_t i = 0; i < size; i++) {
        kinds |= byte_kind((uint8_t)utf8[i]);
    }
    quote = (kinds & (SINGLE | DOUBLE)) == SINGLE ? '"' : '\'';
    feed_byte(naming, quote);
    if ((kinds & SPECIAL) != 0 || kinds == (SINGLE | DOUBLE)) {
        feed_special(naming, utf8, size, quote);
    }
    else {
        feed(naming, utf8, size);
    }
    feed_byte(naming, quote);
}

/* --- whole sequences --- */

/* Texts lie anywhere in memory. */
#define TEXTS_AHEAD 8u

/* What stands before a symbol. */
typedef struct {
    char bytes[4];
    size_t size;
} separator;

static const separator none = {"", 0}, event_first = {"[", 1},
                       event_next = {"], [", 4}, symbol_next = {", ", 2};

static inline uint8_t *
write_separator(uint8_t *at, separator before)
{
    memcpy(at, before.bytes, sizeof before.bytes);
    return at + before.size;
}

/* Where the buffer, filled up to `at`, has room for a separator and a plain
 * symbol. */
static inline uint8_t *
room_at(kf_naming *naming, uint8_t *at)
{
    naming->used = (size_t)(at - naming->buffer);
    return room_for(naming, KF_SHORT_MAX + 6);
}

static inline uint8_t *
write_symbol(kf_naming *naming, uint8_t *at, separator before, kf_text symbol)
{
    uint64_t low, high;
    at = write_separator(room_at(naming, at), before);
    if (symbol.size > KF_SHORT_MAX ||
        !load_plain(symbol.bytes, symbol.size, &low, &high)) {
        naming->used = (size_t)(at - naming->buffer);
        feed_quoted(naming, symbol.bytes, symbol.size);
        return naming->buffer + naming->used;
    }
    at[0] = '\'';
    store_short(at + 1, symbol.size, low, high);
    at[symbol.size + 1] = '\'';
    return at + symbol.size + 2;
}

void
kf_naming_symbol(kf_naming *naming, const char *utf8, size_t size)
{
    uint8_t *at = naming->buffer + naming->used;
    at = write_symbol(naming, at, naming->first_symbol ? none : symbol_next,
                      (kf_text){utf8, size});
    naming->used = (size_t)(at - naming->buffer);
    naming->first_symbol = false;
}

/* kf_naming_event and kf_naming_symbol, with the end of what is written in a
 * register: through the naming each symbol would wait for the one before. */
void
kf_naming_events(kf_naming *naming, const kf_text *symbols,
                 const uint32_t *ends, uint32_t n_events)
{
    uint8_t *at = naming->buffer + naming->used;
    separator before = naming->in_event ? event_next : event_first;
    uint32_t n = n_events > 0 ? ends[n_events - 1] : 0;
    uint32_t i = 0;
    for (uint32_t event = 0; event < n_events; event++) {
        if (i == ends[event]) {
            at = write_separator(room_at(naming, at), before);
        }
        for (; i < ends[event]; i++) {
            if (n - i > TEXTS_AHEAD) {
                __builtin_prefetch(symbols[i + TEXTS_AHEAD].bytes);
            }
            at = write_symbol(naming, at, before, symbols[i]);
            before = symbol_next;
        }
        before = event_next;
    }
    naming->used = (size_t)(at - naming->buffer);
    naming->in_event = naming->in_event || n_events > 0;
    naming->first_symbol = false;
}

bool
kf_unicode_is_printable(uint32_t code_point, unsigned unicode)
{
    const size_t count =
        sizeof kf_unicode_printable / sizeof kf_unicode_printable[0];
    const kf_unicode_range *range;
    size_t low = 0;
    size_t high = count;
    if (code_point < 0x80) {
        return code_point >= 0x20 && code_point != 0x7f;
    }
    /* Ends at the last range that begins at or before code_point, or at the
     * first range, which then does not hold it. */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (kf_unicode_printable[middle].first <= code_point) {
            low = middle;
        }
        else {
            high = middle;
        }
    }
    range = &kf_unicode_printable[low];
    return code_point >= range->first && code_point <= range->last &&
           (range->since <= unicode || range->since == KF_UNICODE_OLDEST);
}

/* Names as text. */

void
kf_name_to_hex(const uint8_t name[KF_NAME_SIZE], char hex[KF_NAME_HEX_SIZE])
{
    for (int i = 0; i < KF_NAME_SIZE; i++) {
        hex[2 * i] = hex_digits[name[i] >> 4];
        hex[2 * i + 1] = hex_digits[name[i] & 15];
    }
}

/* 0 to 15, or -1. */
static inline int
hex_value(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                                          : -1;
}

bool
kf_name_from_hex(const char *hex, size_t size, uint8_t name[KF_NAME_SIZE])
{
    uint8_t bytes[KF_NAME_SIZE];
    if (size != KF_NAME_HEX_SIZE) {
        return false;
    }
    for (int i = 0; i < KF_NAME_SIZE; i++) {
        int high = hex_value(hex[2 * i]);
        int low = hex_value(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(name, bytes, sizeof bytes);
    return true;
}
