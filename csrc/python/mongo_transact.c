/* Database.transact: commands as one transaction. */
#include "mongo_types.h"

/* Commands of one transaction, and seconds for its commit. */
#define COMMANDS_MAX 10000
#define SECONDS_MAX 3600.0

const char kfpy_mongo_transact_doc[] =
    "transact($self, /, commands, seconds)\n--\n\n"
    "Run the commands one after the other as one transaction, and commit\n"
    "it. One that fails, or has write errors, ends it.\n\n"
    "Args:\n"
    "    commands: a list of dicts.\n"
    "    seconds: for which a commit without an answer is asked again.\n\n"
    "Returns:\n"
    "    (end, replies, error): \"committed\"; \"again\", nothing was done\n"
    "    and the same may go well now; \"refused\", nothing was done;\n"
    "    \"unknown\", it may have been committed. error: a MongoError (not\n"
    "    raised), or None.";

static const char *const ENDS[] = {"committed", "again", "refused", "unknown"};

typedef struct {
    kf_mongo_end end;
    kf_mongo_error err;
    size_t ran;
} ended;

static PyObject *
replies_of(const kfpy_mongo_state *state, const kf_mongo_call *calls,
           size_t count)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *item;
        if (calls[i].failed.result != KF_MONGO_FINE) {
            break; /* its error is told beside */
        }
        item = kfpy_mongo_decode(state, (const uint8_t *)calls[i].reply.data,
                                 calls[i].reply.size);
        if (item == NULL || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *
told(const kfpy_mongo_state *state, const kf_mongo_call *calls,
     const ended *how)
{
    PyObject *error = Py_None;
    PyObject *replies;
    if (how->err.result == KF_MONGO_NO_MEMORY ||
        how->err.result == KF_MONGO_INVALID) {
        return kfpy_mongo_raise(state, &how->err);
    }
    replies = replies_of(state, calls, how->ran);
    if (replies == NULL) {
        return NULL;
    }
    if (how->end == KF_MONGO_COMMITTED || how->err.result == KF_MONGO_FINE) {
        Py_INCREF(error);
    }
    else {
        error = kfpy_mongo_error(state, &how->err);
    }
    return error == NULL
               ? (Py_DECREF(replies), NULL)
               : Py_BuildValue("(sNN)", ENDS[how->end], replies, error);
}

static PyObject *
transact(kfpy_mongo *self, const kfpy_mongo_state *state, kf_mongo_call *calls,
         size_t count, double seconds)
{
    ended how = {.err = {.result = KF_MONGO_FINE}};
    if (kfpy_mongo_enter(self, state) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    how.end = kf_mongo_transact(self->mongo, self->name, calls, count,
                                (int64_t)(seconds * 1000), &how.ran, &how.err);
    Py_END_ALLOW_THREADS
    kfpy_mongo_leave(self);
    return told(state, calls, &how);
}

PyObject *
kfpy_mongo_transact(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"commands", "seconds", NULL};
    const kfpy_mongo_state *state = PyType_GetModuleState(Py_TYPE(self));
    kfpy_mongo_calls calls;
    PyObject *commands;
    PyObject *result;
    double seconds;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!d:transact", names,
                                     &PyList_Type, &commands, &seconds)) {
        return NULL;
    }
    if (!(seconds >= 0 && seconds <= SECONDS_MAX)) {
        return PyErr_Format(PyExc_ValueError, "seconds must be 0 to %d",
                            (int)SECONDS_MAX);
    }
    if (kfpy_mongo_calls_make(state, commands, COMMANDS_MAX, true, &calls) <
        0) {
        return NULL;
    }
    result =
        transact((kfpy_mongo *)self, state, calls.list, calls.count, seconds);
    kfpy_mongo_calls_free(&calls);
    return result;
}
