/* Items of CBOR as Python objects. The decoder has checked all but keys that
 * stand twice in one map. */
#include "cbor_objects.h"

#include <string.h>

typedef struct {
    const kf_cbor_items *items;
    const unsigned char *data;
    size_t next; /* the item to be built */
} builder;

static PyObject *build(builder *self);

static const char *
bytes_of(const builder *self, const kf_cbor_item *item)
{
    return (const char *)self->data + item->start;
}

static PyObject *
text_object(const char *bytes, size_t size)
{
    return PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)size, NULL);
}

/* A negative number from -1 - 2^63 on does not fit into 64 bits. */
static PyObject *
negative_object(uint64_t number)
{
    PyObject *positive, *negative;
    if (number <= INT64_MAX) {
        return PyLong_FromLongLong(-1 - (long long)number);
    }
    positive = PyLong_FromUnsignedLongLong(number);
    negative = positive == NULL ? NULL : PyNumber_Invert(positive);
    Py_XDECREF(positive);
    return negative;
}

static PyObject *
joined_chunks(builder *self, const kf_cbor_item *first)
{
    PyObject *whole = NULL;
    size_t size = 0, at = 0;
    char *bytes;
    const kf_cbor_item *chunks = first + 1;
    for (uint64_t i = 0; i < first->is.number; i++) {
        size += chunks[i].is.number;
    }
    bytes = PyMem_Malloc(size + 1);
    if (bytes == NULL) {
        return PyErr_NoMemory();
    }
    for (uint64_t i = 0; i < first->is.number; i++) {
        memcpy(bytes + at, bytes_of(self, &chunks[i]), chunks[i].is.number);
        at += chunks[i].is.number;
    }
    self->next += first->is.number;
    whole = first->text ? text_object(bytes, size)
                        : PyBytes_FromStringAndSize(bytes, (Py_ssize_t)size);
    PyMem_Free(bytes);
    return whole;
}

static PyObject *
array_object(builder *self, uint64_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (uint64_t i = 0; list != NULL && i < count; i++) {
        PyObject *item = build(self);
        if (item == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

/* A key that the map has not yet: a new reference. */
static PyObject *
new_key(builder *self, PyObject *dict)
{
    size_t at = self->items->items[self->next].at;
    PyObject *key = build(self);
    int found = key == NULL ? -1 : PyDict_Contains(dict, key);
    if (found == 0) {
        return key;
    }
    if (found > 0) {
        PyErr_Format(PyExc_ValueError,
                     "data has the key %R twice in one map at byte %zu", key,
                     at);
    }
    Py_XDECREF(key);
    return NULL;
}

static int
add_pair(builder *self, PyObject *dict)
{
    PyObject *key = new_key(self, dict);
    PyObject *value = key == NULL ? NULL : build(self);
    int added = value == NULL ? -1 : PyDict_SetItem(dict, key, value);
    Py_XDECREF(key);
    Py_XDECREF(value);
    return added;
}

static PyObject *
map_object(builder *self, uint64_t count)
{
    PyObject *dict = PyDict_New();
    for (uint64_t i = 0; dict != NULL && i < count; i++) {
        if (add_pair(self, dict) < 0) {
            Py_CLEAR(dict);
        }
    }
    return dict;
}

/* As deep as the decoder lets it be. */
static PyObject *
build(builder *self)
{
    const kf_cbor_item *item = &self->items->items[self->next++];
    switch (item->kind) {
    case KF_CBOR_UNSIGNED:
        return PyLong_FromUnsignedLongLong(item->is.number);
    case KF_CBOR_NEGATIVE:
        return negative_object(item->is.number);
    case KF_CBOR_DOUBLE:
        return PyFloat_FromDouble(item->is.value);
    case KF_CBOR_NULL:
        Py_RETURN_NONE;
    case KF_CBOR_FALSE:
        Py_RETURN_FALSE;
    case KF_CBOR_TRUE:
        Py_RETURN_TRUE;
    case KF_CBOR_BYTES:
        return PyBytes_FromStringAndSize(bytes_of(self, item),
                                         (Py_ssize_t)item->is.number);
    case KF_CBOR_TEXT:
        return text_object(bytes_of(self, item), item->is.number);
    case KF_CBOR_CHUNKS:
        return joined_chunks(self, item);
    case KF_CBOR_ARRAY:
        return array_object(self, item->is.number);
    case KF_CBOR_MAP:
        return map_object(self, item->is.number);
    }
    Py_UNREACHABLE();
}

PyObject *
kfpy_cbor_object(const kf_cbor_items *items, const unsigned char *data)
{
    builder self = {items, data, 0};
    return build(&self);
}
