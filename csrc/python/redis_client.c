/* Client: the pool as Python sees it. Commands are encoded under the GIL,
 * sent and read without it, and made objects under it again. */
#include "redis_client.h"
#include "raw_memory.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    PyObject_HEAD
    kf_redis_pool *pool;
    pid_t pid; /* whose connections these are; read under the GIL */
    double command_timeout;
    PyObject *address; /* keeps the strings that the pool borrows */
    PyObject *where;   /* str(address) */
    PyObject *texts;   /* the same strings, one by one */
    kfpy_redis_errors errors;
} Client;

/* --- memory --- */

const kf_alloc kfpy_redis_alloc = KFPY_RAW_MEMORY;

/* --- making one --- */

/* The UTF-8 of an attribute that is a str or None, kept in self->texts.
 * *text stays NULL for None. */
static int
read_text(Client *self, PyObject *from, const char *name, const char **text)
{
    PyObject *value = PyObject_GetAttrString(from, name);
    int done = -1;
    *text = NULL;
    if (value == NULL) {
        return -1;
    }
    if (value == Py_None) {
        done = 0;
    }
    else if ((*text = PyUnicode_AsUTF8(value)) != NULL) {
        done = PyList_Append(self->texts, value);
    }
    Py_DECREF(value);
    return done;
}

static int
read_number(PyObject *from, const char *name, double *number)
{
    PyObject *value = PyObject_GetAttrString(from, name);
    if (value == NULL) {
        return -1;
    }
    *number = PyFloat_AsDouble(value);
    Py_DECREF(value);
    return *number == -1 && PyErr_Occurred() ? -1 : 0;
}

static int
read_address(Client *self, PyObject *address, kf_redis_address *out)
{
    double port, db;
    if (read_text(self, address, "host", &out->host) < 0 ||
        read_text(self, address, "unix_path", &out->path) < 0 ||
        read_text(self, address, "username", &out->username) < 0 ||
        read_text(self, address, "password", &out->password) < 0 ||
        read_number(address, "port", &port) < 0 ||
        read_number(address, "db", &db) < 0) {
        return -1;
    }
    out->port = (int)port;
    out->db = (int)db;
    Py_INCREF(address);
    self->address = address;
    self->where = PyObject_Str(address);
    return self->where == NULL ? -1 : 0;
}

static int
read_errors(kfpy_redis_errors *errors, PyObject *module)
{
    errors->connection = PyObject_GetAttrString(module, "ConnectionError");
    errors->timeout = PyObject_GetAttrString(module, "TimeoutError");
    errors->exhausted = PyObject_GetAttrString(module, "PoolExhausted");
    errors->protocol = PyObject_GetAttrString(module, "ProtocolError");
    errors->response = PyObject_GetAttrString(module, "ResponseError");
    return errors->connection == NULL || errors->timeout == NULL ||
                   errors->exhausted == NULL || errors->protocol == NULL ||
                   errors->response == NULL
               ? -1
               : 0;
}

static int
open_pool(Client *self, PyObject *address, PyObject *options)
{
    kf_redis_address where = {0};
    double size, wait, bytes;
    if (read_address(self, address, &where) < 0 ||
        read_number(options, "connect_timeout", &where.connect_timeout) < 0 ||
        read_number(options, "max_reply_bytes", &bytes) < 0 ||
        read_number(options, "pool_size", &size) < 0 ||
        read_number(options, "wait_timeout", &wait) < 0 ||
        read_number(options, "command_timeout", &self->command_timeout) < 0) {
        return -1;
    }
    where.max_reply_bytes = (size_t)bytes;
    self->pid = getpid();
    self->pool =
        kf_redis_pool_new(&where, (size_t)size, wait, &kfpy_redis_alloc);
    if (self->pool == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* Client(address, options, errors): what open_client has checked. */
static PyObject *
Client_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *address, *options, *errors;
    Client *self;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "OOO:Client", &address, &options, &errors)) {
        return NULL;
    }
    self = (Client *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->texts = PyList_New(0);
    if (self->texts == NULL || read_errors(&self->errors, errors) < 0 ||
        open_pool(self, address, options) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int
Client_traverse(PyObject *op, visitproc visit, void *arg)
{
    Client *self = (Client *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->address);
    Py_VISIT(self->errors.connection);
    Py_VISIT(self->errors.timeout);
    Py_VISIT(self->errors.exhausted);
    Py_VISIT(self->errors.protocol);
    Py_VISIT(self->errors.response);
    return 0;
}

static int
Client_clear(PyObject *op)
{
    Client *self = (Client *)op;
    Py_CLEAR(self->address);
    Py_CLEAR(self->errors.connection);
    Py_CLEAR(self->errors.timeout);
    Py_CLEAR(self->errors.exhausted);
    Py_CLEAR(self->errors.protocol);
    Py_CLEAR(self->errors.response);
    return 0;
}

/* After a fork the parent goes on with its connections. Under the GIL, so
 * one thread sees the new process first. */
static kf_redis_pool *
own_pool(Client *self)
{
    pid_t pid = getpid();
    if (self->pid != pid) {
        self->pid = pid;
        kf_redis_pool_forked(self->pool);
    }
    return self->pool;
}

static void
Client_dealloc(PyObject *op)
{
    Client *self = (Client *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (self->pool != NULL) {
        kf_redis_pool_free(own_pool(self));
    }
    Client_clear(op);
    Py_CLEAR(self->where);
    Py_CLEAR(self->texts);
    type->tp_free(op);
    Py_DECREF(type);
}

/* --- one exchange --- */

typedef struct {
    Client *client;
    PyThreadState *thread;
} running;

/* A signal came in: its handler in Python may raise, which stops us. */
static bool
on_signal(void *context)
{
    running *run = context;
    bool stop;
    PyEval_RestoreThread(run->thread);
    stop = PyErr_CheckSignals() < 0;
    run->thread = PyEval_SaveThread();
    return stop;
}

static kf_redis_fault
exchange(Client *self, const kf_buffer *request, Py_ssize_t n, double seconds,
         kf_redis_replies *replies, kf_redis_failure *failure)
{
    kf_redis_pool *pool = own_pool(self);
    running run = {self, NULL};
    kf_redis_signals signals = {on_signal, &run};
    kf_redis_fault fault;
    run.thread = PyEval_SaveThread();
    fault = kf_redis_pool_exchange(pool, request, (size_t)n, seconds, &signals,
                                   replies, failure);
    PyEval_RestoreThread(run.thread);
    return fault;
}

static PyObject *
reply_list(Client *self, const kf_redis_replies *replies, Py_ssize_t n)
{
    PyObject *list = PyList_New(n);
    size_t item = 0;
    for (Py_ssize_t i = 0; list != NULL && i < n; i++) {
        PyObject *reply = kfpy_redis_object(replies, &item, &self->errors);
        if (reply == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, i, reply);
        }
    }
    return list;
}

static PyObject *
one_reply(Client *self, const kf_redis_replies *replies)
{
    size_t item = 0;
    bool refused = replies->items[0].kind == KF_REDIS_ERROR;
    PyObject *reply = kfpy_redis_object(replies, &item, &self->errors);
    if (refused && reply != NULL) {
        PyErr_SetObject(self->errors.response, reply);
        Py_CLEAR(reply);
    }
    return reply;
}

/* n below 0: one command, one reply; else a list. */
static PyObject *
answer(Client *self, const kf_buffer *request, Py_ssize_t n, double seconds)
{
    PyObject *result;
    kf_redis_replies replies;
    kf_redis_failure failure = {.sent = false};
    kf_redis_replies_init(&replies, &kfpy_redis_alloc);
    if (exchange(self, request, n < 0 ? 1 : n, seconds, &replies, &failure) !=
        KF_REDIS_GOOD) {
        result = kfpy_redis_raise(&failure, self->where, &self->errors);
    }
    else {
        result =
            n < 0 ? one_reply(self, &replies) : reply_list(self, &replies, n);
    }
    kf_redis_replies_free(&replies);
    return result;
}

/* --- methods --- */

static int
read_timeout(Client *self, PyObject *value, double *seconds)
{
    *seconds = self->command_timeout;
    if (value == NULL || value == Py_None) {
        return 0;
    }
    if (PyBool_Check(value) ||
        !(PyFloat_Check(value) || PyLong_Check(value))) {
        PyErr_Format(PyExc_TypeError,
                     "timeout must be a number of seconds, not %.200s",
                     Py_TYPE(value)->tp_name);
        return -1;
    }
    *seconds = PyFloat_AsDouble(value);
    if (*seconds == -1 && PyErr_Occurred()) {
        PyErr_Clear(); /* an int beyond all floats */
    }
    if (!(*seconds > 0 && *seconds <= 3600)) {
        PyErr_Format(PyExc_ValueError,
                     "timeout must be over 0 and at most 3600 seconds, not %R",
                     value);
        return -1;
    }
    return 0;
}

/* The only keyword there is, borrowed, into *value. */
static int
read_keywords(const char *function, PyObject *names, PyObject *const *values,
              PyObject **value)
{
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (PyUnicode_CompareWithASCIIString(name, "timeout") != 0) {
            PyErr_Format(PyExc_TypeError,
                         "%s() got an unexpected keyword argument '%U'",
                         function, name);
            return -1;
        }
        *value = values[i];
    }
    return 0;
}

PyDoc_STRVAR(
    command_doc,
    "command($self, /, *args, timeout=None)\n--\n\n"
    "One command and its reply: bytes, int, None, or a list of them.");

static PyObject *
Client_command(PyObject *op, PyObject *const *args, Py_ssize_t n,
               PyObject *keywords)
{
    Client *self = (Client *)op;
    PyObject *timeout = NULL, *result = NULL;
    kf_buffer request;
    double seconds;
    if (read_keywords("command", keywords, args + n, &timeout) < 0 ||
        read_timeout(self, timeout, &seconds) < 0) {
        return NULL;
    }
    kf_buffer_init(&request, &kfpy_redis_alloc);
    if (kfpy_redis_encode(&request, args, n, -1) == 0) {
        result = answer(self, &request, -1, seconds);
    }
    kf_buffer_free(&request);
    return result;
}

static int
encode_all(kf_buffer *request, PyObject *commands)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(commands); i++) {
        PyObject *args = PyList_GET_ITEM(commands, i);
        if (!PyList_Check(args) && !PyTuple_Check(args)) {
            PyErr_Format(PyExc_TypeError,
                         "commands[%zd] must be a list or tuple, not %.200s",
                         i, Py_TYPE(args)->tp_name);
            return -1;
        }
        if (kfpy_redis_encode(request, PySequence_Fast_ITEMS(args),
                              PySequence_Fast_GET_SIZE(args), i) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The commands as a new list that nobody else has. */
static PyObject *
command_list(PyObject *commands)
{
    if (PyUnicode_Check(commands) || PyBytes_Check(commands)) {
        PyErr_Format(PyExc_TypeError,
                     "commands must be a list of commands, not %.200s",
                     Py_TYPE(commands)->tp_name);
        return NULL;
    }
    return PySequence_List(commands);
}

PyDoc_STRVAR(pipeline_doc,
             "pipeline($self, commands, /, *, timeout=None)\n--\n\n"
             "All commands in one write; a list with a reply for each,\n"
             "a ResponseError where the server refused.");

static PyObject *
Client_pipeline(PyObject *op, PyObject *const *args, Py_ssize_t n,
                PyObject *keywords)
{
    Client *self = (Client *)op;
    PyObject *timeout = NULL, *commands, *result = NULL;
    kf_buffer request;
    double seconds;
    if (n != 1) {
        PyErr_Format(PyExc_TypeError,
                     "pipeline() takes 1 positional argument (%zd given)", n);
        return NULL;
    }
    if (read_keywords("pipeline", keywords, args + n, &timeout) < 0 ||
        read_timeout(self, timeout, &seconds) < 0 ||
        (commands = command_list(args[0])) == NULL) {
        return NULL;
    }
    kf_buffer_init(&request, &kfpy_redis_alloc);
    if (encode_all(&request, commands) == 0) {
        n = PyList_GET_SIZE(commands);
        result = n == 0 ? PyList_New(0) : answer(self, &request, n, seconds);
    }
    kf_buffer_free(&request);
    Py_DECREF(commands);
    return result;
}

PyDoc_STRVAR(health_doc, "health($self, /)\n--\n\n"
                         "Does the server answer PING now? Never raises.");

static PyObject *
Client_health(PyObject *op, PyObject *ignored)
{
    Client *self = (Client *)op;
    kf_buffer request;
    kf_redis_replies replies;
    kf_redis_failure failure = {.sent = false};
    bool good = false;
    (void)ignored;
    kf_buffer_init(&request, &kfpy_redis_alloc);
    kf_redis_replies_init(&replies, &kfpy_redis_alloc);
    kf_redis_command(&request, 1);
    kf_redis_argument(&request, "PING", 4);
    if (!request.failed && exchange(self, &request, 1, self->command_timeout,
                                    &replies, &failure) == KF_REDIS_GOOD) {
        good = replies.items[0].kind == KF_REDIS_BYTES;
    }
    kf_buffer_free(&request);
    kf_redis_replies_free(&replies);
    if (failure.fault == KF_REDIS_STOPPED) {
        return NULL;
    }
    return PyBool_FromLong(good);
}

PyDoc_STRVAR(status_doc, "status($self, /)\n--\n\n"
                         "Server, pool and counters, without secrets.");

static PyObject *
Client_status(PyObject *op, PyObject *ignored)
{
    Client *self = (Client *)op;
    kf_redis_pool_status is;
    (void)ignored;
    kf_redis_pool_get_status(own_pool(self), &is);
    return Py_BuildValue(
        "{s:s,s:O,s:n,s:n,s:n,s:d,s:K,s:K,s:K,s:K,s:K,s:K}", "implementation",
        "c", "server", self->where, "pool_size", (Py_ssize_t)is.size, "busy",
        (Py_ssize_t)is.busy, "idle", (Py_ssize_t)is.idle, "retry_in",
        round(is.retry_in * 1000) / 1000, "connects",
        (unsigned long long)is.connects, "connect_failures",
        (unsigned long long)is.connect_failures, "lost",
        (unsigned long long)is.lost, "timeouts",
        (unsigned long long)is.timeouts, "exhausted",
        (unsigned long long)is.exhausted, "commands",
        (unsigned long long)is.commands);
}

PyDoc_STRVAR(close_doc, "close($self, /)\n--\n\nClose every connection.");

static PyObject *
Client_close(PyObject *op, PyObject *ignored)
{
    (void)ignored;
    kf_redis_pool_close(own_pool((Client *)op));
    Py_RETURN_NONE;
}

static PyObject *
Client_enter(PyObject *op, PyObject *ignored)
{
    (void)ignored;
    Py_INCREF(op);
    return op;
}

static PyObject *
Client_exit(PyObject *op, PyObject *args)
{
    return Client_close(op, args);
}

static PyObject *
Client_implementation(PyObject *op, void *closure)
{
    (void)op;
    (void)closure;
    return PyUnicode_InternFromString("c");
}

/* --- the type --- */

static PyMethodDef Client_methods[] = {
    {"command", (PyCFunction)(void (*)(void))Client_command,
     METH_FASTCALL | METH_KEYWORDS, command_doc},
    {"pipeline", (PyCFunction)(void (*)(void))Client_pipeline,
     METH_FASTCALL | METH_KEYWORDS, pipeline_doc},
    {"health", Client_health, METH_NOARGS, health_doc},
    {"status", Client_status, METH_NOARGS, status_doc},
    {"close", Client_close, METH_NOARGS, close_doc},
    {"__enter__", Client_enter, METH_NOARGS, NULL},
    {"__exit__", Client_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Client_getset[] = {
    {"implementation", Client_implementation, NULL, "\"c\"", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(Client_doc,
             "Client(address, options, errors, /)\n--\n\n"
             "One Redis server through hiredis. Made by\n"
             "kato_fast.redis_client.open_client, which checks what it gets.");

static PyType_Slot Client_slots[] = {
    {Py_tp_doc, (void *)Client_doc}, {Py_tp_new, Client_new},
    {Py_tp_dealloc, Client_dealloc}, {Py_tp_traverse, Client_traverse},
    {Py_tp_clear, Client_clear},     {Py_tp_methods, Client_methods},
    {Py_tp_getset, Client_getset},   {0, NULL},
};

static PyType_Spec Client_spec = {
    .name = "kato_fast._redis.Client",
    .basicsize = sizeof(Client),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Client_slots,
};

int
kfpy_redis_client_type_add(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Client_spec, NULL);
    int added;
    if (type == NULL) {
        return -1;
    }
    added = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return added;
}
