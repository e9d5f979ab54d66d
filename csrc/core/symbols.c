#include "kato_fast/symbols.h"

#include "kato_fast/arena.h"
#include "kato_fast/buffer.h"
#include "kato_fast/json.h"
#include "kato_fast/utf8.h"

#include <stdatomic.h>
#include <string.h>

#define IDS_MAX ((KF_SYMBOLS_FIRST << KF_SYMBOLS_CHUNKS) - KF_SYMBOLS_FIRST)

struct kf_symbols {
    kf_alloc alloc;
    atomic_size_t shares;
    uint64_t key[2];
    kf_arena arena;
    kf_symbol_entry *chunks[KF_SYMBOLS_CHUNKS]; /* made as needed */
    uint32_t count;
    kf_symbol_slot *slots;
    size_t n_slots;  /* a power of two, at most three quarters used */
    uintptr_t texts; /* where an entry's texts are counted from; 0: owned */
    void (*release)(void *context); /* of an image that is not owned */
    void *context;
};

#define ROTATE(x, bits) (((x) << (bits)) | ((x) >> (64 - (bits))))
#define SIP_ROUND(v0, v1, v2, v3) \
    do {                          \
        v0 += v1;                 \
        v2 += v3;                 \
        v1 = ROTATE(v1, 13) ^ v0; \
        v3 = ROTATE(v3, 16) ^ v2; \
        v0 = ROTATE(v0, 32);      \
        v2 += v1;                 \
        v0 += v3;                 \
        v1 = ROTATE(v1, 17) ^ v2; \
        v3 = ROTATE(v3, 21) ^ v0; \
        v2 = ROTATE(v2, 32);      \
    } while (0)

/* SipHash-1-3, J.-P. Aumasson and D. J. Bernstein, 2012. */
static uint64_t
hash_text(const uint64_t key[2], const char *bytes, size_t size)
{
    uint64_t v0 = key[0] ^ 0x736f6d6570736575u;
    uint64_t v1 = key[1] ^ 0x646f72616e646f6du;
    uint64_t v2 = key[0] ^ 0x6c7967656e657261u;
    uint64_t v3 = key[1] ^ 0x7465646279746573u;
    uint64_t word = 0;
    size_t left = size;
    for (; left >= 8; left -= 8, bytes += 8) {
        memcpy(&word, bytes, 8);
        v3 ^= word;
        SIP_ROUND(v0, v1, v2, v3);
        v0 ^= word;
    }
    word = 0;
    memcpy(&word, bytes, left);
    word |= (uint64_t)size << 56;
    v3 ^= word;
    SIP_ROUND(v0, v1, v2, v3);
    v0 ^= word;
    v2 ^= 0xff;
    SIP_ROUND(v0, v1, v2, v3);
    SIP_ROUND(v0, v1, v2, v3);
    SIP_ROUND(v0, v1, v2, v3);
    return v0 ^ v1 ^ v2 ^ v3;
}

static kf_symbol_slot *
new_slots(const kf_alloc *alloc, size_t count)
{
    kf_symbol_slot *slots = kf_allocate(alloc, count, sizeof *slots);
    if (slots != NULL) {
        memset(slots, 0xff, count * sizeof *slots);
    }
    return slots;
}

kf_status
kf_symbols_new(const kf_alloc *alloc, const uint8_t key[16], kf_symbols **out,
               kf_error *err)
{
    kf_symbols *symbols = kf_allocate_zero(alloc, 1, sizeof *symbols);
    if (symbols == NULL) {
        return kf_no_memory(err);
    }
    symbols->alloc = *alloc;
    atomic_init(&symbols->shares, 1);
    memcpy(symbols->key, key, sizeof symbols->key);
    kf_arena_init(&symbols->arena, &symbols->alloc);
    symbols->n_slots = 256;
    symbols->slots = new_slots(alloc, symbols->n_slots);
    if (symbols->slots == NULL) {
        kf_symbols_release(symbols);
        return kf_no_memory(err);
    }
    *out = symbols;
    return KF_OK;
}

kf_symbols *
kf_symbols_share(kf_symbols *symbols)
{
    atomic_fetch_add_explicit(&symbols->shares, 1, memory_order_relaxed);
    return symbols;
}

void
kf_symbols_release(kf_symbols *symbols)
{
    kf_alloc alloc;
    if (symbols == NULL ||
        atomic_fetch_sub_explicit(&symbols->shares, 1, memory_order_acq_rel) >
            1) {
        return;
    }
    alloc = symbols->alloc;
    kf_arena_free(&symbols->arena);
    if (symbols->release != NULL) {
        symbols->release(symbols->context);
    }
    else {
        kf_release(&alloc, symbols->slots);
    }
    kf_release(&alloc, symbols);
}

uint32_t
kf_symbols_count(const kf_symbols *symbols)
{
    return symbols->count;
}

/* Which chunk holds the id. */
static unsigned
chunk_of(uint32_t id)
{
    uint32_t from_first = id + KF_SYMBOLS_FIRST;
    return 31 - (unsigned)__builtin_clz(from_first) - KF_SYMBOLS_FIRST_BITS;
}

kf_symbols_reader
kf_symbols_read(const kf_symbols *symbols)
{
    return (kf_symbols_reader){symbols->chunks, symbols->texts};
}

static inline kf_symbol_entry *
entry_of(const kf_symbols *symbols, uint32_t id)
{
    return kf_symbols_entry(kf_symbols_read(symbols), id);
}

static inline kf_text
text_of(const kf_symbols *symbols, const kf_symbol_entry *known)
{
    return (kf_text){(const char *)(symbols->texts + (uintptr_t)known->bytes),
                     known->size};
}

/* The slot that holds the text, or the free one where it belongs. */
static kf_symbol_slot *
find_slot(const kf_symbols *symbols, kf_text text, uint64_t hash)
{
    size_t mask = symbols->n_slots - 1;
    size_t at = (size_t)hash & mask;
    uint32_t upper = (uint32_t)(hash >> 32);
    for (;; at = (at + 1) & mask) {
        kf_symbol_slot *here = &symbols->slots[at];
        if (here->id == KF_SYMBOL_NONE) {
            return here;
        }
        if (here->hash == upper) {
            kf_text known = text_of(symbols, entry_of(symbols, here->id));
            if (known.size == text.size &&
                memcmp(known.bytes, text.bytes, text.size) == 0) {
                return here;
            }
        }
    }
}

/* Put the id of a text that is not there yet in its slot. */
static void
place_id(kf_symbol_slot *slots, size_t n_slots, const uint64_t key[2],
         kf_text text, uint32_t id)
{
    uint64_t hash = hash_text(key, text.bytes, text.size);
    size_t at = (size_t)hash & (n_slots - 1);
    while (slots[at].id != KF_SYMBOL_NONE) {
        at = (at + 1) & (n_slots - 1);
    }
    slots[at].hash = (uint32_t)(hash >> 32);
    slots[at].id = id;
}

/* The slots keep only half of each hash, so growing hashes the texts
 * again. */
static bool
grow_slots(kf_symbols *symbols)
{
    size_t n_slots = symbols->n_slots * 2;
    kf_symbol_slot *old = symbols->slots;
    kf_symbol_slot *slots = new_slots(&symbols->alloc, n_slots);
    if (slots == NULL) {
        return false;
    }
    for (uint32_t id = 0; id < symbols->count; id++) {
        place_id(slots, n_slots, symbols->key,
                 text_of(symbols, entry_of(symbols, id)), id);
    }
    symbols->slots = slots;
    symbols->n_slots = n_slots;
    kf_release(&symbols->alloc, old);
    return true;
}

/* Store both forms of the text; where nothing is escaped they share bytes. */
static bool
fill_entry(kf_symbols *symbols, kf_text text, kf_symbol_entry *out)
{
    size_t json_size = kf_json_string_size(text.bytes, text.size);
    bool plain = json_size == text.size + 2;
    char *json =
        kf_arena_take(&symbols->arena, json_size + (plain ? 0 : text.size));
    kf_buffer buffer;
    if (json == NULL) {
        return false;
    }
    /* A buffer over memory that is already there: it never has to grow. */
    buffer.alloc = &symbols->alloc;
    buffer.data = json;
    buffer.size = 0;
    buffer.capacity = json_size;
    buffer.failed = false;
    kf_json_string(&buffer, text.bytes, text.size);
    out->json = (uintptr_t)json;
    out->json_size = (uint32_t)json_size;
    out->bytes = out->json + (plain ? 1 : json_size);
    out->size = (uint32_t)text.size;
    if (!plain) {
        memcpy(json + json_size, text.bytes, text.size);
    }
    return true;
}

static bool
append_entry(kf_symbols *symbols, kf_text text)
{
    uint32_t id = symbols->count;
    unsigned chunk = chunk_of(id);
    if (symbols->chunks[chunk] == NULL) {
        size_t size =
            ((size_t)KF_SYMBOLS_FIRST << chunk) * sizeof(kf_symbol_entry);
        symbols->chunks[chunk] = kf_arena_take(&symbols->arena, size);
        if (symbols->chunks[chunk] == NULL) {
            return false;
        }
    }
    if (!fill_entry(symbols, text, entry_of(symbols, id))) {
        return false;
    }
    symbols->count = id + 1;
    return true;
}

kf_status
kf_symbols_intern(kf_symbols *symbols, kf_text text, uint32_t *id,
                  kf_error *err)
{
    uint64_t hash = hash_text(symbols->key, text.bytes, text.size);
    kf_symbol_slot *here = find_slot(symbols, text, hash);
    if (here->id != KF_SYMBOL_NONE) {
        *id = here->id;
        return KF_OK;
    }
    if (text.size > KF_SYMBOL_MAX_BYTES) {
        return kf_fail(err, KF_TOO_LARGE, "a symbol has %zu bytes, over %zu",
                       text.size, KF_SYMBOL_MAX_BYTES);
    }
    if (symbols->count >= IDS_MAX) {
        return kf_fail(err, KF_TOO_LARGE, "more than %u symbols", IDS_MAX);
    }
    if ((size_t)symbols->count + 1 > symbols->n_slots / 4 * 3) {
        if (!grow_slots(symbols)) {
            return kf_no_memory(err);
        }
        here = find_slot(symbols, text, hash);
    }
    if (!append_entry(symbols, text)) {
        return kf_no_memory(err);
    }
    here->hash = (uint32_t)(hash >> 32);
    here->id = symbols->count - 1;
    *id = here->id;
    return KF_OK;
}

uint32_t
kf_symbols_find(const kf_symbols *symbols, kf_text text)
{
    uint64_t hash = hash_text(symbols->key, text.bytes, text.size);
    return find_slot(symbols, text, hash)->id;
}

kf_text
kf_symbols_text(const kf_symbols *symbols, uint32_t id)
{
    return text_of(symbols, entry_of(symbols, id));
}

kf_text
kf_symbols_json(const kf_symbols *symbols, uint32_t id)
{
    const kf_symbol_entry *known = entry_of(symbols, id);
    return (kf_text){(const char *)(symbols->texts + (uintptr_t)known->json),
                     known->json_size};
}

size_t
kf_symbols_memory(const kf_symbols *symbols)
{
    return sizeof *symbols + symbols->arena.memory +
           symbols->n_slots * sizeof(kf_symbol_slot);
}

/* --- images --- */

/* The texts one behind the other, both forms of each. */
static void
copy_texts(const kf_symbols *symbols, uint32_t count, kf_symbol_entry *entries,
           char *texts)
{
    uint64_t end = 0;
    for (uint32_t id = 0; id < count; id++) {
        kf_text text = kf_symbols_text(symbols, id);
        kf_text json = kf_symbols_json(symbols, id);
        bool plain = json.size == text.size + 2;
        entries[id].json = end;
        entries[id].json_size = (uint32_t)json.size;
        entries[id].bytes = end + (plain ? 1 : json.size);
        entries[id].size = (uint32_t)text.size;
        memcpy(texts + end, json.bytes, json.size);
        end += json.size;
        if (!plain) {
            memcpy(texts + end, text.bytes, text.size);
            end += text.size;
        }
    }
}

static size_t
texts_size(const kf_symbols *symbols, uint32_t count)
{
    size_t size = 0;
    for (uint32_t id = 0; id < count; id++) {
        const kf_symbol_entry *known = entry_of(symbols, id);
        bool plain = known->json_size == known->size + 2;
        size += known->json_size + (plain ? 0 : known->size);
    }
    return size;
}

kf_status
kf_symbols_copy(const kf_symbols *symbols, uint32_t count,
                kf_symbols_image *out, kf_error *err)
{
    const kf_alloc *alloc = &symbols->alloc;
    size_t size = texts_size(symbols, count);
    size_t n_slots = 256;
    kf_symbol_entry *entries = kf_allocate(alloc, count, sizeof *entries);
    char *texts = kf_allocate(alloc, size, 1);
    kf_symbol_slot *slots;
    while (count > n_slots / 4 * 3) {
        n_slots *= 2;
    }
    slots = new_slots(alloc, n_slots);
    *out = (kf_symbols_image){entries, count, slots, n_slots, texts, size};
    if (entries == NULL || texts == NULL || slots == NULL) {
        kf_symbols_image_free(alloc, out);
        return kf_no_memory(err);
    }
    copy_texts(symbols, count, entries, texts);
    for (uint32_t id = 0; id < count; id++) {
        place_id(slots, n_slots, symbols->key, kf_symbols_text(symbols, id),
                 id);
    }
    return KF_OK;
}

void
kf_symbols_image_free(const kf_alloc *alloc, kf_symbols_image *image)
{
    kf_release(alloc, (void *)image->entries);
    kf_release(alloc, (void *)image->slots);
    kf_release(alloc, (void *)image->texts);
}

static bool
is_inside(uint64_t start, uint64_t size, uint64_t whole)
{
    return start <= whole && size <= whole - start;
}

static kf_status
check_entries(const kf_symbols_image *image, kf_error *err)
{
    for (uint32_t id = 0; id < image->count; id++) {
        const kf_symbol_entry *known = &image->entries[id];
        if (known->size > KF_SYMBOL_MAX_BYTES ||
            !is_inside(known->bytes, known->size, image->texts_size) ||
            !is_inside(known->json, known->json_size, image->texts_size)) {
            return kf_fail(err, KF_INVALID,
                           "the text of symbol %u is not where it should be",
                           id);
        }
        if (!kf_utf8_is_valid(image->texts + known->bytes, known->size) ||
            !kf_utf8_is_valid(image->texts + known->json, known->json_size)) {
            return kf_fail(err, KF_INVALID,
                           "the text of symbol %u is no valid UTF-8", id);
        }
    }
    return KF_OK;
}

/* Each id once as far as that can be counted, and a free slot where looking
 * ends. */
static kf_status
check_slots(const kf_symbols_image *image, kf_error *err)
{
    size_t used = 0;
    if (image->n_slots == 0 || (image->n_slots & (image->n_slots - 1)) != 0 ||
        image->count > image->n_slots / 4 * 3) {
        return kf_fail(err, KF_INVALID, "%zu slots for %u symbols",
                       image->n_slots, image->count);
    }
    for (size_t at = 0; at < image->n_slots; at++) {
        uint32_t id = image->slots[at].id;
        if (id != KF_SYMBOL_NONE && id >= image->count) {
            return kf_fail(err, KF_INVALID, "slot %zu has symbol %u of %u", at,
                           id, image->count);
        }
        used += id != KF_SYMBOL_NONE;
    }
    if (used != image->count) {
        return kf_fail(err, KF_INVALID, "%zu of %u symbols have slots", used,
                       image->count);
    }
    return KF_OK;
}

kf_status
kf_symbols_open(const kf_alloc *alloc, const uint8_t key[16],
                const kf_symbols_image *image, void (*release)(void *context),
                void *context, kf_symbols **out, kf_error *err)
{
    kf_symbols *symbols;
    if (image->count > IDS_MAX) {
        return kf_fail(err, KF_INVALID, "more than %u symbols", IDS_MAX);
    }
    if (check_entries(image, err) != KF_OK ||
        check_slots(image, err) != KF_OK) {
        return KF_INVALID;
    }
    symbols = kf_allocate_zero(alloc, 1, sizeof *symbols);
    if (symbols == NULL) {
        return kf_no_memory(err);
    }
    symbols->alloc = *alloc;
    atomic_init(&symbols->shares, 1);
    memcpy(symbols->key, key, sizeof symbols->key);
    kf_arena_init(&symbols->arena, &symbols->alloc);
    symbols->count = image->count;
    symbols->slots = (kf_symbol_slot *)image->slots; /* never written to */
    symbols->n_slots = image->n_slots;
    symbols->texts = (uintptr_t)image->texts;
    symbols->release = release;
    symbols->context = context;
    for (unsigned c = 0; c < KF_SYMBOLS_CHUNKS; c++) {
        uint32_t first = (KF_SYMBOLS_FIRST << c) - KF_SYMBOLS_FIRST;
        if (first < image->count) {
            symbols->chunks[c] = (kf_symbol_entry *)image->entries + first;
        }
    }
    *out = symbols;
    return KF_OK;
}
