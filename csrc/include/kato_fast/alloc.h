/* The allocator, passed at construction and kept by the object.
 *
 * Nothing is global. The functions are called without the GIL and from
 * several threads at once. Sizes are multiplied only through the checked
 * helpers below. */
#ifndef KATO_FAST_ALLOC_H
#define KATO_FAST_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    void *context;
    /* NULL where there is no memory. size is never 0. */
    void *(*allocate)(void *context, size_t size);
    /* As realloc: the old block stays where it fails. */
    void *(*resize)(void *context, void *block, size_t size);
    /* block may be NULL. */
    void (*release)(void *context, void *block);
} kf_alloc;

/* malloc, realloc and free. */
extern const kf_alloc kf_alloc_default;

/* count * size, or false where that does not fit. */
bool kf_size_multiply(size_t count, size_t size, size_t *out);

/* An owned block of count * size bytes, NULL where there is no memory or the
 * product does not fit. count and size may be 0; the block then has 1 byte. */
void *kf_allocate(const kf_alloc *alloc, size_t count, size_t size);

/* The same, zeroed. */
void *kf_allocate_zero(const kf_alloc *alloc, size_t count, size_t size);

/* size bytes, zeroed, that are read in many places again and again: of large
 * pages where the system has such, so that fewer addresses are looked up. */
void *kf_allocate_large(const kf_alloc *alloc, size_t size);

/* Grow *block (owned, may be NULL) of *capacity items of size bytes so that
 * needed items fit, at least by half. Untouched where it fails. */
bool kf_grow(const kf_alloc *alloc, void **block, size_t *capacity,
             size_t needed, size_t size);

/* The same, of large pages where the system has such: for what is filled at
 * once after it has grown. */
bool kf_grow_large(const kf_alloc *alloc, void **block, size_t *capacity,
                   size_t needed, size_t size);

void kf_release(const kf_alloc *alloc, void *block);

#endif
