/* Matches: names and ratios of every pattern that passed. Immutable. */
#include "convert.h"
#include "predictions_type.h"

typedef struct {
    PyObject_HEAD
    kf_match_list list;
} Matches;

/* --- life cycle --- */

PyObject *
kfpy_matches_new(const kfpy_state *state, kf_match_list *matches)
{
    PyTypeObject *type = state->matches_type;
    Matches *self = (Matches *)type->tp_alloc(type, 0);
    if (self == NULL) {
        kf_match_list_free(matches);
        return NULL;
    }
    self->list = *matches;
    return (PyObject *)self;
}

static int
Matches_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static void
Matches_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    kf_match_list_free(&((Matches *)self)->list);
    type->tp_free(self);
    Py_DECREF(type);
}

/* --- methods --- */

static Py_ssize_t
Matches_length(PyObject *self)
{
    return (Py_ssize_t)((Matches *)self)->list.count;
}

static PyObject *
Matches_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<Matches: %zd>", Matches_length(self));
}

static PyObject *
name_list(const kf_match_list *list)
{
    uint8_t (*names)[KF_NAME_SIZE] =
        kf_allocate(&kfpy_alloc, list->count, sizeof *names);
    PyObject *result;
    kf_status status;
    kf_error err;
    if (names == NULL) {
        return PyErr_NoMemory();
    }
    KFPY_BEGIN_UNLOCKED
    status = kf_match_list_names(list, names, &err);
    KFPY_END_UNLOCKED
    if (status != KF_OK) {
        kf_release(&kfpy_alloc, names);
        return kfpy_raise(&err);
    }
    result = PyList_New((Py_ssize_t)list->count);
    for (size_t i = 0; result != NULL && i < list->count; i++) {
        PyObject *name = kfpy_name_str(names[i]);
        if (name == NULL) {
            Py_CLEAR(result);
        }
        else {
            PyList_SET_ITEM(result, (Py_ssize_t)i, name);
        }
    }
    kf_release(&kfpy_alloc, names);
    return result;
}

PyObject *
kfpy_match_names(kf_match_list *list)
{
    PyObject *names = name_list(list);
    kf_match_list_free(list);
    return names;
}

static PyObject *
Matches_get_names(PyObject *self, void *closure)
{
    (void)closure;
    return name_list(&((Matches *)self)->list);
}

static PyObject *
Matches_get_ratios(PyObject *self, void *closure)
{
    const kf_match_list *list = &((Matches *)self)->list;
    PyObject *ratios = PyList_New(Matches_length(self));
    (void)closure;
    for (size_t i = 0; ratios != NULL && i < list->count; i++) {
        PyObject *ratio = PyFloat_FromDouble(list->ratios[i]);
        if (ratio == NULL) {
            Py_CLEAR(ratios);
        }
        else {
            PyList_SET_ITEM(ratios, (Py_ssize_t)i, ratio);
        }
    }
    return ratios;
}

/* --- type --- */

static PyGetSetDef Matches_getset[] = {
    {"names", Matches_get_names, NULL, "The patterns' names, as a new list.",
     NULL},
    {"ratios", Matches_get_ratios, NULL,
     "Their similarities, in the same order, as a new list.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(Matches_doc,
             "Every pattern that passed, in learning order. Immutable.");

static PyType_Slot Matches_slots[] = {
    {Py_tp_doc, (void *)Matches_doc},
    {Py_tp_dealloc, Matches_dealloc},
    {Py_tp_traverse, Matches_traverse},
    {Py_tp_repr, Matches_repr},
    {Py_tp_getset, Matches_getset},
    {Py_sq_length, Matches_length},
    {0, NULL},
};

static PyType_Spec Matches_spec = {
    .name = "kato_fast._core.Matches",
    .basicsize = sizeof(Matches),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = Matches_slots,
};

int
kfpy_matches_type_add(PyObject *module, kfpy_state *state)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Matches_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    state->matches_type = (PyTypeObject *)type; /* owned by the state */
    state->matches_type->tp_new = NULL;         /* made by match() only */
    return PyModule_AddType(module, state->matches_type);
}
