/* The Python types Predictions and Matches: what a question answers. */
#ifndef KFPY_PREDICTIONS_TYPE_H
#define KFPY_PREDICTIONS_TYPE_H

#include "module.h"

#include "kato_fast/prediction.h"

int kfpy_predictions_type_add(PyObject *module, kfpy_state *state);
int kfpy_matches_type_add(PyObject *module, kfpy_state *state);

/* New references. The result is taken, also where it fails. */
PyObject *kfpy_predictions_new(const kfpy_state *state,
                               kf_predictions *predictions);
PyObject *kfpy_matches_new(const kfpy_state *state, kf_match_list *matches);

/* The names of the list, which is taken. */
PyObject *kfpy_match_names(kf_match_list *list);

#endif
