#include "kato_fast/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

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

/* A large page, and from which size on a block has some. */
#define LARGE_PAGE ((uintptr_t)1 << 21)
#define LARGE_MIN ((size_t)1 << 22)

/* Ask for large pages where the block has whole ones, which it gets where
 * nothing was written to yet. It may be refused, and nothing depends on it. */
static void
prefer_large_pages(void *block, size_t size)
{
#if defined(MADV_HUGEPAGE)
    uintptr_t first = ((uintptr_t)block + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
    uintptr_t end = ((uintptr_t)block + size) & ~(LARGE_PAGE - 1);
    if (first < end) {
        (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
    }
#else
    (void)block;
    (void)size;
#endif
}

void *
kf_allocate_large(const kf_alloc *alloc, size_t size)
{
    void *block = kf_allocate(alloc, 1, size);
    if (block != NULL && size >= LARGE_MIN) {
        prefer_large_pages(block, size);
    }
    if (block != NULL) {
        memset(block, 0, size);
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

bool
kf_grow_large(const kf_alloc *alloc, void **block, size_t *capacity,
              size_t needed, size_t size)
{
    size_t before = *capacity;
    if (!kf_grow(alloc, block, capacity, needed, size)) {
        return false;
    }
    if (*capacity != before && *capacity >= LARGE_MIN / size) {
        prefer_large_pages(*block, *capacity * size);
    }
    return true;
}

void
kf_release(const kf_alloc *alloc, void *block)
{
    alloc->release(alloc->context, block);
}
