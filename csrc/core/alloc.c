#include "kato_fast/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *
default_allocate(void *context, size_t size)
{
    (void)context;
    return malloc(size);
}

static void *
default_resize(void *context, void *block, size_t size)
{
    (void)context;
    return realloc(block, size);
}

static void
default_release(void *context, void *block)
{
    (void)context;
    free(block);
}

const kf_alloc kf_alloc_default = {
    .context = NULL,
    .allocate = default_allocate,
    .resize = default_resize,
    .release = default_release,
};

bool
kf_size_multiply(size_t count, size_t size, size_t *out)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return false;
    }
    *out = count * size;
    return true;
}

void *
kf_allocate(const kf_alloc *alloc, size_t count, size_t size)
{
    size_t bytes;
    if (!kf_size_multiply(count, size, &bytes)) {
        return NULL;
    }
    return alloc->allocate(alloc->context, bytes != 0 ? bytes : 1);
}

void *
kf_allocate_zero(const kf_alloc *alloc, size_t count, size_t size)
{
    void *block = kf_allocate(alloc, count, size);
    if (block != NULL) {
        memset(block, 0, count * size);
    }
    return block;
}

bool
kf_grow(const kf_alloc *alloc, void **block, size_t *capacity, size_t needed,
        size_t size)
{
    size_t count = *capacity + *capacity / 2;
    size_t bytes;
    void *grown;
    if (needed <= *capacity) {
        return true;
    }
    if (count < needed) {
        count = needed;
    }
    if (count < 8) {
        count = 8;
    }
    if (!kf_size_multiply(count, size, &bytes)) {
        return false;
    }
    grown = *block == NULL ? alloc->allocate(alloc->context, bytes)
                           : alloc->resize(alloc->context, *block, bytes);
    if (grown == NULL) {
        return false;
    }
    *block = grown;
    *capacity = count;
    return true;
}

void
kf_release(const kf_alloc *alloc, void *block)
{
    alloc->release(alloc->context, block);
}
