/* From the bytes of the answer into the engine: no Python object for a
 * pattern, and no GIL. */
#include "mongo_types.h"

#include "wire/mongo_walk.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const kfpy_engine_table *engine;
    kf_knowledge *knowledge; /* NULL: walk only */
    kf_mongo_walker walker;
    size_t put;
    uint64_t learns; /* sum of the frequencies */
    size_t skipped;  /* frequency 0, or too short to be a pattern */
    kf_error err;
    char name[48]; /* of the pattern that failed */
} loading;

static void
write_hex(const uint8_t name[KF_NAME_SIZE], char out[2 * KF_NAME_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < KF_NAME_SIZE; i++) {
        out[2 * i] = digits[name[i] >> 4];
        out[2 * i + 1] = digits[name[i] & 15];
    }
    out[2 * KF_NAME_SIZE] = '\0';
}

static bool
is_named(kf_text stored, const uint8_t name[KF_NAME_SIZE])
{
    char hex[2 * KF_NAME_SIZE + 1];
    write_hex(name, hex);
    return stored.size == sizeof hex - 1 &&
           memcmp(stored.bytes, hex, stored.size) == 0;
}

static kf_status
put_pattern(loading *loading, const kf_mongo_pattern *found)
{
    kf_sequence sequence = {found->symbols, found->n, found->ends,
                            found->n_events, NULL};
    const kfpy_engine_table *engine = loading->engine;
    uint8_t name[KF_NAME_SIZE];
    kf_status status = KF_OK;
    if (found->has_emotives) {
        status =
            engine->emotives_new(engine->alloc, found->maps, found->n_maps,
                                 &sequence.emotives, &loading->err);
    }
    if (status == KF_OK) {
        status = engine->put(loading->knowledge, &sequence, found->frequency,
                             name, &loading->err);
    }
    engine->emotives_release(sequence.emotives);
    if (status == KF_OK && !is_named(found->name, name)) {
        char hex[2 * KF_NAME_SIZE + 1];
        write_hex(name, hex);
        return kf_fail(&loading->err, KF_INVALID,
                       "its events have the name %s here: the database is "
                       "damaged, or was written by a Python with other "
                       "Unicode tables",
                       hex);
    }
    return status;
}

static void
note_name(loading *loading, kf_text name)
{
    int size = name.size < 40 ? (int)name.size : 40;
    snprintf(loading->name, sizeof loading->name, "%.*s", size,
             name.size > 0 ? name.bytes : "");
}

static bool
load_document(void *context, const uint8_t *document, size_t size)
{
    loading *loading = context;
    kf_mongo_pattern found = {0};
    kf_status status =
        kf_mongo_walk(&loading->walker, document, size, &found, &loading->err);
    if (status == KF_OK && (found.frequency == 0 || found.n < 2)) {
        loading->skipped++;
        return true;
    }
    if (status == KF_OK && loading->knowledge != NULL) {
        status = put_pattern(loading, &found);
    }
    if (status != KF_OK) {
        note_name(loading, found.name);
        return false;
    }
    loading->put++;
    loading->learns += found.frequency;
    return true;
}

static PyObject *
raise_of_pattern(const loading *loading)
{
    if (loading->err.code == KF_NO_MEMORY) {
        return PyErr_NoMemory();
    }
    return PyErr_Format(PyExc_ValueError, "pattern %s of the store: %s",
                        loading->name[0] != '\0' ? loading->name : "?",
                        loading->err.message);
}

static PyObject *
loaded(const loading *loading)
{
    return Py_BuildValue("(nKn)", (Py_ssize_t)loading->put,
                         (unsigned long long)loading->learns,
                         (Py_ssize_t)loading->skipped);
}

static int
begin(loading *loading, const kfpy_mongo_state *state, PyObject *engine)
{
    memset(loading, 0, sizeof *loading);
    loading->engine = state->engine;
    kf_mongo_walker_init(&loading->walker, &kfpy_mongo_alloc);
    if (engine != Py_None) {
        loading->knowledge = state->engine->knowledge_of(engine);
        return loading->knowledge == NULL ? -1 : 0;
    }
    return 0;
}

const char kfpy_mongo_load_doc[] =
    "load($self, /, engine, filter, options)\n--\n\n"
    "Put every pattern of patterns_kb that the filter finds into an engine,\n"
    "from the bytes of the answer and without the GIL.\n\n"
    "Args:\n"
    "    engine: a _core.Knowledge, or None to walk over the bytes only.\n"
    "    filter, options: as those of find.\n\n"
    "Returns:\n"
    "    (patterns, sum of their frequencies, documents left out: frequency\n"
    "    0 or fewer than two symbols).\n\n"
    "Raises:\n"
    "    ValueError: a document is no pattern; those before it are in.\n"
    "    MongoError: as find.";

static PyObject *
load_all(kfpy_mongo *self, const kfpy_mongo_state *state,
         const kf_mongo_query *query, loading *loading)
{
    kf_mongo_error err;
    kf_mongo_result result;
    if (kfpy_mongo_enter(self, state) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    result = kf_mongo_each(self->mongo, query, load_document, loading, &err);
    Py_END_ALLOW_THREADS
    kfpy_mongo_leave(self);
    if (result == KF_MONGO_STOPPED) {
        return raise_of_pattern(loading);
    }
    return result == KF_MONGO_FINE ? loaded(loading)
                                   : kfpy_mongo_raise(state, &err);
}

PyObject *
kfpy_mongo_load(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"engine", "filter", "options", NULL};
    const kfpy_mongo_state *state = PyType_GetModuleState(Py_TYPE(self));
    kf_mongo_query query = {.database = ((kfpy_mongo *)self)->name,
                            .collection = "patterns_kb"};
    PyObject *result = NULL;
    PyObject *engine;
    PyObject *filter;
    PyObject *options;
    kf_buffer filters;
    kf_buffer choices;
    loading loading;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO:load", names,
                                     &engine, &filter, &options)) {
        return NULL;
    }
    kf_buffer_init(&filters, &kfpy_mongo_alloc);
    kf_buffer_init(&choices, &kfpy_mongo_alloc);
    if (begin(&loading, state, engine) == 0 &&
        kfpy_mongo_encode(state, filter, "filter", &filters) == 0 &&
        kfpy_mongo_encode(state, options, "options", &choices) == 0) {
        query.filter = (const uint8_t *)filters.data;
        query.filter_size = filters.size;
        query.options = (const uint8_t *)choices.data;
        query.options_size = choices.size;
        result = load_all((kfpy_mongo *)self, state, &query, &loading);
    }
    kf_mongo_walker_free(&loading.walker);
    kf_buffer_free(&filters);
    kf_buffer_free(&choices);
    return result;
}

const char kfpy_mongo_put_documents_doc[] =
    "put_documents($module, engine, data, /)\n--\n\n"
    "As Database.load, from bytes that hold documents one after the other.";

static bool
load_bytes(loading *loading, const uint8_t *at, size_t left)
{
    while (left > 0) {
        size_t size = left < 5 ? 0 : kf_bson_u32(at);
        if (size < 5 || size > left) {
            loading->name[0] = '\0';
            kf_fail(&loading->err, KF_INVALID, "the bytes are no BSON");
            return false;
        }
        if (!load_document(loading, at, size)) {
            return false;
        }
        at += size;
        left -= size;
    }
    return true;
}

PyObject *
kfpy_mongo_put_documents(PyObject *module, PyObject *args)
{
    const kfpy_mongo_state *state = PyModule_GetState(module);
    PyObject *result = NULL;
    PyObject *engine;
    loading loading;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "Oy*:put_documents", &engine, &data)) {
        return NULL;
    }
    if (begin(&loading, state, engine) == 0) {
        bool fine;
        Py_BEGIN_ALLOW_THREADS
        fine = load_bytes(&loading, data.buf, (size_t)data.len);
        Py_END_ALLOW_THREADS
        result = fine ? loaded(&loading) : raise_of_pattern(&loading);
    }
    kf_mongo_walker_free(&loading.walker);
    PyBuffer_Release(&data);
    return result;
}
