/* Bytes that are to be CBOR: the first is the depth that is taken, the second
 * says which allocation fails. What is taken is written again in its shortest
 * form, and must be the same value then. */
#include "target.h"

#include "kato_fast/buffer.h"
#include "kato_fast/cbor.h"
#include "kato_fast/utf8.h"
#include "wire/cbor.h"

#include <string.h>

typedef struct {
    const kf_cbor_items *items;
    const unsigned char *data;
    size_t next;
} cursor;

static const unsigned char *
bytes_of(const cursor *it, const kf_cbor_item *item)
{
    return it->data + item->start;
}

static void
write_chunks(kf_buffer *out, cursor *it, const kf_cbor_item *first)
{
    kf_buffer whole;
    kf_buffer_init(&whole, &kf_alloc_default);
    for (uint64_t i = 0; i < first->is.number; i++) {
        const kf_cbor_item *chunk = &it->items->items[it->next++];
        MUST(chunk->kind == (first->text ? KF_CBOR_TEXT : KF_CBOR_BYTES));
        kf_buffer_append(&whole, bytes_of(it, chunk), chunk->is.number);
    }
    if (first->text) {
        MUST(kf_utf8_is_valid(whole.data, whole.size));
        kf_cbor_text(out, whole.data, whole.size);
    }
    else {
        kf_cbor_bytes(out, whole.data, whole.size);
    }
    kf_buffer_free(&whole);
}

/* As deep as the decoder lets it be. */
static void
write_next(kf_buffer *out, cursor *it)
{
    const kf_cbor_item *item = &it->items->items[it->next++];
    MUST(it->next <= it->items->n);
    switch (item->kind) {
    case KF_CBOR_UNSIGNED:
        kf_cbor_uint(out, item->is.number);
        break;
    case KF_CBOR_NEGATIVE:
        kf_cbor_negative(out, item->is.number);
        break;
    case KF_CBOR_DOUBLE:
        kf_cbor_double(out, item->is.value);
        break;
    case KF_CBOR_NULL:
        kf_cbor_null(out);
        break;
    case KF_CBOR_FALSE:
    case KF_CBOR_TRUE:
        kf_cbor_bool(out, item->kind == KF_CBOR_TRUE);
        break;
    case KF_CBOR_BYTES:
        kf_cbor_bytes(out, bytes_of(it, item), item->is.number);
        break;
    case KF_CBOR_TEXT:
        MUST(kf_utf8_is_valid((const char *)bytes_of(it, item),
                              item->is.number));
        kf_cbor_text(out, (const char *)bytes_of(it, item), item->is.number);
        break;
    case KF_CBOR_CHUNKS:
        write_chunks(out, it, item);
        break;
    case KF_CBOR_ARRAY:
        kf_cbor_array(out, item->is.number);
        for (uint64_t i = 0; i < item->is.number; i++) {
            write_next(out, it);
        }
        break;
    case KF_CBOR_MAP:
        kf_cbor_map(out, item->is.number);
        for (uint64_t i = 0; i < 2 * item->is.number; i++) {
            write_next(out, it);
        }
        break;
    }
}

static void
write_all(kf_buffer *out, const kf_cbor_items *items,
          const unsigned char *data)
{
    cursor it = {items, data, 0};
    kf_buffer_init(out, &kf_alloc_default);
    write_next(out, &it);
    MUST(it.next == items->n);
    MUST(!out->failed);
}

/* Written once more, nothing changes. */
static void
write_and_read_again(const kf_cbor_items *items, const unsigned char *data)
{
    kf_cbor_limits limits = {KF_CBOR_MAX_DEPTH, SIZE_MAX, false};
    kf_buffer once, twice;
    kf_cbor_items again;
    kf_error err;
    write_all(&once, items, data);
    kf_cbor_items_init(&again, &kf_alloc_default);
    MUST(kf_cbor_decode((const unsigned char *)once.data, once.size, &limits,
                        &again, &err) == KF_OK);
    write_all(&twice, &again, (const unsigned char *)once.data);
    MUST(once.size == twice.size);
    MUST(memcmp(once.data, twice.data, once.size) == 0);
    kf_cbor_items_free(&again);
    kf_buffer_free(&once);
    kf_buffer_free(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_memory memory = {0};
    kf_alloc alloc = fuzz_alloc(&memory);
    kf_cbor_items items;
    kf_cbor_limits limits = {1, 10000, false};
    kf_error err;
    kf_status status;
    if (size < 2) {
        return 0;
    }
    limits.max_depth = (size_t)data[0] + 1;
    memory.fail_at = data[1];
    kf_cbor_items_init(&items, &alloc);
    status = kf_cbor_decode(data + 2, size - 2, &limits, &items, &err);
    if (status == KF_OK) {
        write_and_read_again(&items, data + 2);
    }
    else {
        MUST(err.message[0] != '\0');
        MUST(status != KF_NO_MEMORY || memory.fail_at != 0);
    }
    kf_cbor_items_free(&items);
    fuzz_end(&memory, size);
    return 0;
}
