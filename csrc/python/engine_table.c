#include "engine_table.h"

#include "knowledge_type.h"

static kf_knowledge *
knowledge_of(PyObject *object)
{
    if (!kfpy_is_knowledge(object)) {
        PyErr_Format(PyExc_TypeError,
                     "engine must be a kato_fast._core.Knowledge, not %.200s",
                     Py_TYPE(object)->tp_name);
        return NULL;
    }
    return kfpy_knowledge_of(object);
}

static const kfpy_engine_table table = {
    .size = sizeof(kfpy_engine_table),
    .alloc = &kfpy_alloc,
    .knowledge_of = knowledge_of,
    .loader_new = kf_loader_new,
    .loader_put = kf_loader_put,
    .loader_end = kf_loader_end,
    .emotives_new = kf_emotives_new,
    .emotives_release = kf_emotives_release,
};

int
kfpy_engine_table_add(PyObject *module)
{
    PyObject *capsule = PyCapsule_New((void *)&table, KFPY_ENGINE_TABLE, NULL);
    if (capsule == NULL) {
        return -1;
    }
    if (PyModule_AddObject(module, "engine_table", capsule) < 0) {
        Py_DECREF(capsule);
        return -1;
    }
    return 0;
}
