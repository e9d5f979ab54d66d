#include "convert.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* --- errors --- */

/* New reference: type(value).__name__. */
static PyObject *
kind_of(PyObject *value)
{
    return PyObject_GetAttrString((PyObject *)Py_TYPE(value), "__name__");
}

/* TypeError "<place> must be <rule>, not <type>"; place is taken. */
static int
wrong_type(PyObject *place, const char *rule, PyObject *value)
{
    PyObject *kind = place != NULL ? kind_of(value) : NULL;
    if (kind != NULL) {
        PyErr_Format(PyExc_TypeError, "%U must be %s, not %U", place, rule,
                     kind);
        Py_DECREF(kind);
    }
    Py_XDECREF(place);
    return -1;
}

void
kfpy_wrong_type(const char *place, const char *rule, PyObject *value)
{
    wrong_type(PyUnicode_FromString(place), rule, value);
}

/* Where a symbol or event stands, for messages: name[event][index], either
 * number left out where it is negative. */
typedef struct {
    const char *name;
    Py_ssize_t event;
} place;

static PyObject *
place_str(place at, Py_ssize_t index)
{
    if (at.event >= 0 && index >= 0) {
        return PyUnicode_FromFormat("%s[%zd][%zd]", at.name, at.event, index);
    }
    if (at.event >= 0 || index >= 0) {
        return PyUnicode_FromFormat("%s[%zd]", at.name,
                                    at.event >= 0 ? at.event : index);
    }
    return PyUnicode_FromString(at.name);
}

static Py_ssize_t
lone_surrogate(PyObject *text)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_UCS4 c = PyUnicode_READ_CHAR(text, i);
        if (c >= 0xd800 && c <= 0xdfff) {
            return i;
        }
    }
    return -1;
}

/* ValueError with a format that begins with %U for the place. */
static int
broken_rule(PyObject *where, const char *format, Py_ssize_t number)
{
    if (where != NULL) {
        PyErr_Format(PyExc_ValueError, format, where, number);
        Py_DECREF(where);
    }
    return -1;
}

/* --- symbols --- */

/* symbol_text for those that need a closer look. */
static int
text_of_any(PyObject *item, place at, Py_ssize_t index, kf_text *out)
{
    Py_ssize_t size;
    const char *bytes;
    if (!PyUnicode_Check(item)) {
        return wrong_type(place_str(at, index), "a str", item);
    }
    bytes = PyUnicode_AsUTF8AndSize(item, &size);
    if (bytes == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return -1;
        }
        PyErr_Clear();
        return broken_rule(
            place_str(at, index),
            "%U must be valid Unicode: lone surrogate at index %zd",
            lone_surrogate(item));
    }
    if ((size_t)size > KF_SYMBOL_MAX_BYTES) {
        return broken_rule(
            place_str(at, index),
            "%U must have at most 1048576 bytes as UTF-8, not %zd", size);
    }
    *out = (kf_text){bytes, (size_t)size};
    return 0;
}

/* The UTF-8 of a symbol, borrowed from the object. */
static inline int
symbol_text(PyObject *item, place at, Py_ssize_t index, kf_text *out)
{
    if (PyUnicode_Check(item) && PyUnicode_IS_COMPACT_ASCII(item)) {
        size_t size = (size_t)PyUnicode_GET_LENGTH(item);
        if (size <= KF_SYMBOL_MAX_BYTES) {
            *out = (kf_text){PyUnicode_DATA(item), size};
            return 0;
        }
    }
    return text_of_any(item, at, index, out);
}

static int
check_count(size_t count, const char *name)
{
    if (count > KF_SYMBOLS_MAX) {
        return broken_rule(PyUnicode_FromString(name),
                           "%U must have at most 65535 symbols, not %zd",
                           (Py_ssize_t)count);
    }
    return 0;
}

static inline bool
is_list(PyObject *value)
{
    return PyList_Check(value) || PyTuple_Check(value);
}

void
kfpy_input_init(kfpy_input *input)
{
    memset(input, 0, sizeof *input);
}

void
kfpy_input_free(kfpy_input *input)
{
    for (size_t i = 0; i < input->n_texts; i++) {
        Py_DECREF(input->objects[i]);
    }
    kf_release(&kfpy_alloc, input->texts);
    kf_release(&kfpy_alloc, input->objects);
    kf_release(&kfpy_alloc, input->ends);
}

/* Room for `more` texts. -1 with MemoryError set. */
static int
reserve_texts(kfpy_input *input, size_t more)
{
    size_t needed = input->n_texts + more;
    void *texts = input->texts;
    void *objects = input->objects;
    bool grown;
    if (needed <= input->texts_capacity && needed <= input->objects_capacity) {
        return 0;
    }
    grown = kf_grow(&kfpy_alloc, &texts, &input->texts_capacity, needed,
                    sizeof *input->texts);
    input->texts = texts;
    grown = grown && kf_grow(&kfpy_alloc, &objects, &input->objects_capacity,
                             needed, sizeof *input->objects);
    input->objects = objects;
    if (!grown) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static int
add_symbols(kfpy_input *input, PyObject *symbols, place at)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(symbols);
    if (reserve_texts(input, (size_t)count) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(symbols, i);
        if (symbol_text(item, at, i, &input->texts[input->n_texts]) < 0) {
            return -1;
        }
        Py_INCREF(item);
        input->objects[input->n_texts++] = item;
    }
    return 0;
}

/* Room for `more` ends. -1 with MemoryError set. */
static int
reserve_ends(kfpy_input *input, size_t more)
{
    void *ends = input->ends;
    if (input->n_ends + more <= input->ends_capacity) {
        return 0;
    }
    if (!kf_grow(&kfpy_alloc, &ends, &input->ends_capacity,
                 input->n_ends + more, sizeof *input->ends)) {
        PyErr_NoMemory();
        return -1;
    }
    input->ends = ends;
    return 0;
}

static int
add_event(kfpy_input *input, PyObject *event, place at, size_t first)
{
    if (!is_list(event)) {
        return wrong_type(place_str(at, -1), "a list of symbols", event);
    }
    if (PySequence_Fast_GET_SIZE(event) == 0) {
        PyObject *where = place_str(at, -1);
        if (where != NULL) {
            PyErr_Format(PyExc_ValueError, "%U must not be empty", where);
            Py_DECREF(where);
        }
        return -1;
    }
    if (add_symbols(input, event, at) < 0 || reserve_ends(input, 1) < 0) {
        return -1;
    }
    input->ends[input->n_ends++] = (uint32_t)(input->n_texts - first);
    return 0;
}

/* Lists of one symbol lie anywhere in memory: ask for them, and for what is
 * in them, before it is their turn. */
#define EVENTS_AHEAD 8
#define SYMBOLS_AHEAD 4

static inline void
look_ahead(PyObject *const *events, Py_ssize_t i, Py_ssize_t count)
{
    if (i + EVENTS_AHEAD < count) {
        __builtin_prefetch(
            &((PyListObject *)events[i + EVENTS_AHEAD])->ob_item);
    }
    if (i + SYMBOLS_AHEAD < count &&
        PyList_CheckExact(events[i + SYMBOLS_AHEAD])) {
        __builtin_prefetch(
            ((PyListObject *)events[i + SYMBOLS_AHEAD])->ob_item);
    }
}

/* The only symbol of the event, where that is all there is to it: a list or
 * tuple of one plain string. NULL for what needs a closer look. */
static inline PyObject *
only_symbol(PyObject *event)
{
    PyObject *item;
    if (!is_list(event) || PySequence_Fast_GET_SIZE(event) != 1) {
        return NULL;
    }
    item = PySequence_Fast_GET_ITEM(event, 0);
    return PyUnicode_CheckExact(item) && PyUnicode_IS_COMPACT_ASCII(item) &&
                   PyUnicode_GET_LENGTH(item) <=
                       (Py_ssize_t)KF_SYMBOL_MAX_BYTES
               ? item
               : NULL;
}

/* The events from the first on that have only one plain symbol. Returns the
 * number of the first that has not, -1 with an exception set. */
static Py_ssize_t
add_plain_events(kfpy_input *input, PyObject *events)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(events);
    PyObject *const *items = PySequence_Fast_ITEMS(events);
    kf_text *texts;
    Py_ssize_t i;
    if (count > (Py_ssize_t)KF_SYMBOLS_MAX) { /* an error, but which? */
        return 0;
    }
    if (reserve_texts(input, (size_t)count) < 0 ||
        reserve_ends(input, (size_t)count) < 0) {
        return -1;
    }
    texts = input->texts + input->n_texts;
    for (i = 0; i < count; i++) {
        PyObject *item = only_symbol(items[i]);
        look_ahead(items, i, count);
        if (item == NULL) {
            break;
        }
        texts[i] = (kf_text){PyUnicode_DATA(item),
                             (size_t)PyUnicode_GET_LENGTH(item)};
        Py_INCREF(item);
        input->objects[input->n_texts + (size_t)i] = item;
        input->ends[input->n_ends + (size_t)i] = (uint32_t)(i + 1);
    }
    input->n_texts += (size_t)i;
    input->n_ends += (size_t)i;
    return i;
}

static int
add_events(kfpy_input *input, PyObject *events, const char *name)
{
    size_t first = input->n_texts;
    Py_ssize_t i = add_plain_events(input, events);
    if (i < 0) {
        return -1;
    }
    for (; i < PySequence_Fast_GET_SIZE(events); i++) {
        if (add_event(input, PySequence_Fast_GET_ITEM(events, i),
                      (place){name, i}, first) < 0) {
            return -1;
        }
    }
    return check_count(input->n_texts - first, name);
}

int
kfpy_input_events(kfpy_input *input, PyObject *events)
{
    if (!is_list(events)) {
        return wrong_type(PyUnicode_FromString("events"), "a list of events",
                          events);
    }
    return add_events(input, events, "events");
}

int
kfpy_input_state(kfpy_input *input, PyObject *state)
{
    size_t first = input->n_texts;
    if (!is_list(state)) {
        return wrong_type(PyUnicode_FromString("state"),
                          "a list of symbols or of events", state);
    }
    if (PySequence_Fast_GET_SIZE(state) > 0 &&
        is_list(PySequence_Fast_GET_ITEM(state, 0))) {
        return add_events(input, state, "state");
    }
    if (add_symbols(input, state, (place){"state", -1}) < 0) {
        return -1;
    }
    return check_count(input->n_texts - first, "state");
}

int
kfpy_check_symbols(PyObject *symbols, const char *name)
{
    if (!is_list(symbols)) {
        return wrong_type(PyUnicode_FromString(name), "a list of symbols",
                          symbols);
    }
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(symbols); i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(symbols, i);
        kf_text text;
        if (PyUnicode_Check(item) && PyUnicode_IS_ASCII(item) &&
            PyUnicode_GET_LENGTH(item) <= (Py_ssize_t)KF_SYMBOL_MAX_BYTES) {
            continue;
        }
        if (symbol_text(item, (place){name, -1}, i, &text) < 0) {
            return -1;
        }
    }
    return check_count((size_t)PySequence_Fast_GET_SIZE(symbols), name);
}

/* --- numbers --- */

/* Whether an int that is no double is above zero. -1 with an exception. */
static int
is_positive(PyObject *value)
{
    PyObject *zero = PyLong_FromLong(0);
    int positive =
        zero == NULL ? -1 : PyObject_RichCompareBool(value, zero, Py_GT);
    Py_XDECREF(zero);
    return positive;
}

/* float(value), or infinity for an int beyond the largest double. */
static int
float_of(PyObject *value, double *out)
{
    PyObject *number = PyNumber_Float(value);
    if (number != NULL) {
        *out = PyFloat_AS_DOUBLE(number);
        Py_DECREF(number);
        return 0;
    }
    if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
        int positive;
        PyErr_Clear();
        positive = is_positive(value);
        *out = positive > 0 ? INFINITY : -INFINITY;
        return positive < 0 ? -1 : 0;
    }
    return -1;
}

/* A real number as a double. 0, or -1 with an exception set: none where it
 * is not a real number. */
static int
real_number(const kfpy_state *state, PyObject *value, double *out)
{
    if (!PyFloat_Check(value) && !PyLong_Check(value) &&
        PyObject_IsInstance(value, state->real) <= 0) {
        return -1;
    }
    return float_of(value, out);
}

/* where is taken. */
static int
finite_number(const kfpy_state *state, PyObject *value, PyObject *where,
              double *out)
{
    if (where == NULL) {
        return -1;
    }
    if (real_number(state, value, out) < 0) {
        if (!PyErr_Occurred()) {
            return wrong_type(where, "a number", value);
        }
        Py_DECREF(where);
        return -1;
    }
    if (!isfinite(*out)) {
        PyObject *number = PyFloat_FromDouble(*out);
        if (number != NULL) {
            PyErr_Format(PyExc_ValueError, "%U must be finite, not %R", where,
                         number);
            Py_DECREF(number);
        }
        Py_DECREF(where);
        return -1;
    }
    Py_DECREF(where);
    return 0;
}

int
kfpy_recall_threshold(const kfpy_state *state, PyObject *value, double *out)
{
    if (PyFloat_CheckExact(value) && isfinite(PyFloat_AS_DOUBLE(value))) {
        *out = PyFloat_AS_DOUBLE(value);
        return 0;
    }
    return finite_number(state, value,
                         PyUnicode_FromString("recall_threshold"), out);
}

static int
whole_number(PyObject *value, const char *name)
{
    if (!PyLong_Check(value) || PyBool_Check(value)) {
        return wrong_type(PyUnicode_FromString(name), "an int", value);
    }
    return 0;
}

int
kfpy_max_predictions(PyObject *value, size_t *out)
{
    int overflow;
    long long number;
    if (whole_number(value, "max_predictions") < 0) {
        return -1;
    }
    number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (number < 0 && overflow <= 0) {
        PyErr_Format(PyExc_ValueError,
                     "max_predictions must not be negative, not %S", value);
        return -1;
    }
    *out = overflow > 0 ? SIZE_MAX : (size_t)number;
    return 0;
}

int
kfpy_frequency(PyObject *value, uint64_t *out)
{
    int overflow;
    long long number;
    if (whole_number(value, "frequency") < 0) {
        return -1;
    }
    number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (number == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (overflow != 0 || number < 1) {
        PyErr_Format(PyExc_ValueError,
                     "frequency must be from 1 to 9223372036854775807, not %S",
                     value);
        return -1;
    }
    *out = (uint64_t)number;
    return 0;
}

int
kfpy_name(PyObject *value, uint8_t name[KF_NAME_SIZE])
{
    Py_ssize_t size;
    const char *hex;
    if (!PyUnicode_Check(value)) {
        return wrong_type(PyUnicode_FromString("name"), "a str", value);
    }
    hex = PyUnicode_AsUTF8AndSize(value, &size);
    if (hex == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return -1;
        }
        PyErr_Clear();
        return 0;
    }
    return kf_name_from_hex(hex, (size_t)size, name);
}

/* --- emotives --- */

/* All maps of one list. keys and values hold what the texts point into. */
typedef struct {
    kf_emotive_map *maps;
    kf_emotive *items;
    PyObject *holds; /* list of the (key, value) lists */
    size_t n_items;
} emotive_input;

static int
emotive_item(const kfpy_state *state, PyObject *key, PyObject *value,
             Py_ssize_t index, kf_emotive *out)
{
    place at = {"emotives", index};
    Py_ssize_t size;
    const char *bytes;
    if (!PyUnicode_Check(key)) {
        PyObject *kind = kind_of(key);
        if (kind != NULL) {
            PyErr_Format(PyExc_TypeError,
                         "emotives[%zd] must have str names, not %U", index,
                         kind);
            Py_DECREF(kind);
        }
        return -1;
    }
    bytes = PyUnicode_AsUTF8AndSize(key, &size);
    if (bytes == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return -1;
        }
        PyErr_Clear();
        return broken_rule(place_str(at, -1),
                           "%U must have names of valid Unicode: lone "
                           "surrogate at index %zd",
                           lone_surrogate(key));
    }
    out->name = (kf_text){bytes, (size_t)size};
    return finite_number(state, value,
                         PyUnicode_FromFormat("emotives[%zd][%R]", index, key),
                         &out->value);
}

static int
emotive_map(const kfpy_state *state, PyObject *map, Py_ssize_t index,
            emotive_input *input, kf_emotive_map *out)
{
    PyObject *items;
    Py_ssize_t count;
    kf_emotive *grown;
    if (!PyDict_Check(map)) {
        return wrong_type(place_str((place){"emotives", index}, -1),
                          "a map of names to numbers", map);
    }
    items = PyDict_Items(map);
    if (items == NULL || PyList_Append(input->holds, items) < 0) {
        Py_XDECREF(items);
        return -1;
    }
    Py_DECREF(items); /* input->holds has it */
    count = PyList_GET_SIZE(items);
    grown =
        PyMem_RawRealloc(input->items, (input->n_items + (size_t)count + 1) *
                                           sizeof *input->items);
    if (grown == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    input->items = grown;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        if (emotive_item(state, PyTuple_GET_ITEM(pair, 0),
                         PyTuple_GET_ITEM(pair, 1), index,
                         &input->items[input->n_items]) < 0) {
            return -1;
        }
        input->n_items++;
    }
    out->count = (uint32_t)count;
    return 0;
}

static int
check_average(const kf_emotives *emotives)
{
    kf_emotive_map average = kf_emotives_average(emotives);
    for (uint32_t i = 0; i < average.count; i++) {
        if (!isfinite(average.items[i].value)) {
            PyObject *name = kfpy_text_str(average.items[i].name);
            PyObject *value = PyFloat_FromDouble(average.items[i].value);
            if (name != NULL && value != NULL) {
                PyErr_Format(PyExc_ValueError,
                             "emotives[%R] must have a finite average, not %R",
                             name, value);
            }
            Py_XDECREF(name);
            Py_XDECREF(value);
            return -1;
        }
    }
    return 0;
}

static int
make_emotives(emotive_input *input, Py_ssize_t n_maps, kf_emotives **out)
{
    kf_emotive *items = input->items;
    kf_emotives *made;
    kf_error err;
    for (Py_ssize_t i = 0; i < n_maps; i++) {
        input->maps[i].items = items;
        items += input->maps[i].count;
    }
    if (kf_emotives_new(&kfpy_alloc, input->maps, (uint32_t)n_maps, &made,
                        &err) != KF_OK) {
        kfpy_raise(&err);
        return -1;
    }
    if (check_average(made) < 0) {
        kf_emotives_release(made);
        return -1;
    }
    *out = made;
    return 0;
}

int
kfpy_emotives(const kfpy_state *state, PyObject *value, kf_emotives **out)
{
    emotive_input input = {NULL, NULL, NULL, 0};
    PyObject *maps = NULL;
    int result = -1;
    *out = NULL;
    if (value == NULL || value == Py_None) {
        return 0;
    }
    if (!is_list(value)) {
        return wrong_type(PyUnicode_FromString("emotives"), "a list of maps",
                          value);
    }
    maps = PySequence_Tuple(value); /* __float__ of a value may change it */
    input.holds = PyList_New(0);
    if (maps == NULL || input.holds == NULL) {
        goto done;
    }
    input.maps = kf_allocate_zero(&kfpy_alloc, (size_t)PyTuple_GET_SIZE(maps),
                                  sizeof *input.maps);
    if (input.maps == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(maps); i++) {
        if (emotive_map(state, PyTuple_GET_ITEM(maps, i), i, &input,
                        &input.maps[i]) < 0) {
            goto done;
        }
    }
    result = make_emotives(&input, PyTuple_GET_SIZE(maps), out);
done:
    kf_release(&kfpy_alloc, input.maps);
    PyMem_RawFree(input.items);
    Py_XDECREF(input.holds);
    Py_XDECREF(maps);
    return result;
}

/* --- back --- */

PyObject *
kfpy_name_str(const uint8_t name[KF_NAME_SIZE])
{
    char hex[KF_NAME_HEX_SIZE];
    kf_name_to_hex(name, hex);
    return PyUnicode_DecodeASCII(hex, sizeof hex, NULL);
}

PyObject *
kfpy_text_str(kf_text text)
{
    return PyUnicode_DecodeUTF8(text.bytes, (Py_ssize_t)text.size, NULL);
}

static PyObject *
event_list(const kf_symbols *symbols, const uint32_t *ids, uint32_t n)
{
    PyObject *event = PyList_New(n);
    for (uint32_t i = 0; event != NULL && i < n; i++) {
        PyObject *symbol = kfpy_text_str(kf_symbols_text(symbols, ids[i]));
        if (symbol == NULL) {
            Py_CLEAR(event);
        }
        else {
            PyList_SET_ITEM(event, i, symbol);
        }
    }
    return event;
}

PyObject *
kfpy_events_list(const kf_symbols *symbols, const kf_pattern *pattern,
                 uint32_t first, uint32_t end)
{
    PyObject *events = PyList_New(end - first);
    for (uint32_t e = first; events != NULL && e < end; e++) {
        uint32_t start = kf_pattern_start(pattern, e);
        PyObject *event = event_list(symbols, pattern->ids + start,
                                     kf_pattern_ends(pattern)[e] - start);
        if (event == NULL) {
            Py_CLEAR(events);
        }
        else {
            PyList_SET_ITEM(events, e - first, event);
        }
    }
    return events;
}

PyObject *
kfpy_emotive_dict(kf_emotive_map map)
{
    PyObject *dict = PyDict_New();
    for (uint32_t i = 0; dict != NULL && i < map.count; i++) {
        PyObject *name = kfpy_text_str(map.items[i].name);
        PyObject *value = PyFloat_FromDouble(map.items[i].value);
        if (name == NULL || value == NULL ||
            PyDict_SetItem(dict, name, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(name);
        Py_XDECREF(value);
    }
    return dict;
}
