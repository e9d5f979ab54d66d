/* The Python type Knowledge: the engine. Its methods are in knowledge_type.c
 * (learning), knowledge_asking.c, knowledge_looking.c, knowledge_files.c and
 * knowledge_whole.c. */
#ifndef KFPY_KNOWLEDGE_TYPE_H
#define KFPY_KNOWLEDGE_TYPE_H

#include "module.h"

#include "kato_fast/knowledge.h"

#include <stdbool.h>
#include <time.h>

typedef struct {
    PyObject_HEAD
    kf_knowledge *knowledge;
} kfpy_knowledge;

static inline kf_knowledge *
kfpy_knowledge_of(PyObject *self)
{
    return ((kfpy_knowledge *)self)->knowledge;
}

static inline const kfpy_state *
kfpy_state_of(PyObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

int kfpy_knowledge_type_add(PyObject *module);
bool kfpy_is_knowledge(PyObject *object);

/* The capsule of engine_table.h. */
int kfpy_engine_table_add(PyObject *module);

/* Ctrl-C while the GIL is not held, asked about ten times a second. */
typedef struct {
    PyThreadState *thread; /* to restore in the end */
    struct timespec asked;
} kfpy_signals;

void kfpy_signals_start(kfpy_signals *signals); /* lets the GIL go */
/* context: kfpy_signals. True with an exception set. Without the GIL. */
bool kfpy_was_interrupted(void *context);

/* METH_FASTCALL | METH_KEYWORDS */
PyObject *kfpy_knowledge_match(PyObject *self, PyObject *const *args,
                               Py_ssize_t n_args, PyObject *keywords);
PyObject *kfpy_knowledge_predict(PyObject *self, PyObject *const *args,
                                 Py_ssize_t n_args, PyObject *keywords);
PyObject *kfpy_knowledge_predict_many(PyObject *self, PyObject *const *args,
                                      Py_ssize_t n_args, PyObject *keywords);
extern const char kfpy_knowledge_match_doc[];
extern const char kfpy_knowledge_predict_doc[];
extern const char kfpy_knowledge_predict_many_doc[];

/* METH_O, METH_NOARGS */
PyObject *kfpy_knowledge_pattern(PyObject *self, PyObject *value);
PyObject *kfpy_knowledge_names(PyObject *self, PyObject *ignored);
PyObject *kfpy_knowledge_symbols(PyObject *self, PyObject *ignored);
PyObject *kfpy_knowledge_totals(PyObject *self, PyObject *ignored);
extern const char kfpy_knowledge_pattern_doc[];
extern const char kfpy_knowledge_names_doc[];
extern const char kfpy_knowledge_symbols_doc[];
extern const char kfpy_knowledge_totals_doc[];

/* METH_VARARGS */
PyObject *kfpy_knowledge_count_as(PyObject *self, PyObject *args);
extern const char kfpy_knowledge_count_as_doc[];

/* METH_O; METH_CLASS with arguments and keywords */
PyObject *kfpy_knowledge_save(PyObject *self, PyObject *path);
PyObject *kfpy_knowledge_open(PyObject *type, PyObject *args,
                              PyObject *keywords);
extern const char kfpy_knowledge_save_doc[];
extern const char kfpy_knowledge_open_doc[];

#endif
