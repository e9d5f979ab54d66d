/* BloomFilter. One key is looked up or added under the GIL; batches are
 * hashed under it, which is when the keys' bytes are needed, and from
 * RELEASE_KEYS on go through the filter without it. */
#include "bloom_type.h"

#include "objects.h"

#include "kato_fast/bloom.h"

#include <pthread.h>
#include <stdbool.h>

/* From here on, letting the GIL go and taking it back is lost in the noise:
 * 4,096 keys take 46 us either way, the bytes about as long. */
#define RELEASE_KEYS 4096
#define RELEASE_BYTES ((size_t)1 << 18)

typedef struct {
    PyObject_HEAD
    kf_bloom *bloom;
    /* Who works on bloom without the GIL holds the lock and has said so in
     * readers or writer, which change only under the GIL. So who has the GIL
     * sees there whether the lock is needed, and mostly it is not. The lock
     * is never waited for under the GIL. */
    pthread_rwlock_t lock;
    Py_ssize_t readers;
    bool writer;
    Py_buffer view; /* what the filter is attached to; obj NULL: nothing */
} BloomFilter;

/* -1 with an exception set where keys cannot be added. */
static int
check_writable(const BloomFilter *self)
{
    if (!kf_bloom_is_writable(self->bloom)) {
        PyErr_SetString(PyExc_ValueError,
                        "the filter is attached to a read-only buffer");
        return -1;
    }
    return 0;
}

/* -- the lock -- */

static bool
lock_try(BloomFilter *self, bool writing)
{
    return (writing ? pthread_rwlock_trywrlock(&self->lock)
                    : pthread_rwlock_tryrdlock(&self->lock)) == 0;
}

static void
lock_acquire(BloomFilter *self, bool writing)
{
    if (lock_try(self, writing)) {
        return;
    }
    KFPY_BEGIN_UNLOCKED
    if (writing) {
        pthread_rwlock_wrlock(&self->lock);
    }
    else {
        pthread_rwlock_rdlock(&self->lock);
    }
    KFPY_END_UNLOCKED
}

/* Before and after work that keeps the GIL. The answer of the first, whether
 * the lock was needed, goes to the second. */
static bool
enter(BloomFilter *self, bool writing)
{
    bool locked = self->writer || (writing && self->readers > 0);
    if (locked) {
        lock_acquire(self, writing);
    }
    return locked;
}

static void
leave(BloomFilter *self, bool locked)
{
    if (locked) {
        pthread_rwlock_unlock(&self->lock);
    }
}

/* Before and after work that lets the GIL go. */
static PyThreadState *
enter_released(BloomFilter *self, bool writing)
{
    lock_acquire(self, writing);
    if (writing) {
        self->writer = true;
    }
    else {
        self->readers++;
    }
    return PyEval_SaveThread();
}

static void
leave_released(BloomFilter *self, bool writing, PyThreadState *thread)
{
    PyEval_RestoreThread(thread);
    if (writing) {
        self->writer = false;
    }
    else {
        self->readers--;
    }
    pthread_rwlock_unlock(&self->lock);
}

/* -- keys -- */

/* Names key, or keys[index] where index is not negative, in what it raises.
 * key: borrowed. */
static void
raise_bad_key(PyObject *key, Py_ssize_t index)
{
    char place[40] = "key";
    Py_ssize_t start;
    if (index >= 0) {
        PyOS_snprintf(place, sizeof place, "keys[%zd]", index);
    }
    if (!PyUnicode_Check(key)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str or bytes, not %.200s",
                     place, kfpy_type_name(key));
        return;
    }
    start = kfpy_take_surrogate();
    if (start >= 0) {
        PyErr_Format(PyExc_ValueError,
                     "%s must be valid Unicode: lone surrogate at index %zd",
                     place, start);
    }
}

/* -1 with an exception set where key (borrowed) is no key. The UTF-8 of a
 * str that is not ASCII stays with the str, for the next time. */
static inline int
hash_key(PyObject *key, Py_ssize_t index, uint64_t *hash)
{
    const char *bytes = NULL;
    Py_ssize_t size = 0;
    if (PyUnicode_Check(key) && PyUnicode_IS_COMPACT_ASCII(key)) {
        bytes = PyUnicode_DATA(key); /* what the next line would find, too */
        size = PyUnicode_GET_LENGTH(key);
    }
    else if (PyUnicode_Check(key)) {
        bytes = PyUnicode_AsUTF8AndSize(key, &size);
    }
    else if (PyBytes_Check(key)) {
        bytes = PyBytes_AS_STRING(key);
        size = PyBytes_GET_SIZE(key);
    }
    if (bytes == NULL) {
        raise_bad_key(key, index);
        return -1;
    }
    *hash = kf_bloom_hash(bytes, (size_t)size);
    return 0;
}

/* The keys as a list or tuple, a new reference. */
static PyObject *
keys_sequence(PyObject *keys)
{
    PyObject *iterator, *sequence;
    if (PyList_CheckExact(keys) || PyTuple_CheckExact(keys)) {
        Py_INCREF(keys);
        return keys;
    }
    /* A str is a sequence of str, but hardly ever meant so. */
    if (!PyUnicode_Check(keys) && !PyBytes_Check(keys)) {
        iterator = PyObject_GetIter(keys);
        if (iterator != NULL) {
            sequence = PySequence_Tuple(iterator);
            Py_DECREF(iterator);
            return sequence;
        }
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
            return NULL;
        }
        PyErr_Clear();
    }
    PyErr_Format(PyExc_TypeError,
                 "keys must be an iterable of str or bytes, not %.200s",
                 kfpy_type_name(keys));
    return NULL;
}

/* The hashes of all keys, to be freed with PyMem_Free, before anything is
 * changed. NULL with an exception set where one is no key. Hashing keeps the
 * GIL and runs no Python code, so a list stays as it is meanwhile. */
static uint64_t *
hash_keys(PyObject *keys, Py_ssize_t *n)
{
    PyObject *sequence = keys_sequence(keys);
    PyObject **items; /* borrowed */
    uint64_t *hashes;
    if (sequence == NULL) {
        return NULL;
    }
    *n = PySequence_Fast_GET_SIZE(sequence);
    items = PySequence_Fast_ITEMS(sequence);
    hashes = PyMem_New(uint64_t, (size_t)*n + 1);
    if (hashes == NULL) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; hashes != NULL && i < *n; i++) {
        if (hash_key(items[i], i, &hashes[i]) < 0) {
            PyMem_Free(hashes);
            hashes = NULL;
        }
    }
    Py_DECREF(sequence);
    return hashes;
}

static PyObject *
BloomFilter_add(PyObject *op, PyObject *key)
{
    BloomFilter *self = (BloomFilter *)op;
    uint64_t hash;
    bool locked, added;
    if (hash_key(key, -1, &hash) < 0 || check_writable(self) < 0) {
        return NULL;
    }
    locked = enter(self, true);
    added = kf_bloom_add(self->bloom, hash);
    leave(self, locked);
    return PyBool_FromLong(added);
}

static int
BloomFilter_contains(PyObject *op, PyObject *key)
{
    BloomFilter *self = (BloomFilter *)op;
    uint64_t hash;
    bool locked, found;
    if (hash_key(key, -1, &hash) < 0) {
        return -1;
    }
    locked = enter(self, false);
    found = kf_bloom_contains(self->bloom, hash);
    leave(self, locked);
    return found;
}

static PyObject *
BloomFilter_update(PyObject *op, PyObject *keys)
{
    BloomFilter *self = (BloomFilter *)op;
    Py_ssize_t n;
    uint64_t *hashes = hash_keys(keys, &n);
    if (hashes == NULL) {
        return NULL;
    }
    if (check_writable(self) < 0) {
        PyMem_Free(hashes);
        return NULL;
    }
    if (n >= RELEASE_KEYS) {
        PyThreadState *thread = enter_released(self, true);
        kf_bloom_add_many(self->bloom, hashes, (size_t)n);
        leave_released(self, true, thread);
    }
    else {
        bool locked = enter(self, true);
        kf_bloom_add_many(self->bloom, hashes, (size_t)n);
        leave(self, locked);
    }
    PyMem_Free(hashes);
    Py_RETURN_NONE;
}

static void
contains_many(BloomFilter *self, const uint64_t *hashes, Py_ssize_t n,
              uint8_t *found)
{
    if (n >= RELEASE_KEYS) {
        PyThreadState *thread = enter_released(self, false);
        kf_bloom_contains_many(self->bloom, hashes, (size_t)n, found);
        leave_released(self, false, thread);
    }
    else {
        bool locked = enter(self, false);
        kf_bloom_contains_many(self->bloom, hashes, (size_t)n, found);
        leave(self, locked);
    }
}

static PyObject *
BloomFilter_contains_many(PyObject *op, PyObject *keys)
{
    Py_ssize_t n;
    uint64_t *hashes = hash_keys(keys, &n);
    PyObject *found = NULL;
    if (hashes != NULL) {
        found = PyBytes_FromStringAndSize(NULL, n);
    }
    if (found != NULL) {
        contains_many((BloomFilter *)op, hashes, n,
                      (uint8_t *)PyBytes_AS_STRING(found));
    }
    PyMem_Free(hashes);
    return found;
}

/* -- making one -- */

/* bloom: taken, also where this fails. */
static PyObject *
wrap(PyTypeObject *type, kf_bloom *bloom)
{
    BloomFilter *self = (BloomFilter *)type->tp_alloc(type, 0);
    if (self == NULL) {
        kf_bloom_free(bloom);
        return NULL;
    }
    if (pthread_rwlock_init(&self->lock, NULL) != 0) {
        kf_bloom_free(bloom);
        Py_DECREF(self); /* bloom is NULL, which says there is no lock */
        return PyErr_NoMemory();
    }
    self->bloom = bloom;
    return (PyObject *)self;
}

static int
read_capacity(PyObject *value, uint64_t *capacity)
{
    char number[32] = "";
    long long signed_value;
    int overflow;
    if (!PyLong_Check(value) || PyBool_Check(value)) {
        PyErr_Format(PyExc_TypeError, "capacity must be an int, not %.200s",
                     kfpy_type_name(value));
        return -1;
    }
    signed_value = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow == 0 && signed_value >= 1 &&
        (uint64_t)signed_value <= KF_BLOOM_MAX_CAPACITY) {
        *capacity = (uint64_t)signed_value;
        return 0;
    }
    if (overflow == 0) { /* longer numbers are not worth repeating */
        PyOS_snprintf(number, sizeof number, ", not %lld", signed_value);
    }
    PyErr_Format(PyExc_ValueError, "capacity must be from 1 to %llu%s",
                 (unsigned long long)KF_BLOOM_MAX_CAPACITY, number);
    return -1;
}

/* The nearest double; infinite for an int that has none. -1.0 with an
 * exception set where value is no number. */
static double
read_double(PyObject *value)
{
    double number;
    int overflow;
    if (!PyFloat_Check(value) && !PyLong_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "error_rate must be a number, not %.200s",
                     kfpy_type_name(value));
        return -1.0;
    }
    number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred() &&
        PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Clear();
        (void)PyLong_AsLongLongAndOverflow(value, &overflow);
        number = overflow > 0 ? Py_HUGE_VAL : -Py_HUGE_VAL;
    }
    return number;
}

static int
read_error_rate(PyObject *value, double *error_rate)
{
    double rate = read_double(value);
    const char *rule = "at least 1e-08";
    PyObject *number;
    if (rate == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    if (rate >= KF_BLOOM_MIN_ERROR_RATE && rate < 1.0) {
        *error_rate = rate;
        return 0;
    }
    if (!(rate > 0.0 && rate < 1.0)) {
        rule = "over 0 and under 1";
    }
    number = PyFloat_FromDouble(rate);
    if (number != NULL) {
        PyErr_Format(PyExc_ValueError, "error_rate must be %s, not %R", rule,
                     number);
        Py_DECREF(number);
    }
    return -1;
}

static PyObject *
BloomFilter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"capacity", "error_rate", NULL};
    PyObject *capacity_value, *rate_value = NULL; /* borrowed */
    uint64_t capacity = 0;
    double error_rate = 0.001;
    kf_bloom *bloom = NULL;
    kf_status status;
    kf_error err;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:BloomFilter", names,
                                     &capacity_value, &rate_value) ||
        read_capacity(capacity_value, &capacity) < 0 ||
        (rate_value != NULL && read_error_rate(rate_value, &error_rate) < 0)) {
        return NULL;
    }
    KFPY_BEGIN_UNLOCKED
    status = kf_bloom_new(&kfpy_alloc, capacity, error_rate, &bloom, &err);
    KFPY_END_UNLOCKED
    if (status != KF_OK) {
        return kfpy_raise(&err);
    }
    return wrap(type, bloom);
}

static int
BloomFilter_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((BloomFilter *)op)->view.obj);
    return 0;
}

static void
BloomFilter_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    BloomFilter *self = (BloomFilter *)op;
    PyObject_GC_UnTrack(op);
    if (self->bloom != NULL) {
        kf_bloom_free(self->bloom);
        pthread_rwlock_destroy(&self->lock);
    }
    PyBuffer_Release(&self->view); /* after bloom, which looks into it */
    type->tp_free(op);
    Py_DECREF(type);
}

/* -- the serialised form -- */

static PyObject *
BloomFilter_to_bytes(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    BloomFilter *self = (BloomFilter *)op;
    size_t size = kf_bloom_bytes_size(self->bloom);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    uint8_t *out;
    if (bytes == NULL) {
        return NULL;
    }
    out = (uint8_t *)PyBytes_AS_STRING(bytes);
    if (size >= RELEASE_BYTES) {
        PyThreadState *thread = enter_released(self, false);
        kf_bloom_to_bytes(self->bloom, out);
        leave_released(self, false, thread);
    }
    else {
        bool locked = enter(self, false);
        kf_bloom_to_bytes(self->bloom, out);
        leave(self, locked);
    }
    return bytes;
}

static int
read_buffer(PyObject *data, Py_buffer *view)
{
    if (!PyObject_CheckBuffer(data)) {
        PyErr_Format(PyExc_TypeError,
                     "data must be a bytes-like object, not %.200s",
                     kfpy_type_name(data));
        return -1;
    }
    return PyObject_GetBuffer(data, view, PyBUF_SIMPLE);
}

static PyObject *
BloomFilter_from_bytes(PyObject *type, PyObject *data)
{
    Py_buffer view;
    PyThreadState *thread = NULL;
    kf_bloom *bloom = NULL;
    kf_status status;
    kf_error err;
    if (read_buffer(data, &view) < 0) {
        return NULL;
    }
    if ((size_t)view.len >= RELEASE_BYTES) {
        thread = PyEval_SaveThread();
    }
    status = kf_bloom_from_bytes(&kfpy_alloc, view.buf, (size_t)view.len,
                                 &bloom, &err);
    if (thread != NULL) {
        PyEval_RestoreThread(thread);
    }
    PyBuffer_Release(&view);
    if (status != KF_OK) {
        return kfpy_raise(&err);
    }
    return wrap((PyTypeObject *)type, bloom);
}

static PyObject *
BloomFilter_attach(PyObject *type, PyObject *data)
{
    Py_buffer view;
    kf_bloom *bloom = NULL;
    PyObject *self = NULL;
    kf_error err;
    if (read_buffer(data, &view) < 0) {
        return NULL;
    }
    if (kf_bloom_attach(&kfpy_alloc, view.buf, (size_t)view.len,
                        view.readonly == 0, &bloom, &err) != KF_OK) {
        (void)kfpy_raise(&err);
    }
    else {
        self = wrap((PyTypeObject *)type, bloom);
    }
    if (self == NULL) {
        PyBuffer_Release(&view);
        return NULL;
    }
    ((BloomFilter *)self)->view = view;
    return self;
}

static PyObject *
BloomFilter_reduce(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    PyObject *name = PyUnicode_InternFromString("from_bytes");
    PyObject *make = NULL, *bytes = NULL, *reduced = NULL;
    if (name != NULL) {
        make = PyObject_GetAttr((PyObject *)Py_TYPE(op), name);
    }
    if (make != NULL) {
        bytes = BloomFilter_to_bytes(op, NULL);
    }
    if (bytes != NULL) {
        reduced = Py_BuildValue("O(O)", make, bytes);
    }
    Py_XDECREF(name);
    Py_XDECREF(make);
    Py_XDECREF(bytes);
    return reduced;
}

/* -- the type -- */

static Py_ssize_t
BloomFilter_length(PyObject *op)
{
    BloomFilter *self = (BloomFilter *)op;
    bool locked = enter(self, false);
    uint64_t count = kf_bloom_count(self->bloom);
    leave(self, locked);
    return (Py_ssize_t)count;
}

static PyObject *
BloomFilter_capacity(PyObject *op, void *Py_UNUSED(closure))
{
    BloomFilter *self = (BloomFilter *)op;
    return PyLong_FromUnsignedLongLong(kf_bloom_capacity(self->bloom));
}

static PyObject *
BloomFilter_error_rate(PyObject *op, void *Py_UNUSED(closure))
{
    BloomFilter *self = (BloomFilter *)op;
    return PyFloat_FromDouble(kf_bloom_error_rate(self->bloom));
}

PyDoc_STRVAR(
    doc,
    "BloomFilter(capacity, error_rate=0.001)\n"
    "--\n"
    "\n"
    "A set of keys that may say \"there\" of a key that is not, and never "
    "\"not\n"
    "there\" of one that is.\n"
    "\n"
    "Made for capacity keys (1 to 2**36); with that many in it, a key that "
    "was\n"
    "not added is found with a probability of at most error_rate (1e-8 up to, "
    "not\n"
    "including, 1). More keys may be added; the rate then grows. All memory "
    "is\n"
    "taken at the start. A key is a str or bytes; a str and the bytes of its\n"
    "UTF-8 are the same key. Safe from many threads.");

PyDoc_STRVAR(add_doc,
             "add($self, key, /)\n"
             "--\n"
             "\n"
             "Add a key. True where it was (probably) not yet there.");

PyDoc_STRVAR(update_doc, "update($self, keys, /)\n"
                         "--\n"
                         "\n"
                         "Add all keys, or none where one of them is no key.");

PyDoc_STRVAR(contains_many_doc,
             "contains_many($self, keys, /)\n"
             "--\n"
             "\n"
             "One byte a key, in their order: 1 where key in self, else 0.");

PyDoc_STRVAR(
    to_bytes_doc,
    "to_bytes($self, /)\n"
    "--\n"
    "\n"
    "The filter as bytes, the same on every machine, for from_bytes.");

PyDoc_STRVAR(
    attach_doc,
    "attach($type, data, /)\n"
    "--\n"
    "\n"
    "The filter in the bytes themselves, which are kept: bytes, an mmap, "
    "shared memory.\n"
    "\n"
    "Nothing is copied, and only the header is checked (ValueError), so that "
    "size does\n"
    "not matter. More bytes may follow. Keys may be added where the buffer "
    "can be\n"
    "written, by several processes at once; on a read-only one that is a "
    "ValueError.\n"
    "The header in the buffer then keeps its count, so from_bytes refuses the "
    "buffer:\n"
    "give it to attach, or take to_bytes of this filter.");

PyDoc_STRVAR(from_bytes_doc, "from_bytes($type, data, /)\n"
                             "--\n"
                             "\n"
                             "The filter that to_bytes wrote. ValueError, "
                             "with what is wrong, where a byte\n"
                             "was lost or changed.");

static PyMethodDef methods[] = {
    {"add", BloomFilter_add, METH_O, add_doc},
    {"update", BloomFilter_update, METH_O, update_doc},
    {"contains_many", BloomFilter_contains_many, METH_O, contains_many_doc},
    {"to_bytes", BloomFilter_to_bytes, METH_NOARGS, to_bytes_doc},
    {"from_bytes", BloomFilter_from_bytes, METH_O | METH_CLASS,
     from_bytes_doc},
    {"attach", BloomFilter_attach, METH_O | METH_CLASS, attach_doc},
    {"__reduce__", BloomFilter_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getters[] = {
    {"capacity", BloomFilter_capacity, NULL,
     "The number of keys the filter was made for.", NULL},
    {"error_rate", BloomFilter_error_rate, NULL,
     "The rate of false answers that was asked for.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)doc},
    {Py_tp_new, BloomFilter_new},
    {Py_tp_dealloc, BloomFilter_dealloc},
    {Py_tp_traverse, BloomFilter_traverse},
    {Py_tp_methods, methods},
    {Py_tp_getset, getters},
    {Py_sq_contains, BloomFilter_contains},
    {Py_sq_length, BloomFilter_length},
    {0, NULL},
};

#ifdef Py_TPFLAGS_IMMUTABLETYPE /* from Python 3.10 */
#define IMMUTABLE Py_TPFLAGS_IMMUTABLETYPE
#else
#define IMMUTABLE 0
#endif

static PyType_Spec spec = {
    .name = "kato_fast._core.BloomFilter",
    .basicsize = sizeof(BloomFilter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | IMMUTABLE,
    .slots = slots,
};

int
kfpy_bloom_type_add(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    int status = -1;
    if (type != NULL) {
        status = PyModule_AddType(module, (PyTypeObject *)type);
        Py_DECREF(type);
    }
    return status;
}
