/* Knowledge.save and Knowledge.open. */
#include "knowledge_type.h"

#include "kato_fast/snapshot.h"

void
kfpy_signals_start(kfpy_signals *signals)
{
    clock_gettime(CLOCK_MONOTONIC, &signals->asked);
    signals->thread = PyEval_SaveThread();
}

bool
kfpy_was_interrupted(void *context)
{
    kfpy_signals *all = context;
    struct timespec now;
    int interrupted;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_sec - all->asked.tv_sec) * 1000 +
            (now.tv_nsec - all->asked.tv_nsec) / 1000000 <
        100) {
        return false;
    }
    all->asked = now;
    PyEval_RestoreThread(all->thread);
    interrupted = PyErr_CheckSignals();
    all->thread = PyEval_SaveThread();
    return interrupted < 0;
}

/* A path as str, for errors, and as bytes, for the system. */
static int
read_path(PyObject *value, PyObject **text, PyObject **bytes)
{
    *text = NULL;
    *bytes = NULL;
    if (!PyUnicode_FSDecoder(value, text)) {
        return -1;
    }
    if (!PyUnicode_FSConverter(*text, bytes)) {
        Py_CLEAR(*text);
        return -1;
    }
    return 0;
}

const char kfpy_knowledge_save_doc[] = PyDoc_STR(
    "save($self, path, /)\n--\n\n"
    "Write all that is known now to one file, which open() maps. Others may\n"
    "go on asking and learning. A file of that name is replaced when the\n"
    "new one is complete.\n\n"
    "Raises:\n"
    "    OSError: the file system refuses; what was there is still there.");

PyObject *
kfpy_knowledge_save(PyObject *self, PyObject *path)
{
    PyObject *text;
    PyObject *bytes;
    kfpy_signals all;
    kf_snapshot_caller caller = {kfpy_was_interrupted, &all};
    kf_status status;
    kf_error err;
    if (read_path(path, &text, &bytes) < 0) {
        return NULL;
    }
    kfpy_signals_start(&all);
    status = kf_snapshot_save(kfpy_knowledge_of(self),
                              PyBytes_AS_STRING(bytes), caller, &err);
    PyEval_RestoreThread(all.thread);
    if (status != KF_OK && status != KF_STOPPED) { /* that has raised */
        kfpy_raise_of_file(&err, text);
    }
    Py_DECREF(bytes);
    Py_DECREF(text);
    if (status != KF_OK) {
        return NULL;
    }
    Py_RETURN_NONE;
}

const char kfpy_knowledge_open_doc[] = PyDoc_STR(
    "open($type, /, path, *, threads=1)\n--\n\n"
    "What save() wrote, mapped and not to be changed: learning, put, forget\n"
    "and clear raise ValueError.\n\n"
    "Args:\n"
    "    path: the file; it must not be written to while it is open.\n"
    "    threads: that checking it and one search may use, 1 to 64.\n\n"
    "Raises:\n"
    "    OSError: the file system refuses.\n"
    "    ValueError: the file is damaged, no snapshot, or of a newer\n"
    "        version; the text says where.");

static PyObject *
open_knowledge(PyTypeObject *type, PyObject *text, const char *path,
               unsigned threads)
{
    kf_knowledge *knowledge = NULL;
    kfpy_knowledge *self;
    kf_status status;
    kf_error err;
    KFPY_BEGIN_UNLOCKED
    status = kf_snapshot_open(&kfpy_alloc, path, threads, &knowledge, &err);
    KFPY_END_UNLOCKED
    if (status != KF_OK) {
        return kfpy_raise_of_file(&err, text);
    }
    self = (kfpy_knowledge *)type->tp_alloc(type, 0);
    if (self == NULL) {
        kf_knowledge_free(knowledge);
        return NULL;
    }
    self->knowledge = knowledge;
    return (PyObject *)self;
}

PyObject *
kfpy_knowledge_open(PyObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"path", "threads", NULL};
    unsigned threads = 1;
    PyObject *path;
    PyObject *text;
    PyObject *bytes;
    PyObject *result;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$I:open", names, &path,
                                     &threads) ||
        read_path(path, &text, &bytes) < 0) {
        return NULL;
    }
    if (threads < 1 || threads > KF_WORKERS_MAX) {
        result = PyErr_Format(PyExc_ValueError,
                              "threads must be from 1 to %u, not %u",
                              KF_WORKERS_MAX, threads);
    }
    else {
        result = open_knowledge((PyTypeObject *)type, text,
                                PyBytes_AS_STRING(bytes), threads);
    }
    Py_DECREF(bytes);
    Py_DECREF(text);
    return result;
}
