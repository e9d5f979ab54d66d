/* Answers of a whole, of which the engine holds a part. */
#include "knowledge_type.h"

const char kfpy_knowledge_count_as_doc[] = PyDoc_STR(
    "count_as($self, members, symbols, learns, memberships, /)\n--\n\n"
    "Answer as a part of a larger whole, which is counted elsewhere; nothing\n"
    "may be learned, put or forgotten afterwards.\n\n"
    "Args:\n"
    "    members: dict of symbol to pattern_member_frequency; a symbol that\n"
    "        is missing has none.\n"
    "    symbols: distinct ones of the whole.\n"
    "    learns: total_pattern_frequencies.\n"
    "    memberships: total_symbols_in_patterns_frequencies.\n\n"
    "Raises:\n"
    "    TypeError, ValueError: no such counters; nothing was changed.");

/* The dict keeps the texts; without running any Python code. */
static int
take_members(PyObject *members, kf_counted *out, size_t *count)
{
    PyObject *symbol;
    PyObject *value;
    Py_ssize_t at = 0;
    *count = 0;
    while (PyDict_Next(members, &at, &symbol, &value)) {
        kf_counted *next = &out[(*count)++];
        Py_ssize_t size;
        long long number;
        if (!PyUnicode_Check(symbol) || !PyLong_Check(value)) {
            PyErr_SetString(PyExc_TypeError,
                            "members must be a dict of str to int");
            return -1;
        }
        next->text.bytes = PyUnicode_AsUTF8AndSize(symbol, &size);
        number = PyLong_AsLongLong(value);
        if (next->text.bytes == NULL || (number == -1 && PyErr_Occurred())) {
            return -1;
        }
        if (number < 0) {
            PyErr_Format(PyExc_ValueError,
                         "members must not be negative, not %lld", number);
            return -1;
        }
        next->text.size = (size_t)size;
        next->members = (uint64_t)number;
    }
    return 0;
}

static PyObject *
count_as(PyObject *self, PyObject *members, kf_whole *whole)
{
    kf_counted *symbols =
        PyMem_New(kf_counted, (size_t)PyDict_GET_SIZE(members) + 1);
    PyObject *result = NULL;
    kf_error err;
    if (symbols == NULL) {
        return PyErr_NoMemory();
    }
    whole->symbols = symbols;
    if (take_members(members, symbols, &whole->count) == 0) {
        if (kf_knowledge_count_as(kfpy_knowledge_of(self), whole, &err) ==
            KF_OK) {
            result = Py_None;
            Py_INCREF(result);
        }
        else {
            kfpy_raise(&err);
        }
    }
    PyMem_Free(symbols);
    return result;
}

PyObject *
kfpy_knowledge_count_as(PyObject *self, PyObject *args)
{
    PyObject *members;
    Py_ssize_t symbols;
    Py_ssize_t learns;
    Py_ssize_t memberships;
    kf_whole whole;
    if (!PyArg_ParseTuple(args, "O!nnn:count_as", &PyDict_Type, &members,
                          &symbols, &learns, &memberships)) {
        return NULL;
    }
    if (symbols < 0 || (uint64_t)symbols > UINT32_MAX || learns < 0 ||
        memberships < 0) {
        PyErr_SetString(PyExc_ValueError,
                        "symbols must be from 0 to 2**32-1, learns and "
                        "memberships not negative");
        return NULL;
    }
    whole = (kf_whole){NULL, 0, (uint32_t)symbols, (uint64_t)learns,
                       (uint64_t)memberships};
    return count_as(self, members, &whole);
}
