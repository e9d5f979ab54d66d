/* What the files of kato_fast._cbor share. */
#ifndef KFPY_CBOR_OBJECTS_H
#define KFPY_CBOR_OBJECTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kato_fast/buffer.h"
#include "wire/cbor.h"

/* The object of the items (n at least 1) that point into data: a new
 * reference, or NULL with an exception set. */
PyObject *kfpy_cbor_object(const kf_cbor_items *items,
                           const unsigned char *data);

/* Append an object. -1 with an exception set that names the place. */
int kfpy_cbor_write(kf_buffer *out, PyObject *value);

#endif
