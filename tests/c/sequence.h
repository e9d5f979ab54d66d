/* Sequences and states of one-letter symbols, written as text: "ab|c" has the
 * events [a, b] and [c]. */
#ifndef KATO_FAST_SEQUENCE_H
#define KATO_FAST_SEQUENCE_H

#include "random.h"

#include "kato_fast/knowledge.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SEQUENCE_MAX 256

static const uint8_t sequence_key[16] = {1, 2, 3, 4, 5, 6, 7, 8};

typedef struct {
    char text[2 * SEQUENCE_MAX];
    kf_text symbols[SEQUENCE_MAX];
    uint32_t n;
    uint32_t ends[SEQUENCE_MAX];
    uint32_t n_events;
} sequence;

static inline void
sequence_read(sequence *out, const char *text)
{
    out->n = 0;
    out->n_events = 0;
    strcpy(out->text, text);
    for (const char *at = out->text; *at != 0; at++) {
        if (*at != '|') {
            out->symbols[out->n++] = (kf_text){at, 1};
        }
        if (at[1] == '|' || at[1] == 0) {
            out->ends[out->n_events] = out->n;
            out->n_events += *at != '|';
        }
    }
}

static inline void
sequence_add(sequence *out, const char *format, uint32_t number)
{
    char *at = out->n == 0 ? out->text
                           : (char *)out->symbols[out->n - 1].bytes +
                                 out->symbols[out->n - 1].size;
    out->symbols[out->n++] =
        (kf_text){at, (size_t)sprintf(at, format, number)};
}

/* Many small sequences of few symbols, each number another one. Event one of
 * 256, one of 256 and one of 16, every other time one of 7. */
static inline void
sequence_numbered(sequence *out, uint32_t number)
{
    out->n = 0;
    out->n_events = 2;
    sequence_add(out, "x%u", number % 256);
    out->ends[0] = out->n;
    sequence_add(out, "y%u", number / 256 % 256);
    sequence_add(out, "z%u", number / 65536);
    out->ends[1] = out->n;
    if (number % 2 == 1) {
        sequence_add(out, "w%u", number % 7);
        out->ends[out->n_events++] = out->n;
    }
}

/* n symbols (at most SEQUENCE_MAX) of the first `letters` of the alphabet,
 * in events of one to three. */
static inline void
sequence_random(sequence *out, random_source *random, uint32_t n,
                uint32_t letters)
{
    char text[2 * SEQUENCE_MAX];
    size_t size = 0;
    uint32_t room = 1 + random_below(random, 3);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && room-- == 0) {
            text[size++] = '|';
            room = random_below(random, 3);
        }
        text[size++] = (char)('A' + random_below(random, letters));
    }
    text[size] = 0;
    sequence_read(out, text);
}

static inline kf_sequence
sequence_borrow(const sequence *from, kf_emotives *emotives)
{
    return (kf_sequence){from->symbols, from->n, from->ends, from->n_events,
                         emotives};
}

/* An empty knowledge base, with the usual options; NULL without memory. */
static inline kf_knowledge *
sequence_knowledge(const kf_alloc *alloc, bool indexed, unsigned threads)
{
    kf_knowledge_options options = {
        .indexed = indexed, .unicode = 150, .threads = threads};
    kf_knowledge *knowledge = NULL;
    memcpy(options.key, sequence_key, sizeof options.key);
    return kf_knowledge_new(alloc, &options, &knowledge, NULL) == KF_OK
               ? knowledge
               : NULL;
}

/* Learn the sequence once. */
static inline kf_status
sequence_learn(kf_knowledge *knowledge, const char *text,
               kf_emotives *emotives)
{
    sequence made;
    kf_sequence given;
    kf_learned learned;
    sequence_read(&made, text);
    given = sequence_borrow(&made, emotives);
    return kf_knowledge_learn(knowledge, &given, 1, &learned, NULL);
}

/* Learn the numbers first..end-1. */
static inline kf_status
sequence_learn_numbered(kf_knowledge *knowledge, uint32_t first, uint32_t end)
{
    kf_status status = KF_OK;
    for (; first < end && status == KF_OK; first++) {
        sequence made;
        kf_sequence given;
        kf_learned learned;
        sequence_numbered(&made, first);
        given = sequence_borrow(&made, NULL);
        status = kf_knowledge_learn(knowledge, &given, 1, &learned, NULL);
    }
    return status;
}

static inline void
sequence_name(const kf_knowledge *knowledge, const sequence *made,
              uint8_t name[KF_NAME_SIZE])
{
    kf_sequence given = sequence_borrow(made, NULL);
    kf_knowledge_name(knowledge, &given, name);
}

/* Its row, KF_NO_ROW where it is not known. */
static inline uint32_t
sequence_find(const kf_knowledge *knowledge, const sequence *made)
{
    uint8_t name[KF_NAME_SIZE];
    uint32_t row = KF_NO_ROW;
    sequence_name(knowledge, made, name);
    CHECK(kf_knowledge_find(knowledge, name, &row, NULL) == KF_OK);
    return row;
}

/* Whether it was known. */
static inline bool
sequence_forget(kf_knowledge *knowledge, const sequence *made)
{
    uint8_t name[KF_NAME_SIZE];
    bool found = false;
    sequence_name(knowledge, made, name);
    CHECK(kf_knowledge_forget(knowledge, name, &found, NULL) == KF_OK);
    return found;
}

/* As sequence_forget, of sequence_numbered. */
static inline bool
sequence_forget_numbered(kf_knowledge *knowledge, uint32_t number)
{
    sequence made;
    sequence_numbered(&made, number);
    return sequence_forget(knowledge, &made);
}

#endif
