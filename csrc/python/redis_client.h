/* The Python type Client of kato_fast._redis, and what its files share. */
#ifndef KFPY_REDIS_CLIENT_H
#define KFPY_REDIS_CLIENT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "wire/redis_pool.h"

/* PyMem_Raw*: works without the GIL. */
extern const kf_alloc kfpy_redis_alloc;

/* Classes of kato_fast.redis_client.errors. */
typedef struct {
    PyObject *connection; /* ConnectionError */
    PyObject *timeout;    /* TimeoutError */
    PyObject *exhausted;  /* PoolExhausted */
    PyObject *protocol;   /* ProtocolError */
    PyObject *response;   /* ResponseError */
} kfpy_redis_errors;

int kfpy_redis_client_type_add(PyObject *module);

/* Append a command of n arguments (borrowed) to the request. index: the
 * command's in a pipeline, or -1. -1 with an exception set that names the
 * argument. */
int kfpy_redis_encode(kf_buffer *request, PyObject *const *args, Py_ssize_t n,
                      Py_ssize_t index);

/* The object of the reply at *item, which is moved behind it: a new
 * reference, a ResponseError for an error. */
PyObject *kfpy_redis_object(const kf_redis_replies *replies, size_t *item,
                            const kfpy_redis_errors *errors);

/* Raise what the failure stands for. where: the server's name. NULL. */
PyObject *kfpy_redis_raise(const kf_redis_failure *failure, PyObject *where,
                           const kfpy_redis_errors *errors);

#endif
