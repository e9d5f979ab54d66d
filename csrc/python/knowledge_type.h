/* The Python type Knowledge: the engine. Its methods are in knowledge_type.c
 * (learning, asking), knowledge_looking.c and knowledge_files.c. */
#ifndef KFPY_KNOWLEDGE_TYPE_H
#define KFPY_KNOWLEDGE_TYPE_H

#include "module.h"

#include "kato_fast/knowledge.h"

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

/* METH_O, METH_NOARGS */
PyObject *kfpy_knowledge_pattern(PyObject *self, PyObject *value);
PyObject *kfpy_knowledge_names(PyObject *self, PyObject *ignored);
PyObject *kfpy_knowledge_symbols(PyObject *self, PyObject *ignored);
PyObject *kfpy_knowledge_totals(PyObject *self, PyObject *ignored);
extern const char kfpy_knowledge_pattern_doc[];
extern const char kfpy_knowledge_names_doc[];
extern const char kfpy_knowledge_symbols_doc[];
extern const char kfpy_knowledge_totals_doc[];

/* METH_O; METH_CLASS with arguments and keywords */
PyObject *kfpy_knowledge_save(PyObject *self, PyObject *path);
PyObject *kfpy_knowledge_open(PyObject *type, PyObject *args,
                              PyObject *keywords);
extern const char kfpy_knowledge_save_doc[];
extern const char kfpy_knowledge_open_doc[];

#endif
