#include "writing.h"

#include "raw_memory.h"

/* A smaller object is not worth its cut. */
#define EXPECTED_MIN 1024

static char *
room(const kfpy_writing *w)
{
    return w->bytes == NULL ? NULL : PyBytes_AS_STRING(w->bytes);
}

static void *
resize(void *context, void *block, size_t size)
{
    const kfpy_writing *w = context;
    void *moved;
    if (block != room(w)) {
        return raw_resize(NULL, block, size);
    }
    moved = raw_allocate(NULL, size);
    if (moved != NULL) {
        memcpy(moved, block, w->expected);
    }
    return moved;
}

static void
release(void *context, void *block)
{
    if (block != room(context)) {
        raw_release(NULL, block);
    }
}

void
kfpy_writing_begin(kfpy_writing *w, size_t expected)
{
    w->alloc = (kf_alloc){w, raw_allocate, resize, release};
    w->bytes = NULL;
    w->expected = expected;
    kf_buffer_init(&w->buffer, &w->alloc);
    if (expected < EXPECTED_MIN || expected > PY_SSIZE_T_MAX / 2) {
        return;
    }
    w->bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)expected);
    if (w->bytes == NULL) {
        PyErr_Clear();
        return;
    }
    w->buffer.data = room(w);
    w->buffer.capacity = expected;
}

PyObject *
kfpy_writing_end(kfpy_writing *w)
{
    kf_buffer *buffer = &w->buffer;
    Py_ssize_t size = (Py_ssize_t)buffer->size;
    PyObject *bytes = NULL;
    if (buffer->failed) {
        PyErr_NoMemory();
    }
    else if (buffer->data != NULL && buffer->data == room(w)) {
        bytes = w->bytes;
        w->bytes = NULL;
        buffer->data = NULL;
        _PyBytes_Resize(&bytes,
                        size); /* NULL and MemoryError where it fails */
    }
    else {
        bytes = PyBytes_FromStringAndSize(buffer->data, size);
    }
    kf_buffer_free(buffer);
    Py_CLEAR(w->bytes);
    return bytes;
}
