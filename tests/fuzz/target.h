/* What the fuzz targets share: an allocator with a cap that may fail, and a
 * check that ends the run. */
#ifndef KATO_FAST_FUZZ_TARGET_H
#define KATO_FAST_FUZZ_TARGET_H

#include "kato_fast/alloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(condition)                                                     \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

/* Memory must follow the bytes of the input: so much for each of them. */
#define BYTES_PER_BYTE 512
#define BYTES_AT_LEAST 65536

typedef struct {
    size_t live; /* blocks */
    size_t calls;
    size_t fail_at; /* 0 for never */
    size_t largest; /* what was ever asked for at once */
} fuzz_memory;

static inline bool
fuzz_fails(fuzz_memory *memory, size_t size)
{
    if (size > memory->largest) {
        memory->largest = size;
    }
    return ++memory->calls == memory->fail_at;
}

static inline void *
fuzz_allocate(void *context, size_t size)
{
    fuzz_memory *memory = context;
    void *block = fuzz_fails(memory, size) ? NULL : malloc(size);
    memory->live += block != NULL;
    return block;
}

static inline void *
fuzz_resize(void *context, void *block, size_t size)
{
    return fuzz_fails(context, size) ? NULL : realloc(block, size);
}

static inline void
fuzz_release(void *context, void *block)
{
    fuzz_memory *memory = context;
    memory->live -= block != NULL;
    free(block);
}

static inline kf_alloc
fuzz_alloc(fuzz_memory *memory)
{
    kf_alloc alloc = {memory, fuzz_allocate, fuzz_resize, fuzz_release};
    return alloc;
}

/* At the end: nothing is left, and nothing was asked for out of proportion. */
static inline void
fuzz_end(const fuzz_memory *memory, size_t input)
{
    MUST(memory->live == 0);
    MUST(memory->largest <= BYTES_AT_LEAST + input * BYTES_PER_BYTE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
