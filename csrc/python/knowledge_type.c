/* Knowledge: the engine. Arguments are converted under the GIL, larger work
 * runs without it, results are built under it. No Python object is made or
 * freed while the knowledge base is locked, since that may run any code,
 * also code that comes back here. */
#include "knowledge_type.h"

#include "convert.h"

#include "kato_fast/knowledge.h"

#include <string.h>

/* Symbols of a batch from which learning lets the GIL go: about 50 us. Less
 * than this keeps it, unless another thread is at work, which must not be
 * waited for with the GIL in hand. */
#define LEARN_RELEASES ((size_t)1024)

/* --- life cycle --- */

/* 16 bytes of the operating system's randomness. */
static int
random_key(uint8_t key[16])
{
    PyObject *os = PyImport_ImportModule("os");
    PyObject *bytes;
    if (os == NULL) {
        return -1;
    }
    bytes = PyObject_CallMethod(os, "urandom", "i", 16);
    Py_DECREF(os);
    if (bytes == NULL) {
        return -1;
    }
    memcpy(key, PyBytes_AS_STRING(bytes), 16);
    Py_DECREF(bytes);
    return 0;
}

static int
read_generation(const char *text, kf_generation *out)
{
    if (strcmp(text, "2025-09") == 0) {
        *out = KF_KATO_2025_09;
        return 0;
    }
    if (strcmp(text, "2.1") == 0) {
        *out = KF_KATO_2_1;
        return 0;
    }
    PyErr_Format(PyExc_ValueError,
                 "generation must be one of 2025-09, 2.1, not '%s'", text);
    return -1;
}

static PyObject *
Knowledge_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"indexed", "threads", "generation", NULL};
    const kfpy_state *state = PyType_GetModuleState(type);
    kf_knowledge_options options = {.unicode = state->unicode, .threads = 1};
    int indexed = 0;
    const char *generation = "2025-09";
    kfpy_knowledge *self;
    kf_error err;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|$pIs:Knowledge", names,
                                     &indexed, &options.threads,
                                     &generation) ||
        read_generation(generation, &options.generation) < 0 ||
        random_key(options.key) < 0) {
        return NULL;
    }
    options.indexed = indexed != 0;
    self = (kfpy_knowledge *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    if (kf_knowledge_new(&kfpy_alloc, &options, &self->knowledge, &err) !=
        KF_OK) {
        Py_DECREF(self);
        return kfpy_raise(&err);
    }
    return (PyObject *)self;
}

static int
Knowledge_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void
Knowledge_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    kf_knowledge_free(kfpy_knowledge_of(self));
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- learning --- */

/* Sequences of a batch while their arguments are read. */
typedef struct {
    kfpy_input input;
    kf_sequence *sequences; /* owned; only those that KATO learns */
    size_t *first_text;     /* owned; where they begin in input */
    size_t *first_end;
    kf_learned *learned; /* owned */
    Py_ssize_t *number;  /* owned; by item: its sequence, -1 for none */
    size_t count;
} batch;

static void
batch_free(batch *all)
{
    for (size_t i = 0; i < all->count; i++) {
        kf_emotives_release(all->sequences[i].emotives);
    }
    kfpy_input_free(&all->input);
    kf_release(&kfpy_alloc, all->sequences);
    kf_release(&kfpy_alloc, all->first_text);
    kf_release(&kfpy_alloc, all->first_end);
    kf_release(&kfpy_alloc, all->learned);
    kf_release(&kfpy_alloc, all->number);
}

static int
batch_init(batch *all, Py_ssize_t items)
{
    size_t n = (size_t)items;
    memset(all, 0, sizeof *all);
    kfpy_input_init(&all->input);
    all->sequences = kf_allocate(&kfpy_alloc, n, sizeof *all->sequences);
    all->first_text = kf_allocate(&kfpy_alloc, n, sizeof *all->first_text);
    all->first_end = kf_allocate(&kfpy_alloc, n, sizeof *all->first_end);
    all->learned = kf_allocate(&kfpy_alloc, n, sizeof *all->learned);
    all->number = kf_allocate(&kfpy_alloc, n, sizeof *all->number);
    if (all->sequences == NULL || all->first_text == NULL ||
        all->first_end == NULL || all->learned == NULL ||
        all->number == NULL) {
        batch_free(all);
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static int
batch_add(batch *all, const kfpy_state *state, Py_ssize_t item,
          PyObject *events, PyObject *emotives)
{
    kf_sequence *sequence = &all->sequences[all->count];
    size_t first_text = all->input.n_texts;
    size_t first_end = all->input.n_ends;
    all->number[item] = -1;
    if (kfpy_input_events(&all->input, events) < 0 ||
        kfpy_emotives(state, emotives, &sequence->emotives) < 0) {
        return -1;
    }
    sequence->n = (uint32_t)(all->input.n_texts - first_text);
    sequence->n_events = (uint32_t)(all->input.n_ends - first_end);
    if (sequence->n < 2) { /* KATO learns nothing */
        kf_emotives_release(sequence->emotives);
        return 0;
    }
    all->first_text[all->count] = first_text;
    all->first_end[all->count] = first_end;
    all->number[item] = (Py_ssize_t)all->count++;
    return 0;
}

/* The input has stopped growing: point into it. */
static void
batch_point(batch *all)
{
    for (size_t i = 0; i < all->count; i++) {
        all->sequences[i].symbols = all->input.texts + all->first_text[i];
        all->sequences[i].ends = all->input.ends + all->first_end[i];
    }
}

static int
batch_learn(batch *all, kf_knowledge *knowledge)
{
    kf_status status;
    kf_error err;
    batch_point(all);
    if (all->input.n_texts >= LEARN_RELEASES ||
        kf_knowledge_is_busy(knowledge)) {
        KFPY_BEGIN_UNLOCKED
        status = kf_knowledge_learn(knowledge, all->sequences, all->count,
                                    all->learned, &err);
        KFPY_END_UNLOCKED
    }
    else {
        status = kf_knowledge_learn(knowledge, all->sequences, all->count,
                                    all->learned, &err);
    }
    if (status != KF_OK) {
        kfpy_raise(&err);
        return -1;
    }
    return 0;
}

/* (name, was it new), or None where the item was not learned. */
static PyObject *
batch_result(const batch *all, Py_ssize_t item)
{
    const kf_learned *learned;
    PyObject *name;
    PyObject *result;
    if (all->number[item] < 0) {
        Py_RETURN_NONE;
    }
    learned = &all->learned[all->number[item]];
    name = kfpy_name_str(learned->name);
    if (name == NULL) {
        return NULL;
    }
    result = PyTuple_New(2);
    if (result == NULL) {
        Py_DECREF(name);
        return NULL;
    }
    PyTuple_SET_ITEM(result, 0, name);
    PyTuple_SET_ITEM(result, 1, PyBool_FromLong(learned->is_new));
    return result;
}

PyDoc_STRVAR(
    Knowledge_learn_doc,
    "learn($self, /, events, emotives=None)\n--\n\n"
    "Learn one sequence: its frequency and all counters go up by one learn.\n"
    "\n"
    "Args:\n"
    "    events: the sequence.\n"
    "    emotives: the pattern's new stored list of maps, or None to leave\n"
    "        what is there.\n\n"
    "Returns:\n"
    "    (name, was it new), or None below two symbols.\n\n"
    "Raises:\n"
    "    TypeError, ValueError: bad events or emotives, or a total beyond\n"
    "        2**53-1.");

static PyObject *
Knowledge_learn(PyObject *self, PyObject *const *args, Py_ssize_t n_args,
                PyObject *keywords)
{
    static const char *const names[] = {"events", "emotives"};
    PyObject *given[2];
    PyObject *result = NULL;
    batch all;
    if (kfpy_arguments("learn", names, 2, 1, args, n_args, keywords, given) <
            0 ||
        batch_init(&all, 1) < 0) {
        return NULL;
    }
    if (batch_add(&all, kfpy_state_of(self), 0, given[0], given[1]) == 0 &&
        batch_learn(&all, kfpy_knowledge_of(self)) == 0) {
        result = batch_result(&all, 0);
    }
    batch_free(&all);
    return result;
}

/* Every item must be a pair; said before any of them is looked into. */
static int
check_items(PyObject *items)
{
    if (!PyList_Check(items) && !PyTuple_Check(items)) {
        kfpy_wrong_type("items", "a list of (events, emotives) pairs", items);
        return -1;
    }
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items); i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(items, i);
        if (!PyList_Check(item) && !PyTuple_Check(item)) {
            char place[32];
            PyOS_snprintf(place, sizeof place, "items[%zd]", i);
            kfpy_wrong_type(place, "an (events, emotives) pair", item);
            return -1;
        }
        if (PySequence_Fast_GET_SIZE(item) != 2) {
            PyErr_Format(PyExc_ValueError,
                         "items[%zd] must have 2 items, not %zd", i,
                         PySequence_Fast_GET_SIZE(item));
            return -1;
        }
    }
    return 0;
}

/* Emotives may run code that changes the lists: no size is trusted twice. */
static int
batch_add_all(batch *all, const kfpy_state *state, PyObject *items)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items); i++) {
        PyObject *pair = PySequence_Tuple(PyTuple_GET_ITEM(items, i));
        int result = -1;
        if (pair != NULL && PyTuple_GET_SIZE(pair) == 2) {
            result = batch_add(all, state, i, PyTuple_GET_ITEM(pair, 0),
                               PyTuple_GET_ITEM(pair, 1));
        }
        else if (pair != NULL) {
            PyErr_Format(PyExc_ValueError,
                         "items[%zd] must have 2 items, not %zd", i,
                         PyTuple_GET_SIZE(pair));
        }
        Py_XDECREF(pair);
        if (result < 0) {
            return -1;
        }
    }
    return 0;
}

PyDoc_STRVAR(Knowledge_learn_many_doc,
             "learn_many($self, /, items)\n--\n\n"
             "Learn several sequences in order: all of them, or none.\n\n"
             "Args:\n"
             "    items: a list or tuple of (events, emotives) pairs, each\n"
             "        as for learn.\n\n"
             "Returns:\n"
             "    What learn returns, one an item.\n\n"
             "Raises:\n"
             "    TypeError, ValueError: an item is bad; nothing was "
             "learned.");

static PyObject *
Knowledge_learn_many(PyObject *self, PyObject *const *args, Py_ssize_t n_args,
                     PyObject *keywords)
{
    static const char *const names[] = {"items"};
    PyObject *given[1];
    PyObject *items;
    PyObject *results = NULL;
    batch all;
    if (kfpy_arguments("learn_many", names, 1, 1, args, n_args, keywords,
                       given) < 0 ||
        check_items(given[0]) < 0) {
        return NULL;
    }
    items = PySequence_Tuple(given[0]);
    if (items == NULL || batch_init(&all, PyTuple_GET_SIZE(items)) < 0) {
        Py_XDECREF(items);
        return NULL;
    }
    if (batch_add_all(&all, kfpy_state_of(self), items) == 0 &&
        batch_learn(&all, kfpy_knowledge_of(self)) == 0) {
        results = PyList_New(PyTuple_GET_SIZE(items));
    }
    for (Py_ssize_t i = 0; results != NULL && i < PyTuple_GET_SIZE(items);
         i++) {
        PyObject *result = batch_result(&all, i);
        if (result == NULL) {
            Py_CLEAR(results);
        }
        else {
            PyList_SET_ITEM(results, i, result);
        }
    }
    batch_free(&all);
    Py_DECREF(items);
    return results;
}

PyDoc_STRVAR(
    Knowledge_put_doc,
    "put($self, /, events, frequency, emotives=None)\n--\n\n"
    "Set a pattern to absolute values, whatever it had; counters change by\n"
    "the difference. A new one goes last.\n\n"
    "Args:\n"
    "    events: at least two symbols.\n"
    "    frequency: how often it was learned in all, at least 1.\n"
    "    emotives: its stored list of maps, or None for none.\n\n"
    "Returns:\n"
    "    The pattern's name.\n\n"
    "Raises:\n"
    "    TypeError, ValueError: bad events, frequency or emotives, or a\n"
    "        total beyond 2**53-1; nothing was changed.");

static PyObject *
put_sequence(kf_knowledge *knowledge, const kfpy_input *input,
             uint64_t frequency, kf_emotives *emotives)
{
    kf_sequence sequence = {input->texts, (uint32_t)input->n_texts,
                            input->ends, (uint32_t)input->n_ends, emotives};
    uint8_t name[KF_NAME_SIZE];
    kf_status status;
    kf_error err;
    if (sequence.n >= LEARN_RELEASES || kf_knowledge_is_busy(knowledge)) {
        KFPY_BEGIN_UNLOCKED
        status = kf_knowledge_put(knowledge, &sequence, frequency, name, &err);
        KFPY_END_UNLOCKED
    }
    else {
        status = kf_knowledge_put(knowledge, &sequence, frequency, name, &err);
    }
    if (status != KF_OK) {
        return kfpy_raise(&err);
    }
    return kfpy_name_str(name);
}

static PyObject *
Knowledge_put(PyObject *self, PyObject *const *args, Py_ssize_t n_args,
              PyObject *keywords)
{
    static const char *const names[] = {"events", "frequency", "emotives"};
    PyObject *given[3];
    PyObject *result = NULL;
    kf_emotives *emotives = NULL;
    uint64_t frequency;
    kfpy_input input;
    if (kfpy_arguments("put", names, 3, 2, args, n_args, keywords, given) <
        0) {
        return NULL;
    }
    kfpy_input_init(&input);
    if (kfpy_input_events(&input, given[0]) < 0) {
        goto done;
    }
    if (input.n_texts < 2) {
        PyErr_Format(PyExc_ValueError,
                     "events must have at least 2 symbols, not %zd",
                     (Py_ssize_t)input.n_texts);
        goto done;
    }
    if (kfpy_frequency(given[1], &frequency) < 0 ||
        kfpy_emotives(kfpy_state_of(self), given[2], &emotives) < 0) {
        goto done;
    }
    result =
        put_sequence(kfpy_knowledge_of(self), &input, frequency, emotives);
done:
    kf_emotives_release(emotives);
    kfpy_input_free(&input);
    return result;
}

PyDoc_STRVAR(Knowledge_name_doc,
             "name($self, /, events)\n--\n\n"
             "The name a pattern of these events has; learns nothing.\n\n"
             "Returns:\n"
             "    40 lower-case hex digits, or None below two symbols.\n\n"
             "Raises:\n"
             "    TypeError, ValueError: the events are not well formed.");

static PyObject *
Knowledge_name(PyObject *self, PyObject *events)
{
    PyObject *result = NULL;
    kfpy_input input;
    kfpy_input_init(&input);
    if (kfpy_input_events(&input, events) == 0) {
        if (input.n_texts < 2) {
            result = Py_None;
            Py_INCREF(result);
        }
        else {
            kf_sequence sequence = {input.texts, (uint32_t)input.n_texts,
                                    input.ends, (uint32_t)input.n_ends, NULL};
            uint8_t name[KF_NAME_SIZE];
            kf_knowledge_name(kfpy_knowledge_of(self), &sequence, name);
            result = kfpy_name_str(name);
        }
    }
    kfpy_input_free(&input);
    return result;
}

PyDoc_STRVAR(Knowledge_forget_doc,
             "forget($self, /, name)\n--\n\n"
             "Remove one pattern and all it added to the counters.\n\n"
             "Returns:\n"
             "    False where there is no pattern of that name.\n\n"
             "Raises:\n"
             "    TypeError: the name is not a str.");

static PyObject *
Knowledge_forget(PyObject *self, PyObject *value)
{
    uint8_t name[KF_NAME_SIZE];
    bool found = false;
    kf_error err;
    int is_name = kfpy_name(value, name);
    if (is_name < 0) {
        return NULL;
    }
    if (is_name) {
        kf_status status;
        KFPY_BEGIN_UNLOCKED /* closing gaps may take a while */
        status =
            kf_knowledge_forget(kfpy_knowledge_of(self), name, &found, &err);
        KFPY_END_UNLOCKED
        if (status != KF_OK) {
            return kfpy_raise(&err);
        }
    }
    return PyBool_FromLong(found);
}

PyDoc_STRVAR(Knowledge_clear_doc, "clear($self, /)\n--\n\n"
                                  "Remove everything.");

static PyObject *
Knowledge_clear(PyObject *self, PyObject *ignored)
{
    kf_status status;
    kf_error err;
    (void)ignored;
    KFPY_BEGIN_UNLOCKED
    status = kf_knowledge_clear(kfpy_knowledge_of(self), &err);
    KFPY_END_UNLOCKED
    if (status != KF_OK) {
        return kfpy_raise(&err);
    }
    Py_RETURN_NONE;
}

/* --- looking --- */

PyDoc_STRVAR(Knowledge_memory_doc,
             "memory($self, /)\n--\n\n"
             "Bytes held for patterns, symbols and indexes.");

static PyObject *
Knowledge_memory(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    return PyLong_FromSize_t(kf_knowledge_memory(kfpy_knowledge_of(self)));
}

static Py_ssize_t
Knowledge_length(PyObject *self)
{
    return (Py_ssize_t)kf_knowledge_count(kfpy_knowledge_of(self));
}

static PyObject *
Knowledge_indexed(PyObject *self, void *ignored)
{
    kf_knowledge *knowledge = kfpy_knowledge_of(self);
    bool indexed;
    (void)ignored;
    kf_knowledge_lock_shared(knowledge);
    indexed = kf_knowledge_look(knowledge).indexed;
    kf_knowledge_unlock_shared(knowledge);
    return PyBool_FromLong(indexed);
}

static PyObject *
Knowledge_generation(PyObject *self, void *ignored)
{
    kf_knowledge *knowledge = kfpy_knowledge_of(self);
    kf_generation generation;
    (void)ignored;
    kf_knowledge_lock_shared(knowledge);
    generation = kf_knowledge_look(knowledge).generation;
    kf_knowledge_unlock_shared(knowledge);
    return PyUnicode_FromString(generation == KF_KATO_2_1 ? "2.1" : "2025-09");
}

/* --- type --- */

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef Knowledge_methods[] = {
    {"clear", Knowledge_clear, METH_NOARGS, Knowledge_clear_doc},
    {"count_as", kfpy_knowledge_count_as, METH_VARARGS,
     kfpy_knowledge_count_as_doc},
    {"forget", Knowledge_forget, METH_O, Knowledge_forget_doc},
    {"learn", FAST(Knowledge_learn), METH_FASTCALL | METH_KEYWORDS,
     Knowledge_learn_doc},
    {"learn_many", FAST(Knowledge_learn_many), METH_FASTCALL | METH_KEYWORDS,
     Knowledge_learn_many_doc},
    {"match", FAST(kfpy_knowledge_match), METH_FASTCALL | METH_KEYWORDS,
     kfpy_knowledge_match_doc},
    {"memory", Knowledge_memory, METH_NOARGS, Knowledge_memory_doc},
    {"name", Knowledge_name, METH_O, Knowledge_name_doc},
    {"names", kfpy_knowledge_names, METH_NOARGS, kfpy_knowledge_names_doc},
    {"open", FAST(kfpy_knowledge_open),
     METH_CLASS | METH_VARARGS | METH_KEYWORDS, kfpy_knowledge_open_doc},
    {"pattern", kfpy_knowledge_pattern, METH_O, kfpy_knowledge_pattern_doc},
    {"predict", FAST(kfpy_knowledge_predict), METH_FASTCALL | METH_KEYWORDS,
     kfpy_knowledge_predict_doc},
    {"predict_many", FAST(kfpy_knowledge_predict_many),
     METH_FASTCALL | METH_KEYWORDS, kfpy_knowledge_predict_many_doc},
    {"put", FAST(Knowledge_put), METH_FASTCALL | METH_KEYWORDS,
     Knowledge_put_doc},
    {"save", kfpy_knowledge_save, METH_O, kfpy_knowledge_save_doc},
    {"symbols", kfpy_knowledge_symbols, METH_NOARGS,
     kfpy_knowledge_symbols_doc},
    {"totals", kfpy_knowledge_totals, METH_NOARGS, kfpy_knowledge_totals_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(
    Knowledge_doc,
    "Knowledge(*, indexed=False, threads=1, generation='2025-09')\n--\n\n"
    "Patterns in memory, searchable, with the counters that learning keeps.\n"
    "\n"
    "Args:\n"
    "    indexed: True searches only the candidate set of the host's lossy\n"
    "        index (the profiles that end in -indexed).\n"
    "    threads: that one search may use, 1 to 64.\n"
    "    generation: 2025-09 or 2.1, the KATO that is matched.");

static PyGetSetDef Knowledge_getters[] = {
    {"indexed", Knowledge_indexed, NULL,
     "Whether searches look only at the host's candidates.", NULL},
    {"generation", Knowledge_generation, NULL, "The KATO that is matched.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot Knowledge_slots[] = {
    {Py_tp_doc, (void *)Knowledge_doc}, {Py_tp_new, Knowledge_new},
    {Py_tp_dealloc, Knowledge_dealloc}, {Py_tp_traverse, Knowledge_traverse},
    {Py_tp_methods, Knowledge_methods}, {Py_tp_getset, Knowledge_getters},
    {Py_sq_length, Knowledge_length},   {0, NULL},
};

static PyType_Spec Knowledge_spec = {
    .name = "kato_fast._core.Knowledge",
    .basicsize = sizeof(kfpy_knowledge),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Knowledge_slots,
};

/* The type is final: no other has this function. */
bool
kfpy_is_knowledge(PyObject *object)
{
    return Py_TYPE(object)->tp_dealloc == Knowledge_dealloc;
}

int
kfpy_knowledge_type_add(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Knowledge_spec, NULL);
    int result;
    if (type == NULL) {
        return -1;
    }
    result = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return result;
}
