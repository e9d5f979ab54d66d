/* Knowledge.predict, .predict_many and .match. */
#include "knowledge_type.h"

#include "convert.h"
#include "predictions_type.h"

#include "kato_fast/prediction.h"

#include <string.h>

/* Patterns times symbols of the state from which a search lets the GIL go:
 * about 20 us of work, against 0.1 us to release it and up to 5 ms to get it
 * back from a busy thread. */
#define SEARCH_RELEASES ((size_t)4096)

/* Whether looking for so many symbols is worth letting the GIL go. */
static bool
lets_go(kf_knowledge *knowledge, const kfpy_input *input)
{
    size_t m = input->n_texts;
    return m != 0 && (kf_knowledge_count(knowledge) >= SEARCH_RELEASES / m ||
                      kf_knowledge_is_busy(knowledge));
}

/* What was read last: texts from first_text and ends from first_end on. */
static kf_asked
asked_of(const kfpy_input *input, size_t first_text, size_t first_end)
{
    kf_asked state = {.m = (uint32_t)(input->n_texts - first_text),
                      .n_events = (uint32_t)(input->n_ends - first_end)};
    state.texts = state.m > 0 ? input->texts + first_text : NULL;
    state.ends = state.n_events > 0 ? input->ends + first_end : NULL;
    return state;
}

const char kfpy_knowledge_predict_doc[] = PyDoc_STR(
    "predict($self, /, state, recall_threshold, max_predictions)\n--\n\n"
    "Which patterns the state belongs to, with all of KATO's metrics, best\n"
    "first.\n\n"
    "Args:\n"
    "    state: below two symbols there are no predictions.\n"
    "    recall_threshold: least similarity, equality counts; finite.\n"
    "    max_predictions: how many to keep; ensemble figures cover all that\n"
    "        passed.\n\n"
    "Returns:\n"
    "    Predictions that later learning does not change.\n\n"
    "Raises:\n"
    "    TypeError, ValueError: a bad argument.");

PyObject *
kfpy_knowledge_predict(PyObject *self, PyObject *const *args,
                       Py_ssize_t n_args, PyObject *keywords)
{
    static const char *const names[] = {"state", "recall_threshold",
                                        "max_predictions"};
    PyObject *given[3];
    kf_predictions *result = NULL;
    double threshold;
    size_t most;
    kfpy_input input;
    kf_asked state;
    kf_status status = KF_OK;
    kf_error err;
    int release = -1;
    if (kfpy_arguments("predict", names, 3, 3, args, n_args, keywords, given) <
        0) {
        return NULL;
    }
    kfpy_input_init(&input);
    if (kfpy_input_state(&input, given[0]) == 0 &&
        kfpy_recall_threshold(kfpy_state_of(self), given[1], &threshold) ==
            0 &&
        kfpy_max_predictions(given[2], &most) == 0) {
        release = lets_go(kfpy_knowledge_of(self), &input);
        state = asked_of(&input, 0, 0);
    }
    if (release > 0) {
        KFPY_BEGIN_UNLOCKED
        status = kf_predict(kfpy_knowledge_of(self), &state, threshold, most,
                            &result, &err);
        KFPY_END_UNLOCKED
    }
    else if (release == 0) {
        status = kf_predict(kfpy_knowledge_of(self), &state, threshold, most,
                            &result, &err);
    }
    kfpy_input_free(&input);
    if (release < 0) {
        return NULL;
    }
    if (status != KF_OK) {
        return kfpy_raise(&err);
    }
    return kfpy_predictions_new(kfpy_state_of(self), result);
}

const char kfpy_knowledge_match_doc[] =
    PyDoc_STR("match($self, /, state, recall_threshold)\n--\n\n"
              "Which patterns pass the threshold; nothing assembled.\n"
              "Arguments and errors as for predict.");

PyObject *
kfpy_knowledge_match(PyObject *self, PyObject *const *args, Py_ssize_t n_args,
                     PyObject *keywords)
{
    static const char *const names[] = {"state", "recall_threshold"};
    PyObject *given[2];
    kf_match_list list;
    double threshold;
    kfpy_input input;
    kf_status status = KF_OK;
    kf_error err;
    int release = -1;
    if (kfpy_arguments("match", names, 2, 2, args, n_args, keywords, given) <
        0) {
        return NULL;
    }
    kfpy_input_init(&input);
    if (kfpy_input_state(&input, given[0]) == 0 &&
        kfpy_recall_threshold(kfpy_state_of(self), given[1], &threshold) ==
            0) {
        release = lets_go(kfpy_knowledge_of(self), &input);
    }
    if (release > 0) {
        KFPY_BEGIN_UNLOCKED
        status = kf_match_all(kfpy_knowledge_of(self), input.texts,
                              (uint32_t)input.n_texts, threshold, &list, &err);
        KFPY_END_UNLOCKED
    }
    else if (release == 0) {
        status = kf_match_all(kfpy_knowledge_of(self), input.texts,
                              (uint32_t)input.n_texts, threshold, &list, &err);
    }
    kfpy_input_free(&input);
    if (release < 0) {
        return NULL;
    }
    if (status != KF_OK) {
        return kfpy_raise(&err);
    }
    return kfpy_matches_new(kfpy_state_of(self), &list);
}

/* --- many states --- */

static bool
is_by_event(kf_knowledge *knowledge)
{
    bool v21;
    kf_knowledge_lock_shared(knowledge);
    v21 = kf_knowledge_look(knowledge).generation == KF_KATO_2_1;
    kf_knowledge_unlock_shared(knowledge);
    return v21;
}

/* States that are asked for at once: a signal may wait for as many. */
#define MOST_AT_ONCE ((size_t)32)

/* A batch of states; equal ones are asked once. */
typedef struct {
    kfpy_input input;
    bool by_event;            /* events tell states apart: KATO 2.1 */
    size_t *first;            /* owned; where the texts of states begin */
    size_t *first_end;        /* owned; and where their events' ends begin */
    size_t *number;           /* owned; by state: its question */
    kf_asked *asked;          /* owned; n_asked different questions */
    kf_predictions **answers; /* owned, as are those below n_answers */
    PyObject *known;          /* owned; symbols to the question */
    size_t n;
    size_t n_asked;
    size_t n_answers;
} many;

static void
many_free(many *all)
{
    for (size_t i = 0; i < all->n_answers; i++) {
        kf_predictions_free(all->answers[i]);
    }
    kfpy_input_free(&all->input);
    kf_release(&kfpy_alloc, all->first);
    kf_release(&kfpy_alloc, all->first_end);
    kf_release(&kfpy_alloc, all->number);
    kf_release(&kfpy_alloc, all->asked);
    kf_release(&kfpy_alloc, (void *)all->answers);
    Py_XDECREF(all->known);
}

static int
many_init(many *all, size_t n)
{
    memset(all, 0, sizeof *all);
    kfpy_input_init(&all->input);
    all->first = kf_allocate(&kfpy_alloc, n, sizeof *all->first);
    all->first_end = kf_allocate(&kfpy_alloc, n, sizeof *all->first_end);
    all->number = kf_allocate(&kfpy_alloc, n, sizeof *all->number);
    all->asked = kf_allocate(&kfpy_alloc, n, sizeof *all->asked);
    all->answers =
        (kf_predictions **)kf_allocate(&kfpy_alloc, n, sizeof *all->answers);
    if (all->first == NULL || all->first_end == NULL || all->number == NULL ||
        all->asked == NULL || all->answers == NULL) {
        PyErr_NoMemory();
    }
    else {
        all->known = PyDict_New();
    }
    if (all->known == NULL) {
        many_free(all);
        return -1;
    }
    all->n = n;
    return 0;
}

/* "states[i]: " before what the exception says. */
static void
say_which(size_t i)
{
    PyObject *type, *value, *trace;
    if (!PyErr_ExceptionMatches(PyExc_TypeError) &&
        !PyErr_ExceptionMatches(PyExc_ValueError)) {
        return;
    }
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    PyErr_Format(type, "states[%zu]: %S", i, value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
}

/* The state's symbols as a tuple, and behind them where its events end if
 * they matter, a new reference; None where a symbol is of a subclass, which
 * may say of itself what it likes. */
static PyObject *
key_of(const kfpy_input *input, size_t first, size_t first_end)
{
    Py_ssize_t m = (Py_ssize_t)(input->n_texts - first);
    Py_ssize_t n_events = (Py_ssize_t)(input->n_ends - first_end);
    PyObject *key = PyTuple_New(m + n_events);
    for (Py_ssize_t i = 0; key != NULL && i < n_events; i++) {
        PyObject *end =
            PyLong_FromUnsignedLong(input->ends[first_end + (size_t)i]);
        if (end == NULL) {
            Py_CLEAR(key);
        }
        else {
            PyTuple_SET_ITEM(key, m + i, end);
        }
    }
    for (Py_ssize_t i = 0; key != NULL && i < m; i++) {
        PyObject *symbol = input->objects[first + (size_t)i];
        if (!PyUnicode_CheckExact(symbol)) {
            Py_DECREF(key);
            Py_RETURN_NONE;
        }
        Py_INCREF(symbol);
        PyTuple_SET_ITEM(key, i, symbol);
    }
    return key;
}

/* Note where the state's question is, a new one where there is none yet. */
static int
find_question(many *all, size_t i)
{
    PyObject *key =
        key_of(&all->input, all->first[i],
               all->by_event ? all->first_end[i] : all->input.n_ends);
    PyObject *number = NULL;
    int result = -1;
    if (key == NULL) {
        return -1;
    }
    if (key != Py_None) {
        number = PyDict_GetItemWithError(all->known, key);
    }
    if (number != NULL) {
        all->number[i] = PyLong_AsSize_t(number);
        result = 0;
    }
    else if (!PyErr_Occurred()) {
        all->number[i] = all->n_asked;
        all->asked[all->n_asked++] =
            asked_of(&all->input, all->first[i], all->first_end[i]);
        number = PyLong_FromSize_t(all->number[i]);
        result = number == NULL   ? -1
                 : key == Py_None ? 0
                                  : PyDict_SetItem(all->known, key, number);
        Py_XDECREF(number);
    }
    Py_DECREF(key);
    return result;
}

/* states: a tuple. */
static int
many_read(many *all, PyObject *states)
{
    for (size_t i = 0; i < all->n; i++) {
        all->first[i] = all->input.n_texts;
        all->first_end[i] = all->input.n_ends;
        if (kfpy_input_state(&all->input,
                             PyTuple_GET_ITEM(states, (Py_ssize_t)i)) < 0) {
            say_which(i);
            return -1;
        }
        if (find_question(all, i) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The input has stopped growing: point into it. */
static void
many_point(many *all)
{
    size_t next = 0;
    for (size_t i = 0; i < all->n; i++) {
        if (all->number[i] == next) {
            kf_asked *asked = &all->asked[next++];
            asked->texts =
                asked->m > 0 ? all->input.texts + all->first[i] : NULL;
            asked->ends = asked->n_events > 0
                              ? all->input.ends + all->first_end[i]
                              : NULL;
        }
    }
}

/* With or without the GIL; signals: NULL where it is held. */
static kf_status
many_ask(many *all, kf_knowledge *knowledge, double threshold, size_t most,
         kfpy_signals *signals, kf_error *err)
{
    kf_status status = KF_OK;
    while (all->n_answers < all->n_asked && status == KF_OK) {
        size_t n = all->n_asked - all->n_answers;
        n = n < MOST_AT_ONCE ? n : MOST_AT_ONCE;
        status = kf_predict_many(knowledge, all->asked + all->n_answers, n,
                                 threshold, most,
                                 all->answers + all->n_answers, err);
        all->n_answers += status == KF_OK ? n : 0;
        if (signals != NULL && kfpy_was_interrupted(signals)) {
            return KF_STOPPED;
        }
    }
    return status;
}

static int
many_predict(many *all, PyObject *self, double threshold, size_t most)
{
    kf_knowledge *knowledge = kfpy_knowledge_of(self);
    kf_status status;
    kf_error err;
    many_point(all);
    if (lets_go(knowledge, &all->input)) {
        kfpy_signals signals;
        kfpy_signals_start(&signals);
        status = many_ask(all, knowledge, threshold, most, &signals, &err);
        PyEval_RestoreThread(signals.thread);
    }
    else {
        status = many_ask(all, knowledge, threshold, most, NULL, &err);
    }
    if (status != KF_OK && status != KF_STOPPED) { /* that has raised */
        kfpy_raise(&err);
    }
    return status == KF_OK ? 0 : -1;
}

/* One object a question, which equal states share. */
static PyObject *
many_result(many *all, const kfpy_state *state)
{
    PyObject *made = PyList_New((Py_ssize_t)all->n_asked);
    PyObject *results = NULL;
    for (size_t i = 0; made != NULL && i < all->n_asked; i++) {
        kf_predictions *answer = all->answers[i];
        PyObject *one;
        all->answers[i] = NULL; /* taken */
        one = kfpy_predictions_new(state, answer);
        if (one == NULL) {
            Py_CLEAR(made);
        }
        else {
            PyList_SET_ITEM(made, (Py_ssize_t)i, one);
        }
    }
    if (made != NULL) {
        results = PyList_New((Py_ssize_t)all->n);
    }
    for (size_t i = 0; results != NULL && i < all->n; i++) {
        PyObject *one = PyList_GET_ITEM(made, (Py_ssize_t)all->number[i]);
        Py_INCREF(one);
        PyList_SET_ITEM(results, (Py_ssize_t)i, one);
    }
    Py_XDECREF(made);
    return results;
}

const char kfpy_knowledge_predict_many_doc[] = PyDoc_STR(
    "predict_many($self, /, states, recall_threshold, max_predictions)\n--\n"
    "\n"
    "predict() for each state, with the answers that it gives one by one.\n"
    "Equal states are asked once, and the others share what they read.\n\n"
    "Args:\n"
    "    states: a list or tuple of states.\n\n"
    "Returns:\n"
    "    What predict returns, one a state; equal states share theirs.\n\n"
    "Raises:\n"
    "    TypeError, ValueError: a bad argument; says which state.");

PyObject *
kfpy_knowledge_predict_many(PyObject *self, PyObject *const *args,
                            Py_ssize_t n_args, PyObject *keywords)
{
    static const char *const names[] = {"states", "recall_threshold",
                                        "max_predictions"};
    PyObject *given[3];
    PyObject *states;
    PyObject *results = NULL;
    double threshold;
    size_t most;
    many all;
    if (kfpy_arguments("predict_many", names, 3, 3, args, n_args, keywords,
                       given) < 0) {
        return NULL;
    }
    if (!PyList_Check(given[0]) && !PyTuple_Check(given[0])) {
        kfpy_wrong_type("states", "a list of states", given[0]);
        return NULL;
    }
    states = PySequence_Tuple(given[0]);
    if (states == NULL ||
        many_init(&all, (size_t)PyTuple_GET_SIZE(states)) < 0) {
        Py_XDECREF(states);
        return NULL;
    }
    all.by_event = is_by_event(kfpy_knowledge_of(self));
    if (many_read(&all, states) == 0 &&
        kfpy_recall_threshold(kfpy_state_of(self), given[1], &threshold) ==
            0 &&
        kfpy_max_predictions(given[2], &most) == 0 &&
        many_predict(&all, self, threshold, most) == 0) {
        results = many_result(&all, kfpy_state_of(self));
    }
    many_free(&all);
    Py_DECREF(states);
    return results;
}
