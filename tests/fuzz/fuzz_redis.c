/* Bytes of a Redis server: the first says in which pieces they come, the
 * second which allocation fails. */
#include "target.h"
#include "wire/redis_replies.h"

#define WANTED 8

/* Items of whole replies: every array has its elements behind it, and every
 * text lies inside of the bytes. Returns the number of items of n replies. */
static size_t
walk(const kf_redis_replies *replies, size_t n)
{
    size_t open = n, at = 0;
    while (open > 0) {
        const kf_redis_item *item = &replies->items[at++];
        MUST(at <= replies->n_items);
        open--;
        if (item->kind == KF_REDIS_ARRAY) {
            MUST(item->number >= 0);
            open += (size_t)item->number;
        }
        else if (item->kind == KF_REDIS_BYTES ||
                 item->kind == KF_REDIS_ERROR) {
            MUST(item->number >= 0);
            MUST((size_t)item->number + item->size <= replies->bytes.size);
        }
    }
    return at;
}

static void
parse(kf_redis_parser *parser, kf_redis_replies *replies, const uint8_t *data,
      size_t size, size_t piece)
{
    size_t whole = 0;
    kf_status status = KF_OK;
    kf_error err;
    for (size_t at = 0; at < size && status == KF_OK && whole < WANTED;
         at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        status = kf_redis_parse(parser, replies, (const char *)data + at, n,
                                WANTED - whole, &whole, &err);
        MUST(status == KF_OK || err.message[0] != '\0');
        MUST(whole <= WANTED);
        MUST(walk(replies, whole) <= replies->n_items);
    }
    MUST(status != KF_OK || whole < WANTED ||
         walk(replies, whole) == replies->n_items);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_memory memory = {0};
    kf_alloc alloc = fuzz_alloc(&memory);
    kf_redis_parser *parser;
    kf_redis_replies replies;
    if (size < 2) {
        return 0;
    }
    parser = kf_redis_parser_new();
    MUST(parser != NULL);
    memory.fail_at = data[1];
    kf_redis_replies_init(&replies, &alloc);
    parse(parser, &replies, data + 2, size - 2, (size_t)data[0] + 1);
    kf_redis_replies_free(&replies);
    kf_redis_parser_free(parser);
    fuzz_end(&memory, size);
    return 0;
}
