/* JSON texts as json.dumps(ensure_ascii=False) writes them, and what
 * happens where there is no memory. */
#include "check.h"
#include "kato_fast/json.h"

static bool
holds(kf_buffer *buffer, const char *expected, size_t size)
{
    bool same = !buffer->failed && buffer->size == size &&
                memcmp(buffer->data, expected, size) == 0;
    kf_buffer_free(buffer);
    return same;
}

static bool
is_string(const char *text, size_t size, const char *expected)
{
    kf_buffer buffer;
    size_t written = strlen(expected);
    kf_buffer_init(&buffer, &kf_alloc_default);
    kf_json_string(&buffer, text, size);
    CHECK(kf_json_string_size(text, size) == written);
    return holds(&buffer, expected, written);
}

#define STRING(text, expected) \
    CHECK(is_string((text), sizeof(text) - 1, (expected)))

static void
test_strings(void)
{
    STRING("", "\"\"");
    STRING("abc", "\"abc\"");
    STRING("\"", "\"\\\"\"");
    STRING("\\", "\"\\\\\"");
    STRING("a\nb\rc\td\fe\bf", "\"a\\nb\\rc\\td\\fe\\bf\"");
    STRING("\0\x01\x0b\x1f", "\"\\u0000\\u0001\\u000b\\u001f\"");
    STRING("\x7f/'", "\"\x7f/'\"");
    STRING("\u00e9\u65e5\U0001f600", "\"\u00e9\u65e5\U0001f600\"");
    STRING("12345678\"", "\"12345678\\\"\"");
    STRING("1234567\"8", "\"1234567\\\"8\"");
    STRING("12345678abcdefgh\x02", "\"12345678abcdefgh\\u0002\"");
}

static bool
is_plain_at(size_t place, char byte, size_t size)
{
    char text[24];
    char expected[32] = "\"";
    memset(text, 'a', sizeof text);
    text[place] = byte;
    memcpy(expected + 1, text, size);
    expected[size + 1] = '"';
    return is_string(text, size, expected);
}

/* Each byte beside the special ones must stay, wherever it is. */
static void
test_plain_bytes(void)
{
    static const char plain[] = " !#[]^~\x7f\x80\x9f\xa0\xa2\xdc\xff";
    for (const char *byte = plain; *byte != 0; byte++) {
        for (size_t place = 0; place < 17; place++) {
            CHECK(is_plain_at(place, *byte, 17));
        }
    }
}

static void
test_numbers(void)
{
    static const char expected[] = "0,-1,-9223372036854775808,"
                                   "9223372036854775807,"
                                   "18446744073709551615,0.1,-0.0,1e-05,";
    kf_buffer buffer;
    kf_buffer_init(&buffer, &kf_alloc_default);
    kf_json_int(&buffer, 0);
    kf_buffer_put(&buffer, ',');
    kf_json_int(&buffer, -1);
    kf_buffer_put(&buffer, ',');
    kf_json_int(&buffer, INT64_MIN);
    kf_buffer_put(&buffer, ',');
    kf_json_int(&buffer, INT64_MAX);
    kf_buffer_put(&buffer, ',');
    kf_json_uint(&buffer, UINT64_MAX);
    kf_buffer_put(&buffer, ',');
    kf_json_double(&buffer, 0.1);
    kf_buffer_put(&buffer, ',');
    kf_json_double(&buffer, -0.0);
    kf_buffer_put(&buffer, ',');
    kf_json_double(&buffer, 1e-5);
    kf_buffer_put(&buffer, ',');
    CHECK(holds(&buffer, expected, sizeof expected - 1));
}

static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_buffer buffer;
        kf_buffer_init(&buffer, &alloc);
        kf_json_string(&buffer, "", 0);
        kf_json_string(&buffer, "some\ntext\x01that grows", 20);
        kf_json_double(&buffer, 1.0 / 3);
        kf_json_int(&buffer, -123456789);
        done = !buffer.failed;
        failures += buffer.failed;
        kf_buffer_free(&buffer);
    }
    CHECK(failures > 2);
}

int
main(void)
{
    test_strings();
    test_plain_bytes();
    test_numbers();
    test_no_memory();
    return check_report();
}
