/* Arguments of commands as bytes. No Python code runs in here, so that lists
 * stay as long as they were counted. */
#include "redis_client.h"

#include "objects.h"

#include <string.h>

#define MAX_REQUEST_BYTES ((size_t)512 << 20)

/* Where an argument stands: args[i], or commands[index][i]. i below 0: the
 * command. */
static void
say_place(char place[64], Py_ssize_t index, Py_ssize_t i)
{
    int n = index < 0 ? PyOS_snprintf(place, 64, "args")
                      : PyOS_snprintf(place, 64, "commands[%zd]", index);
    if (i >= 0) {
        PyOS_snprintf(place + n, 64 - (size_t)n, "[%zd]", i);
    }
}

static int
refuse_type(PyObject *value, Py_ssize_t index, Py_ssize_t i)
{
    char place[64];
    say_place(place, index, i);
    PyErr_Format(PyExc_TypeError,
                 "%s must be a str, bytes, int or float, not %.200s", place,
                 kfpy_type_name(value));
    return -1;
}

static int
refuse_unicode(Py_ssize_t index, Py_ssize_t i)
{
    char place[64];
    Py_ssize_t start = kfpy_take_surrogate();
    if (start >= 0) {
        say_place(place, index, i);
        PyErr_Format(PyExc_ValueError,
                     "%s must be valid Unicode: lone surrogate at index %zd",
                     place, start);
    }
    return -1;
}

static int
encode_str(kf_buffer *request, PyObject *value, Py_ssize_t index, Py_ssize_t i)
{
    Py_ssize_t size;
    const char *bytes = PyUnicode_AsUTF8AndSize(value, &size);
    if (bytes == NULL) {
        return refuse_unicode(index, i);
    }
    kf_redis_argument(request, bytes, (size_t)size);
    return 0;
}

/* An int beyond 64 bits, by its own digits. */
static int
encode_long_int(kf_buffer *request, PyObject *value)
{
    PyObject *digits = PyLong_Type.tp_repr(value);
    int done = digits == NULL ? -1 : encode_str(request, digits, -1, -1);
    Py_XDECREF(digits);
    return done;
}

static int
encode_int(kf_buffer *request, PyObject *value)
{
    char digits[24];
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0) {
        return encode_long_int(request, value);
    }
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    kf_redis_argument(
        request, digits,
        (size_t)PyOS_snprintf(digits, sizeof digits, "%lld", number));
    return 0;
}

static int
encode_float(kf_buffer *request, PyObject *value)
{
    char *digits = PyOS_double_to_string(PyFloat_AS_DOUBLE(value), 'r', 0,
                                         Py_DTSF_ADD_DOT_0, NULL);
    if (digits == NULL) {
        return -1;
    }
    kf_redis_argument(request, digits, strlen(digits));
    PyMem_Free(digits);
    return 0;
}

static int
encode(kf_buffer *request, PyObject *value, Py_ssize_t index, Py_ssize_t i)
{
    if (PyUnicode_Check(value)) {
        return encode_str(request, value, index, i);
    }
    if (PyBytes_Check(value)) {
        kf_redis_argument(request, PyBytes_AS_STRING(value),
                          (size_t)PyBytes_GET_SIZE(value));
        return 0;
    }
    if (PyLong_Check(value) && !PyBool_Check(value)) {
        return encode_int(request, value);
    }
    if (PyFloat_Check(value)) {
        return encode_float(request, value);
    }
    return refuse_type(value, index, i);
}

int
kfpy_redis_encode(kf_buffer *request, PyObject *const *args, Py_ssize_t n,
                  Py_ssize_t index)
{
    char place[64];
    say_place(place, index, -1);
    if (n == 0) {
        PyErr_Format(PyExc_ValueError,
                     "%s must have at least the name of a command", place);
        return -1;
    }
    kf_redis_command(request, (size_t)n);
    for (Py_ssize_t i = 0; i < n; i++) {
        if (encode(request, args[i], index, i) < 0) {
            return -1;
        }
    }
    if (request->failed) {
        PyErr_NoMemory();
        return -1;
    }
    if (request->size > MAX_REQUEST_BYTES) {
        PyErr_Format(PyExc_ValueError, "%s must have at most %zu bytes", place,
                     MAX_REQUEST_BYTES);
        return -1;
    }
    return 0;
}
