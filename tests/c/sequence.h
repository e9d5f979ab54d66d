/* Sequences and states of one-letter symbols, written as text: "ab|c" has the
 * events [a, b] and [c]. */
#ifndef KATO_FAST_SEQUENCE_H
#define KATO_FAST_SEQUENCE_H

#include "random.h"

#include "kato_fast/knowledge.h"

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

#endif
