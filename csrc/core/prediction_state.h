/* What KATO 2.1 tells of the state in every prediction: two entropies, which
 * are equal in all predictions of one answer. Internal to prediction.c. */
#ifndef KATO_FAST_PREDICTION_STATE_H
#define KATO_FAST_PREDICTION_STATE_H

#include "prediction_search.h"

/* Under the lock, for a search that has found; false without memory. */
bool kf_state_entropies_find(const kf_search *found, kf_state_entropies *out);

#endif
