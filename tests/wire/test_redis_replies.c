/* Replies: items in order, whatever pieces they come in; limits; and each
 * allocation failing in turn. */
#include "check.h"
#include "wire/redis_replies.h"

#include <string.h>

static const char STREAM[] =
    "*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$2\r\nvv\r\n*-1\r\n"
    ":-42\r\n-ERR no\r\n+OK\r\n$0\r\n\r\n$-1\r\n";
#define STREAM_REPLIES 6
#define STREAM_ITEMS 12

static kf_status
parse_pieces(kf_redis_replies *replies, const char *bytes, size_t size,
             size_t piece, size_t wanted, size_t *whole, kf_error *err)
{
    kf_redis_parser *parser = kf_redis_parser_new();
    kf_status status = KF_OK;
    CHECK(parser != NULL);
    *whole = 0;
    for (size_t at = 0; at < size && status == KF_OK; at += piece) {
        size_t n = size - at < piece ? size - at : piece;
        status = kf_redis_parse(parser, replies, bytes + at, n,
                                wanted - *whole, whole, err);
    }
    kf_redis_parser_free(parser);
    return status;
}

static bool
is_text(const kf_redis_replies *replies, size_t i, kf_redis_kind kind,
        const char *text)
{
    const kf_redis_item *item = &replies->items[i];
    return item->kind == kind && item->size == strlen(text) &&
           memcmp(kf_redis_item_bytes(replies, item), text, item->size) == 0;
}

static void
check_stream(const kf_redis_replies *replies)
{
    const kf_redis_item *items = replies->items;
    CHECK(replies->n_items == STREAM_ITEMS);
    CHECK(items[0].kind == KF_REDIS_ARRAY && items[0].number == 2);
    CHECK(items[1].kind == KF_REDIS_ARRAY && items[1].number == 2);
    CHECK(is_text(replies, 2, KF_REDIS_BYTES, "1-1"));
    CHECK(items[3].kind == KF_REDIS_ARRAY && items[3].number == 2);
    CHECK(is_text(replies, 4, KF_REDIS_BYTES, "f"));
    CHECK(is_text(replies, 5, KF_REDIS_BYTES, "vv"));
    CHECK(items[6].kind == KF_REDIS_NIL);
    CHECK(items[7].kind == KF_REDIS_INTEGER && items[7].number == -42);
    CHECK(is_text(replies, 8, KF_REDIS_ERROR, "ERR no"));
    CHECK(is_text(replies, 9, KF_REDIS_BYTES, "OK"));
    CHECK(is_text(replies, 10, KF_REDIS_BYTES, ""));
    CHECK(items[11].kind == KF_REDIS_NIL);
}

static void
test_pieces(void)
{
    for (size_t piece = 1; piece <= sizeof STREAM; piece++) {
        kf_redis_replies replies;
        size_t whole;
        kf_redis_replies_init(&replies, &kf_alloc_default);
        CHECK(parse_pieces(&replies, STREAM, sizeof STREAM - 1, piece,
                           STREAM_REPLIES, &whole, NULL) == KF_OK);
        CHECK(whole == STREAM_REPLIES);
        check_stream(&replies);
        kf_redis_replies_free(&replies);
    }
}

static void
refuses(const char *bytes, size_t size, size_t wanted, kf_status expected)
{
    kf_redis_replies replies;
    kf_error err = {.message = ""};
    size_t whole;
    kf_redis_replies_init(&replies, &kf_alloc_default);
    CHECK(parse_pieces(&replies, bytes, size, size, wanted, &whole, &err) ==
          expected);
    CHECK(err.message[0] != '\0');
    kf_redis_replies_free(&replies);
}

#define REFUSES(text, wanted, expected) \
    refuses((text), sizeof(text) - 1, (wanted), (expected))

static void
test_refusals(void)
{
    REFUSES("?\r\n", 1, KF_INVALID);
    REFUSES("$x\r\n", 1, KF_INVALID);
    REFUSES("+OK\r\n+OK\r\n", 1, KF_INVALID);
}

/* Newer versions of the library read what older ones refuse. */
static void
test_types_that_were_not_asked_for(void)
{
    static const char *const replies[] = {
        ",1.5\r\n",     "#t\r\n",       "%1\r\n+a\r\n",
        "~1\r\n:1\r\n", ">1\r\n:1\r\n", "(123456789012345678901\r\n"};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        kf_redis_replies list;
        kf_error err;
        size_t whole;
        kf_redis_replies_init(&list, &kf_alloc_default);
        CHECK(parse_pieces(&list, replies[i], strlen(replies[i]), 100, 1,
                           &whole, &err) != KF_OK);
        CHECK(list.n_items == 0);
        kf_redis_replies_free(&list);
    }
}

static void
test_depth(void)
{
    for (size_t depth = 1; depth <= 12; depth++) {
        char text[64] = "";
        kf_redis_replies replies;
        kf_error err;
        size_t whole;
        kf_status status;
        for (size_t i = 0; i < depth; i++) {
            strcat(text, "*1\r\n");
        }
        strcat(text, ":1\r\n");
        kf_redis_replies_init(&replies, &kf_alloc_default);
        status =
            parse_pieces(&replies, text, strlen(text), 100, 1, &whole, &err);
        CHECK((status == KF_OK) == (depth <= KF_REDIS_MAX_DEPTH));
        CHECK(status == KF_OK || replies.n_items == KF_REDIS_MAX_DEPTH);
        kf_redis_replies_free(&replies);
    }
}

/* A declared length is not yet memory. */
static void
test_declared_lengths(void)
{
    static const char *const heads[] = {"*2147483647\r\n", "$536870912\r\n",
                                        "$9223372036854775807\r\n",
                                        "*9223372036854775807\r\n"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        check_memory memory = {0};
        kf_alloc alloc = check_alloc(&memory);
        kf_redis_replies replies;
        kf_error err;
        size_t whole;
        kf_redis_replies_init(&replies, &alloc);
        (void)!parse_pieces(&replies, heads[i], strlen(heads[i]), 100, 1,
                            &whole, &err);
        CHECK(whole == 0);
        CHECK(replies.n_items <= 1 && replies.capacity < 64);
        kf_redis_replies_free(&replies);
    }
}

static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_redis_replies replies;
        kf_error err;
        size_t whole;
        kf_status status;
        kf_redis_replies_init(&replies, &alloc);
        status = parse_pieces(&replies, STREAM, sizeof STREAM - 1, 7,
                              STREAM_REPLIES, &whole, &err);
        CHECK(status == KF_OK || status == KF_NO_MEMORY);
        done = status == KF_OK;
        failures += !done;
        kf_redis_replies_free(&replies);
    }
    CHECK(failures >= 2);
}

int
main(void)
{
    test_pieces();
    test_refusals();
    test_types_that_were_not_asked_for();
    test_depth();
    test_declared_lengths();
    test_no_memory();
    return check_report();
}
