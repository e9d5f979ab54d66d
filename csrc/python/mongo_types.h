/* What the files of the module _mongo share: its state, the type Database,
 * and the ways between Python objects and BSON. */
#ifndef KFPY_MONGO_TYPES_H
#define KFPY_MONGO_TYPES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "engine_table.h"

#include "kato_fast/buffer.h"
#include "wire/mongo.h"
#include "wire/mongo_bson.h"

typedef struct {
    PyObject *error;     /* the exception MongoError */
    PyObject *object_id; /* the type ObjectId, a bytes of 12 */
    PyObject *database;  /* the type Database */
    const kfpy_engine_table *engine;
} kfpy_mongo_state;

typedef struct {
    PyObject_HEAD
    kf_mongo *mongo; /* NULL when closed and nobody is inside */
    PyObject *owner; /* of the pool: another Database, or NULL */
    char *name;      /* of the database, owned */
    size_t users;    /* calls that are inside; with the GIL */
    bool closed;
} kfpy_mongo;

extern const kf_alloc kfpy_mongo_alloc;

/* Between kfpy_mongo_enter and _leave the pool stays. -1 with an exception
 * set where it is closed. Both with the GIL. */
int kfpy_mongo_enter(kfpy_mongo *self, const kfpy_mongo_state *state);
void kfpy_mongo_leave(kfpy_mongo *self);

/* Set MongoError, MemoryError or ValueError; NULL. */
PyObject *kfpy_mongo_raise(const kfpy_mongo_state *state,
                           const kf_mongo_error *err);

typedef struct {
    kf_mongo_call *list; /* owned; kfpy_mongo_calls_free */
    size_t count;
} kfpy_mongo_calls;

/* A list of 1 to most dicts as the commands of calls. -1 with an exception
 * set, and nothing to free, where there is no BSON for one. */
int kfpy_mongo_calls_make(const kfpy_mongo_state *state, PyObject *commands,
                          size_t most, bool writes, kfpy_mongo_calls *out);
void kfpy_mongo_calls_free(kfpy_mongo_calls *calls);

/* A new MongoError. */
PyObject *kfpy_mongo_error(const kfpy_mongo_state *state,
                           const kf_mongo_error *err);

/* Append one document. -1 with an exception set where there is no BSON for
 * the value. place: how errors call it. */
int kfpy_mongo_encode(const kfpy_mongo_state *state, PyObject *value,
                      const char *place, kf_buffer *out);

/* A new dict, NULL with an exception set where the bytes are not BSON. */
PyObject *kfpy_mongo_decode(const kfpy_mongo_state *state,
                            const uint8_t *document, size_t size);

extern const char kfpy_mongo_load_doc[];
PyObject *kfpy_mongo_load(PyObject *self, PyObject *args, PyObject *keywords);
extern const char kfpy_mongo_put_documents_doc[];
PyObject *kfpy_mongo_put_documents(PyObject *module, PyObject *args);

extern const char kfpy_mongo_transact_doc[];
PyObject *kfpy_mongo_transact(PyObject *self, PyObject *args,
                              PyObject *keywords);

int kfpy_mongo_database_add(PyObject *module, kfpy_mongo_state *state);

#endif
