/* From the bytes of the answer into the engine: no Python object for a
 * pattern, and no GIL. */
#include "mongo_types.h"

#include "wire/mongo_walk.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    const kfpy_engine_table *engine;
    kf_loader *loader; /* NULL: walk only */
    kf_mongo_walker walker;
    kf_buffer last; /* a copy of one document, with room behind it */
    kf_loaded gathered[KF_LOADER_MAX]; /* their emotives are owned */
    size_t n_gathered;
    size_t put;
    uint64_t learns; /* sum of the frequencies */
    size_t skipped;  /* frequency 0, or too short to be a pattern */
    kf_error err;
    char name[48]; /* of the pattern that failed */
} loading;

static void
note_name(loading *loading, kf_text name)
{
    int size = name.size < 40 ? (int)name.size : 40;
    snprintf(loading->name, sizeof loading->name, "%.*s", size,
             name.size > 0 ? name.bytes : "");
}

static void
drop_gathered(loading *loading)
{
    for (size_t i = 0; i < loading->n_gathered; i++) {
        loading->engine->emotives_release(
            loading->gathered[i].sequence.emotives);
    }
    loading->n_gathered = 0;
    kf_mongo_walker_empty(&loading->walker);
}

/* What was gathered goes into the engine. */
static bool
put_gathered(loading *loading)
{
    size_t done = 0;
    kf_status status =
        loading->engine->loader_put(loading->loader, loading->gathered,
                                    loading->n_gathered, &done, &loading->err);
    for (size_t i = 0; i < done; i++) {
        loading->learns += loading->gathered[i].frequency;
    }
    loading->put += done;
    if (status != KF_OK) {
        note_name(loading, loading->gathered[done].name);
    }
    drop_gathered(loading);
    return status == KF_OK;
}

/* Only to be counted. */
static void
pass(loading *loading, const kf_mongo_pattern *found)
{
    loading->put++;
    loading->learns += found->frequency;
    kf_mongo_walker_empty(&loading->walker);
}

static kf_status
gather(loading *loading, const kf_mongo_pattern *found)
{
    const kfpy_engine_table *engine = loading->engine;
    kf_loaded *next = &loading->gathered[loading->n_gathered];
    kf_status status = KF_OK;
    *next = (kf_loaded){
        {found->symbols, found->n, found->ends, found->n_events, NULL},
        found->frequency,
        found->name,
    };
    if (found->has_emotives) {
        status =
            engine->emotives_new(engine->alloc, found->maps, found->n_maps,
                                 &next->sequence.emotives, &loading->err);
    }
    loading->n_gathered += status == KF_OK;
    return status;
}

static bool
load_document(loading *loading, const uint8_t *document, size_t size)
{
    kf_mongo_pattern found = {0};
    kf_status status =
        kf_mongo_walk(&loading->walker, document, size, &found, &loading->err);
    if (status == KF_OK && (found.frequency == 0 || found.n < 2)) {
        loading->skipped++;
        return true;
    }
    if (status == KF_OK && loading->loader != NULL) {
        status = gather(loading, &found);
    }
    else if (status == KF_OK) {
        pass(loading, &found);
    }
    if (status != KF_OK) {
        note_name(loading, found.name);
    }
    return status == KF_OK;
}

/* Whether the document has to wait until there is room. */
static bool
is_full(const loading *loading, size_t size)
{
    return loading->n_gathered == KF_LOADER_MAX ||
           (loading->n_gathered > 0 &&
            !kf_mongo_walker_fits(&loading->walker, size));
}

/* From a copy: nothing can be read behind it where it is. */
static bool
load_copy(loading *loading, const uint8_t *document, size_t size)
{
    static const char behind[KF_MONGO_BEHIND] = {0};
    if (loading->n_gathered > 0 && !put_gathered(loading)) {
        return false; /* they may have been here before */
    }
    loading->last.size = 0;
    kf_buffer_append(&loading->last, document, size);
    kf_buffer_append(&loading->last, behind, sizeof behind);
    if (loading->last.failed) {
        (void)kf_no_memory(&loading->err);
        return false;
    }
    return load_document(loading, (const uint8_t *)loading->last.data, size);
}

/* end: of what can be read. */
static bool
load_one(loading *loading, const uint8_t *document, size_t size,
         const uint8_t *end)
{
    if ((size_t)(end - document) - size < KF_MONGO_BEHIND) {
        return load_copy(loading, document, size);
    }
    return (!is_full(loading, size) || put_gathered(loading)) &&
           load_document(loading, document, size);
}

static bool
no_documents(loading *loading)
{
    loading->name[0] = '\0';
    (void)kf_fail(&loading->err, KF_INVALID, "the bytes are no BSON");
    return false;
}

/* Texts of what was gathered lie in the documents: all of it goes now. Where
 * one of them is wrong, those before it are in, and its error is the one that
 * is told, unless an earlier one has another. */
static bool
put_rest(loading *loading, bool fine)
{
    return (loading->n_gathered == 0 || put_gathered(loading)) && fine;
}

/* Documents one after the other. */
static bool
load_documents(loading *loading, const uint8_t *at, size_t left)
{
    const uint8_t *end = at + left;
    bool fine = true;
    while (at != end) {
        size_t size = end - at < 5 ? 0 : kf_bson_u32(at);
        fine = size >= 5 && size <= (size_t)(end - at)
                   ? load_one(loading, at, size, end)
                   : no_documents(loading);
        at = fine ? at + size : end;
    }
    return put_rest(loading, fine);
}

/* Documents in an array of the server. */
static bool
load_array(void *context, const uint8_t *array, size_t size)
{
    loading *loading = context;
    kf_bson_element found;
    kf_bson_cursor inside;
    bool fine = true;
    int more = -1;
    if (kf_bson_open(array, size, &inside)) {
        while (fine && (more = kf_bson_next_any(&inside, &found)) > 0) {
            fine =
                found.type == KF_BSON_DOCUMENT
                    ? load_one(loading, found.value, found.size, array + size)
                    : no_documents(loading);
        }
    }
    return put_rest(loading, fine && (more == 0 || no_documents(loading)));
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
    kf_buffer_init(&loading->last, &kfpy_mongo_alloc);
    if (engine != Py_None) {
        kf_knowledge *knowledge = state->engine->knowledge_of(engine);
        kf_status status =
            knowledge == NULL
                ? KF_OK
                : state->engine->loader_new(knowledge, &loading->loader,
                                            &loading->err);
        if (status != KF_OK) {
            raise_of_pattern(loading);
        }
        return loading->loader == NULL ? -1 : 0;
    }
    return 0;
}

/* With the GIL, for a moment at most: what is left to do is half a head. */
static void
end(loading *loading)
{
    Py_BEGIN_ALLOW_THREADS
    loading->engine->loader_end(loading->loader);
    Py_END_ALLOW_THREADS
    kf_mongo_walker_free(&loading->walker);
    kf_buffer_free(&loading->last);
}

const char kfpy_mongo_load_doc[] =
    "load($self, /, engine, filter, options, aggregates=False)\n--\n\n"
    "Put every pattern of patterns_kb that the filter finds into an engine,\n"
    "from the bytes of the answer and without the GIL.\n\n"
    "Args:\n"
    "    engine: a _core.Knowledge, or None to walk over the bytes only.\n"
    "    filter, options, aggregates: as those of find.\n\n"
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
    result = kf_mongo_each(self->mongo, query, load_array, loading, &err);
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
    static char *names[] = {"engine", "filter", "options", "aggregates", NULL};
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
    int aggregates = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO|p:load", names,
                                     &engine, &filter, &options,
                                     &aggregates)) {
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
        query.aggregates = aggregates != 0;
        result = load_all((kfpy_mongo *)self, state, &query, &loading);
    }
    end(&loading);
    kf_buffer_free(&filters);
    kf_buffer_free(&choices);
    return result;
}

const char kfpy_mongo_put_documents_doc[] =
    "put_documents($module, engine, data, /)\n--\n\n"
    "As Database.load, from bytes that hold documents one after the other.";

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
        fine = load_documents(&loading, data.buf, (size_t)data.len);
        Py_END_ALLOW_THREADS
        result = fine ? loaded(&loading) : raise_of_pattern(&loading);
    }
    end(&loading);
    PyBuffer_Release(&data);
    return result;
}
