/* Names of many sequences at once: what naming.h says, in the lanes of one
 * kernel where the CPU has it and the sequences are short and plain, as nearly
 * all are. Internal to loader.c. */
#ifndef KATO_FAST_NAMING_MANY_H
#define KATO_FAST_NAMING_MANY_H

#include "kato_fast/knowledge.h"
#include "kato_fast/loader.h"

/* Of one text, and blocks of 64 bytes in it. */
#define KF_NAMING_TEXT ((size_t)1024)

/* Working memory; nothing in it outlives a call. */
typedef struct {
    uint8_t texts[KF_LOADER_MAX][KF_NAMING_TEXT];
    uint8_t n_blocks[KF_LOADER_MAX]; /* of each; 0: it is named by itself */
    uint8_t order[KF_LOADER_MAX];
} kf_naming_many;

/* patterns: up to KF_LOADER_MAX, with room to be read behind their texts, see
 * loader.h. */
void kf_naming_all(kf_naming_many *room, const kf_knowledge *knowledge,
                   const kf_loaded *patterns, size_t count,
                   uint8_t names[][KF_NAME_SIZE]);

#endif
