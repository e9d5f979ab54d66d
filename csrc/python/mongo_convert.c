/* Between Python objects and BSON: the few types that commands and their
 * replies are made of. */
#include "mongo_types.h"

#include <string.h>

/* Of documents inside one another; the server allows 100. */
#define DEPTH_MAX 100

/* --- to BSON --- */

typedef struct {
    const kfpy_mongo_state *state;
    const char *place;
    kf_buffer *out;
    int depth;
} writer;

static int write_value(writer *writer, kf_text key, PyObject *value);

static void
put_u32(kf_buffer *out, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8),
                              (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
    kf_buffer_append(out, bytes, sizeof bytes);
}

static void
put_u64(kf_buffer *out, uint64_t value)
{
    put_u32(out, (uint32_t)value);
    put_u32(out, (uint32_t)(value >> 32));
}

static void
put_head(writer *writer, uint8_t type, kf_text key)
{
    kf_buffer_put(writer->out, (char)type);
    kf_buffer_append(writer->out, key.bytes, key.size);
    kf_buffer_put(writer->out, '\0');
}

static int
write_int(writer *writer, kf_text key, PyObject *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0) {
        PyErr_Format(PyExc_ValueError, "%s must have integers of 64 bits",
                     writer->place);
        return -1;
    }
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (number >= INT32_MIN && number <= INT32_MAX) {
        put_head(writer, KF_BSON_INT32, key);
        put_u32(writer->out, (uint32_t)(int32_t)number);
    }
    else {
        put_head(writer, KF_BSON_INT64, key);
        put_u64(writer->out, (uint64_t)number);
    }
    return 0;
}

static int
write_double(writer *writer, kf_text key, PyObject *value)
{
    double number = PyFloat_AS_DOUBLE(value);
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    put_head(writer, KF_BSON_DOUBLE, key);
    put_u64(writer->out, bits);
    return 0;
}

static int
write_text(writer *writer, kf_text key, PyObject *value)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);
    if (text == NULL) {
        return -1;
    }
    if (size >= INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%s has a text that is too long",
                     writer->place);
        return -1;
    }
    put_head(writer, KF_BSON_TEXT, key);
    put_u32(writer->out, (uint32_t)size + 1);
    kf_buffer_append(writer->out, text, (size_t)size);
    kf_buffer_put(writer->out, '\0');
    return 0;
}

static int
write_bytes(writer *writer, kf_text key, PyObject *value)
{
    Py_ssize_t size = PyBytes_GET_SIZE(value);
    if (Py_TYPE(value) == (PyTypeObject *)writer->state->object_id) {
        put_head(writer, KF_BSON_OBJECT_ID, key);
    }
    else if (size >= INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%s has bytes that are too long",
                     writer->place);
        return -1;
    }
    else {
        put_head(writer, KF_BSON_BINARY, key);
        put_u32(writer->out, (uint32_t)size);
        kf_buffer_put(writer->out, '\0');
    }
    kf_buffer_append(writer->out, PyBytes_AS_STRING(value), (size_t)size);
    return 0;
}

static int
write_items(writer *writer, PyObject *list)
{
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
        char key[24];
        int size = snprintf(key, sizeof key, "%zd", i);
        PyObject *item = PySequence_Fast_GET_ITEM(list, i);
        int failed;
        Py_INCREF(item);
        failed = write_value(writer, (kf_text){key, (size_t)size}, item);
        Py_DECREF(item);
        if (failed < 0) {
            return -1;
        }
    }
    return 0;
}

static int
write_field(writer *writer, PyObject *key, PyObject *value)
{
    kf_text text;
    Py_ssize_t size;
    if (!PyUnicode_Check(key)) {
        PyErr_Format(PyExc_TypeError, "%s must have str keys, not %.200s",
                     writer->place, Py_TYPE(key)->tp_name);
        return -1;
    }
    text.bytes = PyUnicode_AsUTF8AndSize(key, &size);
    if (text.bytes == NULL) {
        return -1;
    }
    text.size = (size_t)size;
    if (strlen(text.bytes) != text.size) {
        PyErr_Format(PyExc_ValueError, "%s must have keys without NUL",
                     writer->place);
        return -1;
    }
    return write_value(writer, text, value);
}

static int
write_fields(writer *writer, PyObject *dict)
{
    Py_ssize_t at = 0;
    PyObject *key;
    PyObject *value;
    while (PyDict_Next(dict, &at, &key, &value)) {
        if (write_field(writer, key, value) < 0) {
            return -1;
        }
    }
    return 0;
}

/* A dict, list or tuple with its length around it. No foreign code runs in
 * here: only exact types of Python are read. */
static int
write_inside(writer *writer, PyObject *value)
{
    size_t start = writer->out->size;
    int failed;
    if (++writer->depth > DEPTH_MAX) {
        PyErr_Format(PyExc_ValueError, "%s must be at most %d levels deep",
                     writer->place, DEPTH_MAX);
        return -1;
    }
    put_u32(writer->out, 0);
    failed = PyDict_Check(value) ? write_fields(writer, value)
                                 : write_items(writer, value);
    kf_buffer_put(writer->out, '\0');
    writer->depth--;
    if (failed < 0) {
        return -1;
    }
    if (writer->out->failed) {
        PyErr_NoMemory();
        return -1;
    }
    if (writer->out->size - start >= INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%s is too large", writer->place);
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        writer->out->data[start + (size_t)i] =
            (char)((writer->out->size - start) >> (8 * i));
    }
    return 0;
}

static int
write_value(writer *writer, kf_text key, PyObject *value)
{
    if (value == Py_None) {
        put_head(writer, KF_BSON_NULL, key);
        return 0;
    }
    if (PyBool_Check(value)) {
        put_head(writer, KF_BSON_BOOL, key);
        kf_buffer_put(writer->out, value == Py_True);
        return 0;
    }
    if (PyLong_Check(value)) {
        return write_int(writer, key, value);
    }
    if (PyFloat_Check(value)) {
        return write_double(writer, key, value);
    }
    if (PyUnicode_Check(value)) {
        return write_text(writer, key, value);
    }
    if (PyBytes_Check(value)) {
        return write_bytes(writer, key, value);
    }
    if (PyDict_Check(value)) {
        put_head(writer, KF_BSON_DOCUMENT, key);
        return write_inside(writer, value);
    }
    if (PyList_Check(value) || PyTuple_Check(value)) {
        put_head(writer, KF_BSON_ARRAY, key);
        return write_inside(writer, value);
    }
    PyErr_Format(PyExc_TypeError, "%s must not have a %.200s", writer->place,
                 Py_TYPE(value)->tp_name);
    return -1;
}

int
kfpy_mongo_encode(const kfpy_mongo_state *state, PyObject *value,
                  const char *place, kf_buffer *out)
{
    writer writer = {state, place, out, 0};
    if (!PyDict_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be a dict, not %.200s", place,
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    return write_inside(&writer, value);
}

/* --- from BSON --- */

static PyObject *read_document(const kfpy_mongo_state *state,
                               const uint8_t *bytes, size_t size, bool array,
                               int depth);

static PyObject *
read_object_id(const kfpy_mongo_state *state, const kf_bson_element *element)
{
    return PyObject_CallFunction(state->object_id, "y#", element->value,
                                 (Py_ssize_t)element->size);
}

/* Types that no reply of ours is read for come as a text that names them. */
static PyObject *
read_value(const kfpy_mongo_state *state, const kf_bson_element *element,
           int depth)
{
    const uint8_t *value = element->value;
    switch (element->type) {
    case KF_BSON_TEXT: {
        kf_text text = kf_bson_text(element);
        return PyUnicode_DecodeUTF8(text.bytes, (Py_ssize_t)text.size, NULL);
    }
    case KF_BSON_DOCUMENT:
    case KF_BSON_ARRAY:
        return read_document(state, value, element->size,
                             element->type == KF_BSON_ARRAY, depth);
    case KF_BSON_DOUBLE:
        return PyFloat_FromDouble(kf_bson_double(value));
    case KF_BSON_INT32:
        return PyLong_FromLong((int32_t)kf_bson_u32(value));
    case KF_BSON_INT64:
    case KF_BSON_DATE:
    case KF_BSON_TIMESTAMP:
        return PyLong_FromLongLong((int64_t)kf_bson_u64(value));
    case KF_BSON_BOOL:
        return PyBool_FromLong(*value != 0);
    case KF_BSON_NULL:
        Py_RETURN_NONE;
    case KF_BSON_OBJECT_ID:
        return read_object_id(state, element);
    case KF_BSON_BINARY:
        return PyBytes_FromStringAndSize((const char *)value + 5,
                                         (Py_ssize_t)element->size - 5);
    default:
        return PyUnicode_FromFormat("BSON type %d", (int)element->type);
    }
}

static int
add_to(PyObject *into, const kf_bson_element *element, PyObject *value)
{
    PyObject *key;
    int failed;
    if (PyList_Check(into)) {
        return PyList_Append(into, value);
    }
    key = PyUnicode_DecodeUTF8(element->key.bytes,
                               (Py_ssize_t)element->key.size, "replace");
    if (key == NULL) {
        return -1;
    }
    failed = PyDict_SetItem(into, key, value);
    Py_DECREF(key);
    return failed;
}

static int
read_elements(const kfpy_mongo_state *state, kf_bson_cursor *inside,
              PyObject *into, int depth)
{
    kf_bson_element element;
    int more;
    while ((more = kf_bson_next(inside, &element)) > 0) {
        PyObject *value = read_value(state, &element, depth);
        int failed = value == NULL ? -1 : add_to(into, &element, value);
        Py_XDECREF(value);
        if (failed < 0) {
            return -1;
        }
    }
    if (more < 0) {
        PyErr_SetString(PyExc_ValueError, "the answer is no BSON");
    }
    return more;
}

static PyObject *
read_document(const kfpy_mongo_state *state, const uint8_t *bytes, size_t size,
              bool array, int depth)
{
    kf_bson_cursor inside;
    PyObject *into;
    if (depth == DEPTH_MAX || !kf_bson_open(bytes, size, &inside)) {
        PyErr_SetString(PyExc_ValueError, "the answer is no BSON");
        return NULL;
    }
    into = array ? PyList_New(0) : PyDict_New();
    if (into != NULL && read_elements(state, &inside, into, depth + 1) < 0) {
        Py_CLEAR(into);
    }
    return into;
}

PyObject *
kfpy_mongo_decode(const kfpy_mongo_state *state, const uint8_t *document,
                  size_t size)
{
    return read_document(state, document, size, false, 0);
}
