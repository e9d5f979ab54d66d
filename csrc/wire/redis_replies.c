#include "wire/redis_replies.h"

#include <hiredis/hiredis.h>

#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number

const char kf_redis_library_version[] =
    TEXT(HIREDIS_MAJOR) "." TEXT(HIREDIS_MINOR) "." TEXT(HIREDIS_PATCH);

void
kf_redis_replies_init(kf_redis_replies *replies, const kf_alloc *alloc)
{
    memset(replies, 0, sizeof *replies);
    replies->alloc = alloc;
    kf_buffer_init(&replies->bytes, alloc);
}

void
kf_redis_replies_free(kf_redis_replies *replies)
{
    kf_release(replies->alloc, replies->items);
    kf_buffer_free(&replies->bytes);
}

/* --- callbacks of the reader ---
 * What they return only has to differ from NULL, which stops the reader. */

static void *
refuse(kf_redis_replies *replies, const char *why)
{
    replies->refusal = why;
    return NULL;
}

static size_t
depth_of(const redisReadTask *task)
{
    size_t depth = 0;
    for (; task->parent != NULL; task = task->parent) {
        depth++;
    }
    return depth;
}

static void *
append(const redisReadTask *task, kf_redis_kind kind, int64_t number,
       size_t size)
{
    kf_redis_replies *replies = task->privdata;
    if (replies->n_items >= KF_REDIS_MAX_ITEMS) {
        return refuse(replies, "too many items");
    }
    if (!kf_grow(replies->alloc, (void **)&replies->items, &replies->capacity,
                 replies->n_items + 1, sizeof *replies->items)) {
        replies->failed = true;
        return NULL;
    }
    replies->items[replies->n_items++] = (kf_redis_item){kind, number, size};
    return replies;
}

static void *
on_string(const redisReadTask *task, char *bytes, size_t size)
{
    kf_redis_replies *replies = task->privdata;
    size_t start = replies->bytes.size;
    if (task->type != REDIS_REPLY_STRING && task->type != REDIS_REPLY_STATUS &&
        task->type != REDIS_REPLY_ERROR) {
        return refuse(replies, "a type of reply that was not asked for");
    }
    kf_buffer_append(&replies->bytes, bytes, size);
    if (replies->bytes.failed) {
        replies->failed = true;
        return NULL;
    }
    return append(task,
                  task->type == REDIS_REPLY_ERROR ? KF_REDIS_ERROR
                                                  : KF_REDIS_BYTES,
                  (int64_t)start, size);
}

static void *
begin_array(const redisReadTask *task, int64_t count)
{
    if (task->type != REDIS_REPLY_ARRAY) {
        return refuse(task->privdata,
                      "a type of reply that was not asked for");
    }
    if (depth_of(task) >= KF_REDIS_MAX_DEPTH) {
        return refuse(task->privdata, "too many arrays inside each other");
    }
    return append(task, KF_REDIS_ARRAY, count, 0);
}

#if HIREDIS_MAJOR >= 1

static void *
on_array(const redisReadTask *task, size_t count)
{
    return begin_array(task, (int64_t)count);
}

static void *
on_double(const redisReadTask *task, double value, char *text, size_t size)
{
    (void)value;
    (void)text;
    (void)size;
    return refuse(task->privdata, "a type of reply that was not asked for");
}

static void *
on_bool(const redisReadTask *task, int value)
{
    (void)value;
    return refuse(task->privdata, "a type of reply that was not asked for");
}

#else

static void *
on_array(const redisReadTask *task, int count)
{
    return begin_array(task, count);
}

#endif

static void *
on_integer(const redisReadTask *task, long long number)
{
    return append(task, KF_REDIS_INTEGER, number, 0);
}

static void *
on_nil(const redisReadTask *task)
{
    return append(task, KF_REDIS_NIL, 0, 0);
}

static void
on_free(void *object)
{
    (void)object; /* the items belong to the list */
}

/* hiredis wants it writable and never writes to it. */
static redisReplyObjectFunctions callbacks = {
    .createString = on_string,
    .createArray = on_array,
    .createInteger = on_integer,
    .createNil = on_nil,
    .freeObject = on_free,
#if HIREDIS_MAJOR >= 1
    .createDouble = on_double,
    .createBool = on_bool,
#endif
};

/* --- the parser: hiredis' reader --- */

/* A buffer that grew to this size is kept for the next reply. */
#define KEEP_BUFFER ((size_t)1 << 18)

kf_redis_parser *
kf_redis_parser_new(void)
{
    redisReader *reader = redisReaderCreateWithFunctions(&callbacks);
    if (reader != NULL) {
        reader->maxbuf = KEEP_BUFFER;
    }
    return (kf_redis_parser *)reader;
}

void
kf_redis_parser_free(kf_redis_parser *parser)
{
    if (parser != NULL) {
        redisReaderFree((redisReader *)parser);
    }
}

static kf_status
reader_failed(const redisReader *reader, const kf_redis_replies *replies,
              kf_error *err)
{
    if (replies->failed ||
        (reader->err == REDIS_ERR_OOM && replies->refusal == NULL)) {
        return kf_no_memory(err);
    }
    if (replies->refusal != NULL) {
        return kf_fail(err, KF_TOO_LARGE, "%s", replies->refusal);
    }
    return kf_fail(err, KF_INVALID, "%s", reader->errstr);
}

kf_status
kf_redis_parse(kf_redis_parser *parser, kf_redis_replies *replies,
               const char *bytes, size_t size, size_t wanted, size_t *whole,
               kf_error *err)
{
    redisReader *reader = (redisReader *)parser;
    size_t count = 0;
    void *reply = replies;
    reader->privdata = replies;
    if (redisReaderFeed(reader, bytes, size) != REDIS_OK) {
        return reader_failed(reader, replies, err);
    }
    while (reply != NULL && count < wanted) {
        reply = NULL;
        if (redisReaderGetReply(reader, &reply) != REDIS_OK) {
            return reader_failed(reader, replies, err);
        }
        count += reply != NULL;
    }
    if (count == wanted && reader->pos < reader->len) {
        return kf_fail(err, KF_INVALID, "more replies than commands");
    }
    *whole += count;
    return KF_OK;
}
