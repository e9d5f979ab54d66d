#include "kato_fast/naming.h"

#include "naming_many.h"

#include "kato_fast/cpu.h"
#include "kato_fast/utf8.h"
#include "kernels/naming.h"

#include <string.h>

/* Symbols that surely fit, with what stands between them. */
#define SYMBOLS_MAX 43u
#define BLOCKS_MAX (KF_NAMING_TEXT / 64)

typedef int8_t sixteen_bytes __attribute__((vector_size(16)));
typedef uint64_t two_words __attribute__((vector_size(16)));

static kf_sha1_lanes
choose_lanes(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (kf_cpu_choose() == KF_CPU_AVX512) {
        return kf_sha1_lanes_avx512;
    }
#endif
    return NULL;
}

/* --- texts --- */

/* Bytes that repr does not show as they are, whatever is around them: what is
 * above ASCII is negative. */
static inline sixteen_bytes
special(sixteen_bytes bytes, size_t size)
{
    static const int8_t ones[2 * KF_SHORT_MAX] = {
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    sixteen_bytes inside;
    memcpy(&inside, ones + KF_SHORT_MAX - size, sizeof inside);
    return inside & ((bytes < 0x20) | (bytes == 0x7f) | (bytes == '\'') |
                     (bytes == '"') | (bytes == '\\'));
}

/* The end of a message, FIPS 180-4, section 5.1.1; returns its blocks. */
static uint8_t
pad(uint8_t *text, size_t size)
{
    size_t n_blocks = (size + 8) / 64 + 1;
    uint64_t bits = (uint64_t)size * 8;
    memset(text + size, 0, 72);
    text[size] = 0x80;
    text[64 * n_blocks - 2] = (uint8_t)(bits >> 8);
    text[64 * n_blocks - 1] = (uint8_t)bits;
    return (uint8_t)n_blocks;
}

/* The repr, ready to be hashed; returns its blocks, 0 where the sequence is
 * not short and plain. No branch on where an event ends: nobody can predict
 * that. */
static uint8_t
write_text(uint8_t *text, const kf_sequence *from)
{
    static const char between[2][8] = {"', '", "'], ['"};
    sixteen_bytes found = {0};
    two_words other;
    uint8_t *at = text + 3;
    uint32_t end = from->ends[0];
    uint32_t event = 0;
    if (from->n > SYMBOLS_MAX) {
        return 0;
    }
    memcpy(text, "[['", 3);
    for (uint32_t i = 0; i < from->n; i++) {
        kf_text symbol = from->symbols[i];
        uint32_t is_last = i + 1 == end;
        sixteen_bytes bytes;
        if (symbol.size > KF_SHORT_MAX) {
            return 0;
        }
        memcpy(&bytes, symbol.bytes, sizeof bytes);
        memcpy(at, &bytes, sizeof bytes);
        found |= special(bytes, symbol.size);
        at += symbol.size;
        memcpy(at, between[is_last], sizeof between[is_last]);
        at += 4 + 2 * is_last;
        event += is_last & (event + 1 < from->n_events);
        end = from->ends[event];
    }
    other = (two_words)found;
    memcpy(at - 6, "']]", 3);
    return (other[0] | other[1]) == 0 ? pad(text, (size_t)(at - 3 - text)) : 0;
}

/* --- names --- */

/* Numbers of texts by their blocks, so that lanes end together; those without
 * blocks are left out. Returns how many there are. */
static size_t
sort_texts(kf_naming_many *room, size_t count)
{
    size_t starts[BLOCKS_MAX + 2] = {0};
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        starts[room->n_blocks[i] + 1]++;
        n += room->n_blocks[i] != 0;
    }
    starts[1] = 0;
    for (size_t b = 2; b < BLOCKS_MAX + 2; b++) {
        starts[b] += starts[b - 1];
    }
    for (size_t i = 0; i < count; i++) {
        if (room->n_blocks[i] != 0) {
            room->order[starts[room->n_blocks[i]]++] = (uint8_t)i;
        }
    }
    return n;
}

static void
store_name(uint32_t states[5][KF_SHA1_LANES], size_t lane,
           uint8_t name[KF_NAME_SIZE])
{
    for (size_t i = 0; i < 5; i++) {
        uint32_t word = states[i][lane];
        for (size_t byte = 0; byte < 4; byte++) {
            name[4 * i + byte] = (uint8_t)(word >> (24 - 8 * byte));
        }
    }
}

/* Lanes that are left over look at the first text and take nothing. */
static void
name_some(const kf_naming_many *room, const uint8_t *order, size_t count,
          kf_sha1_lanes hash, uint8_t names[][KF_NAME_SIZE])
{
    static const uint32_t initial[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu,
                                        0x10325476u, 0xc3d2e1f0u};
    _Alignas(64) uint32_t states[5][KF_SHA1_LANES];
    const uint8_t *texts[KF_SHA1_LANES];
    uint8_t n_blocks[KF_SHA1_LANES];
    for (size_t lane = 0; lane < KF_SHA1_LANES; lane++) {
        size_t i = order[lane < count ? lane : 0];
        texts[lane] = room->texts[i];
        n_blocks[lane] = lane < count ? room->n_blocks[i] : 0;
        for (size_t word = 0; word < 5; word++) {
            states[word][lane] = initial[word];
        }
    }
    hash(states, texts, n_blocks, n_blocks[count - 1]);
    for (size_t lane = 0; lane < count; lane++) {
        store_name(states, lane, names[order[lane]]);
    }
}

/* The sequences that have no text are named here. */
static void
write_texts(kf_naming_many *room, const kf_knowledge *knowledge,
            const kf_loaded *patterns, size_t count,
            uint8_t names[][KF_NAME_SIZE])
{
    for (size_t i = 0; i < count; i++) {
        room->n_blocks[i] = write_text(room->texts[i], &patterns[i].sequence);
        if (room->n_blocks[i] == 0) {
            kf_knowledge_name(knowledge, &patterns[i].sequence, names[i]);
        }
    }
}

void
kf_naming_all(kf_naming_many *room, const kf_knowledge *knowledge,
              const kf_loaded *patterns, size_t count,
              uint8_t names[][KF_NAME_SIZE])
{
    kf_sha1_lanes hash = choose_lanes();
    size_t n;
    if (hash == NULL) {
        for (size_t i = 0; i < count; i++) {
            kf_knowledge_name(knowledge, &patterns[i].sequence, names[i]);
        }
        return;
    }
    write_texts(room, knowledge, patterns, count, names);
    n = sort_texts(room, count);
    for (size_t first = 0; first < n; first += KF_SHA1_LANES) {
        size_t left = n - first;
        name_some(room, room->order + first,
                  left < KF_SHA1_LANES ? left : KF_SHA1_LANES, hash, names);
    }
}
