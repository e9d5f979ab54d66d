/* From matches to finished predictions: the whole path of a question.
 *
 *   encode the state -> scan (candidates, align) -> score -> rank -> assemble
 *
 * Scanning takes no lock; what follows takes the shared one and first scans
 * the rows that were learned meanwhile, so that the answer is that of one
 * moment.
 *
 * A kf_predictions never changes and holds shares of all it points into, so
 * that learning, forgetting and clearing do not touch it; it may be read
 * from many threads. */
#ifndef KATO_FAST_PREDICTION_H
#define KATO_FAST_PREDICTION_H

#include "kato_fast/align.h"
#include "kato_fast/emotives.h"
#include "kato_fast/knowledge.h"
#include "kato_fast/pattern.h"
#include "kato_fast/root.h"
#include "kato_fast/score.h"
#include "kato_fast/state.h"
#include "kato_fast/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fields are those of the host's section 6.4. past, present and future are
 * the events before past_end, before present_end, and the rest. */
typedef struct {
    const kf_pattern *pattern;
    kf_emotives *emotives; /* a share, or NULL for none */
    uint64_t frequency;
    const kf_block *blocks; /* matches: pattern positions in block order */
    uint32_t n_blocks;
    const uint32_t *missing; /* pattern positions */
    uint32_t n_missing;
    const uint32_t *extras; /* state positions */
    uint32_t n_extras;
    uint32_t past_end;
    uint32_t present_end;
    double potential;
    double evidence;
    double similarity;
    double fragmentation;
    double snr;
    double entropy;
    double hamiltonian; /* 0 in KATO 2.1, as is the next */
    double grand_hamiltonian;
    double confluence;
    double predictive_information;
    double confidence;
    double itfdf_similarity;
    double pattern_probability;
    double weighted_strength;
} kf_prediction;

/* KATO 2.1 tells these of the state, the same in every prediction. Where
 * nothing was added up the host says 0, not 0.0. */
typedef struct {
    double normalized; /* by the state's own frequencies */
    double global;     /* by probability, of symbols that some present has */
    bool has_normalized;
    bool has_global;
} kf_state_entropies;

typedef struct {
    kf_alloc alloc;
    kf_generation generation;
    kf_state_entropies entropies;
    kf_root *root;        /* a share; NULL where nothing was asked */
    kf_state *state;      /* owned; likewise */
    uint32_t longest;     /* no pattern of root has more symbols */
    kf_prediction *items; /* best first */
    size_t count;
    kf_futures futures;   /* in order of first member: see the function */
    pthread_mutex_t lock; /* of future_order, which is made when asked for */
    uint32_t *future_order;
    size_t matched; /* patterns that passed the threshold */
    kf_arena arena; /* items, patterns, blocks, missing, extras */
} kf_predictions;

/* A state: m symbols of valid UTF-8, and where its events end, n_events of
 * them; 0 where the state is flat. Only KATO 2.1 looks at events. */
typedef struct {
    const kf_text *texts;
    uint32_t m;
    const uint32_t *ends;
    uint32_t n_events;
} kf_asked;

/* state: borrowed for the call. Below two symbols there are no predictions.
 * Takes the lock shared. Free the result with kf_predictions_free. */
KF_MUST_USE kf_status kf_predict(kf_knowledge *knowledge,
                                 const kf_asked *state, double threshold,
                                 size_t max_predictions, kf_predictions **out,
                                 kf_error *err);


/* kf_predict of n states, all or none, with the answers that it gives one by
 * one: each is that of a moment. They share what they read: blocks are
 * visited once for many states. out: n of them. */
KF_MUST_USE kf_status kf_predict_many(kf_knowledge *knowledge,
                                      const kf_asked *states, size_t n,
                                      double threshold, size_t max_predictions,
                                      kf_predictions **out, kf_error *err);
void kf_predictions_free(kf_predictions *predictions); /* NULL is allowed */

/* Indexes into futures, heaviest first: futures.count of them, borrowed as
 * long as the predictions. Sorted at the first call, since few ask. */
KF_MUST_USE kf_status kf_predictions_order_futures(kf_predictions *predictions,
                                                   const uint32_t **out,
                                                   kf_error *err);

/* A future read out: events first_event..n_events-1 of pattern. pattern:
 * borrowed, room for any pattern of the root (kf_prediction_room). */
void kf_predictions_read_future(const kf_predictions *predictions,
                                const kf_future *future, kf_pattern *pattern,
                                uint32_t *first_event);

/* Owned room for any future of these predictions; NULL without memory. */
kf_pattern *kf_predictions_room(const kf_predictions *predictions);

/* Whether missing stands by the events of present, extras by those of the
 * state: KATO 2.1, for a state with events. */
static inline bool
kf_predictions_by_event(const kf_predictions *predictions)
{
    return predictions->state->n_events > 0;
}

/* Rows and similarities of every pattern that passes, in learning order. */
typedef struct {
    kf_alloc alloc;
    kf_root *root; /* a share */
    unsigned unicode;
    uint32_t *rows; /* owned */
    double *ratios; /* owned */
    size_t count;
    uint32_t longest;
} kf_match_list;

KF_MUST_USE kf_status kf_match_all(kf_knowledge *knowledge,
                                   const kf_text *texts, uint32_t m,
                                   double threshold, kf_match_list *out,
                                   kf_error *err);
void kf_match_list_free(kf_match_list *list);

/* The names of all matches, count of them into out. */
KF_MUST_USE kf_status kf_match_list_names(const kf_match_list *list,
                                          uint8_t (*out)[KF_NAME_SIZE],
                                          kf_error *err);

#endif
