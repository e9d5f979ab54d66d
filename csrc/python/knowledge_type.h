/* The Python type Knowledge: the engine. */
#ifndef KFPY_KNOWLEDGE_TYPE_H
#define KFPY_KNOWLEDGE_TYPE_H

#include "module.h"

int kfpy_knowledge_type_add(PyObject *module);

#endif
