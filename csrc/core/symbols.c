#include "kato_fast/symbols.h"

#include "kato_fast/arena.h"
#include "kato_fast/buffer.h"
#include "kato_fast/json.h"

#include <stdatomic.h>
#include <string.h>

/* What an id stands for. json is the quoted text; where nothing had to be
 * escaped, bytes points inside it. */
typedef struct {
    const char *bytes;
    const char *json;
    uint32_t size;
    uint32_t json_size;
} entry;

/* Entries live in chunks that never move, so that a reader without the lock
 * may look at any id it was given. Chunk c holds FIRST_CHUNK << c entries. */
#define FIRST_CHUNK_BITS 8
#define FIRST_CHUNK ((uint32_t)1 << FIRST_CHUNK_BITS)
#define CHUNKS 23
#define IDS_MAX ((FIRST_CHUNK << CHUNKS) - FIRST_CHUNK)

typedef struct {
    uint32_t hash; /* upper half of the 64 bits */
    uint32_t id;   /* KF_SYMBOL_NONE: free */
} slot;

struct kf_symbols {
    kf_alloc alloc;
    atomic_size_t shares;
    uint64_t key[2];
    kf_arena arena;
    entry *chunks[CHUNKS]; /* made as needed */
    uint32_t count;
    slot *slots;
    size_t n_slots; /* a power of two, at most three quarters used */
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

static slot *
new_slots(const kf_alloc *alloc, size_t count)
{
    slot *slots = kf_allocate(alloc, count, sizeof *slots);
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
    if (symbols == NULL || atomic_fetch_sub_explicit(&symbols->shares, 1,
                                                     memory_order_acq_rel) >
                               1) {
        return;
    }
    alloc = symbols->alloc;
    kf_arena_free(&symbols->arena);
    kf_release(&alloc, symbols->slots);
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
    uint32_t from_first = id + FIRST_CHUNK;
    return 31 - (unsigned)__builtin_clz(from_first) - FIRST_CHUNK_BITS;
}

static entry *
entry_of(const kf_symbols *symbols, uint32_t id)
{
    unsigned chunk = chunk_of(id);
    return &symbols->chunks[chunk][id + FIRST_CHUNK - (FIRST_CHUNK << chunk)];
}

/* The slot that holds the text, or the free one where it belongs. */
static slot *
find_slot(const kf_symbols *symbols, kf_text text, uint64_t hash)
{
    size_t mask = symbols->n_slots - 1;
    size_t at = (size_t)hash & mask;
    uint32_t upper = (uint32_t)(hash >> 32);
    for (;; at = (at + 1) & mask) {
        slot *here = &symbols->slots[at];
        if (here->id == KF_SYMBOL_NONE) {
            return here;
        }
        if (here->hash == upper) {
            const entry *known = entry_of(symbols, here->id);
            if (known->size == text.size &&
                memcmp(known->bytes, text.bytes, text.size) == 0) {
                return here;
            }
        }
    }
}

/* The slots keep only half of each hash, so growing hashes the texts
 * again. */
static bool
grow_slots(kf_symbols *symbols)
{
    size_t n_slots = symbols->n_slots * 2;
    slot *old = symbols->slots;
    slot *slots = new_slots(&symbols->alloc, n_slots);
    if (slots == NULL) {
        return false;
    }
    for (uint32_t id = 0; id < symbols->count; id++) {
        const entry *known = entry_of(symbols, id);
        uint64_t hash = hash_text(symbols->key, known->bytes, known->size);
        size_t at = (size_t)hash & (n_slots - 1);
        while (slots[at].id != KF_SYMBOL_NONE) {
            at = (at + 1) & (n_slots - 1);
        }
        slots[at].hash = (uint32_t)(hash >> 32);
        slots[at].id = id;
    }
    symbols->slots = slots;
    symbols->n_slots = n_slots;
    kf_release(&symbols->alloc, old);
    return true;
}

/* Store both forms of the text; where nothing is escaped they share bytes. */
static bool
fill_entry(kf_symbols *symbols, kf_text text, entry *out)
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
    out->json = json;
    out->json_size = (uint32_t)json_size;
    out->bytes = plain ? json + 1 : json + json_size;
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
        size_t size = ((size_t)FIRST_CHUNK << chunk) * sizeof(entry);
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
    slot *here = find_slot(symbols, text, hash);
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
    const entry *known = entry_of(symbols, id);
    return (kf_text){known->bytes, known->size};
}

kf_text
kf_symbols_json(const kf_symbols *symbols, uint32_t id)
{
    const entry *known = entry_of(symbols, id);
    return (kf_text){known->json, known->json_size};
}

size_t
kf_symbols_memory(const kf_symbols *symbols)
{
    return sizeof *symbols + symbols->arena.memory +
           symbols->n_slots * sizeof(slot);
}
