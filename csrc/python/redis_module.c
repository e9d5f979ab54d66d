/* The module kato_fast._redis: Client over hiredis. */
#include "redis_client.h"

PyDoc_STRVAR(library_version_doc, "library_version($module, /)\n--\n\n"
                                  "hiredis' version, as its header has it.");

static PyObject *
library_version(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyUnicode_FromString(kf_redis_library_version);
}

static PyMethodDef methods[] = {
    {"library_version", library_version, METH_NOARGS, library_version_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)kfpy_redis_client_type_add},
    {0, NULL},
};

PyDoc_STRVAR(doc, "Redis through hiredis; see kato_fast.redis_client.");

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "kato_fast._redis",
    .m_doc = doc,          .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__redis(void)
{
    return PyModuleDef_Init(&definition);
}
