#include "wire/mongo_walk.h"

#include "kato_fast/pattern.h"
#include "kato_fast/utf8.h"
#include "wire/mongo_bson.h"

#include <math.h>
#include <string.h>

/* --- errors --- */

static kf_status
no_bson(kf_error *err)
{
    return kf_fail(err, KF_INVALID, "the document is no BSON");
}

static kf_status
wrong_field(const char *field, const char *rule, uint8_t type, kf_error *err)
{
    return kf_fail(err, KF_INVALID, "%s must be %s, not BSON type %u", field,
                   rule, type);
}

/* --- events --- */

void
kf_mongo_walker_init(kf_mongo_walker *walker, const kf_alloc *alloc)
{
    memset(walker, 0, sizeof *walker);
    walker->alloc = alloc;
}

void
kf_mongo_walker_free(kf_mongo_walker *walker)
{
    walker->alloc->release(walker->alloc->context, walker->symbols);
    walker->alloc->release(walker->alloc->context, walker->ends);
    walker->alloc->release(walker->alloc->context, walker->emotives);
}

void
kf_mongo_walker_empty(kf_mongo_walker *walker)
{
    walker->n_symbols = 0;
    walker->n_ends = 0;
}

/* Symbols or events that a document of that size can have at most: each
 * takes a type, a NUL for its key, a length, and a NUL at its end. */
static size_t
most_of(size_t size)
{
    size_t most = size / 7 + 1;
    return most < KF_SYMBOLS_MAX ? most : KF_SYMBOLS_MAX;
}

bool
kf_mongo_walker_fits(const kf_mongo_walker *walker, size_t size)
{
    size_t most = most_of(size);
    return walker->symbols_capacity - walker->n_symbols >= most &&
           walker->ends_capacity - walker->n_ends >= most;
}

static kf_status
grow(const kf_alloc *alloc, void **block, size_t *capacity, size_t needed,
     size_t item, kf_error *err)
{
    size_t least = needed < KF_MONGO_GATHERED ? KF_MONGO_GATHERED : needed;
    return kf_grow(alloc, block, capacity, least, item) ? KF_OK
                                                        : kf_no_memory(err);
}

/* Room for whatever the document has. */
static kf_status
reserve(kf_mongo_walker *walker, size_t size, kf_error *err)
{
    size_t most = most_of(size);
    kf_status status;
    if (kf_mongo_walker_fits(walker, size)) {
        return KF_OK;
    }
    status = grow(walker->alloc, (void **)&walker->symbols,
                  &walker->symbols_capacity, walker->n_symbols + most,
                  sizeof *walker->symbols, err);
    if (status != KF_OK) {
        return status;
    }
    return grow(walker->alloc, (void **)&walker->ends, &walker->ends_capacity,
                walker->n_ends + most, sizeof *walker->ends, err);
}

static kf_status
add_symbol(kf_mongo_walker *walker, const kf_bson_element *found,
           uint32_t event, uint32_t *n, kf_error *err)
{
    kf_text text;
    if (found->type != KF_BSON_TEXT) {
        return kf_fail(err, KF_INVALID,
                       "pattern_data[%u] must have strings only, not BSON "
                       "type %u",
                       event, found->type);
    }
    text = kf_bson_text(found);
    if (text.size > KF_SYMBOL_MAX_BYTES || *n == KF_SYMBOLS_MAX) {
        return kf_fail(err, KF_TOO_LARGE,
                       "pattern_data must have at most %u symbols of at most "
                       "%zu bytes",
                       KF_SYMBOLS_MAX, KF_SYMBOL_MAX_BYTES);
    }
    if (!kf_utf8_is_valid_short(text.bytes, text.size)) {
        return kf_fail(err, KF_INVALID, "pattern_data[%u] must be valid UTF-8",
                       event);
    }
    walker->symbols[walker->n_symbols + (*n)++] = text;
    return KF_OK;
}

/* Take a symbol that is short and plain and has a key of one digit, as nearly
 * all are; false where it is something else, or nothing. */
static inline bool
add_plain(kf_mongo_walker *walker, kf_bson_cursor *inside, uint32_t *n)
{
    const uint8_t *at = inside->at;
    size_t left = (size_t)(inside->end - at);
    uint64_t head = kf_bson_u64(at); /* what is behind them can be read */
    size_t length = (uint32_t)(head >> 24);
    uint64_t low, high;
    if ((head & 0xff00ff) != KF_BSON_TEXT || (head & 0xff00) == 0 ||
        length - 1 > KF_SHORT_MAX || length + 7 > left ||
        at[length + 6] != 0 || *n == KF_SYMBOLS_MAX) {
        return false;
    }
    kf_short_read((const char *)at + 7, length - 1, &low, &high);
    if (((low | high) & UINT64_C(0x8080808080808080)) != 0) {
        return false;
    }
    walker->symbols[walker->n_symbols + (*n)++] =
        (kf_text){(const char *)at + 7, length - 1};
    inside->at = at + 7 + length;
    return true;
}

static kf_status
add_event(kf_mongo_walker *walker, const kf_bson_element *found,
          uint32_t event, uint32_t *n, kf_error *err)
{
    uint32_t before = *n;
    kf_status status;
    kf_bson_element symbol;
    kf_bson_cursor inside;
    int more = 1;
    if (found->type != KF_BSON_ARRAY) {
        return kf_fail(err, KF_INVALID,
                       "pattern_data[%u] must be an array, not BSON type %u",
                       event, found->type);
    }
    if (!kf_bson_open(found->value, found->size, &inside)) {
        return no_bson(err);
    }
    while (more > 0) {
        if (add_plain(walker, &inside, n)) {
            continue;
        }
        more = kf_bson_next(&inside, &symbol);
        status = more > 0 ? add_symbol(walker, &symbol, event, n, err) : KF_OK;
        if (status != KF_OK) {
            return status;
        }
    }
    if (more == 0 && *n == before) {
        return kf_fail(err, KF_INVALID, "pattern_data[%u] must not be empty",
                       event);
    }
    return more < 0 ? no_bson(err) : KF_OK;
}

static kf_status
take_events(kf_mongo_walker *walker, const kf_bson_element *found,
            kf_mongo_pattern *out, kf_error *err)
{
    uint32_t events = 0;
    uint32_t n = 0;
    kf_bson_element event;
    kf_bson_cursor inside;
    int more;
    if (found->type != KF_BSON_ARRAY) {
        return wrong_field("pattern_data", "an array", found->type, err);
    }
    if (!kf_bson_open(found->value, found->size, &inside)) {
        return no_bson(err);
    }
    while ((more = kf_bson_next(&inside, &event)) > 0) {
        kf_status status = add_event(walker, &event, events, &n, err);
        if (status != KF_OK) {
            return status;
        }
        walker->ends[walker->n_ends + events++] = n;
    }
    out->n = n;
    out->n_events = events;
    return more < 0 ? no_bson(err) : KF_OK;
}

/* --- emotives --- */

static bool
number_of(const kf_bson_element *found, double *out)
{
    switch (found->type) {
    case KF_BSON_DOUBLE:
        *out = kf_bson_double(found->value);
        return isfinite(*out);
    case KF_BSON_INT32:
        *out = (int32_t)kf_bson_u32(found->value);
        return true;
    case KF_BSON_INT64:
        *out = (double)(int64_t)kf_bson_u64(found->value);
        return true;
    default:
        return false;
    }
}

static kf_status
add_emotive(kf_mongo_walker *walker, const kf_bson_element *found,
            kf_error *err)
{
    kf_emotive *emotive;
    double value;
    if (!number_of(found, &value)) {
        return wrong_field("emotives", "maps to finite numbers", found->type,
                           err);
    }
    if (!kf_utf8_is_valid(found->key.bytes, found->key.size)) {
        return kf_fail(err, KF_INVALID, "emotives must have valid UTF-8");
    }
    if (walker->n_emotives == KF_MONGO_EMOTIVES_MAX) {
        return kf_fail(err, KF_TOO_LARGE,
                       "emotives must have at most %u numbers",
                       KF_MONGO_EMOTIVES_MAX);
    }
    if (walker->n_emotives == walker->emotives_capacity &&
        !kf_grow(walker->alloc, (void **)&walker->emotives,
                 &walker->emotives_capacity, walker->n_emotives + 1,
                 sizeof(kf_emotive))) {
        return kf_no_memory(err);
    }
    emotive = &walker->emotives[walker->n_emotives++];
    emotive->name = found->key;
    emotive->value = value;
    return KF_OK;
}

static kf_status
add_map(kf_mongo_walker *walker, const kf_bson_element *found, uint32_t index,
        kf_error *err)
{
    kf_bson_element number;
    kf_bson_cursor inside;
    int more;
    if (index == KF_MONGO_MAPS_MAX) {
        return kf_fail(err, KF_TOO_LARGE, "emotives must have at most %u maps",
                       KF_MONGO_MAPS_MAX);
    }
    if (found->type != KF_BSON_DOCUMENT) {
        return wrong_field("emotives", "maps", found->type, err);
    }
    if (!kf_bson_open(found->value, found->size, &inside)) {
        return no_bson(err);
    }
    walker->firsts[index] = walker->n_emotives;
    while ((more = kf_bson_next(&inside, &number)) > 0) {
        kf_status status = add_emotive(walker, &number, err);
        if (status != KF_OK) {
            return status;
        }
    }
    walker->maps[index].count =
        (uint32_t)(walker->n_emotives - walker->firsts[index]);
    return more < 0 ? no_bson(err) : KF_OK;
}

static kf_status
take_maps(kf_mongo_walker *walker, const kf_bson_element *found,
          kf_mongo_pattern *out, kf_error *err)
{
    uint32_t maps = 0;
    kf_bson_element map;
    kf_bson_cursor inside;
    int more;
    walker->n_emotives = 0;
    if (!kf_bson_open(found->value, found->size, &inside)) {
        return no_bson(err);
    }
    while ((more = kf_bson_next(&inside, &map)) > 0) {
        kf_status status = add_map(walker, &map, maps, err);
        if (status != KF_OK) {
            return status;
        }
        maps++;
    }
    for (uint32_t i = 0; i < maps; i++) { /* now they do not move any more */
        walker->maps[i].items = /* none at all: no offset to nothing */
            walker->emotives == NULL ? NULL
                                     : walker->emotives + walker->firsts[i];
    }
    out->has_emotives = true;
    out->maps = walker->maps;
    out->n_maps = maps;
    return more < 0 ? no_bson(err) : KF_OK;
}

/* KATO stores an array of maps, or an empty object where there were none. */
static kf_status
take_emotives(kf_mongo_walker *walker, const kf_bson_element *found,
              kf_mongo_pattern *out, kf_error *err)
{
    if (found->type == KF_BSON_ARRAY) {
        return take_maps(walker, found, out, err);
    }
    out->has_emotives = false;
    out->n_maps = 0;
    if (found->type == KF_BSON_NULL ||
        (found->type == KF_BSON_DOCUMENT && found->size == 5)) {
        return KF_OK;
    }
    return wrong_field("emotives", "an array of maps or an empty object",
                       found->type, err);
}

/* --- the document --- */

static kf_status
take_name(const kf_bson_element *found, kf_mongo_pattern *out, kf_error *err)
{
    if (found->type != KF_BSON_TEXT) {
        return wrong_field("name", "a string", found->type, err);
    }
    out->name = kf_bson_text(found);
    return KF_OK;
}

static kf_status
take_frequency(const kf_bson_element *found, kf_mongo_pattern *out,
               kf_error *err)
{
    double value;
    if (!number_of(found, &value) || value < 0 || value > 0x1p53 ||
        value != floor(value)) {
        return wrong_field("frequency", "a whole number from 0 to 2**53",
                           found->type, err);
    }
    out->frequency = (uint64_t)value;
    return KF_OK;
}

static bool
is_key(const kf_bson_element *found, const char *key, size_t size)
{
    return found->key.size == size && memcmp(found->key.bytes, key, size) == 0;
}

#define IS_KEY(found, key) is_key((found), key, sizeof(key) - 1)

static kf_status
take_field(kf_mongo_walker *walker, const kf_bson_element *found,
           kf_mongo_pattern *out, kf_error *err)
{
    if (IS_KEY(found, "pattern_data")) {
        return take_events(walker, found, out, err);
    }
    if (IS_KEY(found, "name")) {
        return take_name(found, out, err);
    }
    if (IS_KEY(found, "frequency")) {
        return take_frequency(found, out, err);
    }
    if (IS_KEY(found, "emotives")) {
        return take_emotives(walker, found, out, err);
    }
    return KF_OK;
}

kf_status
kf_mongo_walk(kf_mongo_walker *walker, const uint8_t *document, size_t size,
              kf_mongo_pattern *out, kf_error *err)
{
    kf_mongo_pattern found = {0};
    kf_bson_element field;
    kf_bson_cursor inside;
    int more;
    if (!kf_bson_open(document, size, &inside)) {
        return no_bson(err);
    }
    if (reserve(walker, size, err) != KF_OK) {
        return KF_NO_MEMORY;
    }
    while ((more = kf_bson_next(&inside, &field)) > 0) {
        kf_status status = take_field(walker, &field, &found, err);
        out->name = found.name;
        if (status != KF_OK) {
            return status;
        }
    }
    if (more < 0) {
        return no_bson(err);
    }
    found.symbols = walker->symbols + walker->n_symbols;
    found.ends = walker->ends + walker->n_ends;
    walker->n_symbols += found.n;
    walker->n_ends += found.n_events;
    *out = found;
    return KF_OK;
}
