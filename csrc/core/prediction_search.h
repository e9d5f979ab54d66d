/* One question on its way from a state to the matches of one moment. Internal
 * to prediction.c and prediction_search.c. A search belongs to one thread,
 * which shares the scanning with the knowledge base's workers. */
#ifndef KATO_FAST_PREDICTION_SEARCH_H
#define KATO_FAST_PREDICTION_SEARCH_H

#include "kato_fast/prediction.h"
#include "kato_fast/scan.h"

typedef struct {
    const kf_asked *state; /* borrowed, at least 2 symbols */
    double threshold;
    bool regions; /* also find present and future of each match */
} kf_question;

/* alloc and knowledge are set by who begins; the rest by the functions. */
typedef struct {
    const kf_alloc *alloc;
    kf_knowledge *knowledge;
    kf_root *root; /* a share */
    kf_state *state;
    kf_knowledge_view view;
    kf_scan scan;
    kf_host_index index;
    uint32_t *need;
    kf_scan_scratch **scratches; /* one a worker, made when it works */
    unsigned n_scratches;
    kf_matches matches;
    uint64_t *seen;   /* state positions that some present has */
    uint32_t scanned; /* rows below are done */
} kf_search;

/* Scan for several at once, block by block, so that what one question brings
 * from memory serves the others. Stops early where the matches become many;
 * kf_search_find goes on from there. End each in any case. */
KF_MUST_USE kf_status kf_search_scan_many(kf_search *searches,
                                          const kf_question *questions,
                                          size_t n, kf_error *err);

/* Steps up to the matches of one moment. Returns with the shared lock held,
 * also where it fails. End it in any case. */
KF_MUST_USE kf_status kf_search_find(kf_search *s, const kf_question *question,
                                     kf_error *err);

/* Frees what was made. */
void kf_search_end(kf_search *s);

#endif
