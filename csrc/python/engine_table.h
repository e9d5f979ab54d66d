/* What the module _core lends to extensions beside it, as a capsule: their
 * bytes go into an engine without a Python object in between. The functions
 * are those of the public headers and need no GIL, but for knowledge_of. */
#ifndef KFPY_ENGINE_TABLE_H
#define KFPY_ENGINE_TABLE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kato_fast/loader.h"

#define KFPY_ENGINE_TABLE "kato_fast._core.engine_table"

typedef struct {
    size_t size; /* of this struct: both sides are of one build */
    const kf_alloc *alloc;
    /* Borrowed from the object; NULL with TypeError set where it is none. */
    kf_knowledge *(*knowledge_of)(PyObject *object);
    kf_status (*loader_new)(kf_knowledge *knowledge, kf_loader **out,
                            kf_error *err);
    kf_status (*loader_put)(kf_loader *loader, const kf_loaded *patterns,
                            size_t count, size_t *done, kf_error *err);
    void (*loader_end)(kf_loader *loader);
    kf_status (*emotives_new)(const kf_alloc *alloc,
                              const kf_emotive_map *maps, uint32_t n_maps,
                              kf_emotives **out, kf_error *err);
    void (*emotives_release)(kf_emotives *emotives);
} kfpy_engine_table;

#endif
