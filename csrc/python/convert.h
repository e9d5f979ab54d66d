/* From Python arguments to what the C library takes, with the design's error
 * texts, and back. */
#ifndef KFPY_CONVERT_H
#define KFPY_CONVERT_H

#include "module.h"

#include "kato_fast/emotives.h"
#include "kato_fast/knowledge.h"
#include "kato_fast/pattern.h"
#include "kato_fast/symbols.h"

/* Texts and event ends of one or more sequences. Texts point into the `str`
 * objects, which never change and of which the input holds references: what
 * runs meanwhile, also without the GIL, may change or drop the lists. */
typedef struct {
    kf_text *texts;
    size_t n_texts;
    size_t texts_capacity;
    PyObject **objects; /* owned references, one a text */
    size_t objects_capacity;
    uint32_t *ends;
    size_t n_ends;
    size_t ends_capacity;
} kfpy_input;

void kfpy_input_init(kfpy_input *input);
void kfpy_input_free(kfpy_input *input); /* with the GIL */

/* Append. -1 with an exception set where the value is not well formed. */
int kfpy_input_events(kfpy_input *input, PyObject *events);
int kfpy_input_state(kfpy_input *input, PyObject *state);

/* Check one flat argument of symbols without keeping anything. */
int kfpy_check_symbols(PyObject *symbols, const char *place);

/* *out: owned, or NULL for None. */
int kfpy_emotives(const kfpy_state *state, PyObject *value, kf_emotives **out);

int kfpy_recall_threshold(const kfpy_state *state, PyObject *value,
                          double *out);
int kfpy_max_predictions(PyObject *value, size_t *out);
int kfpy_frequency(PyObject *value, uint64_t *out);

/* 1 and the name, 0 where the text can be no name, -1 with TypeError set. */
int kfpy_name(PyObject *value, uint8_t name[KF_NAME_SIZE]);

/* Set TypeError "<place> must be <rule>, not <type>". */
void kfpy_wrong_type(const char *place, const char *rule, PyObject *value);

/* New references. */
PyObject *kfpy_name_str(const uint8_t name[KF_NAME_SIZE]);
PyObject *kfpy_text_str(kf_text text);
PyObject *kfpy_events_list(const kf_symbols *symbols,
                           const kf_pattern *pattern, uint32_t first,
                           uint32_t end);
PyObject *kfpy_emotive_dict(kf_emotive_map map);

#endif
