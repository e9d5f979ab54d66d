/* All that a knowledge base holds at one moment between two writes: what a
 * snapshot saves, and what it gives back.
 *
 * A value of one thread, which may read all of it without a lock while the
 * knowledge base goes on learning. Must not be moved in memory. */
#ifndef KATO_FAST_MOMENT_H
#define KATO_FAST_MOMENT_H

#include "kato_fast/columns.h"
#include "kato_fast/knowledge.h"
#include "kato_fast/metrics.h"
#include "kato_fast/root.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    kf_alloc alloc;
    uint8_t key[16]; /* of symbols and names; secret until it is saved */
    bool indexed;
    kf_generation generation;
    bool mapped; /* columns, names and counters are not owned */
    unsigned unicode;
    uint32_t n_rows;     /* the root may have later ones */
    uint32_t n_patterns; /* rows that are not forgotten */
    uint32_t longest;
    uint32_t n_symbols; /* ids; the root's table may have later ones */
    kf_root *root;      /* a share; the last block is the head */
    kf_columns columns;
    uint32_t *names;      /* slots, see knowledge_contents.h */
    size_t n_names;       /* how many */
    unsigned row_bits;    /* of a slot */
    kf_counters counters; /* frequency and members by id; no stamps */
} kf_moment;

/* Copy the moment. Waits for the write that is going on (a whole batch);
 * other writers wait, readers do not. Out is freed with kf_moment_free. */
KF_MUST_USE kf_status kf_moment_take(kf_knowledge *knowledge, kf_moment *out,
                                     kf_error *err);
void kf_moment_free(kf_moment *moment);

/* A read-only knowledge base that holds the moment, whose columns, names and
 * counters are mapped and stay as long as root->symbols. Takes all that the
 * moment owns where it succeeds. threads: as in kf_knowledge_options. */
KF_MUST_USE kf_status kf_moment_open(kf_moment *moment, unsigned threads,
                                     kf_knowledge **out, kf_error *err);

#endif
