/* Predictions: an immutable sequence of dicts that are built when read. It
 * holds a kf_predictions, which nothing changes once it is made, so every
 * method may run beside every other. */
#include "predictions_type.h"

#include "convert.h"
#include "objects.h"
#include "writing.h"

#include "kato_fast/writer.h"

typedef struct {
    PyObject_HEAD
    kf_predictions *result;
} Predictions;

/* --- life cycle --- */

PyObject *
kfpy_predictions_new(const kfpy_state *state, kf_predictions *predictions)
{
    PyTypeObject *type = state->predictions_type;
    Predictions *self = (Predictions *)type->tp_alloc(type, 0);
    if (self == NULL) {
        kf_predictions_free(predictions);
        return NULL;
    }
    self->result = predictions;
    return (PyObject *)self;
}

static int
Predictions_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void
Predictions_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    kf_predictions_free(((Predictions *)self)->result);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- building dicts --- */

static PyObject *
pattern_symbol(const kf_predictions *result, const kf_pattern *pattern,
               uint32_t i)
{
    return kfpy_text_str(
        kf_symbols_text(result->state->symbols, pattern->ids[i]));
}

/* list[at] = item; 0, or -1 where item is NULL. */
static int
place_item(PyObject *list, Py_ssize_t at, PyObject *item)
{
    if (item == NULL) {
        return -1;
    }
    PyList_SET_ITEM(list, at, item);
    return 0;
}

static PyObject *
matches_list(const kf_predictions *result, const kf_prediction *prediction)
{
    Py_ssize_t at = 0;
    PyObject *list;
    for (uint32_t b = 0; b < prediction->n_blocks; b++) {
        at += prediction->blocks[b].k;
    }
    list = PyList_New(at);
    at = 0;
    for (uint32_t b = 0; list != NULL && b < prediction->n_blocks; b++) {
        const kf_block *block = &prediction->blocks[b];
        for (uint32_t k = 0; list != NULL && k < block->k; k++) {
            if (place_item(list, at++,
                           pattern_symbol(result, prediction->pattern,
                                          block->i + k)) < 0) {
                Py_CLEAR(list);
            }
        }
    }
    return list;
}

static PyObject *
missing_list(const kf_predictions *result, const kf_prediction *prediction)
{
    PyObject *list = PyList_New(prediction->n_missing);
    for (uint32_t i = 0; list != NULL && i < prediction->n_missing; i++) {
        if (place_item(list, i,
                       pattern_symbol(result, prediction->pattern,
                                      prediction->missing[i])) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *
extras_list(const kf_predictions *result, const kf_prediction *prediction)
{
    PyObject *list = PyList_New(prediction->n_extras);
    for (uint32_t x = 0; list != NULL && x < prediction->n_extras; x++) {
        kf_text text = result->state->texts[prediction->extras[x]];
        if (place_item(list, x, kfpy_text_str(text)) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* The symbols that `symbol` gives for items, positions in rising order, by
 * the events that end at ends[0..n_events-1]. */
static PyObject *
by_event(const kf_predictions *result, const kf_prediction *prediction,
         const uint32_t *items, uint32_t n, const uint32_t *ends,
         uint32_t n_events,
         PyObject *(*symbol)(const kf_predictions *, const kf_prediction *,
                             uint32_t))
{
    PyObject *events = PyList_New(n_events);
    uint32_t at = 0;
    for (uint32_t event = 0; events != NULL && event < n_events; event++) {
        uint32_t start = at;
        PyObject *list;
        while (at < n && items[at] < ends[event]) {
            at++;
        }
        list = PyList_New(at - start);
        for (uint32_t i = start; list != NULL && i < at; i++) {
            if (place_item(list, i - start,
                           symbol(result, prediction, items[i])) < 0) {
                Py_CLEAR(list);
            }
        }
        if (place_item(events, event, list) < 0) {
            Py_CLEAR(events);
        }
    }
    return events;
}

static PyObject *
symbol_of_pattern(const kf_predictions *result, const kf_prediction *p,
                  uint32_t i)
{
    return pattern_symbol(result, p->pattern, i);
}

static PyObject *
symbol_of_state(const kf_predictions *result, const kf_prediction *p,
                uint32_t j)
{
    (void)p;
    return kfpy_text_str(result->state->texts[j]);
}

static PyObject *
missing_value(const kf_predictions *result, const kf_prediction *p)
{
    if (!kf_predictions_by_event(result)) {
        return missing_list(result, p);
    }
    return by_event(result, p, p->missing, p->n_missing,
                    kf_pattern_ends(p->pattern) + p->past_end,
                    p->present_end - p->past_end, symbol_of_pattern);
}

static PyObject *
extras_value(const kf_predictions *result, const kf_prediction *p)
{
    if (!kf_predictions_by_event(result)) {
        return extras_list(result, p);
    }
    return by_event(result, p, p->extras, p->n_extras, result->state->ends,
                    result->state->n_events, symbol_of_state);
}

static PyObject *
emotives_dict(const kf_prediction *prediction)
{
    if (prediction->emotives == NULL) {
        return PyDict_New();
    }
    return kfpy_emotive_dict(kf_emotives_average(prediction->emotives));
}

static PyObject *
events_of(const kf_predictions *result, const kf_pattern *pattern,
          uint32_t first, uint32_t end)
{
    return kfpy_events_list(result->state->symbols, pattern, first, end);
}

#define PUT(key, value) (kfpy_put(dict, state->keys.key, (value)) < 0)
#define PUT_DOUBLE(key) PUT(key, PyFloat_FromDouble(p->key))

/* A sum of nothing is an int. */
static PyObject *
sum_value(double value, bool any)
{
    return any ? PyFloat_FromDouble(value) : PyLong_FromLong(0);
}

static int
put_entropies(const kfpy_state *state, const kf_predictions *result,
              const kf_prediction *p, PyObject *dict)
{
    const kf_state_entropies *of_state = &result->entropies;
    if (result->generation == KF_KATO_2_1) {
        return PUT(normalized_entropy, sum_value(of_state->normalized,
                                                 of_state->has_normalized)) ||
                       PUT(global_normalized_entropy,
                           sum_value(of_state->global, of_state->has_global))
                   ? -1
                   : 0;
    }
    return PUT_DOUBLE(hamiltonian) || PUT_DOUBLE(grand_hamiltonian) ? -1 : 0;
}

/* Keys in the host's order (its section 6.4). */
static int
fill_dict(const kfpy_state *state, const kf_predictions *result,
          const kf_prediction *p, PyObject *dict)
{
    const kf_pattern *pattern = p->pattern;
    if (PyDict_SetItem(dict, state->keys.type, state->keys.prototypical) < 0 ||
        PUT(name, kfpy_name_str(pattern->name)) ||
        PUT(frequency, PyLong_FromUnsignedLongLong(p->frequency)) ||
        PUT(emotives, emotives_dict(p)) ||
        PUT(matches, matches_list(result, p)) ||
        PUT(past, events_of(result, pattern, 0, p->past_end)) ||
        PUT(present,
            events_of(result, pattern, p->past_end, p->present_end)) ||
        PUT(missing, missing_value(result, p)) ||
        PUT(extras, extras_value(result, p)) || PUT_DOUBLE(potential) ||
        PUT_DOUBLE(evidence) || PUT_DOUBLE(similarity) ||
        PUT_DOUBLE(fragmentation) || PUT_DOUBLE(snr) || PUT_DOUBLE(entropy) ||
        put_entropies(state, result, p, dict) < 0 || PUT_DOUBLE(confluence) ||
        PUT_DOUBLE(predictive_information) ||
        PUT(sequence, events_of(result, pattern, 0, pattern->n_events)) ||
        PUT(future,
            events_of(result, pattern, p->present_end, pattern->n_events)) ||
        PUT_DOUBLE(confidence) || PUT_DOUBLE(itfdf_similarity) ||
        PUT_DOUBLE(pattern_probability) || PUT_DOUBLE(weighted_strength)) {
        return -1;
    }
    return 0;
}

static PyObject *
prediction_dict(PyObject *op, size_t index)
{
    const kfpy_state *state = PyType_GetModuleState(Py_TYPE(op));
    const kf_predictions *result = ((Predictions *)op)->result;
    PyObject *dict = PyDict_New();
    if (dict != NULL &&
        fill_dict(state, result, &result->items[index], dict) < 0) {
        Py_CLEAR(dict);
    }
    return dict;
}

static PyObject *
future_dict(const kfpy_state *state, const kf_predictions *result,
            const kf_future *future, kf_pattern *room)
{
    uint32_t first_event;
    PyObject *dict = PyDict_New();
    if (dict == NULL) {
        return NULL;
    }
    kf_predictions_read_future(result, future, room, &first_event);
    if (PUT(future, events_of(result, room, first_event, room->n_events)) ||
        PUT(aggregate_potential, PyFloat_FromDouble(future->aggregate)) ||
        PUT(supporting_patterns,
            PyLong_FromUnsignedLongLong(future->members)) ||
        PUT(total_weighted_frequency, PyFloat_FromDouble(future->weight))) {
        Py_CLEAR(dict);
    }
    return dict;
}

/* --- sequence --- */

static Py_ssize_t
Predictions_length(PyObject *self)
{
    return (Py_ssize_t)((Predictions *)self)->result->count;
}

static PyObject *
Predictions_item(PyObject *self, Py_ssize_t index)
{
    if (index < 0 || index >= Predictions_length(self)) {
        PyErr_SetString(PyExc_IndexError, "Predictions index out of range");
        return NULL;
    }
    return prediction_dict(self, (size_t)index);
}

static PyObject *
Predictions_slice(PyObject *self, Py_ssize_t start, Py_ssize_t step,
                  Py_ssize_t count)
{
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list != NULL && i < count; i++) {
        if (place_item(list, i,
                       prediction_dict(self, (size_t)(start + i * step))) <
            0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *
Predictions_subscript(PyObject *self, PyObject *key)
{
    Py_ssize_t length = Predictions_length(self);
    Py_ssize_t start;
    Py_ssize_t stop;
    Py_ssize_t step;
    if (PySlice_Check(key)) {
        if (PySlice_Unpack(key, &start, &stop, &step) < 0) {
            return NULL;
        }
        length = PySlice_AdjustIndices(length, &start, &stop, step);
        return Predictions_slice(self, start, step, length);
    }
    if (PyIndex_Check(key)) {
        Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
        if (index == -1 && PyErr_Occurred()) {
            return NULL;
        }
        return Predictions_item(self, index < 0 ? index + length : index);
    }
    PyErr_Format(PyExc_TypeError,
                 "Predictions indices must be integers or slices, not %s",
                 Py_TYPE(key)->tp_name);
    return NULL;
}

static PyObject *
Predictions_repr(PyObject *self)
{
    const kf_predictions *result = ((Predictions *)self)->result;
    return PyUnicode_FromFormat("<Predictions: %zd of %zd>",
                                (Py_ssize_t)result->count,
                                (Py_ssize_t)result->matched);
}

PyDoc_STRVAR(Predictions_index_doc,
             "index($self, value, /)\n--\n\n"
             "Position of the first prediction that equals value.\n\n"
             "Raises:\n    ValueError: there is none.");

static PyObject *
Predictions_index(PyObject *self, PyObject *value)
{
    Py_ssize_t index = PySequence_Index(self, value);
    return index < 0 ? NULL : PyLong_FromSsize_t(index);
}

PyDoc_STRVAR(Predictions_count_doc, "count($self, value, /)\n--\n\n"
                                    "How many predictions equal value.");

static PyObject *
Predictions_count(PyObject *self, PyObject *value)
{
    Py_ssize_t count = PySequence_Count(self, value);
    return count < 0 ? NULL : PyLong_FromSsize_t(count);
}

/* --- everything at once --- */

PyDoc_STRVAR(Predictions_to_list_doc, "to_list($self, /)\n--\n\n"
                                      "All predictions, as new dicts.");

static PyObject *
Predictions_to_list(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    return Predictions_slice(self, 0, 1, Predictions_length(self));
}

/* Like the last ones, for each prediction, and an eighth. */
static void
begin(kfpy_writing *w, PyObject *self)
{
    const kfpy_state *state = PyType_GetModuleState(Py_TYPE(self));
    size_t count = ((Predictions *)self)->result->count;
    size_t each = state->bytes_each + state->bytes_each / 8;
    kfpy_writing_begin(w,
                       count > SIZE_MAX / 2 / (each + 1) ? 0 : count * each);
}

static PyObject *
end(kfpy_writing *w, PyObject *self)
{
    kfpy_state *state = PyType_GetModuleState(Py_TYPE(self));
    size_t count = ((Predictions *)self)->result->count;
    if (count != 0) {
        state->bytes_each = w->buffer.size / count + 1;
    }
    return kfpy_writing_end(w);
}

PyDoc_STRVAR(Predictions_to_json_doc,
             "to_json($self, /, *, pattern_names=False)\n--\n\n"
             "json.dumps(self.to_list(), ensure_ascii=False,\n"
             "separators=(\",\", \":\")) as UTF-8.\n\n"
             "Args:\n"
             "    pattern_names: True appends \"pattern_name\": \"PTRN|\" +\n"
             "        name to every prediction.");

/* -1 with an exception set where the arguments are not pattern_names=... */
static int
read_pattern_names(const char *function, PyObject *const *args,
                   Py_ssize_t n_args, PyObject *keywords)
{
    static const char *const names[] = {"pattern_names"};
    PyObject *given[1];
    if (n_args > 0) {
        PyErr_Format(PyExc_TypeError, "%s() takes no positional arguments",
                     function);
        return -1;
    }
    if (kfpy_arguments(function, names, 1, 0, args, n_args, keywords, given) <
        0) {
        return -1;
    }
    return given[0] == NULL ? 0 : PyObject_IsTrue(given[0]);
}

static PyObject *
Predictions_to_json(PyObject *self, PyObject *const *args, Py_ssize_t n_args,
                    PyObject *keywords)
{
    int pattern_names = read_pattern_names("to_json", args, n_args, keywords);
    kfpy_writing w;
    if (pattern_names < 0) {
        return NULL;
    }
    begin(&w, self);
    KFPY_BEGIN_UNLOCKED
    kf_write_predictions_json(&w.buffer, ((Predictions *)self)->result,
                              pattern_names != 0);
    KFPY_END_UNLOCKED
    return end(&w, self);
}

PyDoc_STRVAR(Predictions_answer_json_doc,
             "answer_json($self, found, tail, /, *, pattern_names=False)\n"
             "--\n\n"
             "The answer of a service, written once: to_json() under\n"
             "\"predictions\", found's future_potentials_json() under\n"
             "\"future_potentials\", then the tail.\n\n"
             "Args:\n"
             "    found: the Predictions whose future potentials are told.\n"
             "    tail: bytes, from the comma to the closing brace.\n"
             "    pattern_names: as in to_json.");

static PyObject *
Predictions_answer_json(PyObject *self, PyObject *const *args,
                        Py_ssize_t n_args, PyObject *keywords)
{
    kfpy_writing w;
    int pattern_names;
    if (n_args != 2 || !Py_IS_TYPE(args[0], Py_TYPE(self)) ||
        !PyBytes_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError,
                        "answer_json() takes Predictions and bytes");
        return NULL;
    }
    pattern_names = read_pattern_names("answer_json", args + 2, 0, keywords);
    if (pattern_names < 0) {
        return NULL;
    }
    begin(&w, self);
    KFPY_BEGIN_UNLOCKED
    KF_BUFFER_LITERAL(&w.buffer, "{\"predictions\":");
    kf_write_predictions_json(&w.buffer, ((Predictions *)self)->result,
                              pattern_names != 0);
    KF_BUFFER_LITERAL(&w.buffer, ",\"future_potentials\":");
    kf_write_futures_json(&w.buffer, ((Predictions *)args[0])->result);
    kf_buffer_append(&w.buffer, PyBytes_AS_STRING(args[1]),
                     (size_t)PyBytes_GET_SIZE(args[1]));
    KFPY_END_UNLOCKED
    return end(&w, self);
}

PyDoc_STRVAR(Predictions_to_cbor_doc,
             "to_cbor($self, /, *, pattern_names=False)\n--\n\n"
             "cbor2.dumps(self.to_list()).\n\n"
             "Args:\n"
             "    pattern_names: as in to_json.");

static PyObject *
Predictions_to_cbor(PyObject *self, PyObject *const *args, Py_ssize_t n_args,
                    PyObject *keywords)
{
    int pattern_names = read_pattern_names("to_cbor", args, n_args, keywords);
    kfpy_writing w;
    if (pattern_names < 0) {
        return NULL;
    }
    begin(&w, self);
    KFPY_BEGIN_UNLOCKED
    kf_write_predictions_cbor(&w.buffer, ((Predictions *)self)->result,
                              pattern_names != 0);
    KFPY_END_UNLOCKED
    return end(&w, self);
}

PyDoc_STRVAR(Predictions_future_potentials_cbor_doc,
             "future_potentials_cbor($self, /)\n--\n\n"
             "The CBOR of future_potentials, in the form of to_cbor.");

static PyObject *
Predictions_future_potentials_cbor(PyObject *self, PyObject *ignored)
{
    kfpy_writing w;
    (void)ignored;
    kfpy_writing_begin(&w, 0);
    KFPY_BEGIN_UNLOCKED
    kf_write_futures_cbor(&w.buffer, ((Predictions *)self)->result);
    KFPY_END_UNLOCKED
    return kfpy_writing_end(&w);
}

PyDoc_STRVAR(Predictions_future_potentials_json_doc,
             "future_potentials_json($self, /)\n--\n\n"
             "The JSON of future_potentials, in the form of to_json.");

static PyObject *
Predictions_future_potentials_json(PyObject *self, PyObject *ignored)
{
    kfpy_writing w;
    (void)ignored;
    kfpy_writing_begin(&w, 0);
    KFPY_BEGIN_UNLOCKED
    kf_write_futures_json(&w.buffer, ((Predictions *)self)->result);
    KFPY_END_UNLOCKED
    return kfpy_writing_end(&w);
}

static PyObject *
Predictions_get_future_potentials(PyObject *op, void *closure)
{
    const kfpy_state *state = PyType_GetModuleState(Py_TYPE(op));
    kf_predictions *result = ((Predictions *)op)->result;
    const uint32_t *order;
    kf_pattern *room;
    PyObject *list;
    kf_status status;
    kf_error err;
    (void)closure;
    KFPY_BEGIN_UNLOCKED
    status = kf_predictions_order_futures(result, &order, &err);
    KFPY_END_UNLOCKED
    if (status != KF_OK) {
        return kfpy_raise(&err);
    }
    room = kf_predictions_room(result);
    if (room == NULL) {
        return PyErr_NoMemory();
    }
    list = PyList_New((Py_ssize_t)result->futures.count);
    for (size_t g = 0; list != NULL && g < result->futures.count; g++) {
        if (place_item(list, (Py_ssize_t)g,
                       future_dict(state, result,
                                   &result->futures.items[order[g]], room)) <
            0) {
            Py_CLEAR(list);
        }
    }
    kf_release(&result->alloc, room);
    return list;
}

static PyObject *
Predictions_get_matched(PyObject *op, void *closure)
{
    (void)closure;
    return PyLong_FromSize_t(((Predictions *)op)->result->matched);
}

/* --- type --- */

static PyMethodDef Predictions_methods[] = {
    {"answer_json", (PyCFunction)(void (*)(void))Predictions_answer_json,
     METH_FASTCALL | METH_KEYWORDS, Predictions_answer_json_doc},
    {"count", Predictions_count, METH_O, Predictions_count_doc},
    {"future_potentials_json", Predictions_future_potentials_json, METH_NOARGS,
     Predictions_future_potentials_json_doc},
    {"index", Predictions_index, METH_O, Predictions_index_doc},
    {"future_potentials_cbor", Predictions_future_potentials_cbor, METH_NOARGS,
     Predictions_future_potentials_cbor_doc},
    {"to_cbor", (PyCFunction)(void (*)(void))Predictions_to_cbor,
     METH_FASTCALL | METH_KEYWORDS, Predictions_to_cbor_doc},
    {"to_json", (PyCFunction)(void (*)(void))Predictions_to_json,
     METH_FASTCALL | METH_KEYWORDS, Predictions_to_json_doc},
    {"to_list", Predictions_to_list, METH_NOARGS, Predictions_to_list_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Predictions_getset[] = {
    {"future_potentials", Predictions_get_future_potentials, NULL,
     "The distinct futures with their weight in the ensemble, heaviest\n"
     "first, as new dicts; empty where nothing passed.",
     NULL},
    {"matched", Predictions_get_matched, NULL,
     "How many patterns passed the threshold, before max_predictions.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(Predictions_doc,
             "Ranked predictions, best first. Immutable; an item is a new\n"
             "dict each time it is read, keys in KATO's order.");

static PyType_Slot Predictions_slots[] = {
    {Py_tp_doc, (void *)Predictions_doc},
    {Py_tp_dealloc, Predictions_dealloc},
    {Py_tp_traverse, Predictions_traverse},
    {Py_tp_repr, Predictions_repr},
    {Py_tp_methods, Predictions_methods},
    {Py_tp_getset, Predictions_getset},
    {Py_sq_length, Predictions_length},
    {Py_sq_item, Predictions_item},
    {Py_mp_length, Predictions_length},
    {Py_mp_subscript, Predictions_subscript},
    {0, NULL},
};

static PyType_Spec Predictions_spec = {
    .name = "kato_fast._core.Predictions",
    .basicsize = sizeof(Predictions),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Predictions_slots,
};

/* Make isinstance(x, collections.abc.Sequence) true, as for the twin. */
static int
register_sequence(PyObject *type)
{
    PyObject *abc = PyImport_ImportModule("collections.abc");
    PyObject *sequence;
    PyObject *registered;
    if (abc == NULL) {
        return -1;
    }
    sequence = PyObject_GetAttrString(abc, "Sequence");
    Py_DECREF(abc);
    if (sequence == NULL) {
        return -1;
    }
    registered = PyObject_CallMethod(sequence, "register", "O", type);
    Py_DECREF(sequence);
    Py_XDECREF(registered);
    return registered == NULL ? -1 : 0;
}

int
kfpy_predictions_type_add(PyObject *module, kfpy_state *state)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Predictions_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    state->predictions_type = (PyTypeObject *)type; /* owned by the state */
    state->predictions_type->tp_new = NULL; /* made by predict() only */
    if (register_sequence(type) < 0) {
        return -1;
    }
    return PyModule_AddType(module, state->predictions_type);
}
