#include "kato_fast/knowledge.h"

#include "kato_fast/utf8.h"
#include "knowledge_met.h"

#include <string.h>

/* Fewer symbols than this are not worth it. */
#define BATCH_MIN 64u
#define BATCH_BITS_MAX 16u
/* Places are anywhere in the table. */
#define PLACES_AHEAD 8u

/* 1.5 MB: of the vocabularies that are met, nearly all at once. Smaller ones
 * have less, which stays at hand. */
#define LOAD_BITS_MAX 16u
#define LOAD_BITS_MIN 10u
/* 96 KB, which stay at hand: of most vocabularies what is frequent. */
#define FEW_BITS 12u

#define MIX_LOW UINT64_C(0x9e3779b97f4a7c15)
#define MIX_HIGH UINT64_C(0xc2b2ae3d27d4eb4f)

kf_status
kf_met_for_batch(const kf_alloc *alloc, const kf_sequence *sequences,
                 size_t count, kf_met *out, kf_error *err)
{
    size_t symbols = 0;
    unsigned bits = 6;
    *out = (kf_met){0};
    for (size_t i = 0; i < count; i++) {
        symbols += sequences[i].n;
    }
    if (symbols < BATCH_MIN) {
        return KF_OK;
    }
    while (bits < BATCH_BITS_MAX && (size_t)1 << bits < symbols) {
        bits++;
    }
    out->shift = 64 - bits;
    out->places =
        kf_allocate_zero(alloc, (size_t)1 << bits, sizeof *out->places);
    return out->places != NULL ? KF_OK : kf_no_memory(err);
}

static bool
make_texts(const kf_alloc *alloc, unsigned bits, kf_met *out)
{
    *out = (kf_met){.shift = 64 - bits};
    out->texts = kf_allocate(alloc, (size_t)1 << bits, sizeof *out->texts);
    if (out->texts != NULL) {
        kf_met_forget(out);
    }
    return out->texts != NULL;
}

kf_status
kf_met_for_load(const kf_alloc *alloc, kf_met *out, kf_error *err)
{
    bool made = make_texts(alloc, LOAD_BITS_MIN, out);
    out->reads_on = true;
    return made ? KF_OK : kf_no_memory(err);
}

/* Two places or more for each symbol. */
void
kf_met_fit(const kf_alloc *alloc, uint32_t n_symbols, kf_met *met)
{
    unsigned before = 64 - met->shift;
    unsigned bits = before;
    kf_met larger;
    while (bits < LOAD_BITS_MAX &&
           (uint64_t)1 << bits < 2 * (uint64_t)n_symbols) {
        bits++;
    }
    if (bits != before && make_texts(alloc, bits, &larger)) {
        larger.reads_on = true;
        kf_met_free(alloc, met);
        *met = larger;
    }
}

void
kf_met_for_few(const kf_alloc *alloc, uint32_t n_symbols, kf_met *met)
{
    if (met->texts == NULL && n_symbols >= (uint32_t)1 << FEW_BITS) {
        (void)make_texts(alloc, FEW_BITS, met);
    }
}

static size_t
size_of_texts(const kf_met *met)
{
    return ((size_t)1 << (64 - met->shift)) * sizeof *met->texts;
}

void
kf_met_forget(kf_met *met)
{
    if (met->texts != NULL) {
        memset(met->texts, 0xff, size_of_texts(met));
    }
}

size_t
kf_met_memory(const kf_met *met)
{
    return met->texts != NULL ? size_of_texts(met) : 0;
}

void
kf_met_free(const kf_alloc *alloc, kf_met *met)
{
    kf_release(alloc, met->places);
    kf_release(alloc, met->texts);
}

static inline kf_met_place *
place_of(const kf_met *met, kf_text text)
{
    uint64_t mixed = (uint64_t)(uintptr_t)text.bytes * MIX_LOW;
    return &met->places[mixed >> met->shift];
}

static inline kf_status
by_place(kf_met *met, kf_symbols *symbols, kf_text text, uint32_t *id,
         kf_error *err)
{
    kf_met_place *place = place_of(met, text);
    kf_status status;
    if (place->bytes == text.bytes && place->size == text.size) {
        *id = place->id;
        return KF_OK;
    }
    status = kf_symbols_intern(symbols, text, id, err);
    if (status == KF_OK && text.bytes != NULL) {
        *place = (kf_met_place){text.bytes, (uint32_t)text.size, *id};
    }
    return status;
}

static kf_status
by_text(kf_met *met, kf_symbols *symbols, kf_text text, uint32_t *id,
        kf_error *err)
{
    uint64_t low, high;
    kf_met_text *place;
    kf_status status;
    if (text.size > KF_SHORT_MAX) {
        return kf_symbols_intern(symbols, text, id, err);
    }
    kf_short_load(text.bytes, text.size, &low, &high);
    place = &met->texts[(low * MIX_LOW ^ (high + text.size) * MIX_HIGH) >>
                        met->shift];
    if (place->low == low && place->high == high && place->size == text.size) {
        *id = place->id;
        return KF_OK;
    }
    status = kf_symbols_intern(symbols, text, id, err);
    if (status == KF_OK) {
        *place = (kf_met_text){low, high, (uint32_t)text.size, *id};
    }
    return status;
}

/* --- texts behind which one may read --- */

static inline bool
is_at(const kf_met_text *place, const kf_met_text *text)
{
    return ((place->low ^ text->low) | (place->high ^ text->high) |
            (place->size ^ text->size)) == 0;
}

/* A text looks at so many places, beginning with its own. */
#define PLACES 4u

static inline size_t
home_of(const kf_met *met, const kf_met_text *text)
{
    return (text->low * MIX_LOW ^ (text->high + text->size) * MIX_HIGH) >>
           met->shift;
}

/* Where none of its places is free it takes the first. */
static kf_status
meet(kf_met *met, kf_symbols *symbols, kf_text text, kf_met_text *read,
     kf_error *err)
{
    size_t home = home_of(met, read);
    size_t last = ((size_t)1 << (64 - met->shift)) - 1;
    kf_status status = kf_symbols_intern(symbols, text, &read->id, err);
    if (status != KF_OK) {
        return status;
    }
    for (size_t i = 0; i < PLACES; i++) {
        kf_met_text *place = &met->texts[(home + i) & last];
        if (place->size == UINT32_MAX) {
            *place = *read;
            return KF_OK;
        }
    }
    met->texts[home] = *read;
    return KF_OK;
}

static inline kf_status
intern_short(kf_met *met, kf_symbols *symbols, kf_text text, kf_met_text *read,
             uint32_t *id, kf_error *err)
{
    size_t last = ((size_t)1 << (64 - met->shift)) - 1;
    size_t home = home_of(met, read);
    kf_status status;
    for (size_t i = 0; i < PLACES; i++) {
        const kf_met_text *place = &met->texts[(home + i) & last];
        if (is_at(place, read)) {
            *id = place->id;
            return KF_OK;
        }
    }
    status = meet(met, symbols, text, read, err);
    *id = read->id;
    return status;
}

/* Symbols whose places are fetched before the first is looked at. */
#define TOGETHER 32u

/* What is longer is not read. */
static void
read_some(const kf_met *met, const kf_text *texts, uint32_t count,
          kf_met_text *read)
{
    for (uint32_t i = 0; i < count; i++) {
        if (texts[i].size <= KF_SHORT_MAX) {
            kf_short_read(texts[i].bytes, texts[i].size, &read[i].low,
                          &read[i].high);
            read[i].size = (uint32_t)texts[i].size;
            __builtin_prefetch(&met->texts[home_of(met, &read[i])]);
        }
    }
}

static kf_status
intern_reading_on(kf_met *met, kf_symbols *symbols,
                  const kf_sequence *sequence, uint32_t *ids, kf_error *err)
{
    kf_met_text read[TOGETHER] = {{0}};
    kf_status status = KF_OK;
    for (uint32_t i = 0; i < sequence->n && status == KF_OK; i++) {
        kf_text text = sequence->symbols[i];
        uint32_t left = sequence->n - i;
        if (i % TOGETHER == 0) {
            read_some(met, sequence->symbols + i,
                      left < TOGETHER ? left : TOGETHER, read);
        }
        status = text.size > KF_SHORT_MAX
                     ? kf_symbols_intern(symbols, text, &ids[i], err)
                     : intern_short(met, symbols, text, &read[i % TOGETHER],
                                    &ids[i], err);
    }
    return status;
}

kf_status
kf_met_intern(kf_met *met, kf_symbols *symbols, const kf_sequence *sequence,
              uint32_t *ids, kf_error *err)
{
    kf_status status = KF_OK;
    if (met->reads_on) {
        return intern_reading_on(met, symbols, sequence, ids, err);
    }
    for (uint32_t i = 0; i < sequence->n && status == KF_OK; i++) {
        kf_text text = sequence->symbols[i];
        if (met->places != NULL) {
            if (sequence->n - i > PLACES_AHEAD) {
                __builtin_prefetch(
                    place_of(met, sequence->symbols[i + PLACES_AHEAD]));
            }
            status = by_place(met, symbols, text, &ids[i], err);
        }
        else if (met->texts != NULL) {
            status = by_text(met, symbols, text, &ids[i], err);
        }
        else {
            status = kf_symbols_intern(symbols, text, &ids[i], err);
        }
    }
    return status;
}
