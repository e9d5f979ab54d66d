/* The Python type BloomFilter. */
#ifndef KFPY_BLOOM_TYPE_H
#define KFPY_BLOOM_TYPE_H

#include "module.h"

/* Create the type and add it to the module. -1 with an exception set where
 * that fails. */
int kfpy_bloom_type_add(PyObject *module);

#endif
