#include "wire/cbor.h"

#include "kato_fast/utf8.h"

#include <cbor.h>

#include <math.h>
#include <string.h>

const char kf_cbor_library_version[] = CBOR_VERSION;

/* Lengths of arrays and maps came as size_t before 0.9. */
#if CBOR_MAJOR_VERSION > 0 || CBOR_MINOR_VERSION >= 9
typedef uint64_t length_type;
typedef uint64_t string_length;
#else
typedef size_t length_type;
typedef size_t string_length;
#endif

void
kf_cbor_items_init(kf_cbor_items *items, const kf_alloc *alloc)
{
    memset(items, 0, sizeof *items);
    items->alloc = alloc;
}

void
kf_cbor_items_free(kf_cbor_items *items)
{
    kf_release(items->alloc, items->items);
}

/* --- one head, as libcbor calls it --- */

typedef enum {
    HEAD_SCALAR, /* item has its kind and value */
    HEAD_STRING,
    HEAD_CHUNKS,
    HEAD_CONTAINER,
    HEAD_OPEN, /* a container whose end is marked by a break */
    HEAD_BREAK,
    HEAD_UNDEFINED
} head_kind;

typedef struct {
    head_kind kind;
    kf_cbor_item item;
    const unsigned char *bytes; /* of HEAD_STRING */
} head;

static void
set_number(void *context, kf_cbor_kind kind, uint64_t number)
{
    head *it = context;
    it->kind = HEAD_SCALAR;
    it->item.kind = kind;
    it->item.is.number = number;
}

static void
on_uint8(void *context, uint8_t number)
{
    set_number(context, KF_CBOR_UNSIGNED, number);
}

static void
on_uint16(void *context, uint16_t number)
{
    set_number(context, KF_CBOR_UNSIGNED, number);
}

static void
on_uint32(void *context, uint32_t number)
{
    set_number(context, KF_CBOR_UNSIGNED, number);
}

static void
on_uint64(void *context, uint64_t number)
{
    set_number(context, KF_CBOR_UNSIGNED, number);
}

static void
on_negint8(void *context, uint8_t number)
{
    set_number(context, KF_CBOR_NEGATIVE, number);
}

static void
on_negint16(void *context, uint16_t number)
{
    set_number(context, KF_CBOR_NEGATIVE, number);
}

static void
on_negint32(void *context, uint32_t number)
{
    set_number(context, KF_CBOR_NEGATIVE, number);
}

static void
on_negint64(void *context, uint64_t number)
{
    set_number(context, KF_CBOR_NEGATIVE, number);
}

static void
on_double(void *context, double value)
{
    head *it = context;
    it->kind = HEAD_SCALAR;
    it->item.kind = KF_CBOR_DOUBLE;
    it->item.is.value = value;
}

static void
on_float(void *context, float value)
{
    on_double(context, value);
}

static void
on_null(void *context)
{
    set_number(context, KF_CBOR_NULL, 0);
}

static void
on_bool(void *context, bool value)
{
    set_number(context, value ? KF_CBOR_TRUE : KF_CBOR_FALSE, 0);
}

static void
set_string(void *context, kf_cbor_kind kind, const unsigned char *bytes,
           uint64_t size)
{
    set_number(context, kind, size);
    ((head *)context)->kind = HEAD_STRING;
    ((head *)context)->bytes = bytes;
}

static void
on_bytes(void *context, cbor_data bytes, string_length size)
{
    set_string(context, KF_CBOR_BYTES, bytes, size);
}

static void
on_text(void *context, cbor_data bytes, string_length size)
{
    set_string(context, KF_CBOR_TEXT, bytes, size);
}

static void
set_kind(void *context, head_kind kind, kf_cbor_kind item, uint64_t number)
{
    set_number(context, item, number);
    ((head *)context)->kind = kind;
}

static void
on_bytes_start(void *context)
{
    set_kind(context, HEAD_CHUNKS, KF_CBOR_CHUNKS, 0);
    ((head *)context)->item.text = false;
}

static void
on_text_start(void *context)
{
    set_kind(context, HEAD_CHUNKS, KF_CBOR_CHUNKS, 0);
    ((head *)context)->item.text = true;
}

static void
on_array(void *context, length_type count)
{
    set_kind(context, HEAD_CONTAINER, KF_CBOR_ARRAY, count);
}

static void
on_open_array(void *context)
{
    set_kind(context, HEAD_OPEN, KF_CBOR_ARRAY, 0);
}

static void
on_map(void *context, length_type count)
{
    set_kind(context, HEAD_CONTAINER, KF_CBOR_MAP, count);
}

static void
on_open_map(void *context)
{
    set_kind(context, HEAD_OPEN, KF_CBOR_MAP, 0);
}

static void
on_break(void *context)
{
    ((head *)context)->kind = HEAD_BREAK;
}

/* Never called: step() sees tags before libcbor does. */
static void
on_tag(void *context, uint64_t tag)
{
    (void)tag;
    ((head *)context)->kind = HEAD_UNDEFINED;
}

static void
on_undefined(void *context)
{
    ((head *)context)->kind = HEAD_UNDEFINED;
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_negint8,
    .negint16 = on_negint16,
    .negint32 = on_negint32,
    .negint64 = on_negint64,
    .byte_string_start = on_bytes_start,
    .byte_string = on_bytes,
    .string_start = on_text_start,
    .string = on_text,
    .array_start = on_array,
    .indef_array_start = on_open_array,
    .map_start = on_map,
    .indef_map_start = on_open_map,
    .tag = on_tag,
    .float2 = on_float,
    .float4 = on_float,
    .float8 = on_double,
    .undefined = on_undefined,
    .null = on_null,
    .boolean = on_bool,
    .indef_break = on_break,
};

/* --- what is open --- */

typedef struct {
    size_t item;   /* of the array, the map, or the chunks */
    uint64_t left; /* items until it is whole; of maps twice its number */
    bool counted;  /* else a break ends it, and left counts upwards */
} frame;

typedef struct {
    const unsigned char *data;
    size_t size;
    size_t at; /* the next head */
    const kf_cbor_limits *limits;
    kf_cbor_items *items;
    frame *frames; /* owned; max_depth of them, and one for chunks */
    size_t depth;
    bool done;
    kf_error *err;
} decoder;

static kf_status
refuse(const decoder *self, kf_status status, const char *rule)
{
    return kf_fail(self->err, status, "%s at byte %zu", rule, self->at);
}

static kf_status
not_cbor(const decoder *self)
{
    return refuse(self, KF_INVALID, "data is not CBOR");
}

static frame *
innermost(const decoder *self)
{
    return self->depth == 0 ? NULL : &self->frames[self->depth - 1];
}

static kf_cbor_item *
item_of(const decoder *self, const frame *it)
{
    return &self->items->items[it->item];
}

static bool
in_chunks(const decoder *self)
{
    const frame *it = innermost(self);
    return it != NULL && item_of(self, it)->kind == KF_CBOR_CHUNKS;
}

/* Whether the next item is the key of a map. */
static bool
wants_key(const decoder *self)
{
    const frame *it = innermost(self);
    return it != NULL && item_of(self, it)->kind == KF_CBOR_MAP &&
           it->left % 2 == 0;
}

/* An item is whole: so may be what it stands in. */
static void
close_item(decoder *self)
{
    frame *it = innermost(self);
    while (it != NULL && it->counted && --it->left == 0) {
        self->depth--;
        it = innermost(self);
    }
    if (it != NULL && !it->counted) {
        it->left++;
    }
    self->done = it == NULL;
}

/* --- checks of one head --- */

static kf_status
check_place(const decoder *self, const head *it)
{
    if (in_chunks(self)) {
        kf_cbor_kind wanted = item_of(self, innermost(self))->text
                                  ? KF_CBOR_TEXT
                                  : KF_CBOR_BYTES;
        return it->kind == HEAD_STRING && it->item.kind == wanted
                   ? KF_OK
                   : not_cbor(self);
    }
    if (it->kind == HEAD_UNDEFINED) {
        return refuse(self, KF_INVALID,
                      "data has undefined, which has no place,");
    }
    if (wants_key(self) && it->item.kind != KF_CBOR_TEXT &&
        !(it->kind == HEAD_CHUNKS && it->item.text)) {
        return refuse(self, KF_INVALID, "data has a key that is no text");
    }
    return KF_OK;
}

static kf_status
check_value(const decoder *self, const head *it)
{
    const kf_cbor_item *item = &it->item;
    if (it->kind == HEAD_STRING && item->kind == KF_CBOR_TEXT &&
        !kf_utf8_is_valid((const char *)it->bytes, item->is.number)) {
        return refuse(self, KF_INVALID, "data has text that is not UTF-8");
    }
    if (it->kind == HEAD_SCALAR && item->kind == KF_CBOR_DOUBLE &&
        self->limits->finite && !isfinite(item->is.value)) {
        return refuse(self, KF_INVALID,
                      "data has a number that is not finite");
    }
    if ((it->kind == HEAD_CONTAINER || it->kind == HEAD_OPEN) &&
        self->depth >= self->limits->max_depth) {
        return kf_fail(self->err, KF_TOO_LARGE,
                       "data is nested more than %zu levels deep at byte %zu",
                       self->limits->max_depth, self->at);
    }
    /* Twice this number must fit; so many bytes are nowhere. */
    if (it->kind == HEAD_CONTAINER && item->is.number > (uint64_t)1 << 62) {
        return refuse(self, KF_INVALID, "data ends inside of an item");
    }
    return KF_OK;
}

/* --- steps --- */

static kf_status
end_by_break(decoder *self)
{
    frame *it = innermost(self);
    kf_cbor_item *item;
    if (it == NULL || it->counted) {
        return not_cbor(self);
    }
    item = item_of(self, it);
    if (item->kind == KF_CBOR_MAP && it->left % 2 != 0) {
        return not_cbor(self);
    }
    item->is.number = item->kind == KF_CBOR_MAP ? it->left / 2 : it->left;
    self->depth--;
    close_item(self);
    return KF_OK;
}

static void
open_frame(decoder *self, uint64_t left, bool counted)
{
    self->frames[self->depth++] = (frame){self->items->n - 1, left, counted};
}

static kf_status
append(decoder *self, const head *it)
{
    kf_cbor_items *items = self->items;
    if (!kf_grow(items->alloc, (void **)&items->items, &items->capacity,
                 items->n + 1, sizeof *items->items)) {
        return kf_no_memory(self->err);
    }
    items->items[items->n] = it->item;
    items->items[items->n].at = self->at;
    items->items[items->n].start =
        it->kind == HEAD_STRING ? (size_t)(it->bytes - self->data) : 0;
    items->n++;
    return KF_OK;
}

static kf_status
take(decoder *self, const head *it)
{
    uint64_t number = it->item.is.number;
    kf_status status = check_place(self, it);
    if (status == KF_OK) {
        status = check_value(self, it);
    }
    if (status == KF_OK) {
        status = append(self, it);
    }
    if (status != KF_OK) {
        return status;
    }
    if (it->kind == HEAD_CHUNKS || it->kind == HEAD_OPEN) {
        open_frame(self, 0, false);
    }
    else if (it->kind == HEAD_CONTAINER && number > 0) {
        open_frame(self, it->item.kind == KF_CBOR_MAP ? 2 * number : number,
                   true);
    }
    else {
        close_item(self);
    }
    return KF_OK;
}

static kf_status
step(decoder *self)
{
    head it = {.kind = HEAD_UNDEFINED};
    kf_status status;
    struct cbor_decoder_result result;
    if (self->at == self->size) {
        return refuse(self, KF_INVALID, "data ends inside of an item");
    }
    /* Some versions call an unknown tag an error, others do not. */
    if ((self->data[self->at] & 0xe0) == 0xc0) {
        return refuse(self, KF_INVALID, "data has a tag, which has no place,");
    }
    result = cbor_stream_decode(self->data + self->at, self->size - self->at,
                                &callbacks, &it);
    if (result.status == CBOR_DECODER_NEDATA) {
        return refuse(self, KF_INVALID, "data ends inside of an item");
    }
    if (result.status != CBOR_DECODER_FINISHED || result.read == 0) {
        return not_cbor(self);
    }
    if (it.kind == HEAD_BREAK) {
        status = end_by_break(self);
    }
    else if (self->items->n >= self->limits->max_items) {
        return kf_fail(self->err, KF_TOO_LARGE,
                       "data has more than %zu items at byte %zu",
                       self->limits->max_items, self->at);
    }
    else {
        status = take(self, &it);
    }
    self->at += status == KF_OK ? result.read : 0;
    return status;
}

kf_status
kf_cbor_decode(const unsigned char *data, size_t size,
               const kf_cbor_limits *limits, kf_cbor_items *items,
               kf_error *err)
{
    decoder self = {
        .data = data,
        .size = size,
        .limits = limits,
        .items = items,
        .err = err,
    };
    kf_status status = KF_OK;
    self.frames =
        kf_allocate(items->alloc, limits->max_depth + 1, sizeof *self.frames);
    if (self.frames == NULL) {
        return kf_no_memory(err);
    }
    while (status == KF_OK && !self.done) {
        status = step(&self);
    }
    if (status == KF_OK && self.at < size) {
        status = refuse(&self, KF_INVALID, "data goes on behind its value");
    }
    kf_release(items->alloc, self.frames);
    return status;
}
