/* The engine's memory comes from Python's raw allocator, which needs no GIL
 * and which tracemalloc and PYTHONMALLOC see. Each extension module has its
 * own copy. */
#ifndef KATO_FAST_PYTHON_RAW_MEMORY_H
#define KATO_FAST_PYTHON_RAW_MEMORY_H

#include <Python.h>

#include "kato_fast/alloc.h"

static void *
raw_allocate(void *context, size_t size)
{
    (void)context;
    return PyMem_RawMalloc(size);
}

static void *
raw_resize(void *context, void *block, size_t size)
{
    (void)context;
    return PyMem_RawRealloc(block, size);
}

static void
raw_release(void *context, void *block)
{
    (void)context;
    PyMem_RawFree(block);
}

/* Initialises a kf_alloc. */
#define KFPY_RAW_MEMORY {NULL, raw_allocate, raw_resize, raw_release}

#endif
