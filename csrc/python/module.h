/* The module's state, and what its types share. */
#ifndef KFPY_MODULE_H
#define KFPY_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kato_fast/alloc.h"
#include "kato_fast/status.h"

#include "unlocked.h"

/* Keys of the dicts that are built again and again, interned once. */
#define KFPY_KEYS(KEY)             \
    KEY(type)                      \
    KEY(name)                      \
    KEY(frequency)                 \
    KEY(emotives)                  \
    KEY(matches)                   \
    KEY(past)                      \
    KEY(present)                   \
    KEY(missing)                   \
    KEY(extras)                    \
    KEY(potential)                 \
    KEY(evidence)                  \
    KEY(similarity)                \
    KEY(fragmentation)             \
    KEY(snr)                       \
    KEY(entropy)                   \
    KEY(hamiltonian)               \
    KEY(grand_hamiltonian)         \
    KEY(normalized_entropy)        \
    KEY(global_normalized_entropy) \
    KEY(confluence)                \
    KEY(predictive_information)    \
    KEY(sequence)                  \
    KEY(future)                    \
    KEY(confidence)                \
    KEY(itfdf_similarity)          \
    KEY(pattern_probability)       \
    KEY(weighted_strength)         \
    KEY(prototypical)              \
    KEY(aggregate_potential)       \
    KEY(supporting_patterns)       \
    KEY(total_weighted_frequency)  \
    KEY(length)                    \
    KEY(pattern_data)              \
    KEY(pattern_member_frequency)  \
    KEY(total_pattern_frequencies) \
    KEY(total_symbol_frequencies)  \
    KEY(total_symbols_in_patterns_frequencies)

#define KFPY_KEY_MEMBER(key) PyObject *key;

typedef struct {
    PyTypeObject *predictions_type;
    PyTypeObject *matches_type;
    PyObject *real;    /* numbers.Real */
    unsigned unicode;  /* the interpreter's Unicode version, 151 for 15.1 */
    size_t bytes_each; /* of a prediction, when last some were written */
    struct {
        KFPY_KEYS(KFPY_KEY_MEMBER)
    } keys;
} kfpy_state;

/* PyMem_Raw*: works without the GIL. */
extern const kf_alloc kfpy_alloc;

/* Set the exception that the error stands for, return NULL. */
PyObject *kfpy_raise(const kf_error *err);

/* The same of an error that a file met; path: a str. */
PyObject *kfpy_raise_of_file(const kf_error *err, PyObject *path);

/* Arguments by position and by keyword into out, NULL where not given.
 * names: n of them, the first `required` must be given. -1 with an exception
 * set where they do not fit. Borrowed references. */
int kfpy_arguments(const char *function, const char *const *names, size_t n,
                   size_t required, PyObject *const *args, Py_ssize_t n_args,
                   PyObject *keywords, PyObject **out);

#endif
