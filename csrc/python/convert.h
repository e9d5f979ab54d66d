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
 * objects, so they are good while the GIL is held and nothing else has run;
 * kfpy_input_own makes them good for longer. */
typedef struct {
    kf_text *texts;
    size_t n_texts;
    size_t texts_capacity;
    uint32_t *ends;
    size_t n_ends;
    size_t ends_capacity;
    char *bytes; /* owned copies of all texts, or NULL */
} kfpy_input;

void kfpy_input_init(kfpy_input *input);
void kfpy_input_free(kfpy_input *input);

/* Append. -1 with an exception set where the value is not well formed. */
int kfpy_input_events(kfpy_input *input, PyObject *events);
int kfpy_input_state(kfpy_input *input, PyObject *state);

/* Copy the bytes of all texts. -1 with MemoryError set. */
int kfpy_input_own(kfpy_input *input);

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

/* New references. */
PyObject *kfpy_name_str(const uint8_t name[KF_NAME_SIZE]);
PyObject *kfpy_text_str(kf_text text);
PyObject *kfpy_events_list(const kf_symbols *symbols,
                           const kf_pattern *pattern, uint32_t first,
                           uint32_t end);
PyObject *kfpy_emotive_dict(kf_emotive_map map);

#endif
