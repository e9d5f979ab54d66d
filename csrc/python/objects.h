/* Small things that several extension modules do with Python objects.
 * The GIL is held. */
#ifndef KATO_FAST_PYTHON_OBJECTS_H
#define KATO_FAST_PYTHON_OBJECTS_H

#include <Python.h>

#include <string.h>

/* type(value).__name__, borrowed from the type. */
static inline const char *
kfpy_type_name(PyObject *value)
{
    const char *name = Py_TYPE(value)->tp_name;
    const char *dot = strrchr(name, '.');
    return dot != NULL ? dot + 1 : name;
}

/* Set dict[key] to value, which is taken and may be NULL (an error).
 * 0, or -1 with an exception. */
static inline int
kfpy_put(PyObject *dict, PyObject *key, PyObject *value)
{
    int result;
    if (value == NULL) {
        return -1;
    }
    result = PyDict_SetItem(dict, key, value);
    Py_DECREF(value);
    return result;
}

/* After a str could not be written as UTF-8: the index of its first lone
 * surrogate, and the exception is gone; or -1, and what is set says why, such
 * as no memory. */
static inline Py_ssize_t
kfpy_take_surrogate(void)
{
    PyObject *type, *error, *trace;
    Py_ssize_t start;
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        return -1;
    }
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (PyUnicodeEncodeError_GetStart(error, &start) < 0) {
        start = -1;
    }
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return start;
}

#endif
