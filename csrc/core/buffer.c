#include "kato_fast/buffer.h"

#include <stdint.h>

void
kf_buffer_init(kf_buffer *buffer, const kf_alloc *alloc)
{
    buffer->alloc = alloc;
    buffer->data = NULL;
    buffer->size = 0;
    buffer->capacity = 0;
    buffer->failed = false;
}

void
kf_buffer_free(kf_buffer *buffer)
{
    kf_release(buffer->alloc, buffer->data);
    kf_buffer_init(buffer, buffer->alloc);
}

bool
kf_buffer_reserve(kf_buffer *buffer, size_t more)
{
    void *data = buffer->data;
    if (buffer->failed || more > SIZE_MAX - buffer->size ||
        !kf_grow(buffer->alloc, &data, &buffer->capacity, buffer->size + more,
                 1)) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    return true;
}
