/* The module kato_fast._cbor: loads over libcbor, dumps over the core's
 * writer. */
#include "cbor_objects.h"
#include "raw_memory.h"

/* Above this the GIL is let go while the bytes are checked. */
#define RELEASE_BYTES 65536

/* --- memory --- */

static const kf_alloc alloc = KFPY_RAW_MEMORY;

/* --- loads --- */

static int
check_limit(const char *name, Py_ssize_t value, Py_ssize_t most)
{
    if (value < 1 || value > most) {
        PyErr_Format(PyExc_ValueError, "%s must be between 1 and %zd, not %zd",
                     name, most, value);
        return -1;
    }
    return 0;
}

static PyObject *
decoded(const Py_buffer *data, const kf_cbor_limits *limits)
{
    PyObject *result = NULL;
    PyThreadState *thread = NULL;
    kf_cbor_items items;
    kf_error err;
    kf_status status;
    kf_cbor_items_init(&items, &alloc);
    if (data->len >= RELEASE_BYTES) {
        thread = PyEval_SaveThread();
    }
    status =
        kf_cbor_decode(data->buf, (size_t)data->len, limits, &items, &err);
    if (thread != NULL) {
        PyEval_RestoreThread(thread);
    }
    if (status == KF_OK) {
        result = kfpy_cbor_object(&items, data->buf);
    }
    else if (status == KF_NO_MEMORY) {
        PyErr_NoMemory();
    }
    else {
        PyErr_SetString(PyExc_ValueError, err.message);
    }
    kf_cbor_items_free(&items);
    return result;
}

PyDoc_STRVAR(loads_doc,
             "loads($module, data, /, *, max_depth=256, max_items=1000000,\n"
             "      max_bytes=67108864, finite=False)\n--\n\n"
             "The value of CBOR: what JSON has, and bytes.\n\n"
             "Raises ValueError naming the byte and the rule.");

static PyObject *
loads(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"",          "max_depth", "max_items",
                            "max_bytes", "finite",    NULL};
    Py_ssize_t depth = KF_CBOR_MAX_DEPTH, items = 1000000, bytes = 64 << 20;
    int finite = 0;
    Py_buffer data;
    PyObject *given, *result = NULL;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$nnnp:loads", names,
                                     &given, &depth, &items, &bytes,
                                     &finite) ||
        check_limit("max_depth", depth, KF_CBOR_MAX_DEPTH) < 0 ||
        check_limit("max_items", items, (Py_ssize_t)1 << 31) < 0 ||
        check_limit("max_bytes", bytes, (Py_ssize_t)1 << 40) < 0) {
        return NULL;
    }
    if (!PyObject_CheckBuffer(given)) {
        return PyErr_Format(PyExc_TypeError,
                            "data must be bytes-like, not %.200s",
                            Py_TYPE(given)->tp_name);
    }
    if (PyObject_GetBuffer(given, &data, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    if (data.len > bytes) {
        PyErr_Format(PyExc_ValueError,
                     "data must have at most %zd bytes, not %zd", bytes,
                     data.len);
    }
    else {
        kf_cbor_limits limits = {(size_t)depth, (size_t)items, finite != 0};
        result = decoded(&data, &limits);
    }
    PyBuffer_Release(&data);
    return result;
}

/* --- dumps --- */

PyDoc_STRVAR(dumps_doc,
             "dumps($module, value, /)\n--\n\n"
             "CBOR of None, bool, int, float, str, bytes, list, tuple, dict\n"
             "with str as keys: definite lengths, shortest heads, finite\n"
             "floats in 64 bits.\n\n"
             "Raises TypeError or ValueError naming the place and the rule.");

static PyObject *
dumps(PyObject *module, PyObject *value)
{
    PyObject *result = NULL;
    kf_buffer out;
    (void)module;
    kf_buffer_init(&out, &alloc);
    if (kfpy_cbor_write(&out, value) == 0) {
        result = PyBytes_FromStringAndSize(out.data, (Py_ssize_t)out.size);
    }
    kf_buffer_free(&out);
    return result;
}

PyDoc_STRVAR(library_version_doc, "library_version($module, /)\n--\n\n"
                                  "libcbor's version, as its header has it.");

static PyObject *
library_version(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyUnicode_FromString(kf_cbor_library_version);
}

/* --- the module --- */

static PyMethodDef methods[] = {
    {"loads", (PyCFunction)(void (*)(void))loads, METH_VARARGS | METH_KEYWORDS,
     loads_doc},
    {"dumps", dumps, METH_O, dumps_doc},
    {"library_version", library_version, METH_NOARGS, library_version_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {0, NULL},
};

PyDoc_STRVAR(doc, "CBOR through libcbor; see kato_fast.cbor.");

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "kato_fast._cbor",
    .m_doc = doc,          .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__cbor(void)
{
    return PyModuleDef_Init(&definition);
}
