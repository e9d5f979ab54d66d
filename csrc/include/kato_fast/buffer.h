/* A growable run of bytes that writers append to.
 *
 * Appending never reports failure one call at a time: the first allocation
 * that fails sets `failed`, later appends do nothing, and the writer's end
 * checks once. One buffer belongs to one thread. */
#ifndef KATO_FAST_BUFFER_H
#define KATO_FAST_BUFFER_H

#include "kato_fast/alloc.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct {
    const kf_alloc *alloc; /* borrowed, outlives the buffer */
    char *data;            /* owned; size bytes are written */
    size_t size;
    size_t capacity;
    bool failed; /* sticky: an allocation failed */
} kf_buffer;

void kf_buffer_init(kf_buffer *buffer, const kf_alloc *alloc);
void kf_buffer_free(kf_buffer *buffer);

/* Room for `more` bytes behind size, or false and failed is set. */
bool kf_buffer_reserve(kf_buffer *buffer, size_t more);

static inline void
kf_buffer_append(kf_buffer *buffer, const void *bytes, size_t count)
{
    /* memcpy must not meet the NULL of a buffer that has nothing yet. */
    if (count != 0 && (buffer->capacity - buffer->size >= count ||
                       kf_buffer_reserve(buffer, count))) {
        memcpy(buffer->data + buffer->size, bytes, count);
        buffer->size += count;
    }
}

static inline void
kf_buffer_put(kf_buffer *buffer, char byte)
{
    kf_buffer_append(buffer, &byte, 1);
}

/* A string literal, without its NUL. */
#define KF_BUFFER_LITERAL(buffer, text) \
    kf_buffer_append((buffer), (text), sizeof(text) - 1)

#endif
