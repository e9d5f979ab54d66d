/* CBOR from the examples of RFC 8949, appendix A, and at the limits of each
 * head. */
#include "check.h"
#include "kato_fast/cbor.h"

#include <math.h>

static bool
is_hex(kf_buffer *buffer, const char *expected)
{
    bool same = !buffer->failed && 2 * buffer->size == strlen(expected);
    for (size_t i = 0; same && i < buffer->size; i++) {
        char hex[3];
        snprintf(hex, sizeof hex, "%02x", (unsigned char)buffer->data[i]);
        same = memcmp(hex, expected + 2 * i, 2) == 0;
    }
    kf_buffer_free(buffer);
    return same;
}

#define WRITES(expected, call)                      \
    do {                                            \
        kf_buffer buffer;                           \
        kf_buffer_init(&buffer, &kf_alloc_default); \
        call;                                       \
        CHECK(is_hex(&buffer, (expected)));         \
    } while (0)

static void
test_heads(void)
{
    WRITES("00", kf_cbor_uint(&buffer, 0));
    WRITES("17", kf_cbor_uint(&buffer, 23));
    WRITES("1818", kf_cbor_uint(&buffer, 24));
    WRITES("18ff", kf_cbor_uint(&buffer, 255));
    WRITES("190100", kf_cbor_uint(&buffer, 256));
    WRITES("1903e8", kf_cbor_uint(&buffer, 1000));
    WRITES("19ffff", kf_cbor_uint(&buffer, 65535));
    WRITES("1a00010000", kf_cbor_uint(&buffer, 65536));
    WRITES("1a000f4240", kf_cbor_uint(&buffer, 1000000));
    WRITES("1affffffff", kf_cbor_uint(&buffer, 4294967295u));
    WRITES("1b0000000100000000", kf_cbor_uint(&buffer, 4294967296u));
    WRITES("1b000000e8d4a51000", kf_cbor_uint(&buffer, 1000000000000u));
    WRITES("1bffffffffffffffff", kf_cbor_uint(&buffer, UINT64_MAX));
    WRITES("80", kf_cbor_array(&buffer, 0));
    WRITES("97", kf_cbor_array(&buffer, 23));
    WRITES("9818", kf_cbor_array(&buffer, 24));
    WRITES("990100", kf_cbor_array(&buffer, 256));
    WRITES("a0", kf_cbor_map(&buffer, 0));
    WRITES("b819", kf_cbor_map(&buffer, 25));
}

static void
test_texts(void)
{
    WRITES("60", kf_cbor_text(&buffer, "", 0));
    WRITES("6449455446", kf_cbor_text(&buffer, "IETF", 4));
    WRITES("62225c", kf_cbor_text(&buffer, "\"\\", 2));
    WRITES("62c3bc", kf_cbor_text(&buffer, "\u00fc", 2));
    WRITES("7818414141414141414141414141414141414141414141414141",
           kf_cbor_text(&buffer, "AAAAAAAAAAAAAAAAAAAAAAAA", 24));
}

static void
test_doubles(void)
{
    WRITES("fb3ff199999999999a", kf_cbor_double(&buffer, 1.1));
    WRITES("fb7e37e43c8800759c", kf_cbor_double(&buffer, 1e300));
    WRITES("fbc010666666666666", kf_cbor_double(&buffer, -4.1));
    WRITES("fb0000000000000000", kf_cbor_double(&buffer, 0.0));
    WRITES("fb8000000000000000", kf_cbor_double(&buffer, -0.0));
    WRITES("f97c00", kf_cbor_double(&buffer, INFINITY));
    WRITES("f9fc00", kf_cbor_double(&buffer, -INFINITY));
    WRITES("f97e00", kf_cbor_double(&buffer, NAN));
    WRITES("f97e00", kf_cbor_double(&buffer, -NAN));
}

static void
test_the_rest(void)
{
    WRITES("20", kf_cbor_negative(&buffer, 0));
    WRITES("3903e7", kf_cbor_negative(&buffer, 999));
    WRITES("3bffffffffffffffff", kf_cbor_negative(&buffer, UINT64_MAX));
    WRITES("40", kf_cbor_bytes(&buffer, "", 0));
    WRITES("4401020304", kf_cbor_bytes(&buffer, "\1\2\3\4", 4));
    WRITES("f4", kf_cbor_bool(&buffer, false));
    WRITES("f5", kf_cbor_bool(&buffer, true));
    WRITES("f6", kf_cbor_null(&buffer));
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
        kf_cbor_map(&buffer, 1);
        kf_cbor_text(&buffer, "a text over twenty bytes", 24);
        kf_cbor_array(&buffer, 2);
        kf_cbor_double(&buffer, 0.5);
        kf_cbor_text(&buffer, "", 0);
        done = !buffer.failed;
        failures += buffer.failed;
        kf_buffer_free(&buffer);
    }
    CHECK(failures > 1);
}

int
main(void)
{
    test_heads();
    test_texts();
    test_doubles();
    test_the_rest();
    test_no_memory();
    return check_report();
}
