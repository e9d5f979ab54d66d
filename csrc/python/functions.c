/* The module's functions. Symbols of ratio and matching_blocks are numbered
 * here, through the hash that each `str` caches, and never interned: a pair
 * is compared once. */
#include "functions.h"

#include "convert.h"

#include "kato_fast/align.h"
#include "kato_fast/cpu.h"
#include "kato_fast/naming.h"

#include <stdbool.h>
#include <string.h>

/* --- a small allocator --- */

/* A pair of short lists needs a few kilobytes for a microsecond: they come
 * from the stack, what does not fit from kfpy_alloc. */
typedef struct {
    size_t used;
    char bytes[16384];
} stack_memory;

static bool
on_stack(const stack_memory *stack, const void *block)
{
    return (const char *)block >= stack->bytes &&
           (const char *)block < stack->bytes + sizeof stack->bytes;
}

static void *
stack_allocate(void *context, size_t size)
{
    stack_memory *stack = context;
    size_t rounded = (size + 15) & ~(size_t)15;
    void *block;
    if (rounded > sizeof stack->bytes - stack->used) {
        return PyMem_RawMalloc(size);
    }
    block = stack->bytes + stack->used;
    stack->used += rounded;
    return block;
}

/* Alignment never resizes. */
static void *
stack_resize(void *context, void *block, size_t size)
{
    if (on_stack(context, block)) {
        return NULL;
    }
    return PyMem_RawRealloc(block, size);
}

static void
stack_release(void *context, void *block)
{
    if (!on_stack(context, block)) {
        PyMem_RawFree(block);
    }
}

/* --- numbering --- */

/* The state's distinct symbols: open addressing, at most a quarter full. */
typedef struct {
    PyObject *symbol; /* borrowed while the lists are; NULL: free */
    Py_hash_t hash;
    uint32_t number;
} numbered;

typedef struct {
    numbered *slots;
    size_t mask;
    uint32_t count;
} numbering;

/* The cached hash, not that of a subclass, which could run any code. */
static Py_hash_t
hash_of(PyObject *symbol)
{
    return PyUnicode_Type.tp_hash(symbol);
}

/* Strings are kept in the narrowest form that holds them, so that equal ones
 * have equal bytes. */
static bool
same_text(PyObject *a, PyObject *b)
{
    return a == b ||
           (PyUnicode_GET_LENGTH(a) == PyUnicode_GET_LENGTH(b) &&
            PyUnicode_KIND(a) == PyUnicode_KIND(b) &&
            memcmp(PyUnicode_DATA(a), PyUnicode_DATA(b),
                   (size_t)PyUnicode_GET_LENGTH(a) * PyUnicode_KIND(a)) == 0);
}

static numbered *
find_number(const numbering *table, PyObject *symbol, Py_hash_t hash)
{
    size_t at = (size_t)hash & table->mask;
    while (table->slots[at].symbol != NULL &&
           (table->slots[at].hash != hash ||
            !same_text(table->slots[at].symbol, symbol))) {
        at = (at + 1) & table->mask;
    }
    return &table->slots[at];
}

static bool
make_numbering(const kf_alloc *alloc, size_t m, numbering *table)
{
    size_t slots = 16;
    while (slots < 4 * m) {
        slots *= 2;
    }
    table->slots = kf_allocate_zero(alloc, slots, sizeof *table->slots);
    table->mask = slots - 1;
    table->count = 0;
    return table->slots != NULL;
}

/* --- a pair --- */

typedef struct {
    stack_memory memory;
    kf_alloc alloc;
    numbering table;
    uint32_t *pattern;
    uint32_t *state;
    uint32_t n;
    uint32_t m;
    kf_align_state *align;
    kf_align_scratch *scratch;
} pair;

static void
pair_free(pair *both)
{
    kf_align_scratch_free(both->scratch);
    kf_align_state_free(both->align);
    kf_release(&both->alloc, both->pattern);
    kf_release(&both->alloc, both->state);
    kf_release(&both->alloc, both->table.slots);
}

/* A symbol of the pattern that the state has not gets the next number. */
static void
number_symbols(pair *both, PyObject *a, PyObject *b)
{
    for (uint32_t j = 0; j < both->m; j++) {
        PyObject *symbol = PySequence_Fast_GET_ITEM(b, j);
        Py_hash_t hash = hash_of(symbol);
        numbered *slot = find_number(&both->table, symbol, hash);
        if (slot->symbol == NULL) {
            *slot = (numbered){symbol, hash, both->table.count++};
        }
        both->state[j] = slot->number;
    }
    for (uint32_t i = 0; i < both->n; i++) {
        PyObject *symbol = PySequence_Fast_GET_ITEM(a, i);
        numbered *slot = find_number(&both->table, symbol, hash_of(symbol));
        both->pattern[i] =
            slot->symbol != NULL ? slot->number : both->table.count;
    }
}

/* The lists are checked. -1 with MemoryError set. */
static int
pair_init(pair *both, PyObject *a, PyObject *b)
{
    both->memory.used = 0;
    both->alloc =
        (kf_alloc){&both->memory, stack_allocate, stack_resize, stack_release};
    both->n = (uint32_t)PySequence_Fast_GET_SIZE(a);
    both->m = (uint32_t)PySequence_Fast_GET_SIZE(b);
    both->align = NULL;
    both->scratch = NULL;
    both->pattern = kf_allocate(&both->alloc, both->n, sizeof *both->pattern);
    both->state = kf_allocate(&both->alloc, both->m, sizeof *both->state);
    both->table.slots = NULL;
    if (both->pattern == NULL || both->state == NULL ||
        !make_numbering(&both->alloc, both->m, &both->table)) {
        pair_free(both);
        PyErr_NoMemory();
        return -1;
    }
    number_symbols(both, a, b);
    if (kf_align_state_new(&both->alloc, both->state, both->m, &both->align,
                           NULL) != KF_OK ||
        kf_align_scratch_new(&both->alloc, both->align, both->n,
                             &both->scratch, NULL) != KF_OK) {
        pair_free(both);
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* Symbols times symbols from which a comparison lets the GIL go: in the
 * worst case about a nanosecond each. */
#define PAIR_RELEASES ((uint64_t)1 << 16)

static bool
is_long(const pair *both)
{
    return (uint64_t)both->n * both->m >= PAIR_RELEASES;
}

static uint32_t
common_symbols(pair *both, bool lcs)
{
    kf_alignment alignment;
    if (lcs) {
        return kf_align_lcs(both->align, both->scratch, both->pattern,
                            both->n);
    }
    kf_align(both->align, both->scratch, both->pattern, both->n, 0,
             &alignment);
    return alignment.matched;
}

/* 1 for lcs, 0 for ratcliff_obershelp, -1 with an exception set. */
static int
method_is_lcs(PyObject *method)
{
    if (method == NULL) {
        return 0;
    }
    if (!PyUnicode_Check(method)) {
        kfpy_wrong_type("method", "a str", method);
        return -1;
    }
    if (PyUnicode_CompareWithASCIIString(method, "ratcliff_obershelp") == 0) {
        return 0;
    }
    if (PyUnicode_CompareWithASCIIString(method, "lcs") == 0) {
        return 1;
    }
    PyErr_Format(PyExc_ValueError,
                 "method must be one of ratcliff_obershelp, lcs, not %R",
                 method);
    return -1;
}

PyDoc_STRVAR(
    ratio_doc,
    "ratio($module, /, a, b, method='ratcliff_obershelp')\n--\n\n"
    "Similarity of a pattern and a state, two flat lists of symbols.\n\n"
    "Args:\n"
    "    a: the pattern.\n"
    "    b: the state.\n"
    "    method: 'ratcliff_obershelp', as KATO compares (not symmetric), or\n"
    "        'lcs', by longest common subsequence.\n\n"
    "Returns:\n"
    "    2M / (len(a) + len(b)), M being the symbols in common; 1.0 where\n"
    "    both are empty.\n\n"
    "Raises:\n"
    "    TypeError, ValueError: a bad argument.");

static PyObject *
ratio(PyObject *module, PyObject *const *args, Py_ssize_t n_args,
      PyObject *keywords)
{
    static const char *const names[] = {"a", "b", "method"};
    PyObject *given[3];
    pair both;
    uint32_t common;
    double total;
    int lcs;
    (void)module;
    if (kfpy_arguments("ratio", names, 3, 2, args, n_args, keywords, given) <
            0 ||
        kfpy_check_symbols(given[0], "a") < 0 ||
        kfpy_check_symbols(given[1], "b") < 0) {
        return NULL;
    }
    lcs = method_is_lcs(given[2]);
    if (lcs < 0 || pair_init(&both, given[0], given[1]) < 0) {
        return NULL;
    }
    if (is_long(&both)) {
        KFPY_BEGIN_UNLOCKED
        common = common_symbols(&both, lcs != 0);
        KFPY_END_UNLOCKED
    }
    else {
        common = common_symbols(&both, lcs != 0);
    }
    total = (double)both.n + both.m;
    pair_free(&both);
    return PyFloat_FromDouble(total > 0.0 ? 2.0 * common / total : 1.0);
}

static PyObject *
block_list(const kf_block *blocks, uint32_t count)
{
    PyObject *list = PyList_New(count);
    for (uint32_t b = 0; list != NULL && b < count; b++) {
        PyObject *block =
            Py_BuildValue("(III)", blocks[b].i, blocks[b].j, blocks[b].k);
        if (block == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, b, block);
        }
    }
    return list;
}

PyDoc_STRVAR(
    matching_blocks_doc,
    "matching_blocks($module, /, a, b)\n--\n\n"
    "The blocks of difflib.SequenceMatcher(None, a, b, autojunk=False)\n"
    "without its last (len(a), len(b), 0).\n\n"
    "Returns:\n"
    "    (position in a, position in b, length), by position.\n\n"
    "Raises:\n"
    "    TypeError, ValueError: a bad argument.");

static PyObject *
matching_blocks(PyObject *module, PyObject *const *args, Py_ssize_t n_args,
                PyObject *keywords)
{
    static const char *const names[] = {"a", "b"};
    PyObject *given[2];
    PyObject *list = NULL;
    kf_block *blocks;
    kf_alignment alignment;
    pair both;
    (void)module;
    if (kfpy_arguments("matching_blocks", names, 2, 2, args, n_args, keywords,
                       given) < 0 ||
        kfpy_check_symbols(given[0], "a") < 0 ||
        kfpy_check_symbols(given[1], "b") < 0 ||
        pair_init(&both, given[0], given[1]) < 0) {
        return NULL;
    }
    blocks = kf_allocate(&both.alloc,
                         (size_t)(both.n < both.m ? both.n : both.m) + 1,
                         sizeof *blocks);
    if (blocks == NULL) {
        PyErr_NoMemory();
    }
    else {
        KFPY_BEGIN_UNLOCKED
        kf_align_blocks(both.align, both.scratch, both.pattern, both.n, blocks,
                        &alignment);
        KFPY_END_UNLOCKED
        list = block_list(blocks, alignment.blocks);
    }
    kf_release(&both.alloc, blocks);
    pair_free(&both);
    return list;
}

/* --- names and CPU --- */

PyDoc_STRVAR(pattern_name_doc,
             "pattern_name($module, /, events)\n--\n\n"
             "The name under which KATO stores these events: SHA-1 of their\n"
             "repr.\n\n"
             "Args:\n"
             "    events: any number of symbols, also fewer than KATO "
             "learns.\n\n"
             "Returns:\n"
             "    40 lower-case hex digits.\n\n"
             "Raises:\n"
             "    TypeError, ValueError: the events are not well formed.");

static PyObject *
name_events(const kfpy_state *state, const kfpy_input *input)
{
    uint8_t name[KF_NAME_SIZE];
    kf_naming naming;
    kf_naming_start(&naming, state->unicode);
    kf_naming_events(&naming, input->texts, input->ends,
                     (uint32_t)input->n_ends);
    kf_naming_finish(&naming, name);
    return kfpy_name_str(name);
}

static PyObject *
pattern_name(PyObject *module, PyObject *const *args, Py_ssize_t n_args,
             PyObject *keywords)
{
    static const char *const names[] = {"events"};
    PyObject *given[1];
    PyObject *name = NULL;
    kfpy_input input;
    if (kfpy_arguments("pattern_name", names, 1, 1, args, n_args, keywords,
                       given) < 0) {
        return NULL;
    }
    kfpy_input_init(&input);
    if (kfpy_input_events(&input, given[0]) == 0) {
        name = name_events(PyModule_GetState(module), &input);
    }
    kfpy_input_free(&input);
    return name;
}

PyDoc_STRVAR(cpu_features_doc,
             "cpu_features($module, /)\n--\n\n"
             "The instruction sets that the engine knows of and this CPU\n"
             "has, e.g. ['avx2']; empty for plain code.");

static PyObject *
cpu_features(PyObject *module, PyObject *ignored)
{
    const char *features[8];
    size_t count = kf_cpu_features(features, 8);
    PyObject *list = PyList_New((Py_ssize_t)count);
    (void)module;
    (void)ignored;
    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *feature = PyUnicode_FromString(features[i]);
        if (feature == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, feature);
        }
    }
    return list;
}

PyDoc_STRVAR(unlocked_seconds_doc,
             "unlocked_seconds($module, /)\n--\n\n"
             "Time that this process has spent in the engine without the\n"
             "GIL; sections of several threads add up.");

static PyObject *
unlocked_seconds(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyFloat_FromDouble(kfpy_unlocked_seconds());
}

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

PyMethodDef kfpy_functions[] = {
    {"cpu_features", cpu_features, METH_NOARGS, cpu_features_doc},
    {"matching_blocks", FAST(matching_blocks), METH_FASTCALL | METH_KEYWORDS,
     matching_blocks_doc},
    {"pattern_name", FAST(pattern_name), METH_FASTCALL | METH_KEYWORDS,
     pattern_name_doc},
    {"ratio", FAST(ratio), METH_FASTCALL | METH_KEYWORDS, ratio_doc},
    {"unlocked_seconds", unlocked_seconds, METH_NOARGS, unlocked_seconds_doc},
    {NULL, NULL, 0, NULL},
};
