/* Methods of Knowledge that show what is in it. What they build is copied
 * under the lock and made into Python objects without it. */
#include "knowledge_type.h"

#include "convert.h"
#include "objects.h"
#include "predictions_type.h"

#include "kato_fast/prediction.h"

#include <string.h>

/* --- one pattern --- */

/* A copy of a pattern with shares of all it needs, taken under the lock. */
typedef struct {
    kf_root *root;
    kf_pattern *pattern; /* owned */
    uint64_t frequency;
    kf_emotives *emotives;
} held_row;

static void
release_row(held_row *held)
{
    kf_root_release(held->root);
    kf_release(&kfpy_alloc, held->pattern);
    kf_emotives_release(held->emotives);
}

static kf_status
hold_row_locked(kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE],
                held_row *out, kf_error *err)
{
    kf_knowledge_view view = kf_knowledge_look(knowledge);
    uint32_t row;
    kf_status status = kf_knowledge_find(knowledge, name, &row, err);
    uint32_t n;
    if (status != KF_OK || row == KF_NO_ROW) {
        return status;
    }
    n = kf_root_length(view.root, row);
    out->pattern = kf_allocate(&kfpy_alloc, 1, kf_pattern_size(n, n));
    if (out->pattern == NULL) {
        return kf_no_memory(err);
    }
    out->pattern->n = kf_root_read(view.root, row, out->pattern->ids,
                                   &out->pattern->n_events);
    memcpy(out->pattern->name, name, KF_NAME_SIZE);
    out->root = kf_root_share(view.root);
    out->frequency = kf_knowledge_frequency(knowledge, row);
    out->emotives = kf_emotives_share(kf_knowledge_emotives(knowledge, row));
    return KF_OK;
}

/* out->pattern is NULL where there is none of that name. */
static kf_status
hold_row(kf_knowledge *knowledge, const uint8_t name[KF_NAME_SIZE],
         held_row *out, kf_error *err)
{
    kf_status status;
    memset(out, 0, sizeof *out);
    kf_knowledge_lock_shared(knowledge);
    status = hold_row_locked(knowledge, name, out, err);
    kf_knowledge_unlock_shared(knowledge);
    return status;
}

/* The stored list, or {} where the pattern was first learned without. */
static PyObject *
stored_emotives(const kf_emotives *emotives)
{
    PyObject *list;
    if (emotives == NULL) {
        return PyDict_New();
    }
    list = PyList_New(kf_emotives_count(emotives));
    for (uint32_t i = 0; list != NULL && i < kf_emotives_count(emotives);
         i++) {
        PyObject *map = kfpy_emotive_dict(kf_emotives_map(emotives, i));
        if (map == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, i, map);
        }
    }
    return list;
}

static PyObject *
row_dict(const kfpy_state *state, const held_row *held)
{
    const kf_pattern *pattern = held->pattern;
    PyObject *dict = PyDict_New();
    if (dict != NULL &&
        (kfpy_put(dict, state->keys.name, kfpy_name_str(pattern->name)) < 0 ||
         kfpy_put(dict, state->keys.frequency,
                  PyLong_FromUnsignedLongLong(held->frequency)) < 0 ||
         kfpy_put(dict, state->keys.length,
                  PyLong_FromUnsignedLong(pattern->n)) < 0 ||
         kfpy_put(dict, state->keys.pattern_data,
                  kfpy_events_list(held->root->symbols, pattern, 0,
                                   pattern->n_events)) < 0 ||
         kfpy_put(dict, state->keys.emotives,
                  stored_emotives(held->emotives)) < 0)) {
        Py_CLEAR(dict);
    }
    return dict;
}

const char kfpy_knowledge_pattern_doc[] = PyDoc_STR(
    "pattern($self, /, name)\n--\n\n"
    "One pattern as KATO stores it.\n\n"
    "Returns:\n"
    "    name, frequency, length (symbols), pattern_data (events),\n"
    "    emotives (a list of maps, or {} where it was first learned\n"
    "    without); None where there is none of that name.\n\n"
    "Raises:\n"
    "    TypeError: the name is not a str.");

PyObject *
kfpy_knowledge_pattern(PyObject *self, PyObject *value)
{
    uint8_t name[KF_NAME_SIZE];
    held_row held;
    PyObject *dict;
    kf_error err;
    int is_name = kfpy_name(value, name);
    if (is_name < 0) {
        return NULL;
    }
    if (!is_name) {
        Py_RETURN_NONE;
    }
    if (hold_row(kfpy_knowledge_of(self), name, &held, &err) != KF_OK) {
        return kfpy_raise(&err);
    }
    if (held.pattern == NULL) {
        Py_RETURN_NONE;
    }
    dict = row_dict(kfpy_state_of(self), &held);
    release_row(&held);
    return dict;
}

const char kfpy_knowledge_names_doc[] =
    PyDoc_STR("names($self, /)\n--\n\n"
              "Every pattern's name, in learning order.");

/* Rows that are not forgotten, copied under the lock: a list of matches that
 * all match. */
static bool
hold_names(kf_knowledge *knowledge, kf_match_list *out)
{
    kf_knowledge_view view;
    memset(out, 0, sizeof *out);
    out->alloc = kfpy_alloc;
    kf_knowledge_lock_shared(knowledge);
    view = kf_knowledge_look(knowledge);
    out->root = kf_root_share(view.root);
    out->unicode = view.unicode;
    out->longest = view.longest;
    out->rows = kf_allocate(&kfpy_alloc, view.n_rows, sizeof *out->rows);
    for (uint32_t row = 0; out->rows != NULL && row < view.n_rows; row++) {
        if (kf_knowledge_frequency(knowledge, row) != 0) {
            out->rows[out->count++] = row;
        }
    }
    kf_knowledge_unlock_shared(knowledge);
    return out->rows != NULL;
}

PyObject *
kfpy_knowledge_names(PyObject *self, PyObject *ignored)
{
    kf_match_list rows;
    (void)ignored;
    if (!hold_names(kfpy_knowledge_of(self), &rows)) {
        kf_match_list_free(&rows);
        return PyErr_NoMemory();
    }
    return kfpy_match_names(&rows);
}

/* Counters copied under the lock. */
typedef struct {
    kf_root *root;
    uint64_t *frequency;
    uint64_t *members;
    uint32_t count;
} held_counters;

static void
release_counters(held_counters *held)
{
    kf_root_release(held->root);
    kf_release(&kfpy_alloc, held->frequency);
    kf_release(&kfpy_alloc, held->members);
}

static bool
hold_counters(kf_knowledge *knowledge, held_counters *held)
{
    kf_knowledge_view view;
    size_t size;
    kf_knowledge_lock_shared(knowledge);
    view = kf_knowledge_look(knowledge);
    held->root = kf_root_share(view.root);
    held->count = kf_symbols_count(view.root->symbols);
    if (held->count > view.counters->capacity) { /* never learned */
        held->count = (uint32_t)view.counters->capacity;
    }
    size = held->count * sizeof *held->frequency;
    held->frequency = kf_allocate(&kfpy_alloc, 1, size);
    held->members = kf_allocate(&kfpy_alloc, 1, size);
    if (held->frequency != NULL && held->members != NULL && size > 0) {
        memcpy(held->frequency, view.counters->frequency, size);
        memcpy(held->members, view.counters->members, size);
    }
    kf_knowledge_unlock_shared(knowledge);
    return held->frequency != NULL && held->members != NULL;
}

static int
put_symbol(const kfpy_state *state, const held_counters *held, uint32_t id,
           PyObject *all)
{
    PyObject *symbol = kfpy_text_str(kf_symbols_text(held->root->symbols, id));
    PyObject *counts = PyDict_New();
    int result = -1;
    if (symbol != NULL && counts != NULL &&
        kfpy_put(counts, state->keys.frequency,
                 PyLong_FromUnsignedLongLong(held->frequency[id])) == 0 &&
        kfpy_put(counts, state->keys.pattern_member_frequency,
                 PyLong_FromUnsignedLongLong(held->members[id])) == 0) {
        result = PyDict_SetItem(all, symbol, counts);
    }
    Py_XDECREF(symbol);
    Py_XDECREF(counts);
    return result;
}

const char kfpy_knowledge_symbols_doc[] =
    PyDoc_STR("symbols($self, /)\n--\n\n"
              "Per symbol, in no particular order: frequency\n"
              "(occurrences) and pattern_member_frequency, both summed over\n"
              "learns.");

PyObject *
kfpy_knowledge_symbols(PyObject *self, PyObject *ignored)
{
    held_counters held;
    PyObject *all = NULL;
    (void)ignored;
    if (!hold_counters(kfpy_knowledge_of(self), &held)) {
        PyErr_NoMemory();
    }
    else {
        all = PyDict_New();
    }
    for (uint32_t id = 0; all != NULL && id < held.count; id++) {
        if (held.members[id] > 0 &&
            put_symbol(kfpy_state_of(self), &held, id, all) < 0) {
            Py_CLEAR(all);
        }
    }
    release_counters(&held);
    return all;
}

const char kfpy_knowledge_totals_doc[] =
    PyDoc_STR("totals($self, /)\n--\n\n"
              "total_pattern_frequencies, total_symbol_frequencies,\n"
              "total_symbols_in_patterns_frequencies.");

PyObject *
kfpy_knowledge_totals(PyObject *self, PyObject *ignored)
{
    kf_knowledge *knowledge = kfpy_knowledge_of(self);
    const kfpy_state *state = kfpy_state_of(self);
    kf_totals totals;
    PyObject *dict;
    (void)ignored;
    kf_knowledge_lock_shared(knowledge);
    totals = kf_knowledge_look(knowledge).counters->totals;
    kf_knowledge_unlock_shared(knowledge);
    dict = PyDict_New();
    if (dict != NULL &&
        (kfpy_put(dict, state->keys.total_pattern_frequencies,
                  PyLong_FromUnsignedLongLong(totals.patterns)) < 0 ||
         kfpy_put(dict, state->keys.total_symbol_frequencies,
                  PyLong_FromUnsignedLongLong(totals.symbols)) < 0 ||
         kfpy_put(dict, state->keys.total_symbols_in_patterns_frequencies,
                  PyLong_FromUnsignedLongLong(totals.symbols_in_patterns)) <
             0)) {
        Py_CLEAR(dict);
    }
    return dict;
}
