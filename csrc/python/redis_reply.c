/* Replies and failures as Python objects. */
#include "redis_client.h"

static PyObject *
error_object(const kf_redis_replies *replies, const kf_redis_item *item,
             const kfpy_redis_errors *errors)
{
    PyObject *error = NULL;
    PyObject *text = PyUnicode_DecodeUTF8(kf_redis_item_bytes(replies, item),
                                          (Py_ssize_t)item->size, "replace");
    if (text != NULL) {
        error = PyObject_CallFunctionObjArgs(errors->response, text, NULL);
        Py_DECREF(text);
    }
    return error;
}

/* Bounded: the parser refuses more than KF_REDIS_MAX_DEPTH. */
static PyObject *
array_object(const kf_redis_replies *replies, size_t *item, int64_t count,
             const kfpy_redis_errors *errors)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (int64_t i = 0; list != NULL && i < count; i++) {
        PyObject *element = kfpy_redis_object(replies, item, errors);
        if (element == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, element);
        }
    }
    return list;
}

PyObject *
kfpy_redis_object(const kf_redis_replies *replies, size_t *item,
                  const kfpy_redis_errors *errors)
{
    const kf_redis_item *it = &replies->items[(*item)++];
    switch (it->kind) {
    case KF_REDIS_NIL:
        Py_RETURN_NONE;
    case KF_REDIS_INTEGER:
        return PyLong_FromLongLong(it->number);
    case KF_REDIS_BYTES:
        return PyBytes_FromStringAndSize(kf_redis_item_bytes(replies, it),
                                         (Py_ssize_t)it->size);
    case KF_REDIS_ERROR:
        return error_object(replies, it, errors);
    case KF_REDIS_ARRAY:
        return array_object(replies, item, it->number, errors);
    }
    Py_UNREACHABLE();
}

static PyObject *
class_of(kf_redis_fault fault, const kfpy_redis_errors *errors)
{
    switch (fault) {
    case KF_REDIS_SILENT:
        return errors->timeout;
    case KF_REDIS_NONSENSE:
        return errors->protocol;
    case KF_REDIS_BUSY:
        return errors->exhausted;
    default:
        return errors->connection;
    }
}

static PyObject *
make_error(const kf_redis_failure *failure, PyObject *where,
           const kfpy_redis_errors *errors)
{
    PyObject *error = NULL;
    PyObject *told = PyUnicode_DecodeUTF8(
        failure->message, (Py_ssize_t)strlen(failure->message), "replace");
    PyObject *text =
        told == NULL ? NULL : PyUnicode_FromFormat("%U: %U", where, told);
    if (text != NULL) {
        error = PyObject_CallFunctionObjArgs(
            class_of(failure->fault, errors), text,
            failure->sent ? Py_True : Py_False, NULL);
    }
    Py_XDECREF(told);
    Py_XDECREF(text);
    return error;
}

PyObject *
kfpy_redis_raise(const kf_redis_failure *failure, PyObject *where,
                 const kfpy_redis_errors *errors)
{
    PyObject *error;
    if (failure->fault == KF_REDIS_OUT_OF_MEMORY) {
        return PyErr_NoMemory();
    }
    if (failure->fault == KF_REDIS_STOPPED) {
        return NULL; /* the signal's handler has raised */
    }
    error = make_error(failure, where, errors);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return NULL;
}
