/* The type Database: one database of a deployment, over wire/mongo.h. */
#include "mongo_types.h"
#include "raw_memory.h"

#include <string.h>

/* --- memory and errors --- */

const kf_alloc kfpy_mongo_alloc = KFPY_RAW_MEMORY;

static const kfpy_mongo_state *
state_of(PyObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

/* What a refusing server answers goes along as .reply. */
PyObject *
kfpy_mongo_error(const kfpy_mongo_state *state, const kf_mongo_error *err)
{
    PyObject *text = PyUnicode_DecodeUTF8(
        err->message, (Py_ssize_t)strlen(err->message), "replace");
    PyObject *error;
    if (text == NULL) {
        return NULL;
    }
    error = PyObject_CallFunction(
        state->error, "NkO", text, (unsigned long)err->code,
        err->result == KF_MONGO_UNREACHABLE ? Py_True : Py_False);
    return error;
}

PyObject *
kfpy_mongo_raise(const kfpy_mongo_state *state, const kf_mongo_error *err)
{
    PyObject *error;
    if (err->result == KF_MONGO_NO_MEMORY) {
        return PyErr_NoMemory();
    }
    if (err->result == KF_MONGO_INVALID) {
        PyErr_SetString(PyExc_ValueError, err->message);
        return NULL;
    }
    error = kfpy_mongo_error(state, err);
    if (error != NULL) {
        PyErr_SetObject(state->error, error);
        Py_DECREF(error);
    }
    return NULL;
}

static kfpy_mongo *
owner_of(const kfpy_mongo *self)
{
    return (kfpy_mongo *)self->owner;
}

int
kfpy_mongo_enter(kfpy_mongo *self, const kfpy_mongo_state *state)
{
    kf_mongo_error err;
    if (self->closed || (self->owner != NULL && owner_of(self)->closed)) {
        PyErr_Format(PyExc_ValueError, "the database is closed: %s",
                     self->name);
        return -1;
    }
    if (self->owner !=
        NULL) { /* its pool, which it keeps while users are in */
        if (kfpy_mongo_enter(owner_of(self), state) < 0) {
            return -1;
        }
        self->mongo = owner_of(self)->mongo;
        return 0;
    }
    if (kf_mongo_ready(self->mongo, &err) != KF_MONGO_FINE) {
        kfpy_mongo_raise(state, &err);
        return -1;
    }
    self->users++;
    return 0;
}

void
kfpy_mongo_leave(kfpy_mongo *self)
{
    if (self->owner != NULL) {
        kfpy_mongo_leave(owner_of(self));
        return;
    }
    if (--self->users == 0 && self->closed) {
        kf_mongo *mongo = self->mongo;
        self->mongo = NULL;
        Py_BEGIN_ALLOW_THREADS
        kf_mongo_free(mongo);
        Py_END_ALLOW_THREADS
    }
}

/* --- life --- */

static int
take_name(kfpy_mongo *self, const char *name)
{
    if (name == NULL) {
        name = kf_mongo_database(self->mongo);
    }
    if (name == NULL || name[0] == '\0') {
        PyErr_SetString(PyExc_ValueError, "the address must name a database: "
                                          "mongodb://host/database");
        return -1;
    }
    self->name = PyMem_RawMalloc(strlen(name) + 1);
    if (self->name == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    strcpy(self->name, name);
    return 0;
}

static PyObject *
Database_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"address", "name", NULL};
    const char *address;
    const char *name = NULL;
    kf_mongo_error err;
    kfpy_mongo *self;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "s|z:Database", names,
                                     &address, &name)) {
        return NULL;
    }
    self = (kfpy_mongo *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    if (kf_mongo_new(&kfpy_mongo_alloc, address, &self->mongo, &err) !=
        KF_MONGO_FINE) {
        kfpy_mongo_raise(PyType_GetModuleState(type), &err);
        Py_DECREF(self);
        return NULL;
    }
    if (take_name(self, name) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void
Database_dealloc(PyObject *op)
{
    kfpy_mongo *self = (kfpy_mongo *)op;
    PyTypeObject *type = Py_TYPE(op);
    kf_mongo *mongo = self->owner == NULL ? self->mongo : NULL;
    self->mongo = NULL;
    Py_BEGIN_ALLOW_THREADS
    kf_mongo_free(mongo);
    Py_END_ALLOW_THREADS
    Py_XDECREF(self->owner);
    PyMem_RawFree(self->name);
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(Database_close_doc,
             "close($self, /)\n--\n\n"
             "Release the connections when the last call has ended. A second\n"
             "call does nothing.");

static PyObject *
Database_close(PyObject *op, PyObject *ignored)
{
    kfpy_mongo *self = (kfpy_mongo *)op;
    (void)ignored;
    if (!self->closed) {
        self->closed = true;
        if (self->owner == NULL) {
            self->users++;
            kfpy_mongo_leave(self);
        }
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(Database_sibling_doc,
             "sibling($self, name, /)\n--\n\n"
             "Another database of the deployment, over the same connections.\n"
             "Closing it leaves them open.");

static PyObject *
Database_sibling(PyObject *op, PyObject *name)
{
    PyTypeObject *type = Py_TYPE(op);
    const char *text = PyUnicode_AsUTF8(name);
    kfpy_mongo *self;
    if (text == NULL) {
        return NULL;
    }
    self = (kfpy_mongo *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->owner = ((kfpy_mongo *)op)->owner;
    self->owner = self->owner == NULL ? op : self->owner;
    Py_INCREF(self->owner);
    self->mongo = ((kfpy_mongo *)op)->mongo;
    if (self->mongo == NULL || take_name(self, text) < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "the database is closed");
        }
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* --- commands --- */

static void
free_calls(kf_mongo_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        PyMem_RawFree((void *)calls[i].command);
        kf_buffer_free(&calls[i].reply);
    }
    PyMem_Free(calls);
}

void
kfpy_mongo_calls_free(kfpy_mongo_calls *calls)
{
    free_calls(calls->list, calls->count);
}

static int
make_call(const kfpy_mongo_state *state, PyObject *command, bool writes,
          kf_mongo_call *call)
{
    kf_buffer bytes;
    kf_buffer_init(&bytes, &kfpy_mongo_alloc);
    if (kfpy_mongo_encode(state, command, "command", &bytes) < 0) {
        kf_buffer_free(&bytes);
        return -1;
    }
    kf_buffer_init(&call->reply, &kfpy_mongo_alloc);
    call->command = (const uint8_t *)bytes.data;
    call->size = bytes.size;
    call->writes = writes;
    return 0;
}

int
kfpy_mongo_calls_make(const kfpy_mongo_state *state, PyObject *commands,
                      size_t most, bool writes, kfpy_mongo_calls *out)
{
    size_t count = (size_t)PyList_GET_SIZE(commands);
    kf_mongo_call *list;
    if (count < 1 || count > most) {
        PyErr_Format(PyExc_ValueError, "commands must be 1 to %zu, not %zu",
                     most, count);
        return -1;
    }
    list = PyMem_Calloc(count, sizeof *list);
    if (list == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *command = PyList_GetItem(commands, (Py_ssize_t)i);
        if (command == NULL ||
            make_call(state, command, writes, &list[i]) < 0) {
            free_calls(list, i);
            return -1;
        }
    }
    *out = (kfpy_mongo_calls){list, count};
    return 0;
}

/* The reply, or a MongoError as an object. */
static PyObject *
outcome(const kfpy_mongo_state *state, const kf_mongo_call *call)
{
    if (call->failed.result == KF_MONGO_FINE) {
        return kfpy_mongo_decode(state, (const uint8_t *)call->reply.data,
                                 call->reply.size);
    }
    if (call->failed.result == KF_MONGO_NO_MEMORY ||
        call->failed.result == KF_MONGO_INVALID) {
        return kfpy_mongo_raise(state, &call->failed);
    }
    return kfpy_mongo_error(state, &call->failed);
}

static PyObject *
outcomes(const kfpy_mongo_state *state, const kf_mongo_call *calls,
         size_t count)
{
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *item = outcome(state, &calls[i]);
        if (item == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        }
    }
    return list;
}

PyDoc_STRVAR(Database_run_doc,
             "run($self, /, commands, writes)\n--\n\n"
             "Run up to 8 commands at the same time, each on a connection of\n"
             "its own.\n\n"
             "Args:\n"
             "    commands: a list of dicts.\n"
             "    writes: whether they write.\n\n"
             "Returns:\n"
             "    A list: of each its reply, or the MongoError (not raised).");

static PyObject *
run_all(kfpy_mongo *self, const kfpy_mongo_state *state, kf_mongo_call *calls,
        size_t count)
{
    if (kfpy_mongo_enter(self, state) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    kf_mongo_run(self->mongo, self->name, calls, count);
    Py_END_ALLOW_THREADS
    kfpy_mongo_leave(self);
    return outcomes(state, calls, count);
}

static PyObject *
Database_run(PyObject *op, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"commands", "writes", NULL};
    const kfpy_mongo_state *state = state_of(op);
    kfpy_mongo_calls calls;
    PyObject *commands;
    PyObject *result;
    int writes;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!p:run", names,
                                     &PyList_Type, &commands, &writes)) {
        return NULL;
    }
    if (kfpy_mongo_calls_make(state, commands, KF_MONGO_TOGETHER_MAX,
                              writes != 0, &calls) < 0) {
        return NULL;
    }
    result = run_all((kfpy_mongo *)op, state, calls.list, calls.count);
    kfpy_mongo_calls_free(&calls);
    return result;
}

/* --- documents --- */

typedef struct {
    kf_buffer bytes;
    bool wrong; /* the server sent something else */
} collected;

static bool
collect(void *context, const uint8_t *array, size_t size)
{
    collected *all = context;
    kf_bson_element found;
    kf_bson_cursor inside;
    int more = -1;
    if (kf_bson_open(array, size, &inside)) {
        while ((more = kf_bson_next_any(&inside, &found)) > 0 &&
               found.type == KF_BSON_DOCUMENT) {
            kf_buffer_append(&all->bytes, found.value, found.size);
        }
    }
    all->wrong = more != 0;
    return !all->bytes.failed && !all->wrong;
}

static PyObject *
documents_of(const kfpy_mongo_state *state, const kf_buffer *bytes)
{
    PyObject *list = PyList_New(0);
    size_t at = 0;
    while (list != NULL && at < bytes->size) {
        const uint8_t *document = (const uint8_t *)bytes->data + at;
        size_t size = kf_bson_u32(document);
        PyObject *item = kfpy_mongo_decode(state, document, size);
        int failed = item == NULL ? -1 : PyList_Append(list, item);
        Py_XDECREF(item);
        if (failed < 0) {
            Py_CLEAR(list);
        }
        at += size;
    }
    return list;
}

static PyObject *
find_all(kfpy_mongo *self, const kfpy_mongo_state *state,
         const kf_mongo_query *query)
{
    PyObject *result;
    kf_mongo_error err;
    kf_mongo_result done;
    collected all = {.wrong = false};
    if (kfpy_mongo_enter(self, state) < 0) {
        return NULL;
    }
    kf_buffer_init(&all.bytes, &kfpy_mongo_alloc);
    Py_BEGIN_ALLOW_THREADS
    done = kf_mongo_each(self->mongo, query, collect, &all, &err);
    Py_END_ALLOW_THREADS
    kfpy_mongo_leave(self);
    if (done == KF_MONGO_STOPPED && all.wrong) {
        const kf_mongo_error wrong = {KF_MONGO_UNREACHABLE, 0,
                                      "the reply has no documents"};
        result = kfpy_mongo_raise(state, &wrong);
    }
    else if (done == KF_MONGO_STOPPED) {
        result = PyErr_NoMemory();
    }
    else if (done != KF_MONGO_FINE) {
        result = kfpy_mongo_raise(state, &err);
    }
    else {
        result = documents_of(state, &all.bytes);
    }
    kf_buffer_free(&all.bytes);
    return result;
}

PyDoc_STRVAR(Database_find_doc,
             "find($self, /, collection, filter, options, aggregates=False)\n"
             "--\n\n"
             "Every document of the answer, as a list of dicts.\n\n"
             "Args:\n"
             "    filter: a dict; {\"pipeline\": [...]} of an aggregation.\n"
             "    options: a dict: projection, sort, limit, batchSize, ...\n"
             "    aggregates: whether it is an aggregation.\n\n"
             "Raises:\n"
             "    MongoError: no server, no answer, or it refuses.");

static PyObject *
Database_find(PyObject *op, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"collection", "filter", "options", "aggregates",
                            NULL};
    const kfpy_mongo_state *state = state_of(op);
    kf_mongo_query query = {.database = ((kfpy_mongo *)op)->name};
    PyObject *result = NULL;
    PyObject *filter;
    PyObject *options;
    kf_buffer filters;
    kf_buffer choices;
    int aggregates = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "sOO|p:find", names,
                                     &query.collection, &filter, &options,
                                     &aggregates)) {
        return NULL;
    }
    kf_buffer_init(&filters, &kfpy_mongo_alloc);
    kf_buffer_init(&choices, &kfpy_mongo_alloc);
    if (kfpy_mongo_encode(state, filter, "filter", &filters) == 0 &&
        kfpy_mongo_encode(state, options, "options", &choices) == 0) {
        query.filter = (const uint8_t *)filters.data;
        query.filter_size = filters.size;
        query.options = (const uint8_t *)choices.data;
        query.options_size = choices.size;
        query.aggregates = aggregates != 0;
        result = find_all((kfpy_mongo *)op, state, &query);
    }
    kf_buffer_free(&filters);
    kf_buffer_free(&choices);
    return result;
}

/* --- type --- */

static PyObject *
Database_name(PyObject *op, void *ignored)
{
    (void)ignored;
    return PyUnicode_FromString(((kfpy_mongo *)op)->name);
}

static const char *
hosts_of(const kfpy_mongo *self)
{
    const kfpy_mongo *owner = self->owner == NULL ? self : owner_of(self);
    return owner->mongo == NULL ? "(closed)" : kf_mongo_hosts(owner->mongo);
}

static PyObject *
Database_hosts(PyObject *op, void *ignored)
{
    (void)ignored;
    return PyUnicode_FromString(hosts_of((kfpy_mongo *)op));
}

static PyObject *
Database_repr(PyObject *op)
{
    kfpy_mongo *self = (kfpy_mongo *)op;
    return PyUnicode_FromFormat("<kato_fast._mongo.Database %s on %s>",
                                self->name, hosts_of(self));
}

#define WITH_KEYWORDS(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef Database_methods[] = {
    {"close", Database_close, METH_NOARGS, Database_close_doc},
    {"find", WITH_KEYWORDS(Database_find), METH_VARARGS | METH_KEYWORDS,
     Database_find_doc},
    {"load", WITH_KEYWORDS(kfpy_mongo_load), METH_VARARGS | METH_KEYWORDS,
     kfpy_mongo_load_doc},
    {"sibling", Database_sibling, METH_O, Database_sibling_doc},
    {"run", WITH_KEYWORDS(Database_run), METH_VARARGS | METH_KEYWORDS,
     Database_run_doc},
    {"transact", WITH_KEYWORDS(kfpy_mongo_transact),
     METH_VARARGS | METH_KEYWORDS, kfpy_mongo_transact_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Database_getters[] = {
    {"hosts", Database_hosts, NULL, "Hosts and ports, no credentials.", NULL},
    {"name", Database_name, NULL, "Name of the database.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(Database_doc,
             "Database(address, name=None)\n--\n\n"
             "One database of a MongoDB deployment. Opens no connection by\n"
             "itself; each process has its own pool, also after a fork.\n\n"
             "Args:\n"
             "    address: a connection string.\n"
             "    name: of the database, if the address names none.");

static PyType_Slot Database_slots[] = {
    {Py_tp_doc, (void *)Database_doc},
    {Py_tp_new, Database_new},
    {Py_tp_dealloc, Database_dealloc},
    {Py_tp_repr, Database_repr},
    {Py_tp_methods, Database_methods},
    {Py_tp_getset, Database_getters},
    {0, NULL},
};

static PyType_Spec Database_spec = {
    .name = "kato_fast._mongo.Database",
    .basicsize = sizeof(kfpy_mongo),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Database_slots,
};

int
kfpy_mongo_database_add(PyObject *module, kfpy_mongo_state *state)
{
    state->database = PyType_FromModuleAndSpec(module, &Database_spec, NULL);
    return state->database == NULL
               ? -1
               : PyModule_AddType(module, (PyTypeObject *)state->database);
}
