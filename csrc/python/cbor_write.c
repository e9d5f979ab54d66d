/* Python objects as CBOR: what JSON has, and bytes. Nothing here runs Python
 * code until something is refused, so containers stay as they are. */
#include "cbor_objects.h"

#include "objects.h"

#include "kato_fast/cbor.h"

/* Where a value stands, from the inside out, for the message. */
typedef struct place {
    const struct place *outer;
    PyObject *key;    /* borrowed; NULL in a list */
    Py_ssize_t index; /* in a list */
} place;

/* "value", "value[3]['key']": a new reference. */
static PyObject *
place_text(const place *at)
{
    PyObject *outer, *text;
    if (at == NULL) {
        return PyUnicode_FromString("value");
    }
    outer = place_text(at->outer);
    if (outer == NULL) {
        return NULL;
    }
    text = at->key != NULL ? PyUnicode_FromFormat("%U[%R]", outer, at->key)
                           : PyUnicode_FromFormat("%U[%zd]", outer, at->index);
    Py_DECREF(outer);
    return text;
}

static int
refuse_type(PyObject *value, const place *at, const char *rule)
{
    PyObject *where = place_text(at);
    if (where != NULL) {
        PyErr_Format(PyExc_TypeError, "%U %s, not %.200s", where, rule,
                     kfpy_type_name(value));
        Py_DECREF(where);
    }
    return -1;
}

static int
refuse_value(const place *at, const char *rule)
{
    PyObject *where = place_text(at);
    if (where != NULL) {
        PyErr_Format(PyExc_ValueError, "%U %s", where, rule);
        Py_DECREF(where);
    }
    return -1;
}

static int
refuse_unicode(const place *at)
{
    char rule[100];
    Py_ssize_t start = kfpy_take_surrogate();
    if (start >= 0) {
        PyOS_snprintf(rule, sizeof rule,
                      "must be valid Unicode: lone surrogate at index %zd",
                      start);
        refuse_value(at, rule);
    }
    return -1;
}

static int write_value(kf_buffer *out, PyObject *value, const place *at,
                       int depth);

static int
write_text(kf_buffer *out, PyObject *value, const place *at)
{
    Py_ssize_t size;
    const char *bytes = PyUnicode_AsUTF8AndSize(value, &size);
    if (bytes == NULL) {
        return refuse_unicode(at);
    }
    kf_cbor_text(out, bytes, (size_t)size);
    return 0;
}

/* -2^64 to -2^63 - 1: the bits of -1 - value. */
static int
write_far_negative(kf_buffer *out, PyObject *value, const place *at)
{
    PyObject *flipped = PyLong_Type.tp_as_number->nb_invert(value);
    unsigned long long number;
    if (flipped == NULL) {
        return -1;
    }
    number = PyLong_AsUnsignedLongLong(flipped);
    Py_DECREF(flipped);
    if (number == (unsigned long long)-1 && PyErr_Occurred()) {
        PyErr_Clear();
        return refuse_value(at, "must be between -2**64 and 2**64 - 1");
    }
    kf_cbor_negative(out, number);
    return 0;
}

static int
write_far_positive(kf_buffer *out, PyObject *value, const place *at)
{
    unsigned long long number = PyLong_AsUnsignedLongLong(value);
    if (number == (unsigned long long)-1 && PyErr_Occurred()) {
        PyErr_Clear();
        return refuse_value(at, "must be between -2**64 and 2**64 - 1");
    }
    kf_cbor_uint(out, number);
    return 0;
}

static int
write_int(kf_buffer *out, PyObject *value, const place *at)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0) {
        return overflow > 0 ? write_far_positive(out, value, at)
                            : write_far_negative(out, value, at);
    }
    if (number >= 0) {
        kf_cbor_uint(out, (uint64_t)number);
    }
    else {
        kf_cbor_negative(out, (uint64_t)(-1 - number));
    }
    return 0;
}

static int
write_list(kf_buffer *out, PyObject *value, const place *at, int depth)
{
    Py_ssize_t n = PySequence_Fast_GET_SIZE(value);
    kf_cbor_array(out, (uint64_t)n);
    for (Py_ssize_t i = 0; i < n; i++) {
        place here = {at, NULL, i};
        if (write_value(out, PySequence_Fast_GET_ITEM(value, i), &here,
                        depth) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
write_pair(kf_buffer *out, PyObject *key, PyObject *value, const place *at,
           int depth)
{
    place here = {at, key, 0};
    if (!PyUnicode_Check(key)) {
        return refuse_type(key, at, "must have keys that are str");
    }
    return write_text(out, key, &here) < 0
               ? -1
               : write_value(out, value, &here, depth);
}

static int
write_dict(kf_buffer *out, PyObject *value, const place *at, int depth)
{
    PyObject *key, *item;
    Py_ssize_t position = 0;
    kf_cbor_map(out, (uint64_t)PyDict_GET_SIZE(value));
    while (PyDict_Next(value, &position, &key, &item)) {
        if (write_pair(out, key, item, at, depth) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
write_container(kf_buffer *out, PyObject *value, const place *at, int depth)
{
    bool is_dict = PyDict_Check(value);
    if (!is_dict && !PyList_Check(value) && !PyTuple_Check(value)) {
        return refuse_type(value, at,
                           "must be None, bool, int, float, str, bytes, "
                           "list, tuple or dict");
    }
    if (depth >= KF_CBOR_MAX_DEPTH) {
        _Static_assert(KF_CBOR_MAX_DEPTH == 256, "as the text says");
        return refuse_value(NULL, "must not be nested more than 256 levels "
                                  "deep");
    }
    return is_dict ? write_dict(out, value, at, depth + 1)
                   : write_list(out, value, at, depth + 1);
}

static int
write_value(kf_buffer *out, PyObject *value, const place *at, int depth)
{
    if (PyUnicode_Check(value)) {
        return write_text(out, value, at);
    }
    if (PyFloat_Check(value)) {
        kf_cbor_double(out, PyFloat_AS_DOUBLE(value));
        return 0;
    }
    if (value == Py_None) {
        kf_cbor_null(out);
        return 0;
    }
    if (PyBool_Check(value)) {
        kf_cbor_bool(out, value == Py_True);
        return 0;
    }
    if (PyLong_Check(value)) {
        return write_int(out, value, at);
    }
    if (PyBytes_Check(value)) {
        kf_cbor_bytes(out, PyBytes_AS_STRING(value),
                      (size_t)PyBytes_GET_SIZE(value));
        return 0;
    }
    return write_container(out, value, at, depth);
}

int
kfpy_cbor_write(kf_buffer *out, PyObject *value)
{
    if (write_value(out, value, NULL, 0) < 0) {
        return -1;
    }
    if (out->failed) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}
