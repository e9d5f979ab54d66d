/* The module kato_fast._core: Knowledge, Predictions, Matches, BloomFilter,
 * and the functions of functions.c. Multi-phase initialisation, all state in
 * kfpy_state, no statics that change but the clock of unlocked.c. */
#include "module.h"

#include "bloom_type.h"
#include "functions.h"
#include "knowledge_type.h"
#include "predictions_type.h"
#include "raw_memory.h"

#include "kato_fast/cpu.h"

#include <string.h>

/* --- what the types share --- */

const kf_alloc kfpy_alloc = KFPY_RAW_MEMORY;

PyObject *
kfpy_raise(const kf_error *err)
{
    if (err->code == KF_NO_MEMORY) {
        return PyErr_NoMemory();
    }
    PyErr_SetString(PyExc_ValueError, err->message);
    return NULL;
}

PyObject *
kfpy_raise_of_file(const kf_error *err, PyObject *path)
{
    if (err->code == KF_SYSTEM) {
        errno = err->system;
        return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
    }
    if (err->code == KF_INVALID) {
        return PyErr_Format(PyExc_ValueError, "%S: %s", path, err->message);
    }
    return kfpy_raise(err);
}

static int
keyword_number(const char *const *names, size_t n, PyObject *keyword)
{
    for (size_t i = 0; i < n; i++) {
        if (PyUnicode_CompareWithASCIIString(keyword, names[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int
place_keywords(const char *function, const char *const *names, size_t n,
               PyObject *const *values, PyObject *keywords, PyObject **out)
{
    for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(keywords); k++) {
        PyObject *keyword = PyTuple_GET_ITEM(keywords, k);
        int i = keyword_number(names, n, keyword);
        if (i < 0) {
            PyErr_Format(PyExc_TypeError,
                         "%s() got an unexpected keyword argument '%U'",
                         function, keyword);
            return -1;
        }
        if (out[i] != NULL) {
            PyErr_Format(PyExc_TypeError,
                         "%s() got multiple values for argument '%U'",
                         function, keyword);
            return -1;
        }
        out[i] = values[k];
    }
    return 0;
}

int
kfpy_arguments(const char *function, const char *const *names, size_t n,
               size_t required, PyObject *const *args, Py_ssize_t n_args,
               PyObject *keywords, PyObject **out)
{
    if ((size_t)n_args > n) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes at most %zu arguments (%zd given)", function,
                     n, n_args);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = i < (size_t)n_args ? args[i] : NULL;
    }
    if (keywords != NULL &&
        place_keywords(function, names, n, args + n_args, keywords, out) < 0) {
        return -1;
    }
    for (size_t i = 0; i < required; i++) {
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError,
                         "%s() missing required argument: '%s'", function,
                         names[i]);
            return -1;
        }
    }
    return 0;
}

/* --- state --- */

#define INTERN_KEY(key)                                                 \
    if ((state->keys.key = PyUnicode_InternFromString(#key)) == NULL) { \
        return -1;                                                      \
    }

static int
intern_keys(kfpy_state *state)
{
    KFPY_KEYS(INTERN_KEY)
    return 0;
}

/* "15.1.0" gives 151. */
static int
read_unicode_version(kfpy_state *state)
{
    PyObject *unicodedata = PyImport_ImportModule("unicodedata");
    PyObject *version;
    const char *text;
    unsigned major;
    unsigned minor;
    int read = -1;
    if (unicodedata == NULL) {
        return -1;
    }
    version = PyObject_GetAttrString(unicodedata, "unidata_version");
    Py_DECREF(unicodedata);
    if (version == NULL) {
        return -1;
    }
    text = PyUnicode_AsUTF8(version);
    if (text != NULL) {
        read = sscanf(text, "%u.%u", &major, &minor);
        if (read == 2) {
            state->unicode = major * 10 + minor;
        }
        else {
            PyErr_Format(PyExc_ImportError, "unknown Unicode version %R",
                         version);
        }
    }
    Py_DECREF(version);
    return read == 2 ? 0 : -1;
}

static int
import_real(kfpy_state *state)
{
    PyObject *numbers = PyImport_ImportModule("numbers");
    if (numbers == NULL) {
        return -1;
    }
    state->real = PyObject_GetAttrString(numbers, "Real");
    Py_DECREF(numbers);
    return state->real == NULL ? -1 : 0;
}

/* What fails leaves the cleaning to module_free. */
static int
module_exec(PyObject *module)
{
    kfpy_state *state = PyModule_GetState(module);
    if (kf_cpu_error() != NULL) { /* not an ImportError: no twin hides it */
        PyErr_SetString(PyExc_ValueError, kf_cpu_error());
        return -1;
    }
    if (intern_keys(state) < 0 || read_unicode_version(state) < 0 ||
        import_real(state) < 0 || kfpy_knowledge_type_add(module) < 0 ||
        kfpy_predictions_type_add(module, state) < 0 ||
        kfpy_matches_type_add(module, state) < 0 ||
        kfpy_bloom_type_add(module) < 0 || kfpy_engine_table_add(module) < 0) {
        return -1;
    }
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    kfpy_state *state = PyModule_GetState(module);
    Py_VISIT(state->predictions_type);
    Py_VISIT(state->matches_type);
    Py_VISIT(state->real);
    return 0;
}

#define CLEAR_KEY(key) Py_CLEAR(state->keys.key);

static int
module_clear(PyObject *module)
{
    kfpy_state *state = PyModule_GetState(module);
    Py_CLEAR(state->predictions_type);
    Py_CLEAR(state->matches_type);
    Py_CLEAR(state->real);
    KFPY_KEYS(CLEAR_KEY)
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

PyDoc_STRVAR(module_doc, "The engine of kato_fast in C.");

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,         .m_name = "kato_fast._core",
    .m_doc = module_doc,           .m_size = sizeof(kfpy_state),
    .m_methods = kfpy_functions,   .m_slots = module_slots,
    .m_traverse = module_traverse, .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&module_def);
}
