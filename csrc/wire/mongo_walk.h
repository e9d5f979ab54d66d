/* Patterns out of the bytes of their BSON documents, in one pass.
 *
 * Nothing in the bytes is trusted: every length is compared with what is
 * left, nothing is followed deeper than the two levels that a pattern has,
 * and a value of another type than KATO writes is an error that names it.
 * Other fields are stepped over. Texts and keys point into the document; the
 * arrays belong to the walker, which gathers patterns until it is emptied
 * and belongs to one thread. Knows nothing of the driver. */
#ifndef KATO_FAST_WIRE_MONGO_WALK_H
#define KATO_FAST_WIRE_MONGO_WALK_H

#include "kato_fast/alloc.h"
#include "kato_fast/emotives.h"
#include "kato_fast/status.h"
#include "kato_fast/symbols.h"
#include "kato_fast/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Emotive maps of one pattern, and numbers in all of them together. */
#define KF_MONGO_MAPS_MAX 100u
#define KF_MONGO_EMOTIVES_MAX 1000000u

/* What loader.h wants of the last text, and the walker itself. */
#define KF_MONGO_BEHIND KF_SHORT_MAX

/* Symbols that a walker has room for at the least. */
#define KF_MONGO_GATHERED 2048u

typedef struct {
    kf_text name;           /* as stored; size 0 where there is none */
    const kf_text *symbols; /* valid UTF-8, at most KF_SYMBOLS_MAX */
    uint32_t n;
    const uint32_t *ends; /* per event the symbols up to its end */
    uint32_t n_events;
    uint64_t frequency; /* 0 where there is none */
    bool has_emotives;  /* an array; false for an object, null, or none */
    const kf_emotive_map *maps;
    uint32_t n_maps;
} kf_mongo_pattern;

typedef struct {
    const kf_alloc *alloc; /* borrowed */
    kf_text *symbols;      /* owned, as what follows */
    uint32_t *ends;
    kf_emotive *emotives;
    size_t symbols_capacity;
    size_t ends_capacity;
    size_t n_symbols; /* of the patterns that were gathered */
    size_t n_ends;
    size_t emotives_capacity;
    size_t n_emotives;
    size_t firsts[KF_MONGO_MAPS_MAX]; /* of each map, in emotives */
    kf_emotive_map maps[KF_MONGO_MAPS_MAX];
} kf_mongo_walker;

void kf_mongo_walker_init(kf_mongo_walker *walker, const kf_alloc *alloc);
void kf_mongo_walker_free(kf_mongo_walker *walker);

/* Whether a document of that size surely fits beside what was gathered. */
bool kf_mongo_walker_fits(const kf_mongo_walker *walker, size_t size);

/* What was gathered is not needed any more. */
void kf_mongo_walker_empty(kf_mongo_walker *walker);

/* Behind the document KF_MONGO_BEHIND bytes can be read, which mean nothing.
 * out points into the document and the walker: its events until the walker is
 * emptied, or walks over a document that does not fit; its emotives until the
 * next call. Where the document is refused, out has its name if that came
 * before what is wrong. */
KF_MUST_USE kf_status kf_mongo_walk(kf_mongo_walker *walker,
                                    const uint8_t *document, size_t size,
                                    kf_mongo_pattern *out, kf_error *err);

#endif
