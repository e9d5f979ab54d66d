/* Bytes that writers append to without the GIL, where they stay: in an
 * object as large as it is expected to get, cut at its end. What needs more
 * moves to plain memory and is copied in the end. For one thread. */
#ifndef KATO_FAST_PYTHON_WRITING_H
#define KATO_FAST_PYTHON_WRITING_H

#include <Python.h>

#include "kato_fast/buffer.h"

typedef struct {
    kf_buffer buffer; /* to write into, between begin and end */
    kf_alloc alloc;
    PyObject *bytes; /* owned, NULL where nothing is expected */
    size_t expected;
} kfpy_writing;

/* expected: bytes, 0 where nobody knows. With the GIL; cannot fail: where
 * there is no memory the buffer finds out. *w must not move. */
void kfpy_writing_begin(kfpy_writing *w, size_t expected);

/* A new bytes object, NULL with MemoryError. With the GIL. w is over. */
PyObject *kfpy_writing_end(kfpy_writing *w);

#endif
