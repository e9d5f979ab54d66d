/* The module kato_fast._mongo: MongoDB through libmongoc, and patterns from
 * its bytes into the engine of _core. */
#include "mongo_types.h"

static PyObject *
library_version(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyUnicode_FromFormat("libmongoc %s", kf_mongo_driver_version());
}

static PyObject *
encode(PyObject *module, PyObject *document)
{
    kf_buffer bytes;
    PyObject *result = NULL;
    kf_buffer_init(&bytes, &kfpy_mongo_alloc);
    if (kfpy_mongo_encode(PyModule_GetState(module), document, "document",
                          &bytes) == 0) {
        result = PyBytes_FromStringAndSize(bytes.data, (Py_ssize_t)bytes.size);
    }
    kf_buffer_free(&bytes);
    return result;
}

static PyObject *
decode(PyObject *module, PyObject *args)
{
    PyObject *result;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "y*:decode", &data)) {
        return NULL;
    }
    result = kfpy_mongo_decode(PyModule_GetState(module), data.buf,
                               (size_t)data.len);
    PyBuffer_Release(&data);
    return result;
}

/* --- state --- */

static int
add(PyObject *module, const char *name, PyObject *object)
{
    if (object == NULL) {
        return -1;
    }
    Py_INCREF(object);
    if (PyModule_AddObject(module, name, object) < 0) {
        Py_DECREF(object);
        return -1;
    }
    return 0;
}

static int
add_error(PyObject *module, kfpy_mongo_state *state)
{
    state->error = PyErr_NewExceptionWithDoc(
        "kato_fast._mongo.MongoError",
        "args: message, the server's code, whether no server answered.", NULL,
        NULL);
    return add(module, "MongoError", state->error);
}

/* A bytes of its own type: BSON tells them apart. */
static int
add_object_id(PyObject *module, kfpy_mongo_state *state)
{
    state->object_id =
        PyObject_CallFunction((PyObject *)&PyType_Type, "s(O){s:s,s:()}",
                              "ObjectId", (PyObject *)&PyBytes_Type,
                              "__module__", "kato_fast._mongo", "__slots__");
    return add(module, "ObjectId", state->object_id);
}

static int
module_exec(PyObject *module)
{
    kfpy_mongo_state *state = PyModule_GetState(module);
    PyObject *core = PyImport_ImportModule("kato_fast._core");
    if (core == NULL) {
        return -1;
    }
    Py_DECREF(core);
    state->engine = PyCapsule_Import(KFPY_ENGINE_TABLE, 0);
    if (state->engine == NULL) {
        return -1;
    }
    if (state->engine->size != sizeof *state->engine) {
        PyErr_SetString(PyExc_ImportError,
                        "_core is of another build: install again");
        return -1;
    }
    kf_mongo_start();
    if (add_error(module, state) < 0 || add_object_id(module, state) < 0 ||
        kfpy_mongo_database_add(module, state) < 0) {
        return -1;
    }
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    kfpy_mongo_state *state = PyModule_GetState(module);
    Py_VISIT(state->error);
    Py_VISIT(state->object_id);
    Py_VISIT(state->database);
    return 0;
}

static int
module_clear(PyObject *module)
{
    kfpy_mongo_state *state = PyModule_GetState(module);
    Py_CLEAR(state->error);
    Py_CLEAR(state->object_id);
    Py_CLEAR(state->database);
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

static PyMethodDef functions[] = {
    {"decode", decode, METH_VARARGS,
     "decode($module, data, /)\n--\n\nOne BSON document as a dict."},
    {"encode", encode, METH_O,
     "encode($module, document, /)\n--\n\nA dict as BSON."},
    {"library_version", library_version, METH_NOARGS,
     "library_version($module, /)\n--\n\nThe driver that is linked."},
    {"put_documents", kfpy_mongo_put_documents, METH_VARARGS,
     kfpy_mongo_put_documents_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "kato_fast._mongo",
    .m_doc = "MongoDB through libmongoc.",
    .m_size = sizeof(kfpy_mongo_state),
    .m_methods = functions,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__mongo(void)
{
    return PyModuleDef_Init(&module_def);
}
